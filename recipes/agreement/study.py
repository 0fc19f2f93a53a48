"""Score every set with every scorer, and count: what ``numbers.json`` holds."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from recipes.agreement import measures, sets
from recipes.agreement.scorers import Scored, Scorers, about, load, scored, speed

from bezoar.stats import Interval, auroc, auroc_interval, paired_auroc_difference

THRESHOLDS = tuple(round(0.1 * k, 1) for k in range(1, 10))
FEWEST = 5  # texts of either class, for an AUROC to be given

Numbers = dict[str, Any]
Opinions = dict[str, Scored]


def run(root: Path, specs: Sequence[str]) -> Numbers:
    """All numbers of the page, plain and rounded.

    Raises:
        DataError: if a set is absent or not the file that was recorded.
        ScorerError: if a scorer cannot be loaded or fails.
    """
    scorers = load(specs)
    wiki, left_out = sets.perspective_comments(root)
    judged = {"rtp": sets.continuations(root), "wiki": wiki, "jigsaw": sets.jigsaw(root)}
    opinions = {name: scored(scorers, texts.texts) for name, texts in judged.items()}
    names = [*sets.NEVER_TRAINED, "jigsaw", "wiki_context_toxicity", *sets.NEUTRAL]
    found = {
        "scorers": [about(name, scorer) for name, scorer in scorers.items()],
        "sets": [dataclasses.asdict(sets.SOURCE[name]) for name in names],
        "left_out": left_out,
        "resamples": measures.RESAMPLES,
        "perspective": {k: perspective(judged[k], opinions[k]) for k in ("rtp", "wiki")},
        "attributes": {k: attributes(judged[k], opinions[k]) for k in ("rtp", "jigsaw")},
        "calibration": {k: calibration(judged[k], opinions[k]) for k in ("jigsaw", "rtp")},
        "agreement": {k: agreement(opinions[k]) for k in judged},
        "neutral": [
            false_alarms(name, scored(scorers, texts)) for name, texts in sets.neutral(root).items()
        ],
        "context": context(scorers, *sets.comments_in_context(root)),
        "identity": identity(scorers, sets.templates(root)),
        "hatecheck": functional(scorers, sets.hatecheck(root)),
        "speed": speed(scorers, {k: judged[k].texts for k in ("rtp", "jigsaw")}),
    }
    return plain(found)


def perspective(texts: sets.Judged, opinions: Opinions) -> Numbers:
    """Agreement with Perspective's toxicity: AUROC by threshold, Spearman, and κ at 0.5."""
    score = texts.judgement["toxicity"]
    positive = {t: int((score >= t).sum()) for t in THRESHOLDS}
    kept = [t for t, n in positive.items() if FEWEST <= n <= len(score) - FEWEST]
    return {
        "n": len(score),
        "positive": {str(t): positive[t] for t in kept},
        "scorers": {
            name: {
                "auroc": {str(t): auroc_interval(own.toxicity, score >= t) for t in kept},
                "spearman": measures.spearman(own.toxicity, score),
                "kappa": measures.kappa(own.called, score >= 0.5),
            }
            for name, own in opinions.items()
        },
    }


def attributes(texts: sets.Judged, opinions: Opinions) -> list[Numbers]:
    """AUROC of each attribute against its own judgement ≥ 0.5, on the texts that have one."""
    rows = []
    for attribute, judgement in texts.judgement.items():
        known = np.isfinite(judgement)
        labels = judgement[known] >= 0.5
        enough = FEWEST <= labels.sum() <= len(labels) - FEWEST
        rows.append(
            {
                "attribute": attribute,
                "n": len(labels),
                "positive": int(labels.sum()),
                "scorers": {
                    name: auroc_interval(own.scores[attribute][known], labels)
                    for name, own in opinions.items()
                    if enough and attribute in own.scores
                },
            }
        )
    return rows


def calibration(texts: sets.Judged, opinions: Opinions) -> Numbers:
    labels = texts.judgement["toxicity"] >= 0.5
    return {name: measures.calibration(own.toxicity, labels) for name, own in opinions.items()}


