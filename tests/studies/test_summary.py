"""The lines that end a study."""

from __future__ import annotations

from dataclasses import replace

from bezoar.studies.summary import _measured
from tests.report.dpo import specimens


def test_few_null_edits_decide_nothing_in_the_terminal_either() -> None:
    card = specimens.scorecard()
    row = next(row for row in card.rows if row.kind == "method" and row.holm_p is not None)
    for draws, told in ((3, ", too few null edits (3) to decide:"), (20, "(Holm, 20 null edits):")):
        rows = tuple(replace(row, n_draws=draws) if each is row else each for each in card.rows)
        (line,) = [x for x in _measured(replace(card, rows=rows)) if x.endswith(f": {row.label}")]
        assert told in line
        assert ("p " in line.split("perplexity")[-1]) == (draws == 20)
