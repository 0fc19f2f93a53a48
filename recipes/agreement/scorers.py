"""The scorers under test: loading, what they say of themselves, their verdicts, their speed."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from recipes.agreement.sets import NEVER_TRAINED

from bezoar.scoring import Scorer, load_scorer, score_texts, scorer_id
from bezoar.stats import Interval

ROUNDS = 5
TIMED = {"rtp": 4000, "jigsaw": 1000}  # texts

Scorers = dict[str, Scorer]


@dataclass(frozen=True, slots=True)
class Scored:
    """One scorer's scores of some texts by attribute, and its verdicts at its own threshold."""

    scores: dict[str, np.ndarray]
    called: np.ndarray

    @property
    def toxicity(self) -> np.ndarray:
        return self.scores["toxicity"]


def load(specs: Sequence[str]) -> Scorers:
    """The scorers by name; where two share one, by name and hash."""
    found = [load_scorer(spec) for spec in specs]
    names = [scorer.name for scorer in found]
    return {
        scorer.name if names.count(scorer.name) == 1 else scorer_id(scorer): scorer
        for scorer in found
    }


def scored(scorers: Scorers, texts: Sequence[str]) -> dict[str, Scored]:
    """Every scorer's opinion of the texts, by its name."""
    found = {}
    for name, scorer in scorers.items():
        scores = score_texts(scorer, texts)
        found[name] = Scored(scores, scores["toxicity"] >= scorer.threshold)
    return found


def about(name: str, scorer: Scorer) -> dict[str, Any]:
    """What a scorer says of itself, and of having learnt from a set that is read whole."""
    provenance = getattr(scorer, "provenance", {})
    learnt = [item[0] for item in provenance.get("sets", [])]
    return {
        "name": name,
        "hash": scorer.hash,
        "lineage": scorer.lineage,
        "threshold": scorer.threshold,
        "false_alarm_rate": provenance.get("false_alarm_rate"),
        "attributes": list(scorer.attributes),
        "learnt_from": learnt,
        "trespasses": sorted(set(learnt) & set(NEVER_TRAINED)),
    }


def speed(scorers: Scorers, by_set: dict[str, list[str]]) -> dict[str, Any]:
    """Texts a second of this process's CPU time, the scorers taking turns: median, least, most."""
    rates = {kind: {name: [] for name in scorers} for kind in by_set}
    for kind, texts in by_set.items():
        sample = texts[: TIMED[kind]]
        for _ in range(ROUNDS):
            for name, scorer in scorers.items():
                began = time.process_time()
                scorer.score(sample)
                rates[kind][name].append(len(sample) / (time.process_time() - began))
    return {
        "processor": processor(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "rounds": ROUNDS,
        "letters": {
            kind: statistics.fmean(map(len, texts[: TIMED[kind]])) for kind, texts in by_set.items()
        },
        "texts": {
            kind: {
                name: Interval(statistics.median(r), min(r), max(r)) for name, r in found.items()
            }
            for kind, found in rates.items()
        },
    }


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((s.split(":", 1)[1].strip() for s in lines if s.startswith("model name")), "")
