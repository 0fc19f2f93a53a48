"""Find the parts of a transformer by structure: the module graph, widths, and where numbers flow.

Nothing here knows a family by name. Two small forward passes that differ in one token are
recorded. Blocks are the chain of modules that hand the residual stream on; attention, or what a
block has in its place, is what mixes positions; the MLP's maps are told by their widths and order;
what is *added* to the stream is found by checking the sum, and so is whether a block is parallel.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bezoar.errors import ModelError, UnsupportedAnatomy, did_you_mean
from bezoar.models.anatomy import Anatomy
from bezoar.models.find_block import find_block
from bezoar.models.find_chain import Chain, find_chain
from bezoar.models.find_ends import find_base, find_final, find_logit_scale, find_unembed
from bezoar.models.find_mixer import find_mixer, is_causal, trace_changed
from bezoar.models.names import AnatomyNames, by_hand
from bezoar.models.positions import find_first_position
from bezoar.models.trace import Trace, trace
from bezoar.models.weights import embedding_weight

PROBE_LENGTH = 6


def find_anatomy(model: nn.Module, names: AnatomyNames | None = None) -> Anatomy:
    """Recognise the parts of a model in evaluation mode.

    Args:
        model: a Hugging Face model that takes ``input_ids``.
        names: parts given by hand.

    Raises:
        UnsupportedAnatomy: if no chain of blocks is found, or its stream is not one vector a
            token; says what was found.
        ModelError: if the numbers of a forward pass overflow.
    """
    names = names or AnatomyNames()
    modules = dict(model.named_modules())
    embed = _find_embed(model, modules, names)
    weight = embedding_weight(embed)
    first, second = probe_ids(weight)
    try:
        run = trace(model, first)
        chain = _find_chain(model, modules, run, names)
        _check_stream(model, run, chain)
        other = trace_changed(model, second, run, chain)
    except ModelError:
        raise
    except Exception as error:
        raise UnsupportedAnatomy(
            f"A forward pass of {type(model).__name__} on {PROBE_LENGTH} token ids failed: {error}",
            hint="Only models that run on input_ids alone are supported.",
        ) from error
    _check_names(run, chain, names)
    eps = torch.finfo(weight.dtype).eps
    parts = tuple(
        find_block(run, name, find_mixer(run, other, name), names, eps) for name in chain.names
    )
    unembed = find_unembed(model, modules, names)
    base = find_base(model, unembed)
    final_norm, projection = find_final(modules, run, chain, base, unembed, names)
    if names.final_norm is not None or names.unembed is not None:
        last = run.of(chain.names[-1])
        ends = (final_norm, projection, unembed)
        _check_ends(None if last is None else last.wrote, ends, weight)
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
        causal=is_causal(run, other, chain),
        first_position=None
        if (whole := run.of("")) is None
        else find_first_position(model, first, whole.wrote),
        logit_scale=find_logit_scale(run, unembed),
        reuses_memory=any(call.overwritten for call in run.calls),
    )


def _find_chain(
    model: nn.Module, modules: dict[str, nn.Module], run: Trace, names: AnatomyNames
) -> Chain:
    """The chain of blocks; where none is found because numbers overflowed, that is said."""
    try:
        return find_chain(modules, run, names)
    except UnsupportedAnatomy as error:
        for call in sorted(run.calls, key=lambda call: call.end):
            if call.wrote is not None and not call.wrote.isfinite().all():
                raise ModelError(
                    f"A forward pass of {type(model).__name__} overflows: what "
                    f"{call.name or 'the model'} gives is not finite.",
                    hint="Its weights are too large for this dtype, or damaged.",
                ) from error
        raise


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
    embeddings = {
        name: f"{name} ({module.num_embeddings} × {module.embedding_dim})"
        for name, module in modules.items()
        if isinstance(module, nn.Embedding)
    }
    raise UnsupportedAnatomy(
        f"{type(model).__name__} does not say which module embeds tokens; embeddings: "
        f"{', '.join(embeddings.values()) or 'none'}.",
        hint=by_hand("embed", next(iter(embeddings), "model.embed_tokens")),
    )


def _check_stream(model: nn.Module, run: Trace, chain: Chain) -> None:
    """Refuse blocks that hand on anything but one vector for each token."""
    for name in chain.names:
        call = run.of(name)
        for value in () if call is None else (call.read, call.wrote):
            if value is not None and value.numel() != PROBE_LENGTH * chain.width:
                raise UnsupportedAnatomy(
                    f"The blocks of {type(model).__name__} hand on numbers of shape "
                    f"{tuple(value.shape)} for {PROBE_LENGTH} tokens (seen at {name}).",
                    hint="Only one vector a token is supported: not several residual streams, "
                    "nor positions that the model adds to the text (padding, a prefix).",
                )


def _check_names(run: Trace, chain: Chain, names: AnatomyNames) -> None:
    """Refuse a name inside a block that no block has."""
    inside = dict.fromkeys(
        call.name.removeprefix(f"{block}.") for block in chain.names for call in run.within(block)
    )
    for part, named in names.inside_blocks().items():
        for name in named.split("|"):
            if name not in inside:
                raise UnsupportedAnatomy(
                    f"No block calls a module named {name!r} ({part}).",
                    hint=did_you_mean(name, inside),
                )


@torch.no_grad()
def _check_ends(last: Tensor | None, ends: tuple[nn.Module | None, ...], weight: Tensor) -> None:
    """Refuse parts named by hand that cannot read what comes to them."""
    if last is None:
        return
    value = last.to(weight)
    for module in filter(None, ends):
        try:
            value = module(value)
        except Exception as error:
            raise UnsupportedAnatomy(
                f"A {type(module).__name__} cannot read the {value.shape[-1]} numbers a token "
                f"that come to it after the blocks: {error}",
                hint="Name final_norm and unembed as they follow each other.",
            ) from error
