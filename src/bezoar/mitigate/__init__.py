"""Mitigate: remedies, each a small frozen config whose `fit` makes an `Edit`.

A `Method` says what it needs (``requires``), how much it does (``strength``), and by what it must
not be beaten (`null_inputs`). `fit_to_budget` turns a stated cost ("perplexity +5 %") into a
strength and shows every strength that was tried. One file per method; other packages add theirs
through the entry-point group ``bezoar.methods``.
"""

from bezoar.mitigate.aura import AurA
from bezoar.mitigate.budget import BudgetPoint, BudgetTrace, Fitted, fit_to_budget
from bezoar.mitigate.damp import Damp
from bezoar.mitigate.det_zero import DetZero
from bezoar.mitigate.distributed_shift import DistributedShift
from bezoar.mitigate.dpo import DPO
from bezoar.mitigate.eigenshift import EigenShift
from bezoar.mitigate.method import FitInputs, Method, get_method, methods, register
from bezoar.mitigate.nulls import null_inputs, nulls_at_cost
from bezoar.mitigate.profs import ProFS
from bezoar.mitigate.project_out import ProjectOut
from bezoar.mitigate.sae_latents import SAELatents
from bezoar.mitigate.specs import make_method, parse_method, parse_searched
from bezoar.mitigate.subtract import Subtract
from bezoar.mitigate.transport import Transport
from bezoar.mitigate.uniform_shrink import UniformShrink
from bezoar.mitigate.word_ban import WordBan

DEFAULT_METHODS = (
    "transport",
    "aura",
    "det-0",
    "subtract:direction=mean_difference",
    "word-ban",
    "uniform-shrink",
)
"""What an audit tries unless told otherwise, as `parse_method` reads it.

The three that do most without training, from moments and from scored units, which need no bias to
fold; the simplest direction; the rival that any of them has to beat, which knows only words; and a
control. Few, because each costs thirty null edits, and Holm's correction grows with their number.
"""

__all__ = [
    "DEFAULT_METHODS",
    "DPO",
    "AurA",
    "BudgetPoint",
    "BudgetTrace",
    "Damp",
    "DetZero",
    "DistributedShift",
    "EigenShift",
    "FitInputs",
    "Fitted",
    "Method",
    "ProFS",
    "ProjectOut",
    "SAELatents",
    "Subtract",
    "Transport",
    "UniformShrink",
    "WordBan",
    "fit_to_budget",
    "get_method",
    "make_method",
    "methods",
    "null_inputs",
    "nulls_at_cost",
    "parse_method",
    "parse_searched",
    "register",
]
