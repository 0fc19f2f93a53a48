"""The reader of latents that shows what training an autoencoder is worth: the same, untrained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.contest_tables import Rows
from bezoar.evaluate.contest_untrained import untrained
from bezoar.runs import load_result
from bezoar.sae import TopK
from bezoar.sae.quality_results import QualityTable
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.quality import token_rows

SAMPLE = 4_096
"""Training tokens, about, whose median the directions start from."""


def untrained_reader(
    bench: SAEBench, pool: Callable[[TopK, str, str], Rows], reader: Reader
) -> Reader:
    """The same as a reader of latents, of a dictionary that was never trained.

    Args:
        bench: a study whose stage quality is done.
        pool: latents of all texts: of which dictionary, made after which autoencoder, pooled how.
        reader: of an autoencoder's latents.
    """
    name = reader.name.removesuffix(f", {reader.pooling}")

    def load() -> Rows:
        return pool(drawn(bench, name), name, reader.pooling)

    return Reader(
        f"{name} untrained, {reader.pooling}", "untrained", load, reader.site, reader.pooling
    )


def drawn(bench: SAEBench, name: str) -> TopK:
    """The dictionary: sizes and density are those of an autoencoder of the study."""
    tokens = token_rows(bench, bench.names[name][0])
    rng = np.random.default_rng(bench.run.seed("untrained"))
    texts = rng.permutation(np.array(bench.rows_of("train")))
    enough = int(np.searchsorted(np.cumsum(tokens.lengths[texts]), SAMPLE)) + 1
    sample = torch.cat([block.rows.float().cpu() for block in tokens.blocks(texts[:enough])])
    table = load_result(bench.run.folder("quality") / "quality.json", QualityTable)
    active = table.row(name).trained.l0
    return untrained(bench.sae(name), sample, active, bench.config.seed)
