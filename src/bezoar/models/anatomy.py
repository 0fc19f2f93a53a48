"""The parts of a transformer, and the module and side at which each site's value passes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import nn

from bezoar.errors import SiteError, UnsupportedAnatomy, did_you_mean
from bezoar.models.sites import GLOBAL_POINTS, POINTS, Site

Where = Literal["input", "output"]


@dataclass(frozen=True, slots=True)
class AnatomyNames:
    """Names given by hand where the structure is not recognised; None means: find it.

    ``blocks``, ``final_norm`` and ``unembed`` are module names in the whole model
    (``"transformer.h"``); the others are names inside a block (``"mlp.c_fc"``).
    """

    blocks: str | None = None
    final_norm: str | None = None
    unembed: str | None = None
    attention: str | None = None
    w_in: str | None = None
    w_gate: str | None = None
    w_up: str | None = None
    w_out: str | None = None
    attn_out: str | None = None
    mlp_out: str | None = None


@dataclass(frozen=True, slots=True)
class HookPoint:
    """A module and the side of it at which a site's value passes.

    Attributes:
        module: hook this one.
        where: ``"input"`` (a forward pre-hook; the first tensor argument) or ``"output"`` (a
            forward hook; the tensor returned, or the first tensor of a returned tuple).
        writable: whether replacing the value there edits the site.
        delta: the site is the module's output minus its input (``resid_delta``).
    """

    module: nn.Module
    where: Where
    writable: bool = True
    delta: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAnatomy:
    """One block. A part is None where the block has none, or none was recognised (``missing``).

    Attributes:
        block: the block itself; its input and output are the residual stream.
        attention: the module that mixes positions.
        attn_out_proj: the last linear map of attention; it reads ``z``.
        attn_added: the module whose output is added to the stream (attention, its last linear
            map, or a norm after it).
        attn_norm, mlp_norm: the norms whose outputs attention and the MLP read.
        attn_post_norm, mlp_post_norm: norms between a component and the stream.
        mlp: the module holding the MLP's linear maps, if one holds just them.
        w_in: the map to pre-activations [d_model -> d_mlp]; in a gated MLP the same as ``w_up``.
        w_gate, w_up: in a gated MLP, the maps of ``a = act(gate) * up``.
        w_out: the map back [d_mlp -> d_model].
        act: the activation function, if it is a module.
        mlp_added: as ``attn_added``.
        reads_mid: the module whose input is ``resid_mid``; sequential blocks only.
        parallel: attention and the MLP both read the block's input.
        missing: part → why it was not recognised.
    """

    block: nn.Module
    attention: nn.Module | None = None
    attn_out_proj: nn.Module | None = None
    attn_added: nn.Module | None = None
    attn_norm: nn.Module | None = None
    attn_post_norm: nn.Module | None = None
    mlp: nn.Module | None = None
    w_in: nn.Module | None = None
    w_gate: nn.Module | None = None
    w_up: nn.Module | None = None
    w_out: nn.Module | None = None
    act: nn.Module | None = None
    mlp_norm: nn.Module | None = None
    mlp_post_norm: nn.Module | None = None
    mlp_added: nn.Module | None = None
    reads_mid: nn.Module | None = None
    parallel: bool = False
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        return self.w_gate is not None

    def part(self, name: str) -> nn.Module:
        """The named part.

        Raises:
            UnsupportedAnatomy: if this block has none; says why, and what to name by hand.
        """
        module = getattr(self, name)
        if module is None:
            reason = self.missing.get(name, "it was not recognised")
            raise UnsupportedAnatomy(
                f"No {name} in a block of class {type(self.block).__name__}: {reason}.",
                hint="Residual sites and the unembedding still work. If the part exists, name it: "
                "LanguageModel.from_pretrained(..., anatomy=AnatomyNames(...)).",
            )
        return module


_SIMPLE_POINTS: dict[str, tuple[str, Where]] = {
    "z": ("attn_out_proj", "input"),
    "attn_out": ("attn_added", "output"),
    "mlp_post": ("w_out", "input"),
    "mlp_raw": ("w_out", "output"),
    "mlp_out": ("mlp_added", "output"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """The parts of a whole model.

    Attributes:
        base: the module that runs everything but the unembedding.
        blocks: the blocks, first to last.
        block_parts: their parts, layer by layer.
        embed: the token embedding.
        final_norm: what stands between the last block and the unembedding (identity if nothing).
        unembed: the linear map to logits; None for a model without one.
        d_model: width of the residual stream.
        tied: the unembedding's weight is the embedding's.
        logit_scale: what the model multiplies the unembedding's output by.
        reuses_memory: some module's output is later overwritten in place, so captures must copy.
    """

    base: nn.Module
    blocks: tuple[nn.Module, ...]
    block_parts: tuple[BlockAnatomy, ...]
    embed: nn.Module
    final_norm: nn.Module
    unembed: nn.Module | None
    d_model: int
    tied: bool
    logit_scale: float = 1.0
    reuses_memory: bool = False

    def __getitem__(self, layer: int) -> BlockAnatomy:
        return self.block_parts[layer]

    @property
    def parallel(self) -> bool:
        """Whether attention and the MLP of the first block both read the block's input."""
        return self.block_parts[0].parallel

    @property
    def gated(self) -> bool:
        return self.block_parts[0].gated

    def hook_point(self, site: Site) -> HookPoint:
        """Where the value of a site passes.

        Raises:
            SiteError: if this model has no such layer or point.
            UnsupportedAnatomy: if the part that computes it was not recognised.
        """
        if site.layer is None:
            if site.point == "embed":
                return HookPoint(self.embed, "output")
            if self.unembed is None:
                raise SiteError(f"There is no {site}: this model has no unembedding.")
            return HookPoint(self.unembed, "input")
        if not 0 <= site.layer < len(self.blocks):
            raise SiteError(
                f"There is no layer {site.layer}: this model has {len(self.blocks)}.",
                hint=f"Layers run from 0 to {len(self.blocks) - 1}; LanguageModel.site also takes "
                "negative ones, counted from the end.",
            )
        return _block_hook_point(self[site.layer], site)

    def points(self) -> tuple[str, ...]:
        """The points of a layer that the first block has."""
        return tuple(point for point in POINTS if self._has(Site(0, point)))

    def _has(self, site: Site) -> bool:
        try:
            self.hook_point(site)
        except (SiteError, UnsupportedAnatomy):
            return False
        return True


