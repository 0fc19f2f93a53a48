"""Find the parts of one block in a recorded forward pass."""

from __future__ import annotations

from torch import nn

from bezoar.errors import UnsupportedAnatomy
from bezoar.models.anatomy import BlockAnatomy
from bezoar.models.block_view import BlockView
from bezoar.models.find_added import Added, find_added, is_whole
from bezoar.models.find_mixer import has_heads
from bezoar.models.find_mlp import Mlp, find_mlp, give_up
from bezoar.models.names import AnatomyNames
from bezoar.models.trace import Call, Trace


def find_block(
    run: Trace,
    name: str,
    mixer: Call | None,
    names: AnatomyNames,
    eps: float,
) -> BlockAnatomy:
    """Recognise the parts of the block called ``name``.

    Args:
        run: a recorded forward pass.
        name: the block's module name.
        mixer: the call in it that mixes positions, if there is one.
        names: parts given by hand.
        eps: machine precision of the model's parameters.
    """
    block = run.of(name)
    if block is None or block.read is None:
        raise UnsupportedAnatomy(f"The block {name} was never called in a forward pass.")
    view = BlockView(block, run.within(name), mixer, eps)
    view.attention = view.by_hand(names.attention) or mixer
    if view.attention is None:
        view.missing["attention"] = "no module of the block mixes positions"
    mlp = find_mlp(view, names)
    added = find_added(view, mlp, names)
    if not is_whole(mlp, added):
        give_up(view, "the linear maps found are only a part of it (a mixture of experts?)")
        mlp = None
    return _block(view, mlp, added)


def _block(view: BlockView, mlp: Mlp | None, added: Added) -> BlockAnatomy:
    post_ln = added.post_norm is not None
    proj = _find_out_proj(view)
    w_in, w_out = (None, None) if mlp is None else (mlp.w_in, mlp.w_out)
    return BlockAnatomy(
        block=view.block.module,
        attention=_module(view.attention),
        attn_out_proj=_module(proj),
        heads=view.attention is not None and has_heads(view.attention.module),
        d_z=0 if proj is None else proj.d_in or 0,
        attn_norm=None if post_ln else _module(view.norm_before(view.attention)),
        mlp_norm=None if post_ln else _module(view.norm_before(w_in)),
        mid_norm=_module(added.mid_norm),
        post_norm=_module(added.post_norm),
        mlp=None if mlp is None else _module(mlp.holder),
        w_in=_module(w_in),
        w_gate=None if mlp is None else _module(mlp.w_gate),
        w_up=None if mlp is None else _module(mlp.w_up),
        gate_features=None if mlp is None else mlp.gate_features,
        up_features=None if mlp is None else mlp.up_features,
        w_out=_module(w_out),
        d_mlp=0 if w_out is None else w_out.d_in or 0,
        act=None if mlp is None else _module(mlp.act) or mlp.function,
        attn_added=_module(added.attention),
        attn_factor=added.attn_factor,
        mlp_added=_module(added.mlp),
        mlp_factor=added.mlp_factor,
        attn_post_norm=_module(view.post_norm(added.attention, view.attention)),
        mlp_post_norm=_module(view.post_norm(added.mlp, w_out)),
        reads_mid=_module(added.reads_mid),
        parallel=added.parallel,
        missing=view.missing,
    )


def _module(call: Call | None) -> nn.Module | None:
    return None if call is None else call.module


def _find_out_proj(view: BlockView) -> Call | None:
    maps = [c for c in view.maps() if view.in_attention(c) and c.d_out == view.d_model]
    if not maps:
        view.missing["attn_out_proj"] = "attention ends in no linear map to the residual stream"
        return None
    return max(maps, key=lambda call: call.end)
