"""Shift every MLP neuron a little, against the probe (Yang et al. 2025, section 6).

Training on preferences lowers toxicity through four groups of neurons, told apart by two signs:
that of c_i = cos(v_i, w), whether neuron i writes towards the probe w, and that of its mean
coefficient ā_i:

    TP-  c > 0, ā ≥ 0, falls     TN+  c > 0, ā < 0, falls
    AP+  c < 0, ā ≥ 0, rises     AN-  c < 0, ā < 0, rises

The same is done here without training: a_i ← a_i − s·c_i·σ_i for the neurons of these groups, with
σ_i the standard deviation of the coefficient, so that each moves by its alignment in units of its
own spread. The paper does not print its step; this one is ours. Every group writes less along w:
Σ_i −s·c_i·σ_i (v_i·ŵ) = −s Σ_i c_i²·σ_i·‖v_i‖ ≤ 0.

The shift is a constant at ``mlp_post``, so it folds into the bias of the map out of the MLP:
b ← b − s Σ_i c_i·σ_i·v_i. Where an architecture has no such bias it stays a hook.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from bezoar.edits import ActivationEdit, Add, At, Edit, stream_site
from bezoar.errors import ConfigError, EditError, did_you_mean
from bezoar.locate import Direction
from bezoar.mitigate.directed import layer_sets, moments_of
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel, Site

GROUPS = ("TP-", "TN+", "AP+", "AN-")


@register
@dataclass(frozen=True, slots=True)
class DistributedShift(Method):
    """Shift every MLP neuron against the probe, by its alignment and in units of its spread.

    Attributes:
        s: the strength, in standard deviations of a neuron that writes the probe itself.
        groups: which neurons, of "TP-", "TN+", "AP+", "AN-"; all of them by default.
        layers: where, from −1 for the last; empty means every layer up to the probe's own.
    """

    name: ClassVar[str] = "distributed-shift"
    s: float = 1.0
    groups: tuple[str, ...] = GROUPS
    layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.s < math.inf:
            raise ConfigError(
                f"s={self.s} standard deviations of a shift mean nothing.",
                hint="0 does nothing, and 1 moves a neuron that writes the probe itself by one.",
            )
        for group in self.groups:
            if group not in GROUPS:
                raise ConfigError(
                    f"There is no group {group!r} of neurons.", hint=did_you_mean(group, GROUPS)
                )
        if not self.groups:
            raise ConfigError("A shift of no neurons.", hint=f"Name some of {', '.join(GROUPS)}.")

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        pairs = [f"groups={a}/{b}" for a, b in ((GROUPS[0], GROUPS[1]), (GROUPS[2], GROUPS[3]))]
        return {
            "groups": ("", *(f"groups={group}" for group in GROUPS), *pairs),
            "layers": ("", *layer_sets(lm)),
        }

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"probe", "moments"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("random-direction", "shuffled-labels")

    @property
    def strength(self) -> float:
        return self.s

    def with_strength(self, strength: float) -> DistributedShift:
        return dataclasses.replace(self, s=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` adding a constant at every ``mlp_post``.

        Raises:
            ConfigError: if an input is missing, or the moments are of another model.
            EditError: if the probe does not fit the model.
        """
        probe: Direction = inputs.need("probe", self.name)
        moments = moments_of(lm, inputs, self.name)
        if len(probe.vector) != lm.d_model:
            raise EditError(
                f"{probe.name!r} has width {len(probe.vector)}, and {lm.name} has d_model "
                f"{lm.d_model}.",
                hint="Fit the probe on this model, at a site of the residual stream.",
            )
        last = stream_site(lm, probe.site).layer
        layers = self.layers or range(lm.n_layers if last is None else last + 1)
        ops = []
        for site in dict.fromkeys(lm.site(Site(layer, "mlp_post")) for layer in layers):
            mean, variance = (rows[1] for rows in moments.at(site, self.name))
            assert site.layer is not None
            cosine = alignment(lm, site.layer, probe.vector)
            moved = torch.zeros_like(cosine)
            for group, of in neuron_groups(cosine, mean).items():
                if group in self.groups:
                    moved[of] = -self.s * cosine[of] * variance[of].sqrt()
            ops.append(At(site, Add(moved.float())))
        return ActivationEdit(
            tuple(ops),
            name="distributed shift",
            provenance=self.origin(lm, direction=probe.name, trained_on=probe.trained_on),
        )


def alignment(
    lm: LanguageModel, layer: int, w: Float[Tensor, " d_model"]
) -> Float64[Tensor, " d_mlp"]:
    """cos(v_i, w) of every value vector of a layer; 0 where a vector is zero."""
    values = lm.values(layer).detach().to("cpu", torch.float64)
    w = w.double() / w.double().norm()
    return (values @ w) / values.norm(dim=1).clamp(min=1e-30)


def neuron_groups(
    cosine: Float64[Tensor, " d_mlp"], mean: Float64[Tensor, " d_mlp"]
) -> dict[str, Bool[Tensor, " d_mlp"]]:
    """Which neurons are in each group; a neuron across the probe (cosine 0) is in none."""
    towards, away, positive = cosine > 0, cosine < 0, mean >= 0
    members = (towards & positive, towards & ~positive, away & positive, away & ~positive)
    return dict(zip(GROUPS, members, strict=True))
