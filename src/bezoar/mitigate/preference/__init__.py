"""Learning from preferences: the loss, the batches, what may move, one loop (Lee et al. 2024, §4).

`train` makes an `Edit` and a `TrainingLog` of `bezoar.pairs.Pairs`; the method ``dpo`` is the same
behind the registry. The model comes back as it was, bit for bit.
"""

from bezoar.mitigate.preference.batches import TokenPairs, collate, tokenise_pairs
from bezoar.mitigate.preference.forward import answer_logps, reference_logps
from bezoar.mitigate.preference.log import LOW_ENOUGH, Step, Trained, TrainingLog, Validation
from bezoar.mitigate.preference.loss import Preference, dpo_loss, sequence_logps, token_logps
from bezoar.mitigate.preference.masks import Trainable, mask_energy
from bezoar.mitigate.preference.recipe import RECIPES, Recipe, get_recipe
from bezoar.mitigate.preference.training import train

__all__ = [
    "LOW_ENOUGH",
    "RECIPES",
    "Preference",
    "Recipe",
    "Step",
    "TokenPairs",
    "Trainable",
    "Trained",
    "TrainingLog",
    "Validation",
    "answer_logps",
    "collate",
    "dpo_loss",
    "get_recipe",
    "mask_energy",
    "reference_logps",
    "sequence_logps",
    "token_logps",
    "tokenise_pairs",
    "train",
]
