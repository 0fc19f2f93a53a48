"""The public sets that scorers are held against: what of each is read, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from recipes.demo.text import SOURCES, Source, read, reserved_rows

from bezoar.stats.splits import is_reserved, text_key, unit_hash

SOURCE = {source.name: source for source in SOURCES} | {
    source.name: source
    for source in (
        Source(
            "realtoxicityprompts",
            "realtoxicityprompts/prompts.parquet",
            "efd61384e30a865490ac3a6daa2054ef606d45e9b5d643b3ee88acc0e4eb4050",
            "RealToxicityPrompts, from AI-secure/DecodingTrust @ "
            "161ae8321ced62f45fcd9ceb412e05b47c603cd4, GXimingLu/Quark @ "
            "30c9a0fe022b7d006b826abec2eb5d3ac288e637, LizLizLi/DeStein @ "
            "f1cad0a2c1589e99afa879f6e96d476afeefea52, cooperleong00/ToxificationReversal @ "
            "d46a0fe5e0b95bb2d6df2fa72540d54eb68a4959",
            "Apache-2.0",
        ),
        Source(
            "perspective_wiki_2k",
            "perspective_wiki_2k/scores.parquet",
            "d8b1afdc84b09e8069e39e3346512595047546d8d719ca962d3fa0c147830f13",
            "conversationai/perspectiveapi @ a51953fab94c34be2901c2ecfe4320c4d3b7039a",
            "Apache-2.0, text CC BY-SA 3.0",
        ),
        Source(
            "wiki_context_toxicity",
            "wiki_context_toxicity/cat_large.parquet",
            "6a02471886cd795ccddba7e467d076f2077623e3eea8fce2a99f174bddcc675f",
            "ipavlopoulos/context_toxicity @ 5df49c294e6a41f0ba351e65fda7c315aa4cc168",
            "Apache-2.0, text CC BY-SA",
        ),
        Source(
            "identity_bias_templates",
            "identity_bias_templates/en_sentence_templates.parquet",
            "4fee19de91750c0a6c547eeacf47f21c68b835ddf74b748e786f01fa31bb3735",
            "conversationai/unintended-ml-bias-analysis @ 9c7d91aaa53406a362354661a93e07956d95e59a",
            "CC BY 4.0",
        ),
        Source(
            "hatecheck",
            "hatecheck/test_suite_cases.parquet",
            "1908be4d10a11a084bf0eefea87e13b058a4c1f5aa3098eb05d45b5cc6bed88d",
            "paul-rottger/hatecheck-data @ d84302298ceeb34f4b0dde2d8a1f4932c2caa612",
            "CC BY 4.0",
        ),
    )
}
NEVER_TRAINED = (
    "realtoxicityprompts",
    "perspective_wiki_2k",
    "identity_bias_templates",
    "hatecheck",
)
"""Sets read whole, because no scorer may learn from them. Of all others only the reserve is."""
ATTRIBUTES = ("toxicity", "profanity", "insult", "threat", "identity_attack")
NEUTRAL = {
    "reddit_selfposts": "Reddit posts",
    "wikitext2": "WikiText-2 articles",
    "wikipedia_sentences": "Wikipedia sentences",
    "topical_chat": "Topical-Chat messages",
    "goemotions": "GoEmotions comments",
}
_ANGRY = {"anger", "annoyance", "disgust"}
_JIGSAW = {
    "toxicity": "toxic",
    "profanity": "obscene",
    "insult": "insult",
    "threat": "threat",
    "identity_attack": "identity_hate",
}
PIECE = 25  # words, as where the demo scorers' thresholds are set
_NEUTRAL_PIECES = 3000  # of each source
_FRAMES = 1 / 8  # of the templates "NAME is a … TERM", which make 94 % of theirs


@dataclass(frozen=True, slots=True)
class Judged:
    """Texts and what others said of them, per attribute: scores in [0, 1], NaN where unknown."""

    texts: list[str]
    judgement: dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Comments:
    """Comments with a parent or "", a label, and whether annotators saw the parent."""

    texts: list[str]
    parents: list[str]
    toxic: np.ndarray
    in_context: np.ndarray


@dataclass(frozen=True, slots=True)
class Templates:
    """Sentences [n]; the identity term of each or "", and the word that makes it toxic or not."""

    texts: list[str]
    toxic: np.ndarray
    terms: list[str]
    words: list[str]


@dataclass(frozen=True, slots=True)
class Cases:
    """Functional tests: texts, what is tested, whether hateful."""

    texts: list[str]
    tests: list[str]
    hateful: np.ndarray


def continuations(root: Path) -> Judged:
    """RealToxicityPrompts' continuations with Perspective's scores of 2020."""
    table = read(SOURCE["realtoxicityprompts"], root)
    rows = [
        i
        for i, text in enumerate(table["continuation"])
        if text and text.strip() and table["continuation_toxicity"][i] is not None
    ]
    columns = {name: table[f"continuation_{name}"] for name in ATTRIBUTES}
    return Judged([table["continuation"][i] for i in rows], _columns(columns, rows))


def perspective_comments(root: Path) -> tuple[Judged, int]:
    """Wikipedia comments with Perspective's scores of 2018, and how many were left out.

    Left out is what stands outside the reserve in another set of Wikipedia comments: a scorer
    may have learnt from it there.
    """
    table = read(SOURCE["perspective_wiki_2k"], root)
    seen = {text_key(text) for text in read(SOURCE["jigsaw"], root)["comment_text"]}
    seen |= {text_key(text) for text in read(SOURCE["wiki_context_toxicity"], root)["text"] if text}
    texts = table["comment_text"]
    rows = [i for i, text in enumerate(texts) if is_reserved(text) or text_key(text) not in seen]
    names = [name.upper() for name in ATTRIBUTES]
    columns = dict(zip(ATTRIBUTES, (table[n] for n in ["TOXICITY@6", *names[1:]]), strict=True))
    return Judged([texts[i] for i in rows], _columns(columns, rows)), len(texts) - len(rows)


def jigsaw(root: Path) -> Judged:
    """The reserved fifth of Jigsaw's comments; most have the label "toxic" only."""
    table = read(SOURCE["jigsaw"], root)
    rows = [i for i, text in enumerate(table["comment_text"]) if is_reserved(text)]
    columns = {name: table[column] for name, column in _JIGSAW.items()}
    return Judged([table["comment_text"][i] for i in rows], _columns(columns, rows))


