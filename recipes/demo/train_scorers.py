"""Train, calibrate and measure the two demo scorers, and write their cards.

    python recipes/demo/train_scorers.py --data-root DATA --out demo/src/bezoar_demo/scorers

A tenth of the training texts, by hash, is kept for calibration; the reserve is only measured on.
One core, about three minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
from scorer_card import write_card
from scorer_data import (
    HARMLESS,
    NONE,
    SETS_A,
    SETS_B,
    Rows,
    civil,
    jigsaw,
    keys,
    others,
    paradetox,
    pieces,
    semeval,
    tweets,
    unique,
)
from scorer_measure import measure
from text import SOURCES, training_rows

from bezoar.scoring.linear import LinearScorer, Ngrams
from bezoar.stats.splits import unit_hash

NGRAMS_A = (Ngrams("word", 1, 2, bits=16), Ngrams("char_wb", 3, 5, bits=17))
NGRAMS_B = (Ngrams("char_wb", 2, 5, bits=18),)
ATTRIBUTES_A = ("toxicity", "severe_toxicity", "profanity", "insult", "threat", "identity_attack")
ATTRIBUTES_B = ("toxicity", "profanity", "insult", "threat", "identity_attack")
C = 5.0
FALSE_ALARMS = 0.05
NEUTRAL_PIECES = 6000


def harmless_pieces(comments: Rows, n: int) -> Rows:
    """Pieces of comments that are not toxic."""
    out = Rows()
    for text, labels in zip(comments.texts, comments.labels, strict=True):
        if labels["toxicity"] == 0:
            for start, end in pieces(text):
                out.add(text[start:end], **HARMLESS)
    return out.sample(n)


def guessed_pieces(comments: Rows, first: LinearScorer) -> Rows:
    """Of a toxic comment the piece scored highest is taken as toxic, those scored < 0.05 as not."""
    out = Rows()
    for text, labels in zip(comments.texts, comments.labels, strict=True):
        parts = [text[start:end] for start, end in pieces(text)]
        if labels["toxicity"] == 0 or len(parts) < 2:
            continue
        scores = first.score(parts)["toxicity"]
        out.add(parts[int(scores.argmax())], toxicity=1)
        for part, score in zip(parts, scores, strict=True):
            if score < 0.05:
                out.add(part, **HARMLESS)
    return out


def fit(rows: Rows, attributes: tuple[str, ...], **options) -> LinearScorer:
    labels = {attribute: rows.column(attribute) for attribute in attributes}
    return LinearScorer.fit(rows.texts, labels, C=C, **options)


def rows_a(root: Path) -> Rows:
    comments = unique(jigsaw(root))
    rows = Rows().extend(comments).extend(paradetox(root)).extend(harmless_pieces(comments, 25_000))
    first = fit(unique(rows), ("toxicity",), ngrams=NGRAMS_A)
    return unique(rows.extend(guessed_pieces(comments, first)).extend(tweets(root)))


def rows_b(root: Path, a: Rows) -> Rows:
    return unique(civil(root).extend(semeval(root)).extend(others(root)), without=keys(a))


def neutral_pieces(root: Path, known: frozenset[str]) -> list[str]:
    """Pieces of Reddit posts and Wikipedia, not reserved and not learnt from, for thresholds."""
    rows = Rows()
    for source in SOURCES:
        if source.name in ("reddit_selfposts", "wikitext2"):
            part = Rows()
            for text, _ in training_rows(source, root)[:20_000]:
                for start, end in pieces(text):
                    part.add(text[start:end], **NONE)
            rows.extend(part.sample(NEUTRAL_PIECES // 2))
    return unique(rows, without=known).texts


def train(rows: Rows, attributes: tuple[str, ...], ngrams, neutral: list[str], **names):
    """Fit on nine tenths, calibrate on the tenth, set the threshold on neutral text."""
    held = np.array([unit_hash(text, "bezoar-calibration-1") < 0.1 for text in rows.texts])
    scorer = fit(rows.where(~held), attributes, ngrams=ngrams, **names)
    tenth = rows.where(held)
    labels = {name: tenth.column(name) for name in attributes}
    enough = {name: column for name, column in labels.items() if np.nansum(column) >= 20}
    scorer = scorer.calibrated(tenth.texts, enough)
    scorer = scorer.at_false_alarms(neutral, FALSE_ALARMS)
    return dataclasses.replace(scorer, provenance={"calibrated": sorted(enough)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    began = time.process_time()
    a = rows_a(args.data_root)
    b = rows_b(args.data_root, a)
    if keys(a) & keys(b):
        raise SystemExit("The scorers share training rows.")
    neutral = neutral_pieces(args.data_root, keys(a) | keys(b))
    print(f"A {len(a.texts):,} rows, B {len(b.texts):,} rows, {len(neutral):,} neutral pieces")
    scorers, counts = {}, {}
    plan = {
        "a": (a, ATTRIBUTES_A, NGRAMS_A, SETS_A, "Wikipedia talk and Twitter; words + characters"),
        "b": (b, ATTRIBUTES_B, NGRAMS_B, SETS_B, "news comments and dialogue; characters"),
    }
    for name, (rows, attributes, ngrams, sets, lineage) in plan.items():
        scorer = train(rows, attributes, ngrams, neutral, name=f"demo-{name}", lineage=lineage)
        counts[name] = {
            attribute: [int((rows.column(attribute) == label).sum()) for label in (0, 1)]
            for attribute in attributes
        }
        provenance = scorer.provenance | {
            "rows": counts[name],
            "sets": [[item.name, item.origin, item.licence] for item in sets],
            "false_alarm_rate": FALSE_ALARMS,
            "penalty_C": C,
        }
        scorers[name] = dataclasses.replace(scorer, provenance=provenance)
        scorers[name].save(args.out / name)
        print(f"{name}: threshold {scorer.threshold:.3f}, {time.process_time() - began:.0f} s")
    tables = measure(args.data_root, scorers, {"a": keys(a), "b": keys(b)})
    for name, (*_, sets, _) in plan.items():
        write_card(args.out / name, scorers[name], sets, counts[name], tables)
    print(f"{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
