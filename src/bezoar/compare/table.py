"""A comparison in eighty columns: what differs first, and what did not differ counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from bezoar.compare.runs import Comparison, Difference

HEADLINE = ("toxicity", "perplexity")
"""Metrics that are shown of every variant, whether they differ or not."""

_SHOWN_OPTIONS = 8


def summary(comparison: Comparison) -> str:
    """The comparison in one sentence."""
    rows = comparison.rows
    differ = [row for row in rows if row.excludes_zero]
    if not rows:
        return "Nothing was measured in both runs."
    if not differ:
        return f"No difference: of {_counted(rows)}, every 95 % interval includes 0."
    better = sum(row.better is True for row in differ)
    worse = sum(row.better is False for row in differ)
    return f"{len(differ)} of {_counted(rows)} differ: B is better in {better}, worse in {worse}."


def comparison_table(comparison: Comparison, *, everything: bool = False) -> RenderableType:
    """The summary, the rows that matter by variant, and the options that differ.

    Args:
        comparison: of two runs.
        everything: also the rows whose interval includes 0.
    """
    rows = [r for r in comparison.rows if everything or r.excludes_zero or r.metric in HEADLINE]
    parts: list[RenderableType] = [
        Text(f"A  {comparison.run_a}\nB  {comparison.run_b}\n{comparison.protocol}"),
        Text(summary(comparison), style="bold"),
    ]
    if rows:
        parts.append(_rows(rows))
    return Group(*parts, *(Text(line, style="dim") for line in _notes(comparison, len(rows))))


def _rows(rows: Sequence[Difference]) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    table.add_column("")
    for name in ("A", "B", "B − A", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for variant, group in groupby(rows, key=lambda row: row.variant):
        table.add_row(Text(variant, style="bold"))
        for row in group:
            better = {True: "better", False: "worse", None: ""}[row.better]
            table.add_row(
                f"  {row.metric}",
                f"{row.a:.4g}",
                f"{row.b:.4g}",
                f"{row.value:+.3g}",
                f"[{row.low:+.3g}, {row.high:+.3g}]",
                better + ("" if row.paired else "~"),
                style="" if row.excludes_zero else "dim",
            )
    return table


def _notes(comparison: Comparison, shown: int) -> Iterator[str]:
    if comparison.other_prompts:
        paired = sorted({row.n for row in comparison.rows if row.paired})
        shared = f"{paired[0]} shared ones are paired" if paired else "none is shared"
        yield f"The runs drew other prompts of one set: {shared}."
    if any(not row.paired for row in comparison.rows):
        yield "~ not paired: both intervals joined as independent, which is wider."
    hidden = len(comparison.rows) - shown
    if hidden:
        yield f"{hidden} more without a difference: --all shows them."
    for letter, only in (("A", comparison.only_a), ("B", comparison.only_b)):
        if only:
            yield f"Only in {letter}: {', '.join(only)}."
    if comparison.options:
        yield "Options that differ (A → B):"
    for key, a, b in comparison.options[:_SHOWN_OPTIONS]:
        yield f"  {key}: {a} → {b}"
    if len(comparison.options) > _SHOWN_OPTIONS:
        yield f"  and {len(comparison.options) - _SHOWN_OPTIONS} more."


def _counted(rows: Sequence[Difference]) -> str:
    variants = len({row.variant for row in rows})
    return f"{len(rows)} differences ({variants} variant{'s' * (variants > 1)})"
