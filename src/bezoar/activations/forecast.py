"""What a harvest will take, before it is begun."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from bezoar.activations.batching import plan_batches
from bezoar.activations.harvest import site_widths
from bezoar.activations.manifest import StoreDtype
from bezoar.activations.pooling import Pooling, pooler
from bezoar.activations.tokens import TokenTable, tokenise
from bezoar.activations.writer import shard_rows
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, duration
from bezoar.runs.results import Result

if TYPE_CHECKING:
    from rich.table import Table

_PROBE_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Forecast(Result):
    """What a harvest will take.

    Attributes:
        texts, tokens, rows: counted.
        truncated: texts cut at the model's context, or at ``max_tokens``.
        bytes: of rows on disk; counted.
        useful_share: tokens that are no padding among those computed; counted.
        peak_memory: bytes: weights, one batch and one shard; an estimate.
        seconds: from the time of a small batch.
        tokens_per_second: as measured there, padding included.
        device: where it ran.
    """

    texts: int
    tokens: int
    rows: int
    truncated: int
    bytes: int
    useful_share: float
    peak_memory: int
    seconds: float
    tokens_per_second: float
    device: str

    def __str__(self) -> str:
        cut = f" ({self.truncated:,} cut)" if self.truncated else ""
        return (
            f"{self.texts:,} texts{cut}, {self.tokens:,} tokens ({self.useful_share:.0%} of those "
            f"computed) → {self.rows:,} rows, {size(self.bytes)} on disk, about "
            f"{size(self.peak_memory)} of memory and {duration(self.seconds)} on {self.device}"
        )

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table("forecast", "")
        table.add_row("texts", f"{self.texts:,} ({self.truncated:,} cut)")
        table.add_row("tokens", f"{self.tokens:,} ({self.useful_share:.0%} of those computed)")
        table.add_row("rows", f"{self.rows:,}")
        table.add_row("on disk", size(self.bytes))
        table.add_row("memory, about", f"{size(self.peak_memory)} on {self.device}")
        table.add_row(
            "time, about", f"{duration(self.seconds)} ({self.tokens_per_second:,.0f} tokens/s)"
        )
        return table


def forecast(
    lm: LanguageModel,
    texts: Sequence[str] | TokenTable,
    sites: Iterable[Site | str],
    pooling: Pooling = "mean",
    dtype: StoreDtype = "float16",
    *,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> Forecast:
    """Count what a harvest will store, and time a batch of at most 512 tokens of these texts.

    To tokenise once only, give the tokens (``tokenise``) here and to ``harvest``.
    """
    table = texts if isinstance(texts, TokenTable) else tokenise(lm, texts, max_tokens, progress)
    wanted = sorted({lm.site(site) for site in sites})
    row_bytes = sum(site_widths(lm, wanted)) * (4 if dtype == "float32" else 2)
    plan = plan_batches(table.lengths, budget_tokens, max_rows=shard_rows(row_bytes))
    padded = plan.padded_tokens
    rows = int(table.kept.sum()) if pooling == "none" else len(table)
    largest = int((plan.tokens if pooling == "none" else plan.sizes).max())
    rate = _measure(lm, table, wanted, pooling)
    buffers = min(2 * max(shard_rows(row_bytes), largest), rows) * row_bytes
    return Forecast(
        texts=len(table),
        tokens=len(table.ids),
        rows=rows,
        truncated=table.truncated,
        bytes=rows * row_bytes,
        useful_share=plan.useful_share,
        peak_memory=_weights(lm) + buffers + int(padded.max()) * _bytes_a_token(lm),
        seconds=float(padded.sum()) / rate,
        tokens_per_second=rate,
        device=str(lm.device),
    )


def _measure(lm: LanguageModel, table: TokenTable, sites: list[Site], pooling: Pooling) -> float:
    """Padded tokens a second, over texts of middling length."""
    by_length = np.argsort(table.lengths, kind="stable")
    middle = int(table.lengths[by_length[len(table) // 2]])
    count = max(1, min(len(table) // 2 + 1, _PROBE_TOKENS // middle))
    # Around the middle, cut to one length, so that all of it is work that counts.
    chosen = by_length[max(0, len(table) // 2 - count // 2) :][:count]
    batch = lm.batch([row[:_PROBE_TOKENS] for row in table.rows(chosen)])
    reduce = pooler(batch.mask, pooling)

    def read() -> None:
        values = lm.capture(batch, sites, reduce=lambda _, value: reduce(value).sum())
        float(values[sites[-1]])  # waits for the device

    return batch.input_ids.numel() / max(best_time(read), 1e-9)


def best_time(work: Callable[[], object], passes: int = 7, within: float = 2.0) -> float:
    """Seconds that the work takes when nothing else is in its way: the least of several passes.

    What else the machine does only ever adds time, and may add ten times as much to one pass.

    Args:
        work: done once untimed, to warm up.
        passes: at most; three at least.
        within: seconds after which no further pass is begun.
    """
    work()
    taken: list[float] = []
    while len(taken) < 3 or (len(taken) < passes and sum(taken) < within):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def least_memory(lm: LanguageModel, longest: int, itemsize: int | None = None) -> int:
    """Bytes without which a harvest cannot be done: the weights, and one text at work.

    Args:
        longest: tokens of the longest text.
        itemsize: bytes of a number on the device; as the model is loaded if None. Weights that are
            packed into less than that stay as they are.
    """
    each = itemsize or torch.empty((), dtype=lm.dtype).element_size()
    weights = sum(p.numel() * min(each, p.element_size()) for p in lm.model.parameters())
    working = longest * _bytes_a_token(lm) * each // torch.empty((), dtype=lm.dtype).element_size()
    return int(weights + working)


def _weights(lm: LanguageModel) -> int:
    return sum(p.numel() * p.element_size() for p in lm.model.parameters())


def _bytes_a_token(lm: LanguageModel) -> int:
    """Of one block at work: the MLP's input, output and activation, and a dozen residual widths."""
    config = lm.model.config.get_text_config()
    d_mlp = getattr(config, "intermediate_size", None) or 4 * lm.d_model
    each = torch.empty((), dtype=lm.dtype).element_size()
    return each * (3 * int(d_mlp) + 12 * lm.d_model)


def size(n: int | float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:.3g} TB"
