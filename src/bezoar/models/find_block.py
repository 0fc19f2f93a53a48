"""Find the parts of one block in a recorded forward pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bezoar.errors import UnsupportedAnatomy, did_you_mean
from bezoar.models.anatomy import AnatomyNames, BlockAnatomy
from bezoar.models.trace import Call, Trace, close
from bezoar.models.weights import is_linear


@dataclass(slots=True)
class _View:
    """The calls of one block, with the residual stream at its two ends."""

    block: Call
    calls: list[Call]
    attention: Call | None
    eps: float
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def d_model(self) -> int:
        return self.block.read.shape[-1]  # type: ignore[union-attr]

    def in_attention(self, call: Call) -> bool:
        root = self.attention
        return root is not None and (call is root or call.name.startswith(f"{root.name}."))

    def outside(self) -> list[Call]:
        return [call for call in self.calls if not self.in_attention(call)]

    def adds_up(self, total: Tensor | None, *terms: Tensor | None) -> bool:
        """Whether ``total`` is the sum of ``terms``, judged at the size of the smallest addition.

        ``terms[0]`` is the stream, which may dwarf what is added to it.
        """
        if total is None:
            return False
        parts = [t.reshape(-1) for t in terms if t is not None and t.numel() == total.numel()]
        if len(parts) < len(terms):
            return False
        rest = total.reshape(-1) - torch.stack(parts).sum(0)
        size = min(float(part.abs().max()) for part in parts[1:])
        rounding = 8 * self.eps * float(total.abs().max())
        return float(rest.abs().max()) <= max(1e-4, 8 * self.eps) * size + rounding


def find_block(
    run: Trace,
    name: str,
    attention: str | None,
    names: AnatomyNames,
    eps: float,
) -> BlockAnatomy:
    """Recognise the parts of the block called ``name``.

    Args:
        run: a recorded forward pass.
        name: the block's module name.
        attention: the attention module's name inside the block, if it is known.
        names: parts given by hand.
        eps: machine precision of the model's parameters.
    """
    block = run.of(name)
    if block is None or block.read is None:
        raise UnsupportedAnatomy(f"The block {name} was never called in a forward pass.")
    view = _View(block, run.within(name), run.of(f"{name}.{attention}") if attention else None, eps)
    if view.attention is None:
        view.missing["attention"] = "no module of the block mixes positions"
    mlp = _find_mlp(view, name, names)
    added = _find_added(view, mlp, name, names)
    if not _is_whole(mlp, added):
        mlp = _give_up(view, "the linear maps found are only a part of it (a mixture of experts?)")
    return BlockAnatomy(
        block=block.module,
        attention=_module(view.attention),
        attn_out_proj=_module(_find_out_proj(view)),
        attn_norm=_module(_writer_of(view, view.attention)),
        mlp_norm=_module(_writer_of(view, mlp.get("w_in"))),
        mlp=_module(mlp.get("mlp")),
        w_in=_module(mlp.get("w_in")),
        w_gate=_module(mlp.get("w_gate")),
        w_up=_module(mlp.get("w_up")),
        w_out=_module(mlp.get("w_out")),
        act=_module(mlp.get("act")),
        attn_added=_module(added.attention),
        mlp_added=_module(added.mlp),
        attn_post_norm=_module(_post_norm(view, added.attention, view.attention)),
        mlp_post_norm=_module(_post_norm(view, added.mlp, mlp.get("w_out"))),
        reads_mid=_module(added.reads_mid),
        parallel=added.parallel,
        missing=view.missing,
    )


def _module(call: Call | None) -> nn.Module | None:
    return None if call is None else call.module


def _find_out_proj(view: _View) -> Call | None:
    maps = [
        call
        for call in view.calls
        if view.in_attention(call) and is_linear(call.module) and call.d_out == view.d_model
    ]
    if not maps:
        view.missing["attn_out_proj"] = "attention ends in no linear map to the residual stream"
        return None
    return max(maps, key=lambda call: call.end)


def _find_mlp(view: _View, block: str, names: AnatomyNames) -> dict[str, Call]:
    """The linear maps of the MLP by their widths and order: one or two in, one out."""
    named = {
        part: _by_hand(view, block, getattr(names, part))
        for part in ("w_in", "w_gate", "w_up", "w_out")
        if getattr(names, part) is not None
    }
    if "w_out" in named:
        found = named
        if "w_gate" in found:
            found.setdefault("w_in", found["w_up"])
    else:
        found = _maps_by_width(view)
    if not found:
        return {}
    found["mlp"] = _holder(view, found["w_in"], found["w_out"])  # type: ignore[assignment]
    source = found.get("w_gate", found["w_in"])
    act = _reader_of(view.outside(), source.wrote, after=source.end)
    if act is not None and next(act.module.parameters(), None) is None:
        found["act"] = act
    return {part: call for part, call in found.items() if call is not None}


def _maps_by_width(view: _View) -> dict[str, Call]:
    d = view.d_model
    maps = [call for call in view.outside() if is_linear(call.module)]
    shown = ", ".join(f"{_short(view, c)} {c.d_in}→{c.d_out}" for c in maps) or "none"
    reason = f"the linear maps outside attention are: {shown}"
    outs = [c for c in maps if c.d_out == d and any(e.d_in == d and e.end < c.start for e in maps)]
    if not outs:
        return _give_up(view, reason)
    w_out = outs[-1]
    ins = [c for c in maps if c.d_in == d and c.d_out == w_out.d_in and c.end < w_out.start]
    if len(ins) == 1:
        return {"w_in": ins[0], "w_out": w_out}
    if len(ins) == 2:
        gate = _gate_of(view, ins, w_out)
        if gate is not None:
            up = ins[1] if gate is ins[0] else ins[0]
            return {"w_in": up, "w_gate": gate, "w_up": up, "w_out": w_out}
        reason += "; which of two is the gate could not be told"
    return _give_up(view, reason)


def _give_up(view: _View, reason: str) -> dict[str, Call]:
    for part in ("w_in", "w_gate", "w_up", "w_out"):
        view.missing[part] = reason
    return {}


_ACTIVATIONS = (F.silu, F.gelu, lambda x: F.gelu(x, approximate="tanh"), F.relu, torch.sigmoid)


def _gate_of(view: _View, ins: list[Call], w_out: Call) -> Call | None:
    """Of two maps, the one whose output goes through the activation: a = act(gate) * up."""
    tolerance = max(1e-4, 8 * view.eps)
    for gate, up in (ins, ins[::-1]):
        if gate.wrote is None or up.wrote is None:
            continue
        acted = [
            call.wrote
            for call in view.outside()
            if call.wrote is not None
            and call.wrote.numel() == up.wrote.numel()
            and close(call.read, gate.wrote, 1e-6)
        ]
        # A model may call a function where others have a module.
        acted += [act(gate.wrote) for act in _ACTIVATIONS]
        if any(close(a.reshape(-1) * up.wrote.reshape(-1), w_out.read, tolerance) for a in acted):
            return gate
    return None


def _holder(view: _View, w_in: Call, w_out: Call) -> Call | None:
    """The innermost module inside the block that holds both maps."""
    holders = [
        call
        for call in view.calls
        if all(m.name.startswith(f"{call.name}.") for m in (w_in, w_out))
    ]
    return max(holders, key=lambda call: len(call.name), default=None)


@dataclass(slots=True)
class _Added:
    attention: Call | None = None
    mlp: Call | None = None
    reads_mid: Call | None = None
    parallel: bool = False


def _find_added(view: _View, mlp: dict[str, Call], block: str, names: AnatomyNames) -> _Added:
    """Which outputs are added to the stream, found by checking the sums.

    Sequential: resid_mid = resid_pre + attn_out is read by some module, and
    resid_post = resid_mid + mlp_out. Parallel: resid_post = resid_pre + attn_out + mlp_out.
    """
    pre, post = view.block.read, view.block.wrote
    attentions = _attention_candidates(view, mlp)
    mlps = _mlp_candidates(view, mlp)
    if names.attn_out is not None:
        attentions = [_by_hand(view, block, names.attn_out)]
    if names.mlp_out is not None:
        mlps = [_by_hand(view, block, names.mlp_out)]
    for attention in attentions:
        for reader in view.outside():
            if reader.start > attention.end and view.adds_up(reader.read, pre, attention.wrote):
                for call in mlps:
                    if view.adds_up(post, reader.read, call.wrote):
                        return _Added(attention, call, reader)
    for attention in attentions:
        for call in mlps:
            if view.adds_up(post, pre, attention.wrote, call.wrote):
                return _Added(attention, call, parallel=True)
    for part in ("attn_added", "mlp_added", "reads_mid"):
        view.missing[part] = "no two outputs of its modules add up to what the block adds"
    return _Added()


def _is_whole(mlp: dict[str, Call], added: _Added) -> bool:
    """Whether what the MLP adds is what ``w_out`` wrote, perhaps normed; true if not known."""
    if added.mlp is None or "w_out" not in mlp:
        return True
    raw = mlp["w_out"].wrote
    return close(added.mlp.wrote, raw, 1e-6) or close(added.mlp.read, raw, 1e-6)


def _attention_candidates(view: _View, mlp: dict[str, Call]) -> list[Call]:
    if view.attention is None:
        return []
    inside = [call for call in view.calls if view.in_attention(call)]
    later = [call for call in view.outside() if call.start > view.attention.end]
    if "w_in" in mlp:
        later = [call for call in later if call.start < mlp["w_in"].start]
    ordered = [view.attention, *sorted(inside, key=lambda call: -call.end), *later]
    return [call for call in ordered if call.d_out == view.d_model]


def _mlp_candidates(view: _View, mlp: dict[str, Call]) -> list[Call]:
    first = [mlp[part] for part in ("mlp", "w_out") if part in mlp]
    ordered = [*first, *view.outside()]
    return [call for call in ordered if call.d_out == view.d_model]


def _writer_of(view: _View, reader: Call | None) -> Call | None:
    """The norm-like module outside attention whose output ``reader`` reads."""
    if reader is None:
        return None
    for call in view.outside():
        is_before = call.end < reader.start and call.d_in == call.d_out == view.d_model
        changes = not close(call.wrote, call.read, 1e-6)
        if is_before and changes and close(call.wrote, reader.read, 1e-6):
            return call
    return None


def _post_norm(view: _View, added: Call | None, component: Call | None) -> Call | None:
    """``added`` itself, if it is a norm that changes what the component wrote."""
    if added is None or component is None or added is component or view.in_attention(added):
        return None
    changes = not close(added.wrote, component.wrote, 1e-6)
    return added if changes and close(added.read, component.wrote, 1e-6) else None


def _reader_of(calls: Iterable[Call], value: Tensor | None, after: int) -> Call | None:
    return next((c for c in calls if c.start > after and close(c.read, value, 1e-6)), None)


def _by_hand(view: _View, block: str, name: str) -> Call:
    for call in view.calls:
        if call.name == f"{block}.{name}":
            return call
    inside = [call.name.removeprefix(f"{block}.") for call in view.calls]
    raise UnsupportedAnatomy(
        f"No module named {name!r} is called inside the block {block}.",
        hint=did_you_mean(name, inside),
    )


def _short(view: _View, call: Call) -> str:
    return call.name.removeprefix(f"{view.block.name}.")
