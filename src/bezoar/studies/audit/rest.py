"""Text that an audit leaves over: nothing is fitted, chosen by or reported on any of it."""

from __future__ import annotations

from collections.abc import Iterable

from bezoar.corpus import Corpus, NeutralText
from bezoar.stats import text_key
from bezoar.studies.audit.explore import articles


def left_over(corpus: Corpus, taken: Iterable[str]) -> list[str]:
    """The texts without the behaviour that are none of those taken."""
    keys = {text_key(text) for text in taken}
    rows = zip(corpus.texts, corpus.labels, strict=True)
    return [text for text, label in rows if not label and text_key(text) not in keys]


def untouched(neutral: NeutralText, taken: Iterable[str]) -> list[str]:
    """The lines of articles of which no line is taken: half of one tells much of the rest."""
    keys = {text_key(text) for text in taken if text.strip()}
    blocks = articles(neutral.texts).tolist()
    rows = [*zip(neutral.texts, blocks, strict=True)]
    touched = {block for text, block in rows if text_key(text) in keys}
    return [text for text, block in rows if block not in touched]
