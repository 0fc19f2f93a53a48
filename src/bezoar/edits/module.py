"""An added layer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from bezoar.edits.activation import ActivationEdit, At
from bezoar.edits.edit import Applied, Edit
from bezoar.edits.ops import Bottleneck
from bezoar.edits.weight import WeightEdit
from bezoar.errors import NotFoldable
from bezoar.models import LanguageModel, Site


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ModuleEdit(Edit):
    """A small layer x ↦ x + up · gelu(down x + bias) added at a site. It never folds."""

    kind: ClassVar[str] = "module"
    site: Site
    layer: Bottleneck
    name: str = "added layer"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def foldable(self) -> bool:
        return False

    def _as_activation(self) -> ActivationEdit:
        return ActivationEdit((At(self.site, self.layer),), name=self.name)

    def check(self, lm: LanguageModel) -> None:
        self._as_activation().check(lm)

    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        return self._as_activation().hooks(lm)

    def fold(self, lm: LanguageModel) -> WeightEdit:
        raise NotFoldable(
            f"It adds a layer at {self.site}, and a stock architecture has no room for one.",
            hint="Keep it as a patch beside the checkpoint.",
        )

    def _entered(self, lm: LanguageModel, applied: Applied) -> AbstractContextManager[None]:
        return self._as_activation()._entered(lm, applied)
