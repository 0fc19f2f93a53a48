"""Attack: what holds of a remedy when somebody tries to undo it. Attacks are edits too.

An `Attack` lists what it tries at which budget and makes, for a base model and a remedy, the edit
to apply on top. `run_attacks` measures them all and says how much of the remedy survives
(`Robustness`): the area under the surviving share, attack by attack, its mean and its minimum.
`sample_free` says what weights and neutral text tell
without any attack, and `rank_correlation` whether that predicts survival.
`residual_capability` asks whether an edit eliminated a behaviour or bypasses it.
Nothing is written but measurements: attacked weights exist while they are measured.
"""

from bezoar.attack.attack import Asking, Attack, Setting, Use, released
from bezoar.attack.context import ToxicContext
from bezoar.attack.decoding import Sampling
from bezoar.attack.fine_tuning import FineTuning, LaterCheckpoint
from bezoar.attack.interpolation import Interpolation
from bezoar.attack.key_scaling import KeyScaling
from bezoar.attack.measure import Measure, Measured, ToxicityAndCost, toxicity_and_cost
from bezoar.attack.noise import WeightNoise
from bezoar.attack.pruning import Pruning
from bezoar.attack.quantisation import Quantisation
from bezoar.attack.rank_correlation import (
    RankCorrelation,
    RankCorrelations,
    rank_correlation,
)
from bezoar.attack.registry import ATTACKS, AttackInputs, attack_names, first_of_each, make_attacks
from bezoar.attack.relearning import Relearning
from bezoar.attack.residual import ResidualCapability, residual_capability
from bezoar.attack.results import AttackCurve, AttackPoint, Robustness
from bezoar.attack.robustness import run_attacks
from bezoar.attack.sample_free import SampleFree, sample_free
from bezoar.attack.scale_keys import ScaleKeys
from bezoar.attack.steering import Steering
from bezoar.attack.wanda import WandaPruning

__all__ = [
    "ATTACKS",
    "Asking",
    "Attack",
    "AttackCurve",
    "AttackInputs",
    "AttackPoint",
    "FineTuning",
    "Interpolation",
    "KeyScaling",
    "LaterCheckpoint",
    "Measure",
    "Measured",
    "Pruning",
    "Quantisation",
    "RankCorrelation",
    "RankCorrelations",
    "Relearning",
    "ResidualCapability",
    "Robustness",
    "SampleFree",
    "Sampling",
    "ScaleKeys",
    "Setting",
    "Steering",
    "ToxicContext",
    "ToxicityAndCost",
    "Use",
    "WandaPruning",
    "WeightNoise",
    "attack_names",
    "first_of_each",
    "make_attacks",
    "rank_correlation",
    "released",
    "residual_capability",
    "run_attacks",
    "sample_free",
    "toxicity_and_cost",
]
