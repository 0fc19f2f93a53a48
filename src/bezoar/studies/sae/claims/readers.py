"""Claims on telling texts apart: latents against dense probes, and against what needs no model."""

from __future__ import annotations

from bezoar.evaluate.contest_results import Contest, ContestRow, Family
from bezoar.stats import Interval
from bezoar.studies.claims.results import number
from bezoar.studies.claims.rules import (
    HALF,
    Finding,
    above,
    all_of,
    claim,
    difference,
    not_measured,
    within,
)
from bezoar.studies.sae.claims.found import Found

MARGIN = 0.01
"""Of AUROC: readers that differ by less are as good as each other."""
FEW = 16
"""Latents that a person can still look at."""
NO_CONTEST = "No contest was held."
NOT_IN_SOURCE = "not in the source"


def _paired(found: Found, a: ContestRow, b: ContestRow) -> tuple[Interval, str]:
    """AUROC of a less that of b: paired if the contest has it so, else as if independent."""
    told = f"AUROC {number(a.auroc)} ({a.label}) against {number(b.auroc)} ({b.label})."
    pair = found.difference(a, b)
    if pair is None:
        return difference(a.auroc, b.auroc), f"{told} Not paired by text."
    return pair.interval, told


@claim(
    "latents-tell",
    "Latents of a sparse autoencoder tell the texts of the label from the rest.",
    "README (the classifier that was promised)",
    "AUROC of the best reader of latents, on texts that nothing was trained on",
)
def tell(found: Found) -> Finding:
    """Holds if the AUROC lies above one half, interval and all; fails if below."""
    row = found.best("sae")
    if row is None:
        return not_measured(NO_CONTEST)
    return Finding(above(row.auroc, HALF), row.auroc, f"{row.label}, {row.n_features} latents.")


@claim(
    "latents-beat-dense",
    "A classifier on latents is better than a linear probe on the activations they are made of.",
    "README (the comparison that was promised)",
    "AUROC of the best reader of latents less that of the best dense one, paired by text",
)
def beat_dense(found: Found) -> Finding:
    """Holds if the difference lies above zero, interval and all; fails if below. Both readers are
    chosen on training texts."""
    sae, dense = found.best("sae"), found.best("dense")
    if sae is None or dense is None:
        return not_measured(NO_CONTEST)
    value, why = _paired(found, sae, dense)
    return Finding(above(value), value, why)


@claim(
    "training-helps",
    "Training the dictionary is what helps: one of random directions tells less.",
    NOT_IN_SOURCE,
    "AUROC of the best reader of latents less that of the same of an untrained dictionary, paired",
)
def training_helps(found: Found) -> Finding:
    """Holds if the difference lies above zero, interval and all; fails if below. The untrained
    dictionary reads the same site with as many unit directions, drawn at random, of which as many
    are active on a token; both are pooled and read in the same way."""
    pair = None if found.contest is None else found.contest.training
    if pair is None or found.contest is None:
        return not_measured("No untrained dictionary took part.")
    a, b = (found.contest.row(label) for label in (pair.a, pair.b))
    value, why = _paired(found, a, b)
    dense = found.best("dense")
    beside = "" if dense is None else f" The best dense probe: {number(dense.auroc)}."
    return Finding(above(value), value, f"{why}{beside}")


@claim(
    "latents-as-good",
    "A classifier on latents does neither better nor worse than the dense probe.",
    NOT_IN_SOURCE,
    "AUROC of the best reader of latents less that of the best dense one, paired by text",
)
def as_good(found: Found) -> Finding:
    """Holds if the difference lies within ±.01, interval and all; fails if beyond on one side."""
    sae, dense = found.best("sae"), found.best("dense")
    if sae is None or dense is None:
        return not_measured(NO_CONTEST)
    value, why = _paired(found, sae, dense)
    return Finding(within(value, MARGIN), value, why)


def _beats_words(found: Found, family: Family) -> Finding:
    row, words = found.best(family), found.baseline("words")
    if row is None or words is None:
        return not_measured(NO_CONTEST)
    value, why = _paired(found, row, words)
    return Finding(above(value), value, why)


@claim(
    "latents-beat-words",
    "Latents read more than the words: they beat a bag of words.",
    NOT_IN_SOURCE,
    "AUROC of the best reader of latents less that of a bag of words, paired by text",
)
def latents_beat_words(found: Found) -> Finding:
    """Holds if the difference lies above zero, interval and all; fails if below."""
    return _beats_words(found, "sae")


