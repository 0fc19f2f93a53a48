"""Text that an audit leaves over: nothing is fitted, chosen by or reported on any of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from bezoar.corpus import Corpus, NeutralText, load_corpus, load_neutral, load_prompts
from bezoar.models import LanguageModel
from bezoar.runs import DataConfig
from bezoar.stats import text_key
from bezoar.studies.audit.explore import articles, split_neutral


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


def rest_of(
    lm: LanguageModel, data: DataConfig, seed: int = 0
) -> tuple[list[str], dict[str, Sequence[str]]]:
    """What an audit with these options would leave over, and what it would take, by what that is.

    Raises:
        DataError: if a text cannot be read, or the neutral text is too short.
    """
    root = None if data.root is None else Path(data.root)
    corpus = load_corpus(data.data, **data.reading())
    taken = load_corpus(data.data, **data.reading(), limit=data.limit, seed=seed)
    neutral = load_neutral(data.neutral, data_root=root, reserved_only=data.reserved_only)
    *halves, _ = split_neutral(lm, neutral, data.neutral_tokens)
    seen: dict[str, Sequence[str]] = {
        "prompts": load_prompts(data.prompts, data_root=root).texts,
        "labelled texts": taken.texts,
        "neutral text": tuple(chain(*(half.texts for half in halves))),
    }
    rest = untouched(neutral, seen["neutral text"]) + left_over(corpus, taken.texts)
    return rest, seen
