"""Sites named for a model that is not known yet: the middle layer, or every layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bezoar.models.sites import Site

if TYPE_CHECKING:
    from bezoar.models.language_model import LanguageModel

MIDDLE = "middle."
EVERY = "every."


def named_sites(lm: LanguageModel, names: Iterable[str]) -> list[Site]:
    """The sites that names stand for, in order of execution, each once.

    Args:
        lm: the model.
        names: sites such as ``3.mlp_out`` or ``-1.resid_post``; ``middle.resid_post`` is that of
            layer ``n_layers // 2``, ``every.resid_post`` that of every layer.

    Raises:
        SiteError: if this model has no such layer or point.
        UnsupportedAnatomy: if what computes it was not recognised.
    """
    found: set[Site] = set()
    for name in names:
        if name.startswith(EVERY):
            found.update(lm.sites([name.removeprefix(EVERY)]))
        elif name.startswith(MIDDLE):
            found.add(lm.site(f"{lm.n_layers // 2}.{name.removeprefix(MIDDLE)}"))
        else:
            found.add(lm.site(name))
    return sorted(found)
