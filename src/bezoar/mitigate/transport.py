"""Carry activations from the texts with the behaviour to those without it, unit by unit.

Affine activation transport (Rodriguez et al. 2025, "Controlling language and diffusion models by
transporting activations", section 3): where two one-dimensional distributions are Gaussian, the
cheapest map of one onto the other is T(x) = (σ₀/σ₁)(x − μ₁) + μ₀, and where only their means differ
it is T(x) = x + (μ₀ − μ₁). The edit goes a share of the way: x ← (1 − s)·x + s·T(x).
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from bezoar.activations import Pooling
from bezoar.activations.tokens import tokenise
from bezoar.corpus import Corpus
from bezoar.edits import ActivationEdit, Add, At, Edit, Gate
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate.moments import UnitMoments, collect_moments
from bezoar.mitigate.directed import layer_sets, moments_of
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel, Site

KINDS = ("mean", "gaussian")
FURTHEST = 8.0
"""Largest s: beyond 1 the map goes on the same way, as steering does."""
_NULL_FURTHEST = 64.0  # moments of shuffled labels lie a tenth as far apart
_LARGEST = 4.0  # of σ₀/σ₁: beyond it one of the two was hardly seen to move
_SEQUENTIAL_TEXTS, _MAX_TOKENS = 400, 128
_kept: OrderedDict[tuple[object, ...], UnitMoments] = OrderedDict()


@register
@dataclass(frozen=True, slots=True)
class Transport(Method):
    """Carry activations unit by unit to where texts without the behaviour have them.

    Attributes:
        kind: "mean" (a shift) or "gaussian" (a shift and a scale).
        s: the strength: 0 does nothing, 1 carries one distribution onto the other, above 1 beyond.
        points: where, in each layer: what attention and MLP add to the residual stream, by default.
        layers: which, from −1 for the last; empty means all.
        sequential: fit each layer on what the maps before it leave (the paper's causal estimate),
            instead of all of them on the untouched model; reads up to 400 texts once a layer.
    """

    name: ClassVar[str] = "transport"
    kind: Literal["mean", "gaussian"] = "mean"
    s: float = 1.0
    points: tuple[str, ...] = ("attn_out", "mlp_out")
    layers: tuple[int, ...] = ()
    sequential: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"kind={self.kind!r} of a transport is not known.",
                hint=did_you_mean(str(self.kind), KINDS),
            )
        if not 0 <= self.s <= _NULL_FURTHEST:
            raise ConfigError(f"s={self.s} of a transport is not between 0 and {FURTHEST:g}.")
        if not self.points:
            raise ConfigError("A transport at no point.", hint="Name some: points=mlp_out.")

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        return {
            "kind": ("", "kind=gaussian"),
            "points": ("", "points=mlp_out", "points=attn_out", "points=mlp_post"),
            "layers": ("", *layer_sets(lm)),
        }

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"moments", "corpus"} if self.sequential else {"moments"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        shuffled = ("shuffled-moments",)
        along = self.kind == "mean" and not self.sequential
        return (*shuffled, "random-direction") if along else shuffled

    @property
    def strength(self) -> float:
        return self.s

    @property
    def strength_max(self) -> float:
        return FURTHEST

    @property
    def null_strength_max(self) -> float:
        return _NULL_FURTHEST

    def with_strength(self, strength: float) -> Transport:
        return dataclasses.replace(self, s=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` that shifts (and scales) every unit at every site.

        Raises:
            ConfigError: if moments are missing, at all or of a site, or are of another model.
        """
        moments = moments_of(lm, inputs, self.name)
        sites = self.sites_in(lm)
        if self.sequential:
            moments = self._sequential(lm, inputs, sites, moments.pooling)
        ops = [op for site in sites for op in self._ops(lm, moments, site, self.s)]
        return ActivationEdit(
            tuple(ops),
            name=f"transport {self.kind}",
            provenance=self.origin(lm, trained_on=moments.trained_on),
        )

    def sites_in(self, lm: LanguageModel) -> list[Site]:
        """Where it acts, in order of execution."""
        layers = self.layers or range(lm.n_layers)
        return sorted({lm.site(Site(layer, point)) for layer in layers for point in self.points})

    def _ops(self, lm: LanguageModel, moments: UnitMoments, site: Site, s: float) -> list[At]:
        scale, shift = transport_map(*moments.at(site, self.name), self.kind)
        ops = []
        if self.kind == "gaussian":
            ops.append(At(site, Gate((1 + s * (scale - 1)).float())))
        return [*ops, At(site, Add((s * shift).float()))]

    def _sequential(
        self, lm: LanguageModel, inputs: FitInputs, sites: list[Site], pooling: Pooling
    ) -> UnitMoments:
        """Moments of each layer while all maps before it act in full."""
        corpus: Corpus = inputs.need("corpus", f"{self.name}:sequential=true")
        key = (lm.fingerprint, corpus.hash, pooling, self.with_strength(1.0))
        if key not in _kept:
            _kept[key] = self._layer_by_layer(lm, corpus, sites, pooling)
            while len(_kept) > 2:
                _kept.popitem(last=False)
        _kept.move_to_end(key)
        return _kept[key]

    def _layer_by_layer(
        self, lm: LanguageModel, corpus: Corpus, sites: list[Site], pooling: Pooling
    ) -> UnitMoments:
        rows = np.random.default_rng(0).permutation(len(corpus))[:_SEQUENTIAL_TEXTS]
        table = tokenise(lm, [corpus.texts[row] for row in rows], _MAX_TOKENS)
        labels = corpus.labels[rows]
        found: UnitMoments | None = None
        ops: list[At] = []
        for site in sites:
            with ActivationEdit(tuple(ops)).applied_to(lm):
                here = collect_moments(lm, table, labels, [site], pooling=pooling)
            ops += self._ops(lm, here, site, 1.0)
            found = here if found is None else _joined(found, here)
        assert found is not None
        return dataclasses.replace(found, trained_on=corpus.hash)


def transport_map(
    mean: Float64[Tensor, "2 d"], variance: Float64[Tensor, "2 d"], kind: str
) -> tuple[Float64[Tensor, " d"], Float64[Tensor, " d"]]:
    """(a, b) of T(x) = a ⊙ x + b, which carries class 1 to class 0.

    A unit that does not vary on either class is shifted and not scaled; a scale is held within
    [1/4, 4].
    """
    if kind == "mean":
        return torch.ones_like(mean[0]), mean[0] - mean[1]
    still = (variance <= 1e-12 * variance.max().clamp(min=1e-30)).any(0)
    scale = (variance[0] / variance[1].clamp(min=1e-300)).sqrt()
    scale = torch.where(still, 1.0, scale.clamp(1 / _LARGEST, _LARGEST))
    return scale, mean[0] - scale * mean[1]


def _joined(a: UnitMoments, b: UnitMoments) -> UnitMoments:
    return dataclasses.replace(a, mean={**a.mean, **b.mean}, variance={**a.variance, **b.variance})
