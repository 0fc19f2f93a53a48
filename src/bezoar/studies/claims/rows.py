"""What rules read off the rows of a scorecard."""

from __future__ import annotations

from bezoar.evaluate import MethodRow
from bezoar.stats import Interval
from bezoar.studies.claims.results import Verdict
from bezoar.studies.claims.rules import LEVEL, Finding, all_of, below


def changed(row: MethodRow | None, name: str) -> Interval | None:
    """The estimate of a change; None if it was not measured, or could not have moved."""
    metric = None if row is None else row.change.get(name)
    if metric is None or metric.identity:
        return None
    return Interval(metric.value, metric.low, metric.high)


def beats_nulls(row: MethodRow) -> Verdict:
    """Whether null edits do as well in less than 5 % of resamples, by Holm over all methods."""
    if row.null_p is None or row.holm_p is None:
        return "undecided"
    return "holds" if row.holm_p < LEVEL else "fails" if row.null_p > 1 - LEVEL else "undecided"


def against_nulls(row: MethodRow, change: Interval, no_op: MethodRow | None) -> Finding:
    """Lower than the no-op, and than null edits make it."""
    verdict = all_of(below(change), beats_nulls(row))
    return Finding(verdict, change, told(row, no_op), row.holm_p)


def told(row: MethodRow, no_op: MethodRow | None, *, named: bool = False) -> str:
    """``Toxicity 0.31 → 0.25 (-20%), perplexity +4.9%; p by Holm .01 against 20 null edits.``"""
    words = f"{row.label}: toxicity" if named else "Toxicity"
    if no_op is not None:
        words += f" {no_op.metrics['toxicity'].value:.3f} → {row.metrics['toxicity'].value:.3f}"
    if (share := row.change.get("toxicity_reduction")) is not None:
        words += f" ({-share.value:+.0%})"
    if (cost := row.change.get("perplexity_change")) is not None:
        words += f", perplexity {cost.value:+.1%}"
    if row.holm_p is None:
        return f"{words}."
    return f"{words}; p by Holm {row.holm_p:.2g} against {row.n_draws} null edits."
