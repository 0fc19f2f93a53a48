"""Walk from the edited weights back to the base: W + (1 − t) ΔW."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from bezoar.attack.attack import Attack, OnTop, Setting, rising
from bezoar.attack.matrices import replaced
from bezoar.edits import Delta, Edit, WeightEdit
from bezoar.edits.weight import find_parameter
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True)
class Interpolation(Attack):
    """Undo a share t of the weight difference: t = 0 is the edited model, t = 1 the base, exactly.

    Who holds the base weights needs no attack; the curve says whether the remedy's effect grows in
    proportion to its weights, or hangs on the last of them. At t = 1 nothing survives by
    construction.

    Attributes:
        shares: the t.
    """

    axis: ClassVar[str] = "share of the way to the base"
    shares: tuple[float, ...] = (0.125, 0.25, 0.5, 0.75, 1.0)
    name: str = "interpolation"

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        shares = rising(self.shares, "t", 0, 1)
        return tuple(Setting(t, f"t {t:g}", values={"t": t}) for t in shares)

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        """Raises NotFoldable if the remedy is no change of weights."""
        edited = remedy.fold(lm).new_values(lm)

        @torch.no_grad()
        def edit(setting: Setting) -> Edit:
            t = setting.budget
            deltas: dict[str, Delta] = {}
            for name, new in edited.items():
                base = find_parameter(lm, name).detach()
                # (1 − t) new + t base: exact at both ends, which new + t (base − new) is not
                mixed = ((1 - t) * new.float() + t * base.float()).cpu()
                deltas[name] = replaced(mixed)
            provenance = {"attack": self.name, "t": t}
            return WeightEdit(deltas, name=f"interpolate {setting.label}", provenance=provenance)

        return edit
