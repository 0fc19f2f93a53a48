"""Models as they are, and the places in them.

A ``LanguageModel`` is an untouched Hugging Face model with its tokenizer. Its ``Anatomy`` is found
by structure, so a new family usually needs no code. A ``Site`` names a place (``3.mlp_out``);
``capture`` reads sites with hooks on the real modules and stops as soon as it can. ``generate``
continues prompts so that the same prompt and sample meet the same randomness under every edit.
"""

from bezoar.models.anatomy import Anatomy, BlockAnatomy, require_writable
from bezoar.models.batch import Batch
from bezoar.models.generate import generate
from bezoar.models.generations import Decoding, Generations
from bezoar.models.hook_point import HookPoint
from bezoar.models.language_model import LanguageModel
from bezoar.models.linear import is_plain, out_in_weight
from bezoar.models.names import AnatomyNames
from bezoar.models.parity import check_parity
from bezoar.models.site_names import named_sites
from bezoar.models.sites import GLOBAL_POINTS, POINTS, Site
from bezoar.models.trace import first_tensor

__all__ = [
    "GLOBAL_POINTS",
    "POINTS",
    "Anatomy",
    "AnatomyNames",
    "Batch",
    "BlockAnatomy",
    "Decoding",
    "Generations",
    "HookPoint",
    "LanguageModel",
    "Site",
    "check_parity",
    "first_tensor",
    "generate",
    "is_plain",
    "named_sites",
    "out_in_weight",
    "require_writable",
]
