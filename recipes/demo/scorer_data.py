"""What the demo scorers learn from: public sets of two lineages, the reserve never among them.

A: Wikipedia talk pages and sentences with their rewrites (Jigsaw, CAT with the scores of
Perspective that it was published with, ParaDetox).
B: news comments, dialogue, forums and Twitter (Civil Comments spans, DiaSafety, GoEmotions, Surge,
HateXplain, Davidson et al.).

Continuations of language models are short, so both learn from pieces of at most 25 words too. A
piece of a comment without any mark is harmless. Which piece of a marked comment is at fault B reads
off the annotators' spans, and A guesses with a first fit. A label is a number from 0 to 1. Sets
whose licence is non-commercial, without derivatives or unstated are left out, and so is
RealToxicityPrompts, on which both are measured.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scorer_sets import SETS_A, SETS_B, read

from bezoar.stats.splits import is_reserved, text_key

PIECE = 25  # words


@dataclass(slots=True)
class Rows:
    """Texts with partly known labels; what an attribute's dict lacks is unlabelled."""

    texts: list[str] = field(default_factory=list)
    labels: list[dict[str, float]] = field(default_factory=list)

    def add(self, text: str, **labels: float) -> None:
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


def left_over(root: Path) -> Rows:
    table, rows = read(root, SETS_A[2]), Rows()
    columns = zip(table["INPUT:toxic_comment"], table["OUTPUT:reasons"], strict=True)
    for text, reasons in columns:
        toxic, clean = "toxic_content" in reasons, "not_toxic" in reasons
        if toxic != clean and not is_reserved(text):
            rows.add(re.sub(r" ([.,!?;:'])", r"\1", text), toxicity=int(toxic))
    return rows


def talk(root: Path) -> Rows:
    """Wikipedia comments with the toxicity that Perspective gave them."""
    table, rows = read(root, SETS_A[3]), Rows()
    for text, score in zip(table["text"], table["api"], strict=True):
        if text and not is_reserved(text):
            rows.add(text, toxicity=float(score))
    return rows


def tweets(root: Path) -> Rows:
    hate, rows = read(root, SETS_B[5]), Rows()
    for text, label in zip(hate["text"], hate["label"], strict=True):
        if not is_reserved(text):
            known = {"normal": {"identity_attack": 0}, "hatespeech": {"identity_attack": 1}}
            rows.add(text, toxicity=int(label != "normal"), **known.get(label, {}))
    davidson = read(root, SETS_B[6])
    for text, label in zip(davidson["tweet"], davidson["class"], strict=True):
        if not is_reserved(text):
            known = {0: {"identity_attack": 1}, 2: {"identity_attack": 0}}.get(label, {})
            rows.add(html.unescape(text), toxicity=int(label != 2), **known)
    return rows


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
    return rows.extend(calm.sample(8000))


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
