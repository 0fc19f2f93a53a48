"""Log-probabilities of answers: the model's own forward pass, with logits only where they count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from jaxtyping import Bool, Float, Int
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional
from transformers.activations import FastGELUActivation, NewGELUActivation

from bezoar.activations.manifest import write_shard
from bezoar.errors import CorruptArtefact
from bezoar.mitigate.preference.batches import PairBatch, TokenPairs, collate
from bezoar.mitigate.preference.loss import sequence_logps, token_logps
from bezoar.models import LanguageModel
from bezoar.runs.progress import Progress, track


@contextmanager
def unembedding_only(lm: LanguageModel, places: Int[Tensor, " token"]) -> Iterator[None]:
    """Let the unembedding see the given places of [batch · pos] alone.

    What a model does to its logits afterwards (scale, soft cap) acts on each by itself, so the
    logits are the model's own, [1, token, vocab], without those nobody asked for.
    """

    def narrow(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden = args[0]
        return (hidden.reshape(-1, hidden.shape[-1])[places][None], *args[1:])

    handle = lm.require_unembedding().register_forward_pre_hook(narrow)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def fused_gelu(model: nn.Module) -> Iterator[None]:
    """Let a GELU that is written out in eight operations, as GPT-2's is, be torch's one.

    They are the same formula, equal to rounding. Written out, it keeps four tensors of every MLP's
    width for the backward pass; torch's keeps its input.
    """
    written_out = [
        m for m in model.modules() if isinstance(m, NewGELUActivation | FastGELUActivation)
    ]
    try:
        for module in written_out:  # on the instance: hooks on it still act
            module.forward = partial(functional.gelu, approximate="tanh")
        yield
    finally:
        for module in written_out:
            module.__dict__.pop("forward", None)


@contextmanager
def without_dropout(model: nn.Module) -> Iterator[None]:
    """Let a model that was left in train mode be in evaluation mode, and then as it was."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def answer_logps(
    lm: LanguageModel, batch: PairBatch, model: Callable[..., Any] | None = None
) -> Float[Tensor, " token"]:
    """log p of every counted token, in the batch's order; differentiable.

    Args:
        lm: the model.
        batch: which tokens.
        model: what to call instead of ``lm.model``: the same, wrapped for several processes.
    """
    inputs = lm.inputs(batch.batch)
    if batch.seen is not None:
        inputs["attention_mask"] = _added(batch.seen, lm.model.dtype)
    with unembedding_only(lm, batch.places):
        logits = (model or lm.model)(**inputs).logits
    return token_logps(logits[0], batch.targets)


def _added(seen: Bool[Tensor, "row query key"], dtype: torch.dtype) -> Float[Tensor, "row 1 q k"]:
    """What attention adds to its scores: nothing where a position may look."""
    return torch.where(seen, 0.0, torch.finfo(dtype).min).to(dtype)[:, None]


@torch.no_grad()
def reads_pairs_in_one(lm: LanguageModel, tokens: TokenPairs, n: int = 2) -> bool:
    """Whether the model reads both sides of a pair after one prompt as it reads them apart.

    A model that counts distance instead of positions, or has no attention to mask, does not. The
    longest and the shortest pairs are tried; log-probabilities have to agree to 1e-4.

    Args:
        lm: the model.
        tokens: the pairs.
        n: how many of the longest that fit into the context, and of the shortest.
    """
    if tokens.mode == "code" or lm.anatomy.first_position is None:
        return False
    lengths = [len(p.prompt) + len(p.chosen) + len(p.rejected) for p in tokens.sides]
    fit = [i for i in np.argsort(lengths, kind="stable").tolist() if lengths[i] <= lm.context]
    if not fit:
        return False
    tried = [*fit[:n], *fit[max(n, len(fit) - n) :]]
    apart, together = (collate(lm, replace(tokens, shared=by), tried) for by in (False, True))
    try:
        found = answer_logps(lm, together)
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
        return False  # it takes no mask of this shape
    return torch.allclose(answer_logps(lm, apart), found, rtol=1e-4, atol=1e-4)


