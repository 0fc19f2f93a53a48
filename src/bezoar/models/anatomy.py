"""The parts of a transformer, and the module and side at which each site's value passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from bezoar.errors import SiteError, UnsupportedAnatomy, did_you_mean
from bezoar.models.hook_point import HookPoint, Where
from bezoar.models.sites import GLOBAL_POINTS, POINTS, Site


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAnatomy:
    """One block. A part is None where the block has none, or none was recognised (``missing``).

    Attributes:
        block: the block itself; its input and output are the residual stream.
        attention: the module that mixes positions, of whichever kind: attention, a convolution,
            a recurrence. Blocks of one model may differ.
        attn_out_proj: the last linear map of attention; it reads ``z``.
        heads: whether it is made of heads, so that there is ``z``.
        attn_added: the module whose output is added to the stream (attention, its last linear
            map, or a norm after it).
        attn_norm, mlp_norm: the norms whose outputs attention and the MLP read.
        attn_post_norm, mlp_post_norm: norms between a component and the stream.
        mid_norm, post_norm: in a post-LN block, the norms of the stream itself:
            resid_mid = mid_norm(resid_pre + attn_out), resid_post = post_norm(resid_mid + mlp_out).
        mlp: the module holding the MLP's linear maps, if one holds just them.
        w_in: the map to pre-activations [d_model -> d_mlp]; in a gated MLP the same as ``w_up``.
        w_gate, w_up: in a gated MLP, the maps of ``a = act(gate) * up``; they may be one module.
        gate_features, up_features: which outputs of that one module are whose; None if there are
            two modules.
        w_out: the map back [d_mlp -> d_model].
        d_mlp, d_z: widths of what ``w_out`` and ``attn_out_proj`` read; 0 if there are none.
        act: the activation: a module, or a function that gives the same numbers.
        mlp_added: as ``attn_added``.
        attn_factor, mlp_factor: what the model multiplies those outputs by before adding them.
        reads_mid: the module whose input is ``resid_mid``; sequential blocks only.
        parallel: attention and the MLP both read the block's input.
        missing: part → why it was not recognised.
    """

    block: nn.Module
    attention: nn.Module | None = None
    attn_out_proj: nn.Module | None = None
    heads: bool = True
    attn_added: nn.Module | None = None
    attn_norm: nn.Module | None = None
    attn_post_norm: nn.Module | None = None
    mlp: nn.Module | None = None
    w_in: nn.Module | None = None
    w_gate: nn.Module | None = None
    w_up: nn.Module | None = None
    w_out: nn.Module | None = None
    act: Callable[[Tensor], Tensor] | None = None
    mlp_norm: nn.Module | None = None
    mlp_post_norm: nn.Module | None = None
    mid_norm: nn.Module | None = None
    post_norm: nn.Module | None = None
    gate_features: slice | None = None
    up_features: slice | None = None
    d_mlp: int = 0
    d_z: int = 0
    attn_factor: float = 1.0
    mlp_factor: float = 1.0
    mlp_added: nn.Module | None = None
    reads_mid: nn.Module | None = None
    parallel: bool = False
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def gated(self) -> bool:
        return self.w_gate is not None

    @property
    def post_ln(self) -> bool:
        """Whether the stream itself is normed after each component (as in BERT)."""
        return self.post_norm is not None

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
                "anatomy=AnatomyNames(...) in Python, --set model.anatomy.w_out=… and the like on "
                "the command line.",
            )
        return module


_SIMPLE_POINTS: dict[str, tuple[str, Where]] = {
    "z": ("attn_out_proj", "input"),
    "mlp_post": ("w_out", "input"),
    "mlp_raw": ("w_out", "output"),
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
        unembed_proj: a linear map between the final norm and the unembedding, where the two have
            different widths.
        d_model: width of the residual stream.
        tied: the unembedding's weight is the embedding's.
        causal: no position reads later ones, so the model can continue a text.
        first_position: the position id of a text's first token; None if positions are not passed.
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
    unembed_proj: nn.Module | None = None
    causal: bool = True
    first_position: int | None = None
    logit_scale: float = 1.0
    reuses_memory: bool = False

    @property
    def unembed_reader(self) -> nn.Module | None:
        """The module that reads ``unembed_in``."""
        return self.unembed if self.unembed_proj is None else self.unembed_proj

    @property
    def post_ln(self) -> bool:
        return self.block_parts[0].post_ln

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
            if self.unembed_reader is None:
                raise SiteError(
                    f"There is no {site}: this model has no unembedding.",
                    hint="Use resid_post of the last layer.",
                )
            return HookPoint(self.unembed_reader, "input")
        if not 0 <= site.layer < len(self.blocks):
            raise SiteError(
                f"There is no layer {site.layer}: this model has {len(self.blocks)}.",
                hint=f"Layers run from 0 to {len(self.blocks) - 1}; LanguageModel.site also takes "
                "negative ones, counted from the end.",
            )
        return _block_hook_point(self[site.layer], site)

    def points(self) -> tuple[str, ...]:
        """The points that every layer has."""
        layers = range(len(self.blocks))
        return tuple(p for p in POINTS if all(self.has(Site(layer, p)) for layer in layers))

    def has(self, site: Site) -> bool:
        """Whether this model has a site."""
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
        if parts.mid_norm is not None:
            return HookPoint(parts.mid_norm, "output")
        return HookPoint(parts.part("reads_mid"), "input", writable=False)
    if point == "attn_out":
        return HookPoint(parts.part("attn_added"), "output", factor=parts.attn_factor)
    if point == "mlp_out":
        return HookPoint(parts.part("mlp_added"), "output", factor=parts.mlp_factor)
    if point == "z" and not parts.heads and parts.attention is not None:
        raise SiteError(
            f"There is no {site}: a {type(parts.attention).__name__} is not made of heads.",
            hint=f"Use {site.layer}.attn_out, what it adds to the residual stream.",
        )
    if point in _SIMPLE_POINTS:
        name, where = _SIMPLE_POINTS[point]
        return HookPoint(parts.part(name), where)
    parts.part("w_out")
    if parts.gated == (point == "mlp_pre"):
        kind, use = ("gated", "mlp_gate or mlp_up") if parts.gated else ("not gated", "mlp_pre")
        raise SiteError(f"There is no {site}: the MLP is {kind}.", hint=f"Use {use}.")
    name, features = {
        "mlp_pre": ("w_in", None),
        "mlp_gate": ("w_gate", parts.gate_features),
        "mlp_up": ("w_up", parts.up_features),
    }[point]
    return HookPoint(parts.part(name), "output", features=features)


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
