"""Find the parts of a transformer by structure: the module graph, widths, and where numbers flow.

Nothing here knows a family by name. Two small forward passes that differ in one token are
recorded. Blocks are the chain of modules that hand the residual stream on; attention is what
mixes positions; the MLP's maps are told by their widths and order; what is *added* to the stream
is found by checking the sum, and so is whether a block is parallel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bezoar.errors import UnsupportedAnatomy, did_you_mean
from bezoar.models.anatomy import Anatomy
from bezoar.models.find_block import find_block
from bezoar.models.find_chain import Chain, find_chain
from bezoar.models.find_ends import find_base, find_final, find_logit_scale, find_unembed
from bezoar.models.names import AnatomyNames
from bezoar.models.positions import find_first_position
from bezoar.models.trace import Trace, close, trace
from bezoar.models.weights import embedding_weight

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
    modules = dict(model.named_modules())
    embed = _find_embed(model, modules, names)
    weight = embedding_weight(embed)
    first, second = probe_ids(weight)
    try:
        run, other = trace(model, first), trace(model, second)
    except Exception as error:
        raise UnsupportedAnatomy(
            f"A forward pass of {type(model).__name__} on {PROBE_LENGTH} token ids failed: {error}",
            hint="Only models that run on input_ids alone are supported.",
        ) from error
    chain = find_chain(modules, run, names)
    eps = torch.finfo(weight.dtype).eps
    attention = names.attention or _find_attention(run, other, chain.names[0])
    parts = tuple(find_block(run, name, attention, names, eps) for name in chain.names)
    unembed = find_unembed(model, modules, names)
    base = find_base(model, unembed)
    final_norm, projection = find_final(modules, run, chain, base, unembed, names)
    return Anatomy(
        base=base,
        blocks=chain.blocks,
        block_parts=parts,
        embed=embed,
        final_norm=final_norm,
        unembed=unembed,
        unembed_proj=projection,
        d_model=chain.width,
        tied=unembed is not None and getattr(unembed, "weight", None) is weight,
        causal=_is_causal(run, other, chain),
        first_position=None
        if (whole := run.of("")) is None
        else find_first_position(model, first, whole.wrote),
        logit_scale=find_logit_scale(run, unembed),
        reuses_memory=any(call.overwritten for call in run.calls),
    )


def probe_ids(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Two rows of [1 pos] token ids that differ in the last token but one."""
    vocab = embedding.shape[0]
    ids = [(7 * i + 5) % vocab for i in range(PROBE_LENGTH)]
    changed = [*ids[:-2], (ids[-2] + vocab // 2) % vocab, ids[-1]]
    first, second = torch.tensor([[ids], [changed]], device=embedding.device)
    return first, second


def _find_embed(model: nn.Module, modules: dict[str, nn.Module], names: AnatomyNames) -> nn.Module:
    """The token embedding: named by hand, or the model's own word for it."""
    if names.embed is not None:
        if names.embed not in modules:
            raise UnsupportedAnatomy(
                f"The model has no module named {names.embed!r}.",
                hint=did_you_mean(names.embed, modules),
            )
        return modules[names.embed]
    try:
        found = model.get_input_embeddings()  # type: ignore[operator]
    except (AttributeError, NotImplementedError):
        found = None
    if isinstance(found, nn.Module) and isinstance(getattr(found, "weight", None), Tensor):
        return found
    embeddings = [
        f"{n} ({m.num_embeddings} × {m.embedding_dim})"
        for n, m in modules.items()
        if isinstance(m, nn.Embedding)
    ]
    raise UnsupportedAnatomy(
        f"{type(model).__name__} does not say which module embeds tokens; embeddings: "
        f"{', '.join(embeddings) or 'none'}.",
        hint="Name it by hand: LanguageModel(model, tokenizer, "
        "anatomy=AnatomyNames(embed='model.embed_tokens')).",
    )


def _find_attention(run: Trace, other: Trace, block: str) -> str | None:
    """The outermost module of the first block that mixes positions, by its name inside the block.

    In the first block, before attention, the last position knows nothing of the token before it.
    """
    for call in run.within(block):
        twin = other.of(call.name)
        if call.read is None or call.wrote is None or twin is None:
            continue
        if _same(call.read, twin.read, -1) and not _same(call.wrote, twin.wrote, -1):
            return call.name.removeprefix(f"{block}.")
    return None


def _is_causal(run: Trace, other: Trace, chain: Chain) -> bool:
    """Whether what stands before the changed token came out of the last block unchanged."""
    last, twin = run.of(chain.names[-1]), other.of(chain.names[-1])
    if last is None or last.wrote is None or twin is None or twin.wrote is None:
        return True
    rows, others = (t.reshape(PROBE_LENGTH, -1) for t in (last.wrote, twin.wrote))
    return close(rows[: PROBE_LENGTH - 2], others[: PROBE_LENGTH - 2], 1e-6)


def _same(a: Tensor | None, b: Tensor | None, position: int) -> bool:
    """Whether two [.. pos d] tensors agree at a position."""
    if a is None or b is None or a.shape != b.shape:
        return False
    return close(a[..., position, :], b[..., position, :], 1e-6)