class Reference:
    """Log-probabilities of all answers under the untouched model, computed once.

    Attributes:
        chosen, rejected: of each pair, summed over its counted tokens.
    """

    def __init__(self, values: Float[Tensor, " token"], counts: Int[Tensor, "side pair"]) -> None:
        self._values = values
        rows = torch.repeat_interleave(torch.arange(counts.numel()), counts.flatten())
        self.chosen, self.rejected = sequence_logps(values, rows, counts.numel()).view(2, -1)
        ends = counts.flatten().cumsum(0)
        self._spans = [*zip((ends - counts.flatten()).tolist(), ends.tolist(), strict=True)]

    def of(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Chosen and rejected sums of a batch's pairs, on its device."""
        pairs, device = list(batch.pairs), batch.targets.device
        return self.chosen[pairs].to(device), self.rejected[pairs].to(device)

    def tokens_of(self, batch: PairBatch) -> Float[Tensor, " token"]:
        """The same token by token, in the batch's order."""
        n = len(self.chosen)
        both = [*batch.pairs, *(n + pair for pair in batch.pairs)]
        spans = [self._values[slice(*self._spans[i])] for i in both[: batch.n_rows]]
        return torch.cat(spans).to(batch.targets.device)


@torch.no_grad()
def reference_logps(
    lm: LanguageModel,
    tokens: TokenPairs,
    *,
    batch_pairs: int = 8,
    cache: Path | None = None,
    progress: Progress | None = None,
) -> Reference:
    """Log-probabilities under the model as it is, in its own dtype.

    Args:
        lm: the model, before anything in it is trained.
        tokens: the pairs.
        batch_pairs: how many at a time; they are sorted by length.
        cache: folder to keep them in, under a name made of the model's fingerprint and a hash of
            the tokens.
        progress: told of the pairs done.

    Raises:
        CorruptArtefact: if the kept file is damaged.
    """
    path = (
        None if cache is None else cache / f"reference-{lm.fingerprint}-{tokens.key()}.safetensors"
    )
    if path is not None and path.exists():
        return _read(path, len(tokens))
    lengths = [len(p.prompt) + max(len(p.chosen), len(p.rejected)) for p in tokens.sides]
    order = np.argsort(lengths, kind="stable")[::-1].tolist()
    found: dict[int, Tensor] = {}
    starts = range(0, len(order), batch_pairs)
    for start in track(progress, starts, "Reference log-probabilities", unit="batches"):
        batch = collate(lm, tokens, order[start : start + batch_pairs])
        values = answer_logps(lm, batch).float().cpu()
        parts = values.split(torch.bincount(batch.rows, minlength=batch.n_rows).tolist())
        for row, part in enumerate(parts):
            side, pair = divmod(row, len(batch.pairs))
            found[side * len(tokens) + batch.pairs[pair]] = part
    ordered = [found[i] for i in range(2 * len(tokens))]
    counts = torch.tensor([len(part) for part in ordered]).view(2, -1)
    values = torch.cat(ordered)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_shard(path, {"values": values, "counts": counts.float()}, len(tokens), 1)
    return Reference(values, counts)


def _read(path: Path, n: int) -> Reference:
    try:
        held = safetensors.torch.load_file(path)
        values, counts = held["values"], held["counts"].long()
        sound = counts.shape == (2, n) and int(counts.sum()) == len(values)
    except (SafetensorError, KeyError, OSError) as error:
        raise _damaged(path) from error
    if not sound:
        raise _damaged(path)
    return Reference(values, counts)


def _damaged(path: Path) -> CorruptArtefact:
    return CorruptArtefact(
        f"{path} does not hold the log-probabilities of these pairs.",
        hint="Remove it: it is computed again.",
    )
