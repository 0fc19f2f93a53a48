"""The sizes and weights of a recognised model, oriented the same way whatever the storage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.pytorch_utils import Conv1D

from bezoar.errors import ModelError
from bezoar.models.anatomy import Anatomy


def is_linear(module: nn.Module) -> bool:
    """Whether a module is one matrix and perhaps a bias (``nn.Linear``, ``Conv1D``)."""
    weight = getattr(module, "weight", None)
    if isinstance(module, nn.Embedding) or next(module.children(), None) is not None:
        return False
    return isinstance(module, nn.Linear) or (isinstance(weight, Tensor) and weight.ndim == 2)


def out_in_weight(module: nn.Module) -> Float[Tensor, "d_out d_in"]:
    """The matrix of a linear map, outputs in rows; a view (``Conv1D`` stores the transpose).

    Writing into it changes the model; it carries no gradient.
    """
    weight: Tensor = module.weight.detach()  # type: ignore[union-attr, operator]
    return weight.T if isinstance(module, Conv1D) else weight


def embedding_weight(embed: nn.Module) -> Float[Tensor, "d_vocab d_embed"]:
    """The matrix of a token embedding."""
    weight: Tensor = embed.weight  # type: ignore[assignment]
    return weight


def _bias(module: nn.Module) -> Tensor | None:
    bias = getattr(module, "bias", None)
    return None if bias is None else bias.detach()


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
    def d_mlp(self) -> int:
        return self.keys(0).shape[0]

    @property
    def n_heads(self) -> int:
        return int(self._config.num_attention_heads)

    @property
    def d_head(self) -> int:
        return out_in_weight(self.anatomy[0].part("attn_out_proj")).shape[1] // self.n_heads

    @property
    def d_vocab(self) -> int:
        return (self.W_U if self.has_unembedding else embedding_weight(self.anatomy.embed)).shape[0]

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
        """Key k_i in row i: a view of the input map (of the ungated factor in a gated MLP)."""
        return out_in_weight(self.anatomy[layer].part("w_in"))

    def gates(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Gate g_i in row i: a view of the gate's map.

        Raises:
            UnsupportedAnatomy: if the MLP is not gated.
        """
        return out_in_weight(self.anatomy[layer].part("w_gate"))

    def values(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Value vector v_i in row i: a view of the output map; mlp_raw = sum_i a_i v_i + b."""
        return out_in_weight(self.anatomy[layer].part("w_out")).T

    def w_out_bias(self, layer: int) -> Float[Tensor, " d_model"] | None:
        """The bias b of ``mlp_raw = sum_i a_i v_i + b``, if there is one."""
        return _bias(self.anatomy[layer].part("w_out"))

    @property
    def W_U(self) -> Float[Tensor, "d_vocab d_model"]:  # noqa: N802
        """The unembedding, one row for each token."""
        return out_in_weight(self.require_unembedding())

    @property
    def b_U(self) -> Float[Tensor, " d_vocab"] | None:  # noqa: N802
        """The unembedding's bias, if there is one."""
        return _bias(self.require_unembedding())

    def require_unembedding(self) -> nn.Module:
        """The unembedding.

        Raises:
            ModelError: if the model has none.
        """
        if self.anatomy.unembed is None:
            raise ModelError(f"{self.name!r} has no unembedding: it is no language model.")
        return self.anatomy.unembed

    @property
    def act_fn(self) -> Callable[[Tensor], Tensor]:
        """The MLP's activation function."""
        if (act := self.anatomy[0].act) is not None:
            return act
        for name in ("hidden_act", "activation_function", "hidden_activation"):
            if isinstance(value := getattr(self._config, name, None), str):
                return ACT2FN[value]
        raise ModelError(f"The activation function of {self.name!r} was not recognised.")

    def parameter_name(self, module: nn.Module, parameter: str = "weight") -> str:
        """The name of a module's parameter in ``model.state_dict()``.

        Raises:
            ModelError: if the model has no such module or the module no such parameter.
        """
        for name, candidate in self.model.named_modules():
            if candidate is module and isinstance(getattr(module, parameter, None), nn.Parameter):
                return f"{name}.{parameter}"
        raise ModelError(
            f"No {parameter!r} of a {type(module).__name__} in the model {self.name!r}."
        )

    def final_norm(self, x: Float[Tensor, "*rest d_model"]) -> Float[Tensor, "*rest d_model"]:
        """What the unembedding reads, from the last block's residual."""
        return self.anatomy.final_norm(x)

    def unembed(self, x: Float[Tensor, "*rest d_model"]) -> Float[Tensor, "*rest d_vocab"]:
        """Logits of normalised residuals, with bias, scale and soft-capping."""
        logits = self.require_unembedding()(x) * self.anatomy.logit_scale
        cap = getattr(self._config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap
