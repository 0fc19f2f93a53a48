"""Where in a model: a layer and a point (``3.mlp_out``), or a point of the whole (``embed``)."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from bezoar.errors import SiteError, did_you_mean

POINTS: tuple[str, ...] = (
    "resid_pre",  # the residual stream entering the block
    "z",  # per-head attention results, concatenated: [batch pos n_heads*d_head]
    "attn_out",  # what attention adds to the residual stream (after any post-norm)
    "resid_mid",  # resid_pre + attn_out; sequential blocks only, read-only
    "mlp_pre",  # pre-activations of an ungated MLP: [batch pos d_mlp]
    "mlp_gate",  # gate pre-activations of a gated MLP
    "mlp_up",  # the ungated factor of a gated MLP
    "mlp_post",  # the coefficients a_i: act(pre), or act(gate) * up
    "mlp_raw",  # sum_i a_i v_i + b, before any post-norm
    "mlp_out",  # what the MLP adds to the residual stream (after any post-norm)
    "resid_post",  # the residual stream leaving the block
    "resid_delta",  # resid_post - resid_pre; read-only
)
"""The points of a layer, in the order a sequential block computes them."""

GLOBAL_POINTS: tuple[str, ...] = (
    "embed",  # token embeddings, before positions are added
    "unembed_in",  # what the unembedding reads: the final norm's output
)
"""The points of the whole model, in order of execution."""

_LAYER_ALIASES = {
    "hook_resid_pre": "resid_pre",
    "hook_in": "resid_pre",
    "hook_resid_mid": "resid_mid",
    "hook_resid_post": "resid_post",
    "hook_out": "resid_post",
    "hook_attn_out": "attn_out",
    "attn.hook_out": "attn_out",
    "hook_mlp_out": "mlp_out",
    "mlp.hook_out": "mlp_out",
    "mlp.hook_pre": "mlp_pre",
    "mlp.hook_gate": "mlp_gate",
    "mlp.hook_pre_linear": "mlp_up",
    "mlp.hook_post": "mlp_post",
    "attn.hook_z": "z",
}
_GLOBAL_ALIASES = {"hook_embed": "embed", "unembed.hook_in": "unembed_in"}


@functools.total_ordering
@dataclass(frozen=True, slots=True)
class Site:
    """A layer and a point. Sites sort in the order in which a model computes them.

    Attributes:
        layer: counted from 0; negative counts from the last (resolved by ``LanguageModel.site``);
            None for the points of the whole model.
        point: one of ``POINTS`` (with a layer) or ``GLOBAL_POINTS`` (without).
    """

    layer: int | None
    point: str

    def __post_init__(self) -> None:
        if self.point not in POINTS + GLOBAL_POINTS:
            raise SiteError(
                f"There is no point {self.point!r}.",
                hint=did_you_mean(self.point, POINTS + GLOBAL_POINTS),
            )
        if (self.layer is None) != (self.point in GLOBAL_POINTS):
            wanted = "takes no layer" if self.layer is not None else "needs a layer"
            example = self.point if self.layer is not None else f"3.{self.point}"
            raise SiteError(f"The point {self.point!r} {wanted}.", hint=f"Write {example!r}.")

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read ``"3.mlp_out"``, ``"embed"`` or the TransformerLens name of such a place.

        Raises:
            SiteError: if it is none of these; the message names the nearest points.
        """
        text = text.strip()
        if match := re.fullmatch(r"blocks\.(-?[0-9]{1,9})\.(.+)", text):
            layer, alias = match.groups()
            if alias not in _LAYER_ALIASES:
                raise SiteError(
                    f"The TransformerLens name {text!r} has no counterpart here.",
                    hint=did_you_mean(alias, _LAYER_ALIASES),
                )
            return cls(int(layer), _LAYER_ALIASES[alias])
        if match := re.fullmatch(r"(-?[0-9]{1,9})\.(\w+)", text):
            return cls(int(match[1]), match[2])
        point = _GLOBAL_ALIASES.get(text, text)
        if point in POINTS + GLOBAL_POINTS:
            return cls(None, point)
        names = POINTS + GLOBAL_POINTS
        raise SiteError(
            f"{text[:80]!r} is not a site.",
            hint=f"A site is written '3.mlp_out' or 'embed'. {did_you_mean(text, names)}",
        )

    def __str__(self) -> str:
        return self.point if self.layer is None else f"{self.layer}.{self.point}"

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Site):
            return NotImplemented
        return self._order < other._order

    @property
    def _order(self) -> tuple[float, int]:
        if self.layer is None:
            return (float("-inf"), 0) if self.point == "embed" else (float("inf"), 0)
        return (float(self.layer), POINTS.index(self.point))
