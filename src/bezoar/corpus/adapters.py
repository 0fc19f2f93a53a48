"""Public sets that are known by name: where their texts, labels and prompts are.

An adapter turns a ``Table`` into columns for one of the nouns; a set that lacks what is asked for
says so. To add one, write its readers and register it in ``ADAPTERS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bezoar.corpus.formats import TEXT_COLUMN
from bezoar.corpus.labels import as_names, binary_labels, is_missing, numbers
from bezoar.corpus.redteam import alpaca, galtea, redteam, xstest
from bezoar.corpus.split import own_parts
from bezoar.corpus.table import Table, counted
from bezoar.errors import DataError

Columns = dict[str, Any]
Reader = Callable[[Table], Columns]


@dataclass(frozen=True, slots=True)
class Adapter:
    """A named set. Each reader gives the columns of a noun, with a bool ``keep`` if rows go.

    Attributes:
        what: one line for listings.
        files: names tried, in order, when a folder is given.
    """

    what: str
    files: tuple[str, ...]
    corpus: Reader | None = None
    prompts: Reader | None = None
    neutral: Reader | None = None

    def reader(self, kind: str, name: str) -> Reader:
        """The reader of a noun.

        Raises:
            DataError: if this set has no such thing.
        """
        reader: Reader | None = getattr(self, kind)
        if reader is None:
            able = [other for other in ("corpus", "prompts", "neutral") if getattr(self, other)]
            raise DataError(
                f"{name!r} ({self.what}) gives no {KINDS[kind]}.",
                hint=f"It gives {' and '.join(KINDS[other] for other in able)}.",
            )
        return reader


KINDS = {"corpus": "labelled texts", "prompts": "prompts", "neutral": "neutral text"}
"""What a set can give, by the name of its reader."""


def _jigsaw(table: Table) -> Columns:
    labels = table.column("toxic")
    kinds = [name for name in _JIGSAW_KINDS if name in table.columns]
    marks = zip(*(table.columns[name] for name in kinds), strict=True) if kinds else ()
    category = [
        next((kind for kind, cell in zip(kinds, row, strict=True) if _is_one(cell)), "")
        for row in marks
    ] or [""] * len(table)
    toxic = binary_labels(labels, f"{table.place}, column 'toxic'", at=table.at)
    return {
        "texts": table.column("comment_text"),
        "labels": toxic,
        "category": [
            kind or ("toxic" if one else "") for kind, one in zip(category, toxic, strict=True)
        ],
    }


_JIGSAW_KINDS = ("threat", "identity_hate", "severe_toxic", "obscene", "insult")
"""Rarest first: the category of a comment is the rarest kind that it is marked with."""


def _is_one(cell: Any) -> bool:
    return not is_missing(cell) and str(cell) in ("1", "1.0", "True", "true")


def _civil(table: Table) -> Columns:
    """Civil Comments with toxic spans: toxic if at least half of the annotators thought so."""
    clean, workers = (_counts(table, name) for name in ("n_not_toxic", "n_workers"))
    return {
        "texts": table.column("comment_text"),
        "labels": (2 * clean <= workers).astype(np.int8),
    }


def _counts(table: Table, name: str) -> np.ndarray:
    """A column of numbers, none of them missing."""
    found = numbers(table.column(name), f"{table.place}, column {name!r}", table.at)
    missing = np.flatnonzero(np.isnan(found))
    if missing.size:
        raise DataError(
            f"{table.place}, column {name!r}: {counted(missing.size, 'row')} without a number, "
            f"the first is {table.at(int(missing[0]))}.",
            hint="Remove or fill those rows.",
        )
    return found


def _cold(table: Table) -> Columns:
    """COLD; its parts are kept where they are all there: the test labels are by hand."""
    columns: Columns = {
        "texts": table.column("TEXT"),
        "labels": binary_labels(
            table.column("label"), f"{table.place}, column 'label'", at=table.at
        ),
        "category": as_names(table.column("topic")),
    }
    parts = as_names(table.column(_either(table, "part", "split")))
    if {"train", "test"} <= set(parts):
        columns["split"] = own_parts(parts, f"{table.place}, its parts")[0]
    return columns


def _toxicn(table: Table) -> Columns:
    """ToxiCN: toxic means offensive or hateful language, and the category says which."""
    where = f"{table.place}, column 'toxic'"
    kinds = table.columns.get("toxic_type", [""] * len(table))
    return {
        "texts": table.column("content"),
        "labels": binary_labels(table.column("toxic"), where, at=table.at),
        "category": [_TOXICN_KINDS.get(str(kind).removesuffix(".0"), "") for kind in kinds],
        "source": as_names(table.column("platform")),
    }


_TOXICN_KINDS = {"1": "offensive", "2": "hate"}


def _either(table: Table, *names: str) -> str:
    """The first of these columns that is there, or else the last one."""
    return next((name for name in names if name in table.columns), names[-1])


def _scores(table: Table, *names: str) -> np.ndarray:
    name = _either(table, *names)
    return numbers(
        table.column(name), f"{table.place}, column {name!r}", table.at, limits=(0.0, 1.0)
    )


def _rtp(subset: str) -> Reader:
    """RealToxicityPrompts, nested (the original jsonl, the hub) or flat (``prompt_toxicity``)."""

    def read(table: Table) -> Columns:
        scores = _scores(table, "prompt.toxicity", "prompt_toxicity")
        columns = {
            "texts": table.column(_either(table, "prompt.text", "prompt")),
            "toxicity": scores,
        }
        if subset == "challenging":
            columns["keep"] = [_is_one(cell) for cell in table.column("challenging")]
        elif subset != "all":
            columns["keep"] = scores >= 0.5 if subset == "toxic" else scores < 0.5
        return columns

    return read


def _rtp_corpus(table: Table) -> Columns:
    """Continuations labelled by their stored score of at least 0.5; unscored rows are left out."""
    scores = _scores(table, "continuation.toxicity", "continuation_toxicity")
    return {
        "texts": table.column(_either(table, "continuation.text", "continuation")),
        "labels": (scores >= 0.5).astype(np.int8),
        "keep": ~np.isnan(scores),
    }


def _wikitext(table: Table) -> Columns:
    """Lines, verbatim and in order."""
    return {"texts": table.column(TEXT_COLUMN)}


_RTP_FILES = ("prompts.jsonl", "realtoxicityprompts-data.jsonl", "prompts.parquet")

ADAPTERS: dict[str, Adapter] = {
    "jigsaw": Adapter(
        "Jigsaw Toxic Comment Classification Challenge",
        ("train.csv", "train.parquet"),
        corpus=_jigsaw,
    ),
    "civil": Adapter(
        "Civil Comments with toxic spans",
        ("comments.csv", "comments.parquet"),
        corpus=_civil,
    ),
    "cold": Adapter(
        "COLD, Chinese offensive language",
        ("cold.parquet", "cold.csv", "train.csv"),
        corpus=_cold,
    ),
    "toxicn": Adapter(
        "ToxiCN, toxic Chinese posts (CC BY-NC-ND: for research, unaltered)",
        ("ToxiCN_1.0.csv", "toxicn.csv", "train.parquet"),
        corpus=_toxicn,
    ),
    "galtea": Adapter(
        "Galtea's red-team prompts, toxicity and hate against other clusters (non-commercial)",
        ("train.parquet", "dataset.csv"),
        corpus=galtea,
    ),
    "redteam": Adapter(
        "public red-team sets in one table, harmful against harmless (licence by row)",
        ("train.parquet",),
        corpus=redteam,
    ),
    "xstest": Adapter(
        "XSTest's safe prompts, which only look harmful: all of label 0",
        ("train.parquet", "xstest_prompts.csv"),
        corpus=xstest,
    ),
    "alpaca": Adapter(
        "Alpaca's instructions without an input: all of label 0 (CC BY-NC)",
        ("alpaca_instructions.parquet", "alpaca_data.json"),
        corpus=alpaca,
    ),
    "rtp": Adapter(
        "RealToxicityPrompts, the prompts that the protocol takes",
        _RTP_FILES,
        corpus=_rtp_corpus,
        prompts=_rtp("all"),
    ),
    "rtp-all": Adapter("RealToxicityPrompts, every prompt", _RTP_FILES, prompts=_rtp("all")),
    "rtp-challenging": Adapter(
        "RealToxicityPrompts, its challenging prompts",
        ("challenging.parquet", *_RTP_FILES),
        prompts=_rtp("challenging"),
    ),
    "rtp-toxic": Adapter(
        "RealToxicityPrompts, prompts scored 0.5 or more", _RTP_FILES, prompts=_rtp("toxic")
    ),
    "rtp-nontoxic": Adapter(
        "RealToxicityPrompts, prompts scored below 0.5", _RTP_FILES, prompts=_rtp("nontoxic")
    ),
    "wikitext": Adapter(
        "WikiText, raw or tokenised",
        (
            "test.parquet",
            "wiki.test.raw",
            "wiki.test.tokens",
            "test.txt",
            "valid.parquet",
            "valid.txt",
        ),
        neutral=_wikitext,
    ),
}
