"""Subtract a direction from the residual stream (Lee et al. 2024, section 3.3)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from bezoar.edits import ActivationEdit, Add, Edit
from bezoar.errors import ConfigError, did_you_mean
from bezoar.mitigate.directed import (
    INPUT_OF,
    NULLS,
    Source,
    check_source,
    choose,
    layer_sets,
    require_same_place,
)
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import GLOBAL_POINTS, LanguageModel, Site

Mode = Literal["correct", "paper", "code"]
MODES = ("correct", "paper", "code")

PAPER_SCALES = {"probe": 50.0, "value": 20.0, "svd": 100.0, "mean_difference": 1.0}
"""α of the reference, which multiplies raw vectors; a mean difference is not in the paper."""


@register
@dataclass(frozen=True, slots=True)
class Subtract(Method):
    """Subtract a toxic direction from the residual stream: x ← x − α·w.

    In mode "correct" ``w`` is a *unit* vector, so α is the length of the shift in the units of the
    residual stream, and equal α are equal shifts for every direction. In modes "paper" and "code"
    ``w`` is as the reference has it: the raw probe or MLP row, the unit singular vector, with α
    of 50, 20 and 100 unless given. Mode "code" also lets a direction act at a site that it was not
    fitted at, which the other modes refuse (`SiteMismatch`).

    Attributes:
        direction: the probe, a value vector, a direction of their SVD, or the mean difference.
        alpha: α; None means 1, or the reference's scale.
        layers: where; negative ones count from the last.
        positions: "all", or "last": the last token of each forward pass. In the last block the two
            are the same for generation.
        point: of each layer, or "unembed_in".
        rank: which value vector or singular direction.
        mode: whose convention.
    """

    name: ClassVar[str] = "subtract"
    direction: Source = "probe"
    alpha: float | None = None
    layers: tuple[int, ...] = (-1,)
    positions: Literal["all", "last"] = "all"
    point: str = "mlp_out"
    rank: int = 0
    mode: Mode = "correct"

    def __post_init__(self) -> None:
        check_source(self.direction)
        if self.mode not in MODES:
            raise ConfigError(
                f"mode={self.mode!r} is not known.", hint=did_you_mean(str(self.mode), MODES)
            )

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        ranked = [f"direction={name},rank={i}" for name in ("value", "svd") for i in range(3)]
        return {
            "direction": ("direction=probe", "direction=mean_difference", *ranked),
            "layers": ("", *layer_sets(lm)[1:]),
        }

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({INPUT_OF.get(self.direction, self.direction)})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return NULLS[self.direction]

    @property
    def strength(self) -> float:
        if self.alpha is not None:
            return self.alpha
        return 1.0 if self.mode == "correct" else PAPER_SCALES[self.direction]

    @property
    def strength_start(self) -> float:
        return 1.0 if self.mode == "correct" else PAPER_SCALES[self.direction]

    def with_strength(self, strength: float) -> Subtract:
        return dataclasses.replace(self, alpha=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` adding −α·w at every named site.

        Raises:
            SiteMismatch: if the direction was fitted elsewhere and the mode is not "code".
        """
        chosen = choose(self.direction, self.rank, lm, inputs, self.name)
        sites = sites_of(lm, self.layers, self.point)
        if self.mode != "code":
            require_same_place(lm, chosen, sites)
        w = chosen.basis[0] if self.mode == "correct" else chosen.norm * chosen.basis[0]
        return ActivationEdit.at(
            sites,
            Add(-self.strength * w),
            self.positions,
            name=f"subtract {chosen.name}",
            provenance=self.origin(lm, direction=chosen.name, trained_on=chosen.trained_on),
        )


def sites_of(lm: LanguageModel, layers: tuple[int, ...], point: str) -> list[Site]:
    """The point at each of the layers (once, if it belongs to no layer).

    Raises:
        SiteError: if the model has no such site.
    """
    if point in GLOBAL_POINTS:
        return [lm.site(Site(None, point))]
    return [lm.site(Site(layer, point)) for layer in dict.fromkeys(layers)]
