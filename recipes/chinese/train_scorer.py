"""Train, calibrate and measure a scorer of Chinese: signs and pairs of signs, linear.

    python -m recipes.chinese.train_scorer --data-root DATA --out SCORER --also toxicn:toxicn

Learns from the train part of COLD less the reserve (the fifth of all texts that a run with
``--reserved-only`` keeps to), is calibrated on the select part, and measured once: on the test
part, whose labels are by hand, on the reserve of the train part, whose labels are not, and on the
sets named by ``--also``. Less than a minute on one core.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from bezoar.corpus import Corpus, clean, load_corpus
from bezoar.scoring import LinearScorer
from bezoar.scoring.linear import Ngrams
from bezoar.stats import auroc_interval, is_reserved, near_duplicates

NGRAMS = (Ngrams("char", 1, 3, bits=18),)
FALSE_ALARMS = 0.1
"""Share of inoffensive select texts that may be called toxic."""


def parts(corpus: Corpus) -> dict[str, Corpus]:
    """What is learnt from, calibrated on, and reported on; no text nearly repeats a later one's."""
    split = np.array(corpus.split or ())
    reserved = np.fromiter(map(is_reserved, corpus.texts), dtype=bool)
    found = {
        "test": corpus.take(split == "report"),
        "reserve": corpus.take((split == "train") & reserved),
        "select": corpus.take((split == "select") & ~reserved),
        "train": corpus.take((split == "train") & ~reserved),
    }
    held = [*found["test"].texts, *found["reserve"].texts]
    for name in ("select", "train"):
        keep = np.ones(len(found[name]), dtype=bool)
        keep[list(near_duplicates(list(found[name].texts), held, 0.7).a)] = False
        found[name] = found[name].take(keep)
        held += found[name].texts
    return found


def fit(train: Corpus, select: Corpus) -> LinearScorer:
    """The scorer, its probabilities and its threshold set on texts that it has not learnt from."""
    labels = {"toxicity": train.labels.astype(np.float64)}
    scorer = LinearScorer.fit(
        train.texts,
        labels,
        ngrams=NGRAMS,
        naive_bayes=True,
        name="chinese",
        lineage="posts of Zhihu and Weibo (COLD); signs, linear",
    )
    scorer = scorer.calibrated(select.texts, {"toxicity": select.labels.astype(np.float64)})
    quiet = [t for t, label in zip(select.texts, select.labels, strict=True) if not label]
    scorer = scorer.at_false_alarms(quiet, FALSE_ALARMS)
    learnt = {"train": len(train), "select": len(select), "origin": train.origin.spec}
    return dataclasses.replace(scorer, provenance=learnt)


def measured(scorer: LinearScorer, corpus: Corpus) -> str:
    """AUROC with its interval, and what the threshold does."""
    scores = scorer.score(corpus.texts)["toxicity"]
    flagged, labels = scores >= scorer.threshold, corpus.labels.astype(bool)
    return (
        f"{len(corpus):,} texts, AUROC {auroc_interval(scores, labels)}, found "
        f"{flagged[labels].mean():.1%}, false alarms {flagged[~labels].mean():.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--data", default="cold:cold_zh")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--also", action="append", default=[], help="further sets, measured on")
    args = parser.parse_args()
    corpus, _ = clean(load_corpus(args.data, data_root=args.data_root))
    found = parts(corpus)
    scorer = fit(found["train"], found["select"])
    scorer.save(args.out)
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f"learnt from {len(found['train']):,} texts; {size / 2**20:.2f} MiB; {scorer.hash}")
    for name in ("test", "reserve"):
        print(f"{name}: {measured(scorer, found[name])}")
    for spec in args.also:
        further, _ = clean(load_corpus(spec, data_root=args.data_root))
        print(f"{spec}: {measured(scorer, further)}")


if __name__ == "__main__":
    main()
