"""Un-align a model by scaling a few keys (Lee et al. 2024, section 6)."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from bezoar.edits import ColumnScale, Delta, RowScale, WeightEdit, stores_transposed
from bezoar.errors import ConfigError, EditError, did_you_mean
from bezoar.models import LanguageModel, is_plain, out_in_weight


@dataclass(frozen=True, slots=True)
class ScaleKeys:
    """Multiply the keys of chosen neurons by a factor: the reference turns 7 of them up by 10.

    Attributes:
        neurons: (layer, index) pairs, for instance of the top entries of a `ValueRanking`.
        factor: what a key is multiplied by; 0 silences it but for its bias.
        scale_bias: also scale the neuron's bias, so that its pre-activation scales as a whole. The
            reference does not.
        which: in a gated MLP, whose row is meant: "gate" (inside the activation) or "up" (a plain
            factor). There is no such choice to make elsewhere.

    Raises:
        ConfigError: without a neuron, for a factor that is not finite, or an unknown ``which``.
    """

    neurons: tuple[tuple[int, int], ...]
    factor: float = 10.0
    scale_bias: bool = False
    which: Literal["gate", "up"] | None = None

    def __post_init__(self) -> None:
        if not self.neurons:
            raise ConfigError("There is no neuron to scale the key of.", hint="Give some.")
        if not math.isfinite(self.factor):
            raise ConfigError(
                f"A key cannot be scaled by {self.factor:g}.", hint="Give a finite factor."
            )
        if self.which not in (None, "gate", "up"):
            raise ConfigError(
                f"which={self.which!r} is not known.",
                hint=did_you_mean(str(self.which), ("gate", "up")),
            )

    def check(self, lm: LanguageModel) -> None:
        """Whether a model has these keys.

        Raises:
            ConfigError: if ``which`` is missing for a gated MLP or given for another.
            EditError: if the model has no such neuron.
        """
        for layer, index in self.neurons:
            if not (0 <= layer < lm.n_layers and 0 <= index < lm.d_mlp):
                raise EditError(
                    f"{lm.name} has no neuron {layer}.{index}.",
                    hint=f"It has {lm.n_layers} layers of {lm.d_mlp} neurons.",
                )
        for layer in {layer for layer, _ in self.neurons}:
            self._map(lm, layer)

    def edit(self, lm: LanguageModel) -> WeightEdit:
        """The edit for a model.

        Raises:
            ConfigError: if ``which`` is missing for a gated MLP or given for another.
            EditError: if the model has no such neuron, or its keys are packed.
        """
        self.check(lm)
        by_layer: dict[int, list[int]] = defaultdict(list)
        for layer, index in self.neurons:
            by_layer[layer].append(index)
        deltas: dict[str, Delta] = {}
        for layer, indices in sorted(by_layer.items()):
            module = self._map(lm, layer)
            if not is_plain(module):
                raise EditError(
                    f"The keys of layer {layer} are packed ({type(module).__name__}), so no "
                    "weights can be scaled.",
                    hint="Gate the activations instead, or load without quantisation.",
                )
            scale = torch.ones(out_in_weight(module).shape[0])
            scale[self._features(lm, layer)][indices] = self.factor
            name = lm.parameter_name(module, "weight")
            on_columns = stores_transposed(module)
            deltas[name] = ColumnScale(scale) if on_columns else RowScale(scale)
            if self.scale_bias and getattr(module, "bias", None) is not None:
                deltas[lm.parameter_name(module, "bias")] = RowScale(scale)
        return WeightEdit(
            deltas,
            name=f"scale {len(self.neurons)} keys by {self.factor:g}",
            provenance={
                "attack": "scale-keys",
                "neurons": [list(neuron) for neuron in self.neurons],
                "factor": self.factor,
                "scale_bias": self.scale_bias,
                "which": self.which,
                "model": lm.fingerprint,
            },
        )

    def _features(self, lm: LanguageModel, layer: int) -> slice:
        """Which outputs of the map are the neurons'; one map may write gate and factor."""
        parts = lm.anatomy[layer]
        chosen = parts.gate_features if self.which == "gate" else parts.up_features
        return slice(None) if chosen is None else chosen

    def _map(self, lm: LanguageModel, layer: int) -> nn.Module:
        parts = lm.anatomy[layer]
        if parts.gated == (self.which is None):
            kind = "is gated: a key is two vectors" if parts.gated else "is not gated"
            raise ConfigError(
                f"which={self.which!r}, and the MLP of {lm.name} {kind}.",
                hint="Pass which='gate' or which='up'." if parts.gated else "Leave which out.",
            )
        return parts.part({None: "w_in", "gate": "w_gate", "up": "w_up"}[self.which])