@claim(
    "dense-beats-words",
    "The dense probe reads more than the words: it beats a bag of words.",
    NOT_IN_SOURCE,
    "AUROC of the best dense reader less that of a bag of words, paired by text",
)
def dense_beats_words(found: Found) -> Finding:
    """Holds if the difference lies above zero, interval and all; fails if below."""
    return _beats_words(found, "dense")


@claim(
    "few-latents",
    "A handful of latents that a person can look at does as well as the dense probe.",
    NOT_IN_SOURCE,
    f"AUROC of a probe on at most {FEW} latents less that of the best dense one, paired by text",
)
def few(found: Found) -> Finding:
    """Holds if the best probe on at most 16 latents, chosen on training texts, lies no more than
    .01 below the dense probe, interval and all; fails if it lies further below, interval and
    all."""
    dense = found.best("dense")
    rows = () if found.contest is None else found.contest.rows
    sparse = [row for row in rows if row.family == "sae" and 0 < len(row.features) <= FEW]
    if dense is None or not sparse:
        return not_measured("No k-sparse probe was fitted.")
    row = max(sparse, key=lambda row: row.cv_auroc)
    value, why = _paired(found, row, dense)
    return Finding(above(value, -MARGIN), value, why)


@claim(
    "sources-left-out",
    "The classifier has learnt the content and not the source: it reads sources it never saw.",
    NOT_IN_SOURCE,
    "least AUROC of the best reader of latents, over sources left out of training",
)
def sources(found: Found) -> Finding:
    """Holds if on each source that was left out of training the AUROC lies above one half, interval
    and all; fails if on one it lies below."""
    best = found.best("sae")
    if found.contest is None or best is None:
        return not_measured(NO_CONTEST)
    rows = found.contest.leave_one_out  # of k-sparse readers of latents too
    seen = [(row, row.left_out) for row in rows if row.reader == best.label and row.left_out]
    if not seen:
        return not_measured("There are not two sources with both classes.")
    worst = min((value for _, value in seen), key=lambda value: value.value)
    told = [
        f"{row.source} {number(value)}"
        + (f" (trained on all: {row.auroc.value:.3f})" if row.auroc else "")
        for row, value in seen
    ]
    return Finding(all_of(*(above(v, HALF) for _, v in seen)), worst, f"{'; '.join(told)}.")


@claim(
    "no-shortcut",
    "The label cannot be told from the length of a text.",
    NOT_IN_SOURCE,
    "AUROC of the length alone",
)
def shortcut(found: Found) -> Finding:
    """Holds if the AUROC lies within .05 of one half, interval and all; fails if it lies further
    away, interval and all."""
    length = found.baseline("length")
    if length is None:
        return not_measured(NO_CONTEST)
    source = found.baseline("source")
    why = "" if source is None else f"The source alone: AUROC {number(source.auroc)}."
    off = Interval(*(bound - HALF for bound in (length.auroc.value, *_bounds(length.auroc))))
    return Finding(within(off, 0.05), length.auroc, why)


def _bounds(value: Interval) -> tuple[float, float]:
    return value.low, value.high


@claim(
    "harmful-from-harmless",
    "Latents tell harmful prompts from harmless ones, and not only from those in another style.",
    "README (the purpose)",
    "least AUROC of the best reader of latents, over sets of harmless texts",
)
def harmful(found: Found) -> Finding:
    """Holds if for each set of harmless texts the AUROC lies above one half, interval and all;
    fails if for one it lies below."""
    seen = [(contest, row) for contest in found.harmless if (row := contest.best("sae"))]
    if not seen:
        return not_measured("No harmless texts were given.")
    worst = min((row.auroc for _, row in seen), key=lambda value: value.value)
    told = "; ".join(f"{_beside(contest, row)}" for contest, row in seen)
    return Finding(all_of(*(above(row.auroc, HALF) for _, row in seen)), worst, f"{told}.")


def _beside(contest: Contest, row: ContestRow) -> str:
    words = [r for r in contest.rows if r.family == "baseline" and r.kind == "words"]
    beside = f", words {words[0].auroc.value:.3f}" if words else ""
    return f"{contest.task}: {number(row.auroc)}{beside}"


CLAIMS = (
    tell,
    beat_dense,
    training_helps,
    as_good,
    latents_beat_words,
    dense_beats_words,
    few,
    sources,
    shortcut,
    harmful,
)
