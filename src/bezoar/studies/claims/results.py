"""Claims of the paper and what became of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.table import Table

from bezoar.compare.models.shown import p_value
from bezoar.runs import Result
from bezoar.stats import Interval

Verdict = Literal["holds", "fails", "undecided", "not measured"]
VERDICTS: tuple[Verdict, ...] = ("holds", "fails", "undecided", "not measured")
_STYLES = {"holds": "green", "fails": "red", "undecided": "yellow", "not measured": "dim"}


@dataclass(frozen=True, slots=True)
class Claim(Result):
    """One claim of the paper on one model.

    Attributes:
        key: short name.
        statement: what is claimed, to be understood without the paper.
        source: where the paper says so.
        verdict: by the rule; an interval that decides neither way is "undecided".
        value: the number that the rule looks at. What is computed and not sampled (a cosine of
            weights) has an interval without width.
        measure: what the number is.
        null_p: how often what should have no effect does as well; None where nothing was drawn.
        why: the numbers behind the verdict, in words.
        rule: when the claim is said to hold, and when to fail.
    """

    key: str
    statement: str
    source: str
    verdict: Verdict
    value: Interval | None
    measure: str
    null_p: float | None
    why: str
    rule: str


@dataclass(frozen=True, slots=True, repr=False)
class Claims(Result):
    """All claims, in the order of the paper.

    Attributes:
        claims: the claims.
        model: name of the model they were tried on.
        protocol: how toxicity was measured.
        paper: whose claims they are.
    """

    claims: tuple[Claim, ...]
    model: str
    protocol: str
    paper: str = "Lee et al. 2024"

    def of(self, key: str) -> Claim:
        """The claim of that name."""
        return next(claim for claim in self.claims if claim.key == key)

    def count(self, verdict: Verdict) -> int:
        """How many have this verdict."""
        return sum(claim.verdict == verdict for claim in self.claims)

    def __rich__(self) -> Table:
        counted = ", ".join(f"{n} {v}" for v in VERDICTS if (n := self.count(v)))
        table = Table(
            title=f"claims of {self.paper} on {self.model}: {counted}",
            caption=(
                f"{self.protocol or 'no scorecard'}; 95 % intervals, each for itself; "
                "p against nulls, of Table 2 by Holm"
            ),
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        table.add_column("claim", ratio=1)
        table.add_column("verdict", no_wrap=True)
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("p", justify="right", no_wrap=True)
        for claim in self.claims:
            p = "" if claim.null_p is None else p_value(claim.null_p)
            mark = f"[{_STYLES[claim.verdict]}]{claim.verdict}[/]"
            table.add_row(claim.statement, mark, number(claim.value), p)
        return table


def number(value: Interval | None) -> str:
    """``0.52 [0.48, 0.56]``, or the number alone if it was computed and not sampled."""
    if value is None:
        return ""
    if value.low == value.high:
        return f"{value.value:.4g}"
    return f"{value.value:.3g} [{value.low:.3g}, {value.high:.3g}]"
