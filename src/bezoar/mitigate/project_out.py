"""Project a direction or a subspace out of the residual stream, or out of what the MLPs write."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from bezoar.edits import ActivationEdit, Edit, Project, stream_site
from bezoar.errors import ConfigError, SiteMismatch
from bezoar.mitigate.directed import (
    INPUT_OF,
    NULLS,
    Chosen,
    Source,
    check_source,
    choose,
    layer_sets,
    require_same_place,
)
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.mitigate.subtract import sites_of
from bezoar.models import LanguageModel, Site

_WRITERS = ("mlp_out", "mlp_raw", "attn_out")


@register
@dataclass(frozen=True, slots=True)
class ProjectOut(Method):
    """Remove a direction or a subspace: x ← x − f·BᵀB x, at sites or in what layers write.

    At ``point="mlp_out"`` it compiles into the MLP output weights and folds exactly:
    W ← (I − f·P) W, b ← (I − f·P) b. A write stays in the residual stream, so a direction may be
    removed from the writes of every layer up to the one where it was fitted; at a site of the
    stream itself, only where it was fitted.

    Attributes:
        direction: the probe, a value vector, directions of their SVD, or the mean difference.
        fraction: f; 1 removes all of it.
        layers: where, from −1 for the last; empty means every layer up to the direction's own.
        point: ``mlp_out``, ``attn_out``, ``resid_post``, …
        rank: the first value vector or singular direction.
        dims: how many singular directions.
        mode: "code" allows any site.
    """

    name: ClassVar[str] = "project-out"
    direction: Source = "probe"
    fraction: float = 1.0
    layers: tuple[int, ...] = ()
    point: str = "mlp_out"
    rank: int = 0
    dims: int = 1
    mode: Literal["correct", "code"] = "correct"

    def __post_init__(self) -> None:
        check_source(self.direction)
        if not 0 <= self.fraction <= 1:
            raise ConfigError(
                f"fraction={self.fraction} of a projection is not between 0 and 1.",
                hint="1 removes the direction; to go further, subtract it.",
            )
        if self.dims < 1 or (self.dims > 1 and self.direction != "svd"):
            raise ConfigError(
                f"{self.dims} dimensions of {self.direction!r} cannot be removed.",
                hint="Only direction='svd' has more than one.",
            )

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        several = [f"direction=svd,dims={dims}" for dims in (1, 2, 3)]
        return {
            "direction": (
                *("direction=probe", "direction=mean_difference", "direction=value"),
                *several,
            ),
            "layers": ("", *layer_sets(lm)),
        }

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({INPUT_OF.get(self.direction, self.direction)})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return NULLS[self.direction]

    @property
    def strength(self) -> float:
        return self.fraction

    @property
    def strength_max(self) -> float:
        return 1.0

    def with_strength(self, strength: float) -> ProjectOut:
        return dataclasses.replace(self, fraction=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` projecting at every named site.

        Raises:
            SiteMismatch: if the direction means nothing at a site and the mode is not "code".
        """
        chosen = choose(self.direction, self.rank, lm, inputs, self.name, self.dims)
        layers = self.layers or tuple(range(_last_layer(lm, chosen) + 1))
        sites = sites_of(lm, layers, self.point)
        if self.mode != "code":
            _require_reaching(lm, chosen, sites)
        return ActivationEdit.at(
            sites,
            Project(chosen.basis, self.fraction),
            name=f"project out {chosen.name}",
            provenance=self.origin(lm, direction=chosen.name, trained_on=chosen.trained_on),
        )


def _last_layer(lm: LanguageModel, chosen: Chosen) -> int:
    """The last layer whose writes reach the place where the direction was fitted."""
    if chosen.site is None:
        return lm.n_layers - 1
    layer = stream_site(lm, chosen.site).layer
    return lm.n_layers - 1 if layer is None else layer


def _require_reaching(lm: LanguageModel, chosen: Chosen, sites: list[Site]) -> None:
    writers = [site for site in sites if site.point in _WRITERS]
    require_same_place(lm, chosen, [site for site in sites if site not in writers])
    for site in writers:
        if site.layer is not None and site.layer > _last_layer(lm, chosen):
            raise SiteMismatch(
                f"{chosen.name!r} was fitted at {chosen.site}, before {site} writes anything.",
                hint="Leave later layers out, or pass mode='code' to do it anyway.",
            )
