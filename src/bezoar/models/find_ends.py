"""Find what comes after the blocks: the final norm, a projection, the unembedding, its scale."""

from __future__ import annotations

from torch import Tensor, nn

from bezoar.errors import UnsupportedAnatomy, did_you_mean
from bezoar.models.arguments import unwrapped
from bezoar.models.find_chain import Chain
from bezoar.models.linear import is_linear
from bezoar.models.names import AnatomyNames, by_hand
from bezoar.models.trace import Call, Trace, close
from bezoar.models.weights import soft_capped


def find_base(model: nn.Module, unembed: nn.Module | None) -> nn.Module:
    """What runs everything but the unembedding, or the model itself if there is no such part."""
    inner = unwrapped(model)
    base: nn.Module = getattr(inner, "base_model", inner)
    return base if unembed is None or unembed not in set(base.modules()) else model


def find_unembed(
    model: nn.Module, modules: dict[str, nn.Module], names: AnatomyNames
) -> nn.Module | None:
    """The map to logits: named by hand, or the model's own word for it."""
    if names.unembed is not None:
        return _named(modules, names.unembed)
    try:
        found = model.get_output_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        return None
    return found if isinstance(found, nn.Module) and is_linear(found) else None


def find_final(
    modules: dict[str, nn.Module],
    run: Trace,
    chain: Chain,
    base: nn.Module,
    unembed: nn.Module | None,
    names: AnatomyNames,
) -> tuple[nn.Module, nn.Module | None]:
    """What turns the last residual into the unembedding's input, and a projection after it.

    A model without an unembedding ends where its base does.

    Raises:
        UnsupportedAnatomy: if an unembedding reads something that cannot be traced back.
    """
    last = run.of(chain.names[-1])
    goal = _goal(run, base, unembed)
    projection = _projection(run, chain, last, goal)
    if projection is not None:
        goal = projection.read
    after = None if projection is None else projection.module
    if names.final_norm is not None:
        norm = nn.Identity() if names.final_norm == "" else _named(modules, names.final_norm)
        return norm, after
    if last is None or goal is None or close(last.wrote, goal, 1e-6):
        return nn.Identity(), after
    path = _path(run, last, goal, unembed)
    if path:
        norm = path[0] if len(path) == 1 else nn.Sequential(*path)
        return norm, after
    if unembed is None:
        return nn.Identity(), after
    later = [c for c in run.calls if c.start > last.end and c.d_out == chain.width]
    raise UnsupportedAnatomy(
        "No module was found that turns the last block's output into the unembedding's input; "
        f"after the blocks come: {', '.join(c.name for c in later) or 'none'}.",
        hint=f"{by_hand('final_norm', later[-1].name if later else 'model.norm')} "
        "It must be one module that does all of it; an empty name means that there is none.",
    )


def _path(
    run: Trace, before: Call, goal: Tensor, unembed: nn.Module | None, steps: int = 2
) -> list[nn.Module]:
    """The modules (a norm, and perhaps a head of several layers) that lead to ``goal``, if any."""
    readers = [
        call
        for call in run.calls
        if call.start > before.end
        and call.module is not unembed
        and close(call.read, before.wrote, 1e-6)
    ]
    for call in readers:
        if close(call.wrote, goal, 1e-6):
            return [call.module]
    for call in readers if steps > 1 else ():
        if rest := _path(run, call, goal, unembed, steps - 1):
            return [call.module, *rest]
    return []


def _goal(run: Trace, base: nn.Module, unembed: nn.Module | None) -> Tensor | None:
    """What the unembedding read, or what the base wrote where there is none."""
    if unembed is not None:
        return next((call.read for call in run.calls if call.module is unembed), None)
    return next((call.wrote for call in run.calls if call.module is base), None)


def _projection(run: Trace, chain: Chain, last: Call | None, goal: Tensor | None) -> Call | None:
    """A linear map from the stream's width to another, which the unembedding reads."""
    if last is None or goal is None or goal.shape[-1] == chain.width:
        return None
    for call in run.calls:
        is_map = is_linear(call.module) and call.d_in == chain.width and call.start > last.end
        if is_map and close(call.wrote, goal, 1e-6):
            return call
    return None


def find_logit_scale(run: Trace, unembed: nn.Module | None) -> float:
    """The constant between the unembedding's output and the model's logits, if there is one."""
    whole = run.of("")
    raw = next((call.wrote for call in run.calls if call.module is unembed), None)
    if whole is None or whole.wrote is None or raw is None or raw.shape != whole.wrote.shape:
        return 1.0
    logits = whole.wrote
    scale = float((raw * logits).sum() / raw.square().sum())
    # Of small logits a soft cap is all but a constant, and the configuration's is applied anyway.
    capped = soft_capped(raw, whole.module.config)
    if float((capped - logits).abs().max()) <= float((raw * scale - logits).abs().max()):
        return 1.0
    return scale if close(logits, raw * scale, 1e-3) else 1.0


def _named(modules: dict[str, nn.Module], name: str) -> nn.Module:
    if name not in modules:
        raise UnsupportedAnatomy(
            f"The model has no module named {name!r}.", hint=did_you_mean(name, modules)
        )
    return modules[name]
