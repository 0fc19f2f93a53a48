"""Find what is added to the residual stream, by checking sums.

sequential   resid_mid = resid_pre + c attn_out, resid_post = resid_mid + c mlp_out
parallel     resid_post = resid_pre + attn_out + mlp_out
post-LN      resid_mid = N(resid_pre + attn_out), resid_post = N(resid_mid + mlp_out)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bezoar.models.block_view import BlockView
from bezoar.models.find_mlp import Mlp
from bezoar.models.names import AnatomyNames
from bezoar.models.trace import Call, close


@dataclass(slots=True)
class Added:
    """Whose outputs are added, times which constants, and what stands between.

    Attributes:
        reads_mid: a module that reads ``resid_mid``.
        mid_norm, post_norm: of a post-LN block.
    """

    attention: Call | None = None
    mlp: Call | None = None
    reads_mid: Call | None = None
    parallel: bool = False
    attn_factor: float = 1.0
    mlp_factor: float = 1.0
    mid_norm: Call | None = None
    post_norm: Call | None = None


def find_added(view: BlockView, mlp: Mlp | None, names: AnatomyNames) -> Added:
    """What the block adds to the stream; of several descriptions the plainest."""
    attentions = _attention_candidates(view, mlp)
    mlps = _mlp_candidates(view, mlp)
    if (named := view.by_hand(names.attn_out)) is not None:
        attentions = [named]
    if (named := view.by_hand(names.mlp_out)) is not None:
        mlps = [named]
    scaled: list[Added] = []
    for found in _sequential(view, attentions, mlps):
        if found.attn_factor == found.mlp_factor == 1:
            return found
        scaled.append(found)
    pre, post = view.block.read, view.block.wrote
    for attention in attentions:
        for call in mlps:
            if view.adds_up(post, pre, attention.wrote, call.wrote):
                return Added(attention, call, parallel=True)
    for found in (*scaled, *_post_ln(view, attentions, mlps)):
        return found
    reason = "no two outputs of its modules add up to what the block adds"
    found = _single(view, attentions, mlps)
    if found.attention is not None or found.mlp is not None:
        reason = "the block adds one output only"
    for part, there in (("attn_added", found.attention), ("mlp_added", found.mlp)):
        if there is None:
            view.missing[part] = reason
    view.missing["reads_mid"] = reason
    return found


def _single(view: BlockView, attentions: list[Call], mlps: list[Call]) -> Added:
    """Of a block that holds a mixer or an MLP, not both."""
    pre, post = view.block.read, view.block.wrote
    for attention in attentions:
        if c := view.factor(post, pre, attention.wrote):
            return Added(attention, attn_factor=c)
    for call in mlps if view.attention is None else ():
        if c := view.factor(post, pre, call.wrote):
            return Added(mlp=call, mlp_factor=c)
    return Added()


def is_whole(mlp: Mlp | None, added: Added) -> bool:
    """Whether what the MLP adds is what ``w_out`` wrote, perhaps normed; true if not known."""
    if added.mlp is None or mlp is None:
        return True
    raw = mlp.w_out.wrote
    return close(added.mlp.wrote, raw, 1e-6) or close(added.mlp.read, raw, 1e-6)


def _sequential(view: BlockView, attentions: list[Call], mlps: list[Call]) -> Iterator[Added]:
    pre, post = view.block.read, view.block.wrote
    for attention in attentions:
        for reader in view.outside():
            if reader.start < attention.end:
                continue
            if c := view.factor(reader.read, pre, attention.wrote):
                for call in mlps:
                    if call is not reader and (k := view.factor(post, reader.read, call.wrote)):
                        yield Added(attention, call, reader, attn_factor=c, mlp_factor=k)


def _post_ln(view: BlockView, attentions: list[Call], mlps: list[Call]) -> Iterator[Added]:
    pre, post = view.block.read, view.block.wrote
    norms = [c for c in view.calls if c.d_in == c.d_out == view.d_model]
    lasts = [c for c in norms if close(c.wrote, post, 1e-6) and not close(c.read, post, 1e-6)]
    for attention in attentions:
        for mid in norms:
            if mid.start < attention.end or not view.adds_up(mid.read, pre, attention.wrote):
                continue
            for call in mlps:
                for last in lasts:
                    if last.start > call.end and view.adds_up(last.read, mid.wrote, call.wrote):
                        yield Added(attention, call, mid_norm=mid, post_norm=last)


def _attention_candidates(view: BlockView, mlp: Mlp | None) -> list[Call]:
    if view.attention is None:
        return []
    inside = [call for call in view.calls if view.in_attention(call)]
    later = [call for call in view.outside() if call.start > view.attention.end]
    if mlp is not None:
        later = [call for call in later if call.start < mlp.w_in.start]
    ordered = [view.attention, *sorted(inside, key=lambda call: -call.end), *later]
    return [call for call in ordered if call.d_out == view.d_model]


def _mlp_candidates(view: BlockView, mlp: Mlp | None) -> list[Call]:
    first = [] if mlp is None else [c for c in (mlp.holder, mlp.w_out) if c is not None]
    ordered = [c for c in (*first, *view.outside()) if c.d_out == view.d_model]
    # What writes the stream itself is no addend (a small stream beside it may pass for rounding).
    return [call for call in ordered if not close(call.wrote, view.block.wrote, 1e-6)]