def agreement(opinions: Opinions) -> list[Numbers]:
    """Every pair of scorers: Spearman, κ of their verdicts, where their scores lie."""
    return [
        {
            "pair": [a, b],
            "n": len(x.called),
            "spearman": measures.spearman(x.toxicity, y.toxicity),
            "kappa": measures.kappa(x.called, y.called),
            "called": [measures.share(v) for v in (x.called, y.called, x.called & y.called)],
            "density": measures.density(x.toxicity, y.toxicity),
        }
        for (a, x), (b, y) in combinations(opinions.items(), 2)
    ]


def false_alarms(source: str, opinions: Opinions) -> Numbers:
    """Shares of one source's harmless texts that each scorer calls toxic, and that all do."""
    every = np.all([own.called for own in opinions.values()], axis=0)
    return {
        "source": source,
        "n": len(every),
        "scorers": {name: measures.share(own.called) for name, own in opinions.items()},
        "all": measures.share(every),
    }


def context(scorers: Scorers, rows: sets.Comments, labelled: dict[str, list[int]]) -> Numbers:
    """CAT by what annotators saw; and the same comments scored with their parent before them."""
    alone = scored(scorers, rows.texts)
    pairs = zip(rows.parents, rows.texts, strict=True)
    after = scored(scorers, [f"{parent}\n{text}".strip() for parent, text in pairs])
    seen = rows.in_context & np.array([bool(parent.strip()) for parent in rows.parents])
    kinds = {
        "without": (~rows.in_context, alone),
        "with": (seen, alone),
        "scored with": (seen, after),
    }
    return {
        "labelled": {
            name: {"toxic": toxic, "n": n, "share": measures.share(np.arange(n) < toxic)}
            for name, (toxic, n) in labelled.items()
        },
        "rows": {
            kind: {
                "harmless": int((kept & ~rows.toxic).sum()),
                "toxic": int((kept & rows.toxic).sum()),
                "scorers": {
                    name: {
                        "false_alarms": measures.share(own.called[kept & ~rows.toxic]),
                        "found": measures.share(own.called[kept & rows.toxic]),
                        "auroc": auroc_interval(own.toxicity[kept], rows.toxic[kept]),
                    }
                    for name, own in opinions.items()
                },
            }
            for kind, (kept, opinions) in kinds.items()
        },
        "gain": {
            name: paired_auroc_difference(
                after[name].toxicity[seen], alone[name].toxicity[seen], rows.toxic[seen]
            )
            for name in scorers
        },
    }


def identity(scorers: Scorers, rows: sets.Templates) -> Numbers:
    """Per identity term the false positive rate and Borkan et al.'s AUROCs, and their means."""
    opinions = scored(scorers, rows.texts)
    terms = np.asarray(rows.terms)
    found: Numbers = {}
    for term in sorted(set(rows.terms) - {""}):
        member = terms == term
        found[term] = {
            name: {
                "false_positives": measures.share(own.called[member & ~rows.toxic]),
                **measures.bias_aurocs(own.toxicity, rows.toxic, member, rows.words),
            }
            for name, own in opinions.items()
        }
    summary = {}
    for name, own in opinions.items():
        rates = [entry[name]["false_positives"].value for entry in found.values()]
        summary[name] = {
            "auroc": auroc(own.toxicity, rows.toxic),
            "lowest_rate": min(rates),
            "median_rate": statistics.median(rates),
            "highest_rate": max(rates),
        } | {
            metric: measures.power_mean([entry[name][metric].value for entry in found.values()])
            for metric in ("subgroup", "bpsn", "bnsp")
        }
    return {"n": len(terms), "terms": found, "summary": summary}


def functional(scorers: Scorers, cases: sets.Cases) -> list[Numbers]:
    """Share of HateCheck's cases of each functionality that are called rightly."""
    opinions = scored(scorers, cases.texts)
    tests = np.asarray(cases.tests)
    return [
        {
            "test": test,
            "n": int((tests == test).sum()),
            "hateful": bool(cases.hateful[tests == test][0]),
            "scorers": {
                name: measures.share((own.called == cases.hateful)[tests == test])
                for name, own in opinions.items()
            },
        }
        for test in dict.fromkeys(cases.tests)
    ]


def plain(value: Any) -> Any:
    """Only what JSON knows; numbers to six significant figures."""
    if isinstance(value, Interval):
        return {key: plain(part) for key, part in dataclasses.asdict(value).items()}
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
