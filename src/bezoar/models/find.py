"""Find the parts of a transformer by structure: the module graph, widths, and where numbers flow.

Nothing here knows a family by name. Two small forward passes that differ in one token are
recorded. Blocks are the chain of list members that hand the residual stream on; attention is what
mixes positions; the MLP's maps are told by their widths and order; what is *added* to the stream
is found by checking the sum, and so is whether a block is parallel.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from bezoar.errors import UnsupportedAnatomy, did_you_mean
from bezoar.models.anatomy import Anatomy, AnatomyNames
from bezoar.models.find_block import find_block
from bezoar.models.trace import Call, Trace, close, trace
from bezoar.models.weights import embedding_weight, is_linear

PROBE_LENGTH = 6


def find_anatomy(model: nn.Module, names: AnatomyNames | None = None) -> Anatomy:
    """Recognise the parts of a model in evaluation mode.

    Args:
        model: a Hugging Face model that takes ``input_ids``.
        names: parts given by hand.

    Raises:
        UnsupportedAnatomy: if no chain of blocks is found; lists what was found.
    """
    names = names or AnatomyNames()
    embed: nn.Module = model.get_input_embeddings()  # type: ignore[operator]
    weight = embedding_weight(embed)
    first, second = probe_ids(weight)
    try:
        run, other = trace(model, first), trace(model, second)
    except Exception as error:
        raise UnsupportedAnatomy(
            f"A forward pass of {type(model).__name__} on {PROBE_LENGTH} token ids failed: {error}",
            hint="Only models that run on input_ids alone are supported.",
        ) from error
    modules = dict(model.named_modules())
    blocks_name = _find_blocks(modules, run, names)
    blocks = tuple(modules[blocks_name])
    eps = torch.finfo(weight.dtype).eps
    attention = names.attention or _find_attention(run, other, f"{blocks_name}.0")
    stream = run.of(f"{blocks_name}.0")
    width = None if stream is None else stream.d_in
    if width is None:
        raise UnsupportedAnatomy(f"The block {blocks_name}.0 was never called in a forward pass.")
    parts = tuple(
        find_block(run, f"{blocks_name}.{layer}", attention, names, eps)
        for layer in range(len(blocks))
    )
    unembed = _find_unembed(model, modules, names)
    return Anatomy(
        base=_find_base(model, unembed),
        blocks=blocks,
        block_parts=parts,
        embed=embed,
        final_norm=_find_final_norm(modules, run, blocks_name, unembed, names),
        unembed=unembed,
        d_model=width,
        tied=unembed is not None and unembed.weight is weight,
        logit_scale=_find_logit_scale(model, run, unembed),
        reuses_memory=any(call.overwritten for call in run.calls),
    )


def probe_ids(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Two rows of [1 pos] token ids that differ in the last token but one."""
    vocab = embedding.shape[0]
    ids = [(7 * i + 5) % vocab for i in range(PROBE_LENGTH)]
    changed = [*ids[:-2], (ids[-2] + vocab // 2) % vocab, ids[-1]]
    first, second = torch.tensor([[ids], [changed]], device=embedding.device)
    return first, second


def _find_blocks(modules: dict[str, nn.Module], run: Trace, names: AnatomyNames) -> str:
    lists = {name: m for name, m in modules.items() if isinstance(m, nn.ModuleList) and len(m)}
    if names.blocks is not None:
        if names.blocks not in lists:
            raise UnsupportedAnatomy(
                f"The model has no list of blocks named {names.blocks!r}.",
                hint=did_you_mean(names.blocks, lists),
            )
        return names.blocks
    chains = [
        name
        for name in lists
        if not any(name.startswith(f"{outer}.") for outer in lists)
        and _is_chain([run.of(f"{name}.{i}") for i in range(len(lists[name]))])
    ]
    if not chains:
        found = ", ".join(f"{n} ({len(m)} × {type(m[0]).__name__})" for n, m in lists.items())
        raise UnsupportedAnatomy(
            "No list of blocks was found in which each block reads what the one before wrote; "
            f"lists of modules: {found or 'none'}.",
            hint="Name it by hand: LanguageModel.from_pretrained(..., "
            "anatomy=AnatomyNames(blocks='model.layers')).",
        )
    return max(chains, key=lambda name: len(lists[name]))


def _is_chain(calls: list[Call | None]) -> bool:
    """Whether every block was called, keeps the width, and reads what the one before it wrote."""
    known = [call for call in calls if call is not None and call.read is not None]
    if len(known) < len(calls) or any(call.d_in != call.d_out for call in known):
        return False
    return all(close(a.wrote, b.read, 1e-6) for a, b in itertools.pairwise(known))


def _find_attention(run: Trace, other: Trace, block: str) -> str | None:
    """The outermost module of the first block that mixes positions, by its name inside the block.

    In the first block, before attention, the last position knows nothing of the token before it.
    """
    for call in run.within(block):
        twin = other.of(call.name)
        if call.read is None or call.wrote is None or twin is None:
            continue
        if same_at_end(call.read, twin.read) and not same_at_end(call.wrote, twin.wrote):
            return call.name.removeprefix(f"{block}.")
    return None


def same_at_end(a: Tensor | None, b: Tensor | None) -> bool:
    """Whether two [.. pos d] tensors agree at the last position."""
    if a is None or b is None or a.shape != b.shape:
        return False
    return close(a[..., -1, :], b[..., -1, :], 1e-6)


def _find_base(model: nn.Module, unembed: nn.Module | None) -> nn.Module:
    """What runs everything but the unembedding, or the model itself if there is no such part."""
    base = getattr(model, "base_model", model)
    return base if unembed is None or unembed not in set(base.modules()) else model


def _find_unembed(
    model: nn.Module, modules: dict[str, nn.Module], names: AnatomyNames
) -> nn.Module | None:
    if names.unembed is not None:
        return _named(modules, names.unembed)
    found: nn.Module | None = model.get_output_embeddings()  # type: ignore[operator]
    return found if found is not None and is_linear(found) else None


def _find_final_norm(
    modules: dict[str, nn.Module],
    run: Trace,
    blocks_name: str,
    unembed: nn.Module | None,
    names: AnatomyNames,
) -> nn.Module:
    """The module outside the blocks that reads the last residual and writes what is unembedded."""
    if names.final_norm is not None:
        return _named(modules, names.final_norm)
    last = run.of(f"{blocks_name}.{len(modules[blocks_name]) - 1}")  # type: ignore[arg-type]
    by_module = {call.module: call for call in run.calls}
    goal = None if unembed is None or unembed not in by_module else by_module[unembed].read
    if last is None or close(last.wrote, goal, 1e-6):
        return nn.Identity()
    for call in run.calls:
        reads_last = call.start > last.end and close(call.read, last.wrote, 1e-6)
        reaches = goal is None or close(call.wrote, goal, 1e-6)
        if reads_last and reaches and call.module is not unembed and call.d_out == call.d_in:
            return call.module
    if goal is None:
        return nn.Identity()
    raise UnsupportedAnatomy(
        "No module was found that turns the last block's output into the unembedding's input.",
        hint="Name it by hand: AnatomyNames(final_norm='model.norm').",
    )


def _find_logit_scale(model: nn.Module, run: Trace, unembed: nn.Module | None) -> float:
    """The constant between the unembedding's output and the model's logits, if there is one."""
    whole = run.of("")
    raw = next((call.wrote for call in run.calls if call.module is unembed), None)
    if whole is None or whole.wrote is None or raw is None or raw.shape != whole.wrote.shape:
        return 1.0
    scale = float((raw * whole.wrote).sum() / raw.square().sum())
    # A soft cap is no constant: it is left to the configuration, and to the check of parity.
    return scale if close(whole.wrote, raw * scale, 1e-3) else 1.0


def _named(modules: dict[str, nn.Module], name: str) -> nn.Module:
    if name not in modules:
        raise UnsupportedAnatomy(
            f"The model has no module named {name!r}.", hint=did_you_mean(name, modules)
        )
    return modules[name]
