"""Train, calibrate and measure the two demo scorers, and write their cards.

    python recipes/demo/train_scorers.py --data-root DATA --out demo/src/bezoar_demo/scorers

A tenth of the training texts, by hash, is kept for calibration; the reserve is only measured on.
Settings were chosen on OLID, CAD, ETHOS and the Unhealthy Comments Corpus, which neither learns
from, and never on the sets of the cards. One core, about four minutes.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import scorer_network
import scorer_ngrams
from scorer_card import write_card
from scorer_data import (
    HARMLESS,
    NONE,
    Rows,
    civil,
    jigsaw,
    keys,
    left_over,
    others,
    paradetox,
    pieces,
    semeval,
    talk,
    tweets,
    unique,
)
from scorer_identities import sentences
from scorer_measure import measure
from scorer_sets import SETS_A, SETS_B
from text import SOURCES, training_rows

from bezoar.scoring import LinearScorer
from bezoar.scoring.linear import Ngrams
from bezoar.stats.splits import unit_hash

NGRAMS_A = (Ngrams("char_wb", 3, 5, bits=18),)
ATTRIBUTES_A = ("toxicity", "profanity", "insult", "threat", "identity_attack")
ATTRIBUTES_B = ("toxicity", "profanity", "insult", "threat", "identity_attack")
FALSE_ALARMS = 0.05
NEUTRAL_PIECES = 6000  # of each kind
UNREAD = 300_000  # unlabelled pieces that A has an opinion of


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


def about_people(half: int) -> Rows:
    rows = Rows()
    for text in sentences(half):
        rows.add(text, **HARMLESS)
    return rows


def rows_a(root: Path) -> Rows:
    comments = unique(jigsaw(root))
    short = paradetox(root).extend(left_over(root)).extend(about_people(0))
    rows = Rows().extend(comments).extend(short).extend(harmless_pieces(comments, 25_000))
    first = scorer_ngrams.fit(unique(rows), ("toxicity",), NGRAMS_A)
    return unique(rows.extend(guessed_pieces(comments, first)).extend(talk(root)))


def rows_b(root: Path, a: Rows) -> Rows:
    rows = civil(root).extend(semeval(root)).extend(others(root)).extend(tweets(root))
    return unique(rows.extend(about_people(1)), without=keys(a))


def neutral_pieces(root: Path, known: frozenset[str]) -> dict[str, list[str]]:
    """Pieces of Reddit posts and Wikipedia, not reserved and not learnt from, for thresholds."""
    kinds = {}
    for source in SOURCES:
        if source.name in ("reddit_selfposts", "wikitext2"):
            part = Rows()
            for text, _ in training_rows(source, root)[-20_000:]:
                for start, end in pieces(text):
                    part.add(text[start:end], **NONE)
            kinds[source.name] = unique(part.sample(NEUTRAL_PIECES), without=known).texts
    return kinds


def opinions(fitted: Rows, unread: list[str]) -> Rows:
    """Pieces of unlabelled text, labelled by the mean of two fits to A's own rows.

    The n-grams of a few ten thousand comments hold few of the words that insult. A network that
    has seen words in company knows more of them, and hands that on.
    """
    vectors = scorer_network.word_vectors(unread, fitted)
    teachers = (
        scorer_network.fit(fitted, ("toxicity",), vectors),
        scorer_ngrams.fit(fitted, ("toxicity",), NGRAMS_A),
    )
    part = Rows()
    for text in unread:
        for start, end in pieces(text):
            part.add(text[start:end])
    part = part.sample(UNREAD)
    mean = np.mean([teacher.score(part.texts)["toxicity"] for teacher in teachers], axis=0)
    out = Rows()
    # Harmless pieces are many and alike: as many of them as of the others will do.
    doubtful, harmless = np.flatnonzero(mean > 0.1), np.flatnonzero(mean <= 0.1)
    for row in (*doubtful, *harmless[: len(doubtful)]):
        out.add(part.texts[row], toxicity=float(mean[row]))
    return out


def held_out(rows: Rows) -> np.ndarray:
    return np.array([unit_hash(text, "bezoar-calibration-1") < 0.1 for text in rows.texts])


def finish(scorer, tenth: Rows, neutral: dict[str, list[str]]):
    """Calibrate on the tenth that was not fitted; the strictest threshold of neutral texts."""
    labels = {name: tenth.column(name) for name in scorer.attributes}
    certain = {name: np.where((y == 0) | (y == 1), y, np.nan) for name, y in labels.items()}
    enough = {name: y for name, y in certain.items() if np.nansum(y) >= 20}
    scorer = scorer.calibrated(tenth.texts, enough)
    strictest = [scorer.at_false_alarms(texts, FALSE_ALARMS) for texts in neutral.values()]
    scorer = max(strictest, key=lambda at: at.threshold)
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
    print(f"A {len(a.texts):,} rows, B {len(b.texts):,} rows, {len(neutral)} kinds of neutral text")
    scorers, counts = {}, {}
    for name, rows, sets in (("a", a, SETS_A), ("b", b, SETS_B)):
        held = held_out(rows)
        fitted = rows.where(~held)
        if name == "a":
            lineage = "Wikipedia talk and rewritten sentences; letter n-grams, linear"
            unread = scorer_network.unlabelled(args.data_root, 0)
            more = unique(opinions(fitted, unread), without=keys(a) | keys(b))
            enlarged = Rows().extend(fitted).extend(more)
            scorer = scorer_ngrams.fit(
                enlarged, ATTRIBUTES_A, NGRAMS_A, name="demo-a", lineage=lineage
            )
        else:
            lineage = "news comments, dialogue and Twitter; word vectors, convolution"
            unread = scorer_network.unlabelled(args.data_root, 1)
            vectors = scorer_network.word_vectors(unread, fitted)
            scorer = scorer_network.fit(
                fitted, ATTRIBUTES_B, vectors, name="demo-b", lineage=lineage
            )
        scorer = finish(scorer, rows.where(held), neutral)
        counts[name] = {
            attribute: [
                int((rows.column(attribute) < 0.5).sum()),
                int((rows.column(attribute) >= 0.5).sum()),
            ]
            for attribute in scorer.attributes
        }
        provenance = scorer.provenance | {
            "rows": counts[name],
            "sets": [[item.name, item.origin, item.licence] for item in sets],
            "false_alarm_rate": FALSE_ALARMS,
            "unlabelled": len(more.texts) if name == "a" else len(unread),
        }
        scorers[name] = dataclasses.replace(scorer, provenance=provenance)
        scorers[name].save(args.out / name)
        print(f"{name}: threshold {scorer.threshold:.3f}, {time.process_time() - began:.0f} s")
    tables = measure(args.data_root, scorers, {"a": keys(a), "b": keys(b)})
    for name, sets in (("a", SETS_A), ("b", SETS_B)):
        write_card(args.out / name, scorers[name], sets, counts[name], tables)
    print(f"{time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
