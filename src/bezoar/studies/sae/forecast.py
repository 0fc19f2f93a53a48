"""What a study of sparse autoencoders will take, said before it begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from bezoar.activations import TokenTable, forecast, tokenise
from bezoar.activations.forecast import best_time
from bezoar.corpus import Corpus
from bezoar.runs import Result
from bezoar.studies.audit.forecast import NEW_TOKEN, duration
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.explore import harmless_files
from bezoar.studies.sae.harvest import readings

_PRODUCTS = 6.0  # of [batch d_model] and [d_model d_sae]: encode, decode, and each of them back
_PASSES = 2.0  # over all tokens after training: their quality, and what the contest reads
_LEAST = 512 * 2**20  # bytes that Python and torch take by themselves


@dataclass(frozen=True, slots=True)
class SAEForecast(Result):
    """An estimate of a study: an upper one, for sparse products are counted as dense ones.

    Attributes:
        tokens: of all texts, the harmless ones too, read once; with what the model is to write.
        saes: autoencoders trained.
        trained: tokens that each is trained on.
        seconds: harvest, training, and reading their latents, from the time of small batches.
        bytes: of activations on disk.
        memory: bytes, at least.
    """

    tokens: int
    saes: int
    trained: int
    seconds: float
    bytes: int
    memory: int

    def __str__(self) -> str:
        training = (
            f", {self.saes} autoencoders to train on {self.trained:,}" if self.trained else ""
        )
        return (
            f"To do: {self.tokens:,} tokens to read{training}; "
            f"{duration(self.seconds)} at most,\n       "
            f"{self.bytes / 1e6:.0f} MB on disk, about {self.memory / 1e9:.1f} GB of memory."
        )


def forecast_saes(bench: SAEBench) -> SAEForecast:
    """Count tokens and products of matrices, and time a small batch of each."""
    asked = bench.config.sae
    table = _tokens(bench)
    written = 0 if table.starts is None else asked.max_new_tokens * len(table)
    reading = forecast(bench.lm, table, bench.sites, "none", dtype=bench.config.harvest.dtype)
    writing = (NEW_TOKEN * written + len(table.ids)) / reading.tokens_per_second if written else 0.0
    widths = [bench.lm.site_width(site) for site in bench.sites for _ in bench.specs]
    again = readings(bench, reading.rows) * len(bench.sites) if asked.store == "recompute" else 1.0
    per_second = _products_a_second(bench, asked.batch)
    latents = [width * asked.expansion for width in widths]
    products = sum(d * n for d, n in zip(widths, latents, strict=True))
    trained = 0 if asked.path else asked.tokens
    training = _PRODUCTS * trained * products / per_second
    encoding = _PASSES * reading.rows * products / per_second
    parameters = max(2 * d * n for d, n in zip(widths, latents, strict=True)) * 4
    return SAEForecast(
        tokens=reading.tokens,
        saes=len(widths),
        trained=trained,
        seconds=writing + again * reading.seconds + training + encoding,
        bytes=0 if asked.store == "recompute" else reading.bytes,
        memory=_LEAST + max(reading.peak_memory, 4 * parameters * len(bench.specs)),
    )


def _tokens(bench: SAEBench) -> TokenTable:
    """Of all texts; where the model is to write after them, as many of any kind as it may."""
    asked, lm = bench.config.sae, bench.lm
    texts = [text for part in bench.corpora for text in bench.prompts(part)]
    for path in harmless_files(bench):
        more = list(Corpus.load(path).texts)
        texts += lm.chat(more) if bench.config.model.chat else more
    if asked.tokens_of == "prompts":
        return tokenise(lm, texts, asked.max_tokens, bench.progress)
    room = min(asked.max_tokens, lm.context - asked.max_new_tokens)
    table = tokenise(lm, texts, room, bench.progress)
    lengths = table.lengths + asked.max_new_tokens
    return replace(
        table,
        ids=np.zeros(lengths.sum(), dtype=np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        starts=table.lengths,
    )


def _products_a_second(bench: SAEBench, batch: int) -> float:
    """Multiplications of a matrix product of the study's shapes, a second."""
    width = bench.lm.site_width(bench.sites[0])
    latents = width * bench.config.sae.expansion
    x, w = torch.ones(batch, width), torch.ones(width, latents)
    return batch * width * latents / max(best_time(lambda: x @ w), 1e-9)