def _block_hook_point(parts: BlockAnatomy, site: Site) -> HookPoint:
    point = site.point
    if point == "resid_pre":
        return HookPoint(parts.block, "input")
    if point == "resid_post":
        return HookPoint(parts.block, "output")
    if point == "resid_delta":
        return HookPoint(parts.block, "output", writable=False, delta=True)
    if point == "resid_mid":
        if parts.parallel:
            raise SiteError(
                f"There is no {site}: attention and MLP of this block run in parallel "
                "(resid_post = resid_pre + attn_out + mlp_out).",
                hint="Use resid_pre, attn_out or resid_post.",
            )
        return HookPoint(parts.part("reads_mid"), "input", writable=False)
    if point in _SIMPLE_POINTS:
        name, where = _SIMPLE_POINTS[point]
        return HookPoint(parts.part(name), where)
    parts.part("w_out")
    if parts.gated == (point == "mlp_pre"):
        kind, use = ("gated", "mlp_gate or mlp_up") if parts.gated else ("not gated", "mlp_pre")
        raise SiteError(f"There is no {site}: the MLP is {kind}.", hint=f"Use {use}.")
    name = {"mlp_pre": "w_in", "mlp_gate": "w_gate", "mlp_up": "w_up"}[point]
    return HookPoint(parts.part(name), "output")


def require_writable(anatomy: Anatomy, site: Site) -> HookPoint:
    """The hook point of a site that an edit may replace.

    Raises:
        SiteError: for ``resid_mid`` and ``resid_delta``, sums that no module of their own writes.
    """
    point = anatomy.hook_point(site)
    if not point.writable:
        raise SiteError(
            f"{site} cannot be edited: it is a sum inside the block, not a module's own value.",
            hint=f"Edit {site.layer}.attn_out (what attention adds) or {site.layer}.resid_post.",
        )
    return point


def unknown_point(point: str) -> SiteError:
    """The error for a point that does not exist anywhere."""
    return SiteError(
        f"There is no point {point!r}.", hint=did_you_mean(point, POINTS + GLOBAL_POINTS)
    )
