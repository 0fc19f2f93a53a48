"""The training text of the demo assets: which public sets, scrubbed, with a fifth reserved by hash.

The sets are found below ``--data-root`` by the names in ``SOURCES`` (parquet files). The reserve is
cut first, ``bezoar.stats.splits.is_reserved`` deciding by the text alone; what remains is scrubbed
of e-mail addresses, phone numbers, links and user handles before it is tokenised.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from bezoar.stats.splits import is_reserved

EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
PHONE = re.compile(r"(?<![\w.])(?:\+?\d{1,3}[ .-]?)?(?:\(\d{3}\)|\d{3})[ .-]\d{3}[ .-]\d{4}(?!\w)")
HANDLE = re.compile(r"(?<![\w/])(?:@\w{2,}|/?u/[\w-]{2,})")
LINK = re.compile(r"https?://\S+|www\.\S+")


@dataclass(frozen=True, slots=True)
class Source:
    """A public set and the rows of it that are read."""

    name: str
    file: str
    origin: str
    licence: str


SOURCES = (
    Source(
        "reddit_selfposts",
        "reddit_top/selfposts.parquet",
        "umbrae/reddit-top-2.5-million @ d0efcade504b8ed735a48ddc2b15552fa924c9d9",
        "PDDL 1.0",
    ),
    Source(
        "wikitext2",
        "wikitext2/train.parquet",
        "WikiText-2 train, from kzhai/Porch @ 6347c88fd6b256e873de2c1967a7b0bdab1f7a05",
        "CC BY-SA 3.0",
    ),
    Source(
        "jigsaw",
        "jigsaw_toxic/train.parquet",
        "part of the Jigsaw Toxic Comment Classification Challenge train.csv",
        "labels CC0, text CC BY-SA 3.0",
    ),
    Source(
        "civil_comments",
        "civil_toxic_spans/comments.parquet",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
    ),
    Source(
        "civil_semeval",
        "civil_toxic_spans/semeval2021_task5.parquet",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
    ),
)


def scrub(text: str) -> str:
    """Replace what could name a person: e-mail addresses, phone numbers, handles; and links."""
    for pattern in (EMAIL, LINK, PHONE, HANDLE):
        text = pattern.sub("", text)
    return re.sub(r"[ \t]+", " ", text).strip()


def _reddit(table: dict[str, list[str | None]]) -> Iterator[tuple[str, int]]:
    for title, body in zip(table["title"], table["selftext"], strict=True):
        yield html.unescape(f"{title}\n{body}"), 0


def _wikitext(table: dict[str, list[str | None]]) -> Iterator[tuple[str, int]]:
    for line in table["text"]:
        if line and len(line.split()) > 8:
            yield line.strip(), 0


def rows(source: Source, root: Path) -> Iterator[tuple[str, int]]:
    """Yield ``(text, toxic)`` of a set, verbatim, in file order; toxic is 0 where unlabelled."""
    table = pq.read_table(root / source.file).to_pydict()
    if source.name.startswith("reddit"):
        pairs = _reddit(table)
    elif source.name == "wikitext2":
        pairs = _wikitext(table)
    elif source.name == "jigsaw":
        pairs = zip(table["comment_text"], table["toxic"], strict=True)
    elif source.name == "civil_comments":
        # "toxic" if at least half of the annotators did not call it "not toxic".
        labels = (
            int(2 * clean <= n)
            for clean, n in zip(table["n_not_toxic"], table["n_workers"], strict=True)
        )
        pairs = zip(table["comment_text"], labels, strict=True)
    else:
        labels = (int(len(spans) > 2) for spans in map(str, table["spans"]))
        pairs = zip(table["text"], labels, strict=True)
    for text, toxic in pairs:
        if text and text.strip():
            yield text, int(toxic)


def training_rows(source: Source, root: Path) -> list[tuple[str, int]]:
    """The four fifths of a set that may be trained on, scrubbed, without repeats.

    The reserve is decided on the verbatim text, so that a reader of the original file finds it.
    """
    kept = {scrub(text): toxic for text, toxic in rows(source, root) if not is_reserved(text)}
    return [(text, toxic) for text, toxic in kept.items() if text]


def reserved_rows(source: Source, root: Path) -> list[tuple[str, int]]:
    """The fifth of a set that no demo asset was trained on."""
    kept = {scrub(text): toxic for text, toxic in rows(source, root) if is_reserved(text)}
    return [(text, toxic) for text, toxic in kept.items() if text]
