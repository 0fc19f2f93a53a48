"""What wrong labels do to a reader: AUROC on right ones after training on some flipped ones."""

from __future__ import annotations

from typing import Any

from bezoar.errors import NoFigure
from bezoar.evaluate.contest_results import Contest
from bezoar.report import theme
from bezoar.report.figures.contest_efficiency import lines


def contest_noise(found: Contest) -> Any:
    """Mean AUROC by the share of wrong labels, one line a reader; bars span the draws.

    Raises:
        NoFigure: if no labels were flipped.
    """
    if not found.noise:
        raise NoFigure("The contest flipped no labels.", hint="Give contest.noise.")
    shares = sorted({point.noise for point in found.noise})
    return theme.figure(
        lines(found.noise, "noise"),
        height=380,
        meta={"narrow": {"height": 460}},
        xaxis={"title": {"text": "share of training labels that are wrong"}, "tickvals": shares}
        | {"tickformat": ".0%"},
        yaxis={"title": {"text": "AUROC on held-out texts"}, "tickformat": ".2f"},
        legend={"traceorder": "normal"},
    )
