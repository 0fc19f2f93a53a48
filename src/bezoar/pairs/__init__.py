"""The room of preferences: two continuations of a prompt, of which one is wanted.

Pairs are written by people (`load_pairs`) or by the model itself: steered towards the behaviour and
away from it (`steered_pairs`), or by gradients on its own past (`pplm_pairs`). What no model can
learn from is dropped and counted (`clean_pairs`, `drop_seen`); both sides are scored
(`score_pairs`) and held to stated rules (`filter_pairs`), and a scorer that made none of the rules
says how often they are right (`judge_pairs`).
"""

from bezoar.pairs.check import PairsReport, clean_pairs, drop_seen
from bezoar.pairs.filter import (
    PairRules,
    PairsAgreement,
    filter_pairs,
    judge_pairs,
    score_pairs,
)
from bezoar.pairs.load import load_pairs
from bezoar.pairs.pairs import Pairs
from bezoar.pairs.pplm import pplm, pplm_pairs
from bezoar.pairs.pplm_settings import PPLM
from bezoar.pairs.sources import fit_attribute, fit_steering, sentence_prompts, unseen_prompts
from bezoar.pairs.steered import mean_norms, steered_pairs

__all__ = [
    "PPLM",
    "PairRules",
    "Pairs",
    "PairsAgreement",
    "PairsReport",
    "clean_pairs",
    "drop_seen",
    "filter_pairs",
    "fit_attribute",
    "fit_steering",
    "judge_pairs",
    "load_pairs",
    "mean_norms",
    "pplm",
    "pplm_pairs",
    "score_pairs",
    "sentence_prompts",
    "steered_pairs",
    "unseen_prompts",
]
