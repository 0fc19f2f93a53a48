"""Stage harvest: every token of the labelled texts, at all sites that anything is trained at.

Files: ``texts.json`` (what was read), ``tokens/`` (an `ActivationStore`, texts of ``train`` before
those of ``report``), and ``rows.json`` (what storing and computing again would cost, if that was
measured). Where computing again is asked for or cheaper there is no store, and the model runs
whenever rows are read. Where what the model writes is read, that is in ``written.parquet``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from bezoar.activations import (
    RecomputedRows,
    RowsChoice,
    RowSource,
    StoredRows,
    choose_rows,
    harvest,
)
from bezoar.errors import DataError
from bezoar.models import Site
from bezoar.runs import Result, kept, save_result
from bezoar.studies.sae.bench import SAEBench


@dataclass(frozen=True, slots=True)
class Harvested(Result):
    """What was read.

    Attributes:
        texts, tokens: of each part.
        truncated: texts that were cut, and at how many tokens.
        max_tokens: there.
        sites: where rows are read.
        rows: whether they are on disk, or computed when they are read.
        tokens_of: the texts themselves, or what the model wrote after them.
        chat: whether the texts stand in the chat template.
    """

    texts: dict[str, int]
    tokens: dict[str, int]
    truncated: int
    max_tokens: int
    sites: tuple[str, ...]
    rows: Literal["disk", "recompute"]
    tokens_of: str
    chat: bool


def harvest_stage(bench: SAEBench) -> None:
    """Read all tokens, or find that it costs less to read them when they are needed.

    Raises:
        StoreError: if a store was asked for, and the disk has no room for it.
    """
    asked, lm = bench.config.sae, bench.lm
    key: list[object] = [list(map(str, bench.sites)), asked.tokens_of, asked.max_tokens]
    key += [asked.store, bench.config.harvest.dtype, bench.config.model.chat, lm.fingerprint]
    key += [asked.max_new_tokens] if asked.tokens_of == "generated" else []
    with bench.run.stage("harvest", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        way: Literal["disk", "recompute"]
        if asked.store == "auto":
            way = kept(stage.folder / "rows.json", RowsChoice, partial(_choose, bench)).cheaper
        else:
            way = asked.store
        if way == "disk":
            harvest(
                lm,
                bench.tokens,
                bench.sites,
                pooling="none",
                out=stage.folder / "tokens",
                budget_tokens=bench.config.harvest.budget_tokens,
                dtype=bench.config.harvest.dtype,
                progress=bench.progress,
            )
        save_result(stage.folder / "texts.json", _harvested(bench, way))


def is_stored(bench: SAEBench) -> bool:
    """Whether the stage left rows on disk."""
    return (bench.run.folder("harvest") / "tokens").exists()


def rows_of(bench: SAEBench, site: Site, texts: np.ndarray) -> RowSource:
    """Rows of some texts at a site to train on, by what the stage left."""
    asked = bench.config.sae
    skip = asked.skip_first if asked.tokens_of == "prompts" else 0  # what is written comes later
    if is_stored(bench):
        store = bench.store
        store.require(lm=bench.lm, pooling="none", site=site)
        return StoredRows(store, site, texts, skip_first=skip)
    budget = bench.config.harvest.budget_tokens
    return RecomputedRows(
        bench.lm, bench.tokens, site, texts, budget_tokens=budget, skip_first=skip
    )


def trained_on(bench: SAEBench) -> np.ndarray:
    """The texts that autoencoders are trained on: of the training part, by number.

    Raises:
        DataError: if none is left without those of label 1.
    """
    texts = np.array(bench.rows_of("train"))
    if bench.config.sae.train_on == "non_target":
        texts = texts[bench.corpora["train"].labels == 0]
    if not len(texts):
        raise DataError(
            "No training text is left when those of label 1 are left out.",
            hint="Train on all: --set sae.train_on=all.",
        )
    return texts


def readings(bench: SAEBench, rows: int) -> float:
    """How often a study reads all rows of a site: to train on, for the latents of each
    autoencoder, and as plain states."""
    asked = bench.config.sae
    trained = 0.0 if asked.path else asked.tokens / rows
    return trained + len(bench.names) / len(bench.sites) + 1


def _choose(bench: SAEBench) -> RowsChoice:
    """Measured for all readings of a study."""
    return choose_rows(
        bench.lm,
        bench.tokens,
        bench.sites,
        readings=readings(bench, int(bench.tokens.kept.sum())),
        folder=bench.run.folder("harvest"),
        dtype=bench.config.harvest.dtype,
        budget_tokens=bench.config.harvest.budget_tokens,
    )


def _harvested(bench: SAEBench, way: Literal["disk", "recompute"]) -> Harvested:
    table = bench.tokens
    return Harvested(
        texts={part: len(bench.rows_of(part)) for part in bench.corpora},
        tokens={part: int(table.kept[bench.rows_of(part)].sum()) for part in bench.corpora},
        truncated=table.truncated,
        max_tokens=table.max_tokens,
        sites=tuple(map(str, bench.sites)),
        rows=way,
        tokens_of=bench.config.sae.tokens_of,
        chat=bench.config.model.chat,
    )
