"""The sizes and weights of a recognised model, oriented the same way whatever the storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from bezoar.errors import ModelError
from bezoar.models.anatomy import Anatomy
from bezoar.models.linear import bias_of, is_plain, out_in_weight, widths_of


def embedding_weight(embed: nn.Module) -> Float[Tensor, "d_vocab d_embed"]:
    """The matrix of a token embedding."""
    weight: Tensor = embed.weight  # type: ignore[assignment]
    return weight


def soft_capped(logits: Tensor, config: Any) -> Tensor:
    """``c tanh(logits / c)`` where the configuration has a final soft cap c (Gemma 2)."""
    cap = getattr(config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else torch.tanh(logits / cap) * cap


class Weights:
    """What ``LanguageModel`` knows of its model's sizes and weights."""

    model: Any
    name: str
    anatomy: Anatomy

    # Sizes

    @property
    def n_layers(self) -> int:
        return len(self.anatomy.blocks)

    @property
    def d_model(self) -> int:
        return self.anatomy.d_model

    @property
    def d_embed(self) -> int:
        """Width of the token embeddings; where a projection follows, not ``d_model``."""
        return embedding_weight(self.anatomy.embed).shape[1]

    @property
    def d_mlp(self) -> int:
        self.anatomy[0].part("w_out")
        return self.anatomy[0].d_mlp

    @property
    def n_heads(self) -> int:
        return int(self._config.num_attention_heads)

    @property
    def d_head(self) -> int:
        layer = next((parts for parts in self.anatomy.block_parts if parts.heads), self.anatomy[0])
        layer.part("attn_out_proj")
        return layer.d_z // self.n_heads

    @property
    def d_vocab(self) -> int:
        if self.anatomy.unembed is not None:
            return widths_of(self.anatomy.unembed)[1]
        return embedding_weight(self.anatomy.embed).shape[0]

    @property
    def device(self) -> torch.device:
        return embedding_weight(self.anatomy.embed).device

    @property
    def dtype(self) -> torch.dtype:
        return embedding_weight(self.anatomy.embed).dtype

    @property
    def gated(self) -> bool:
        return self.anatomy.gated

    @property
    def has_unembedding(self) -> bool:
        return self.anatomy.unembed is not None

    @property
    def _config(self) -> Any:
        return self.model.config.get_text_config()

    # Weights

    def keys(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Key k_i in row i, of the input map (of the ungated factor in a gated MLP).

        A view; of packed weights a copy.

        Raises:
            UnsupportedAnatomy: if the MLP was not recognised (a mixture of experts).
        """
        parts = self.anatomy[layer]
        return _rows(out_in_weight(parts.part("w_in")), parts.up_features)

    def gates(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Gate g_i in row i: a view of the gate's map; of packed weights a copy.

        Raises:
            UnsupportedAnatomy: if the MLP is not gated.
        """
        parts = self.anatomy[layer]
        return _rows(out_in_weight(parts.part("w_gate")), parts.gate_features)

    def values(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Value vector v_i in row i, of the output map; mlp_raw = sum_i a_i v_i + b.

        A view; of packed weights a copy.

        Raises:
            UnsupportedAnatomy: if the MLP was not recognised (a mixture of experts).
        """
        return out_in_weight(self.anatomy[layer].part("w_out")).T

    def w_out_bias(self, layer: int) -> Float[Tensor, " d_model"] | None:
        """The bias b of ``mlp_raw = sum_i a_i v_i + b``, if there is one."""
        return bias_of(self.anatomy[layer].part("w_out"))

    @property
    def W_U(self) -> Float[Tensor, "d_vocab d_model"]:  # noqa: N802
        """The unembedding, one row for each token, before any scale or soft cap.

        A view; a copy where weights are packed or a projection comes before the unembedding.
        """
        weight = out_in_weight(self.require_unembedding())
        before = self.anatomy.unembed_proj
        return weight if before is None else weight @ out_in_weight(before)

    @property
    def b_U(self) -> Float[Tensor, " d_vocab"] | None:  # noqa: N802
        """The unembedding's bias, if there is one."""
        bias = bias_of(self.require_unembedding())
        before = None if (p := self.anatomy.unembed_proj) is None else bias_of(p)
        if before is None:
            return bias
        moved = out_in_weight(self.require_unembedding()) @ before
        return moved if bias is None else moved + bias

    def require_unembedding(self) -> nn.Module:
        """The unembedding.

        Raises:
            ModelError: if the model has none.
        """
        if self.anatomy.unembed is None:
            raise ModelError(
                f"{self.name!r} ({type(self.model).__name__}) has no unembedding, so no logits.",
                hint="Use a checkpoint with its language-model head. Sites, harvests, probes and "
                "edits of activations need none.",
            )
        return self.anatomy.unembed

    def require_generation(self) -> None:
        """Refuse a model that cannot continue a text.

        Raises:
            ModelError: if it has no unembedding, or its positions read later ones (an encoder).
        """
        self.require_unembedding()
        if not self.anatomy.causal:
            raise ModelError(
                f"{self.name!r} ({type(self.model).__name__}) reads in both directions, so it "
                "cannot continue a text.",
                hint="Generation needs a causal language model.",
            )

    @property
    def act_fn(self) -> Callable[[Tensor], Tensor]:
        """The MLP's activation function."""
        act = self.anatomy[0].act
        if isinstance(act, nn.Module):
            return act
        for name in ("hidden_act", "activation_function", "hidden_activation", "activation"):
            if isinstance(value := getattr(self._config, name, None), str):
                return ACT2FN[value]
        if act is not None:
            return act
        raise ModelError(f"The activation function of {self.name!r} was not recognised.")

    def parameter_name(self, module: nn.Module, parameter: str = "weight") -> str:
        """The name of a module's parameter in ``model.state_dict()``.

        Raises:
            ModelError: if the model has no such module or the module no such parameter.
        """
        for name, candidate in self.model.named_modules():
            if candidate is module and module._parameters.get(parameter) is not None:
                return f"{name}.{parameter}"
        raise ModelError(
            f"No {parameter!r} of a {type(module).__name__} in the model {self.name!r}.",
            hint="" if is_plain(module) else "Packed weights and adapters have no plain one.",
        )

    def final_norm(self, x: Float[Tensor, "*rest d_model"]) -> Float[Tensor, "*rest d_model"]:
        """What the unembedding reads, from the last block's residual."""
        return self.anatomy.final_norm(x)

    def unembed(self, x: Float[Tensor, "*rest d_model"]) -> Float[Tensor, "*rest d_vocab"]:
        """Logits of normalised residuals, with bias, scale and soft-capping."""
        unembed = self.require_unembedding()
        if self.anatomy.unembed_proj is not None:
            x = self.anatomy.unembed_proj(x)
        return soft_capped(unembed(x) * self.anatomy.logit_scale, self.model.config)


def _rows(weight: Tensor, features: slice | None) -> Tensor:
    return weight if features is None else weight[features]
