"""Which module writes or reads a site, and what an operation at the site is at the module."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from bezoar.edits.ops import AffineMap
from bezoar.errors import NotFoldable
from bezoar.models import HookPoint, LanguageModel, Site, is_plain, out_in_weight

Side = Literal["input", "output"]

_WRITERS = {
    "attn_out": "attn_out_proj",
    "mlp_pre": "w_in",
    "mlp_gate": "w_gate",
    "mlp_up": "w_up",
    "mlp_raw": "w_out",
    "mlp_out": "w_out",
}
_READERS = {"z": "attn_out_proj", "mlp_post": "w_out"}
_POST_NORMS = {"attn_out": "attn_post_norm", "mlp_out": "mlp_post_norm"}
STREAM = ("resid_pre", "resid_post")


def stream_site(lm: LanguageModel, site: Site) -> Site:
    """The one name of a place where a constant added to the residual stream acts.

    Adding a vector at ``l.mlp_out``, ``l.mlp_raw`` (without post-norm), ``l.resid_post`` or
    ``l+1.resid_pre``, or at ``l.attn_out`` of a parallel block, shifts ``l.resid_post`` by exactly
    that vector, so all of these are ``l.resid_post``. Other sites are themselves. In a post-LN
    block a norm stands between, and only the two names of ``l.resid_post`` are one.
    """
    site = lm.site(site)
    if site.layer is None:
        return site
    if site.point == "resid_pre" and site.layer > 0:
        return Site(site.layer - 1, "resid_post")
    parts = lm.anatomy[site.layer]
    if parts.post_ln:
        return site
    same = {"mlp_out"}
    if parts.mlp_added is not None and parts.mlp_post_norm is None and parts.mlp_factor == 1:
        same.add("mlp_raw")
    if parts.parallel:
        same.add("attn_out")
    return Site(site.layer, "resid_post") if site.point in same else site


def stores_transposed(module: nn.Module) -> bool:
    """Whether a map keeps its weight as [in, out] (Conv1D, an embedding) and not [out, in]."""
    return isinstance(module, Conv1D | nn.Embedding)


def writing_site(lm: LanguageModel, site: Site, affine: AffineMap) -> Site:
    """The site itself, or where on the stream one module writes what the edit changes."""
    if site.point not in STREAM:
        return site
    site = stream_site(lm, site)
    post_ln = site.layer is not None and lm.anatomy[site.layer].post_ln
    if affine.scale is not None or affine.left is not None:
        raise NotFoldable(
            f"The edit at {site} changes what the embedding and every earlier layer have "
            "written, not what one matrix writes.",
            hint="Project or scale at mlp_out and attn_out of the layers instead.",
        )
    if site.point == "resid_pre":
        raise NotFoldable(
            "A constant at the input of the first block has no bias to live in.",
            hint="Add it at 0.mlp_out or later.",
        )
    return site if post_ln else Site(site.layer, "mlp_out")


def stream_norm(lm: LanguageModel, site: Site) -> nn.Module | None:
    """The norm of a post-LN block that writes a site of the stream."""
    if site.layer is None or not (parts := lm.anatomy[site.layer]).post_ln:
        return None
    return {"resid_mid": parts.mid_norm, "resid_post": parts.post_norm}.get(site.point)


def at_module(affine: AffineMap, point: HookPoint, module: nn.Module) -> AffineMap:
    """The map on all that the module writes, from the map on the site's share of it.

    Raises:
        NotFoldable: if the module's matrix is packed, wrapped by an adapter, or offloaded.
    """
    if any(parameter.is_meta for parameter in module.parameters()):
        raise NotFoldable(
            "The weights to fold into are offloaded.",
            hint="Keep the activation edit; or load the model without offloading.",
        )
    if not isinstance(module, nn.Embedding) and not is_plain(module):
        raise NotFoldable(
            f"A {type(module).__name__} is packed or an adapter, so it holds no plain weights to "
            "fold into.",
            hint="Keep the activation edit; or load without quantisation, or merge the adapter.",
        )
    scale, left, right, shift = affine.scale, affine.left, affine.right, affine.shift
    if point.factor != 1 and shift is not None:
        shift = shift / point.factor
    if point.features is None:
        return AffineMap(scale, left, right, shift)
    width = out_in_weight(module).shape[0]

    def wide(part: Tensor | None, fill: float) -> Tensor | None:
        if part is None:
            return None
        whole = part.new_full((width, *part.shape[1:]), fill)
        whole[point.features] = part
        return whole

    columns = wide(None if right is None else right.T, 0.0)
    return AffineMap(
        wide(scale, 1.0), wide(left, 0.0), None if columns is None else columns.T, wide(shift, 0.0)
    )


def linear_at(lm: LanguageModel, site: Site) -> tuple[nn.Module, Side]:
    """The linear map that writes (or reads) a site, and which of the two it does."""
    anatomy = lm.anatomy
    if site.point == "unembed_in":
        assert anatomy.unembed_reader is not None  # the site was resolved against this model
        return anatomy.unembed_reader, "input"
    if site.point == "embed":
        return anatomy.embed, "output"
    assert site.layer is not None
    lm.site(site)  # where nothing is known to be added to the stream, nothing is to be folded
    parts = anatomy[site.layer]
    if site.point in _POST_NORMS and getattr(parts, _POST_NORMS[site.point]) is not None:
        raise NotFoldable(
            f"A norm stands between the linear map and {site}, and the edit cannot pass it.",
            hint="Edit mlp_raw instead, or keep the activation edit.",
        )
    if site.point in _READERS:
        return parts.part(_READERS[site.point]), "input"
    return parts.part(_WRITERS[site.point]), "output"
