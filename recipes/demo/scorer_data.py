"""What the demo scorers learn from: public sets of two lineages, the reserve never among them.

A: Wikipedia talk pages and Twitter (Jigsaw, ParaDetox, HateXplain, Davidson et al.).
B: news comments, dialogue and forums (Civil Comments spans, DiaSafety, GoEmotions, Surge, CAT).

Continuations of language models are short, so both learn from pieces of at most 25 words too. A
piece of a comment without any mark is harmless. Which piece of a marked comment is at fault B reads
off the annotators' spans, and A guesses with a first fit. Sets whose licence is non-commercial,
without derivatives or unstated are left out, and so is RealToxicityPrompts, on which both are
measured.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from bezoar.stats.splits import is_reserved, text_key

PIECE = 25  # words


@dataclass(frozen=True, slots=True)
class PublicSet:
    """A set that was learnt from, for cards and NOTICE."""

    name: str
    file: str
    origin: str
    licence: str
    used: str


SETS_A = (
    PublicSet(
        "jigsaw_toxic",
        "jigsaw_toxic/train.parquet",
        "part of the Jigsaw Toxic Comment Classification Challenge train.csv",
        "labels CC0, text CC BY-SA 3.0",
        "comments, their pieces, six labels where given",
    ),
    PublicSet(
        "paradetox",
        "detox_pairs/pairs.parquet",
        "s-nlp/paradetox @ d97b17d0813539cf05c74f9cdb5e66372704ca57",
        "CC0 1.0 (repository licence file)",
        "toxic sentences and their rewrites; APPDIA rows of the same file are left out",
    ),
    PublicSet(
        "hatexplain",
        "hatexplain/data.parquet",
        "hate-alert/HateXplain, from ChrisIsKing/Rule-By-Example @ "
        "8064bfe848a91f076aed8954768317fc08b1dcbc",
        "MIT",
        "6,000 posts; hate speech is an identity attack",
    ),
    PublicSet(
        "davidson",
        "davidson/labeled_data.parquet",
        "t-davidson/hate-speech-and-offensive-language @ cb50f7e9eb855a99abc51423bf40df0e26d6fe30",
        "MIT",
        "5,000 tweets; hate is an identity attack",
    ),
)
SETS_B = (
    PublicSet(
        "civil_comments",
        "civil_toxic_spans/comments.parquet",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
        "pieces; toxic where two annotators marked a span, by kind of span",
    ),
    PublicSet(
        "civil_semeval",
        "civil_toxic_spans/semeval2021_task5.parquet",
        "ipavlopoulos/toxic_spans @ beaf170538df8275c3447b2e26070f2f82e55272",
        "CC0 1.0",
        "pieces; toxic where at least three marked characters lie",
    ),
    PublicSet(
        "diasafety",
        "diasafety/diasafety.parquet",
        "thu-coai/DiaSafety @ 5106a041b1c7e36f30e02a97c44897a7f2057278",
        "Apache-2.0",
        "offending responses, and contexts of 'toxicity agreement'",
    ),
    PublicSet(
        "surge_toxicity",
        "surge_toxicity/toxicity_en.parquet",
        "surge-ai/toxicity @ ea80324b95ed7e3cc787bdb6faeb763fcc0ae258",
        "MIT",
        "all",
    ),
    PublicSet(
        "goemotions",
        "goemotions/goemotions.parquet",
        "monologg/GoEmotions-pytorch @ b75f9d3a8b76bc1060687925b04ca98a1b8ea66b",
        "Apache-2.0",
        "4,000 comments without anger, annoyance or disgust, as harmless",
    ),
    PublicSet(
        "wiki_context_toxicity",
        "wiki_context_toxicity/cat_large.parquet",
        "ipavlopoulos/context_toxicity @ 5df49c294e6a41f0ba351e65fda7c315aa4cc168",
        "Apache-2.0, text CC BY-SA",
        "6,000 pieces of comments labelled not toxic",
    ),
)


@dataclass(slots=True)
class Rows:
    """Texts with partly known labels; what an attribute's dict lacks is unlabelled."""

    texts: list[str] = field(default_factory=list)
    labels: list[dict[str, int]] = field(default_factory=list)

    def add(self, text: str, **labels: int) -> None:
        if text and text.strip():
            self.texts.append(text)
            self.labels.append(labels)

    def extend(self, other: Rows) -> Rows:
        self.texts += other.texts
        self.labels += other.labels
        return self

    def column(self, attribute: str) -> np.ndarray:
        return np.array([row.get(attribute, np.nan) for row in self.labels], dtype=np.float64)

    def where(self, keep: np.ndarray) -> Rows:
        rows = np.flatnonzero(keep)
        return Rows([self.texts[i] for i in rows], [self.labels[i] for i in rows])

    def sample(self, n: int, seed: int = 0) -> Rows:
        keep = np.zeros(len(self.texts), dtype=bool)
        keep[np.random.default_rng(seed).permutation(len(keep))[:n]] = True
        return self.where(keep)


def read(root: Path, item: PublicSet) -> dict[str, list]:
    return pq.read_table(root / item.file).to_pydict()


def pieces(text: str) -> Iterator[tuple[int, int]]:
    """Bounds of the sentences of a text, cut after PIECE words."""
    for sentence in re.finditer(r"[^.!?\n]+[.!?\n]*", text):
        words = list(re.finditer(r"\S+", sentence.group()))
        for first in range(0, len(words), PIECE):
            part = words[first : first + PIECE]
            yield sentence.start() + part[0].start(), sentence.start() + part[-1].end()