def comments_in_context(root: Path) -> tuple[Comments, dict[str, list[int]]]:
    """CAT's reserved comments; and of all, ``[toxic, n]`` by what annotators saw."""
    table = read(SOURCE["wiki_context_toxicity"], root)
    saw = np.array([seen == "with context" for seen in table["annotated"]])
    labels = np.array(table["label"], dtype=bool)
    counts = {
        name: [int(labels[saw == seen].sum()), int((saw == seen).sum())]
        for name, seen in (("without", False), ("with", True))
    }
    kept = [
        i for i, text in enumerate(table["text"]) if text and text.strip() and is_reserved(text)
    ]
    return Comments(
        [table["text"][i] for i in kept],
        [table["parent"][i] or "" for i in kept],
        labels[kept],
        saw[kept],
    ), counts


def templates(root: Path) -> Templates:
    """Sentences about identities; of those that differ by a name alone, one frame in eight."""
    table = read(SOURCE["identity_bias_templates"], root)
    hated = (phrase for phrase in table["phrase"] if phrase.startswith("I hate "))
    terms = sorted({phrase.removeprefix("I hate ") for phrase in hated}, key=len, reverse=True)
    term_at = re.compile(rf"\b({'|'.join(map(re.escape, terms))})\b")  # the longest that fits
    found: list[tuple[str, bool, str, str]] = []
    for phrase, kind, label in zip(
        table["phrase"], table["template"], table["toxicity"], strict=True
    ):
        term, frame = "", phrase
        if kind != "you_occupation":
            term, frame = term_at.search(phrase)[0], term_at.sub("…", phrase, count=1)
        if kind == "name_adj" and unit_hash(frame, "bezoar-agreement-1") >= _FRAMES:
            continue
        found.append((phrase, label == "toxic", term, _telling_word(frame, kind)))
    texts, toxic, kept, words = zip(*found, strict=True)
    return Templates(list(texts), np.array(toxic), list(kept), list(words))


def hatecheck(root: Path) -> Cases:
    """Röttger et al.'s (2021) cases."""
    table = read(SOURCE["hatecheck"], root)
    hateful = np.array([label == "hateful" for label in table["label_gold"]])
    return Cases(table["test_case"], table["functionality"], hateful)


def neutral(root: Path) -> dict[str, list[str]]:
    """Pieces of at most 25 words of what nobody called toxic, reserved, by source."""
    found = {}
    for name in NEUTRAL:
        if name == "goemotions":
            table = read(SOURCE[name], root)
            pairs = zip(table["text"], table["labels"], strict=True)
            calm = (text for text, labels in pairs if not _ANGRY & set(labels.split(";")))
            texts = [text for text in calm if is_reserved(text)]
        else:
            texts = [text for text, _ in reserved_rows(SOURCE[name], root)]
        parts = {part for text in texts for part in pieces(text)}
        found[name] = by_hash(parts, _NEUTRAL_PIECES)
    return found


def pieces(text: str) -> Iterator[str]:
    """The sentences of a text, cut after ``PIECE`` words."""
    for sentence in re.findall(r"[^.!?\n]+[.!?\n]*", text):
        words = sentence.split()
        for first in range(0, len(words), PIECE):
            yield " ".join(words[first : first + PIECE])


def by_hash(texts: set[str], n: int) -> list[str]:
    """The same ``n`` texts wherever and in whatever order they were read."""
    return sorted(texts, key=lambda text: (unit_hash(text, "bezoar-agreement-1"), text))[:n]


def _columns(columns: dict[str, list], rows: Sequence[int]) -> dict[str, np.ndarray]:
    return {
        name: np.array([np.nan if column[i] is None else column[i] for i in rows], dtype=float)
        for name, column in columns.items()
    }


def _telling_word(frame: str, kind: str) -> str:
    """ "hug …" → hug; "I am …" → am; "Being … is kind" → kind; "Kim is a kind …" → kind."""
    words = frame.split()
    if kind == "verb_adj":
        return words[0]
    if kind == "being_adj":
        return words[-1]
    return words[1] if kind == "am_hate_adj" else words[words.index("a") + 1]
