"""Edits: what a method returns, and how it is applied, undone, folded, saved, proven and exported.

An `Edit` is data. ``with edit.applied_to(lm):`` makes ``lm`` the edited model and always undoes
itself, bit for bit. `WeightEdit` changes parameters, `ActivationEdit` does operations from a closed
set at sites, `LogitEdit` bans tokens, `ModuleEdit` adds a layer, `Composed` does several in order.
``edit.fold(lm)`` gives plain weights, or says in plain words why none express it. `self_test`
proves that an edit acts; `export` writes an ordinary Hugging Face folder and reads it back.
"""

from bezoar.edits.activation import ActivationEdit, At
from bezoar.edits.delta import Chain, ColumnScale, Delta, Dense, LowRank, RowScale
from bezoar.edits.edit import Applied, Composed, Edit, NoOp
from bezoar.edits.export import Exported, export
from bezoar.edits.latents import SteerLatents
from bezoar.edits.logit import LogitEdit
from bezoar.edits.module import ModuleEdit
from bezoar.edits.ops import Add, Affine, Bottleneck, Clamp, Conditional, Gate, Op, Project
from bezoar.edits.places import stores_transposed, stream_site
from bezoar.edits.selftest import SelfTest, self_test
from bezoar.edits.storage import load_edit
from bezoar.edits.weight import WeightEdit

__all__ = [
    "ActivationEdit",
    "Add",
    "Affine",
    "Applied",
    "At",
    "Bottleneck",
    "Chain",
    "Clamp",
    "ColumnScale",
    "Composed",
    "Conditional",
    "Delta",
    "Dense",
    "Edit",
    "Exported",
    "Gate",
    "LogitEdit",
    "LowRank",
    "ModuleEdit",
    "NoOp",
    "Op",
    "Project",
    "RowScale",
    "SelfTest",
    "SteerLatents",
    "WeightEdit",
    "export",
    "load_edit",
    "self_test",
    "stores_transposed",
    "stream_site",
]