NONE = {"profanity": 0, "insult": 0, "threat": 0, "identity_attack": 0}
HARMLESS = {"toxicity": 0, **NONE}


def jigsaw(root: Path) -> Rows:
    table, rows = read(root, SETS_A[0]), Rows()
    names = {"obscene": "profanity", "insult": "insult", "threat": "threat"}
    names |= {"identity_hate": "identity_attack", "severe_toxic": "severe_toxicity"}
    for i, text in enumerate(table["comment_text"]):
        if not is_reserved(text):
            known = {new: table[old][i] for old, new in names.items() if table[old][i] is not None}
            rows.add(text, toxicity=table["toxic"][i], **known)
    return rows


def paradetox(root: Path) -> Rows:
    """Lower-cased and tokenised upstream: the blanks before signs would give the class away."""
    table, rows, seen = read(root, SETS_A[1]), Rows(), set()
    for toxic, neutral, source in zip(
        table["toxic"], table["neutral"], table["source"], strict=True
    ):
        if source != "ParaDetox" or is_reserved(toxic) or is_reserved(neutral):
            continue
        if toxic not in seen:
            rows.add(re.sub(r" ([.,!?;:'])", r"\1", toxic), toxicity=1)
        rows.add(re.sub(r" ([.,!?;:'])", r"\1", neutral), toxicity=0)
        seen.add(toxic)
    return rows


def tweets(root: Path) -> Rows:
    hate, rows = read(root, SETS_A[2]), Rows()
    for text, label in zip(hate["text"], hate["label"], strict=True):
        if not is_reserved(text):
            known = {"normal": {"identity_attack": 0}, "hatespeech": {"identity_attack": 1}}
            rows.add(text, toxicity=int(label != "normal"), **known.get(label, {}))
    rows = rows.sample(6000)
    davidson, more = read(root, SETS_A[3]), Rows()
    for text, label in zip(davidson["tweet"], davidson["class"], strict=True):
        if not is_reserved(text):
            known = {0: {"identity_attack": 1}, 2: {"identity_attack": 0}}.get(label, {})
            more.add(html.unescape(text), toxicity=int(label != 2), **known)
    return rows.extend(more.sample(5000))


SPAN_KINDS = {
    "Insult": "insult",
    "Profane/Obscene": "profanity",
    "Identity based Attack": "identity_attack",
    "Threat": "threat",
}


def civil(root: Path) -> Rows:
    table, rows = read(root, SETS_B[0]), Rows()
    for text, spans in zip(table["comment_text"], table["spans"], strict=True):
        if is_reserved(text):
            continue
        marked = json.loads(spans)
        for start, end in pieces(text):
            kinds = [kind for first, last, kind in marked if first < end and last > start]
            if not kinds:
                rows.add(text[start:end], **HARMLESS)
            elif len(kinds) >= 2:  # a single mark is too little to believe
                known = {name: int(kind in kinds) for kind, name in SPAN_KINDS.items()}
                rows.add(text[start:end], toxicity=1, **known)
    return rows


def semeval(root: Path) -> Rows:
    table, rows = read(root, SETS_B[1]), Rows()
    for text, offsets in zip(table["text"], table["spans"], strict=True):
        marked = set(json.loads(offsets))
        if is_reserved(text) or not marked:
            continue
        for start, end in pieces(text):
            n = sum(start <= offset < end for offset in marked)
            rows.add(text[start:end], **({"toxicity": 1} if n > 2 else HARMLESS))
    return rows


def others(root: Path) -> Rows:
    """The smaller sets of B."""
    rows = Rows()
    dialogue = read(root, SETS_B[2])
    columns = (dialogue[name] for name in ("context", "response", "category", "label"))
    for context, response, category, label in dict.fromkeys(zip(*columns, strict=True)):
        if category == "Offending User" and not is_reserved(response):
            rows.add(response, toxicity=int(label == "Unsafe"))
        if category == "Toxicity Agreement" and not is_reserved(context):
            rows.add(context, toxicity=1)
    surge = read(root, SETS_B[3])
    for text, label in zip(surge["text"], surge["is_toxic"], strict=True):
        if not is_reserved(text):
            rows.add(text, toxicity=int(label == "Toxic"))
    emotions, calm = read(root, SETS_B[4]), Rows()
    for text, names in zip(emotions["text"], emotions["labels"], strict=True):
        if not is_reserved(text) and not {"anger", "annoyance", "disgust"} & set(names.split(";")):
            calm.add(text, **HARMLESS)
    wiki, talk = read(root, SETS_B[5]), Rows()
    for text, label in zip(wiki["text"], wiki["label"], strict=True):
        if not is_reserved(text) and not label:
            for start, end in pieces(text):
                talk.add(text[start:end], **HARMLESS)
    return rows.extend(calm.sample(4000)).extend(talk.sample(6000))


def unique(rows: Rows, without: frozenset[str] = frozenset()) -> Rows:
    """The first of equal texts, none whose key is in ``without``."""
    seen = set(without)
    keep = np.zeros(len(rows.texts), dtype=bool)
    for i, text in enumerate(rows.texts):
        key = text_key(text)
        keep[i] = key not in seen
        seen.add(key)
    return rows.where(keep)


def keys(rows: Rows) -> frozenset[str]:
    return frozenset(text_key(text) for text in rows.texts)
