"""What reading some texts with a model will take: time, disk, and the least memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import Int64

from bezoar.corpus.explore import Encoder
from bezoar.runs.progress import Progress
from bezoar.runs.results import Result

if TYPE_CHECKING:
    from bezoar.models import LanguageModel

PROCESS = 512 * 2**20
"""Bytes that Python and torch take before any model; on a GPU, what the driver's context takes."""

POINT = "resid_post"


@dataclass(frozen=True, slots=True)
class Reading(Result):
    """One way of reading the texts.

    Attributes:
        what: in words.
        rows: kept.
        bytes: of rows on disk, at 16 bits.
        seconds: from the time of a small batch.
    """

    what: str
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Cost(Result):
    """What reading texts with a model takes.

    Attributes:
        model: its name.
        parameters: of the model.
        device: where the batch was timed.
        context: tokens that the model reads at once.
        tokens: of all texts, each cut at the context.
        truncated: texts that were cut.
        readings: a row for each text, or each token, of one layer or all.
        memory: bytes for the readings at the usual batch size.
        least_ram: bytes without which it cannot be done on a CPU: one text at a time.
        least_vram: the same on a GPU, with weights of 16 bits or what they are packed into.
    """

    model: str
    parameters: int
    device: str
    context: int
    tokens: int
    truncated: int
    readings: tuple[Reading, ...]
    memory: int
    least_ram: int
    least_vram: int


def forecast_cost(
    lm: Encoder, texts: Sequence[str], progress: Progress | None = None
) -> tuple[Int64[np.ndarray, " text"], Cost]:
    """Tokens of each text, uncut, and what reading all of them takes.

    Args:
        lm: a `bezoar.models.LanguageModel`.
        texts: none of them empty.
        progress: where to show it.
    """
    # Here: it loads torch, which who reads texts without a model does without.
    from bezoar.activations import forecast, tokenise
    from bezoar.activations.forecast import least_memory

    model = cast("LanguageModel", lm)
    table = tokenise(model, texts, None, progress)
    layers = [f"{layer}.{POINT}" for layer in range(model.n_layers)]
    every = forecast(model, table, layers, "mean")
    single = forecast(model, table, layers, "none")
    share = single.bytes // len(layers)
    kinds = f"{len(layers)} layers" if len(layers) > 1 else "the layer"
    longest = int(table.lengths.max())
    cost = Cost(
        model=model.name,
        parameters=sum(p.numel() for p in model.model.parameters()),
        device=str(model.device),
        context=table.max_tokens,
        tokens=len(table.ids),
        truncated=table.truncated,
        readings=(
            Reading(f"a row for each text, {kinds}", every.rows, every.bytes, every.seconds),
            Reading("a row for each token, one layer", single.rows, share, single.seconds),
            Reading(f"a row for each token, {kinds}", single.rows, single.bytes, single.seconds),
        ),
        memory=PROCESS + single.peak_memory,
        least_ram=PROCESS + least_memory(model, longest, 4),
        least_vram=PROCESS + least_memory(model, longest, 2),
    )
    lengths = table.lengths
    if table.truncated:
        lengths = np.array([len(ids) for text in texts for ids in lm.encode([text])])
    return np.asarray(lengths, dtype=np.int64), cost
