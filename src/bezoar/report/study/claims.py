"""What became of the claims of a paper: the table, the rules, and the count in words.

The claims are a result of a study, which this room must not import: the fields that are shown are
named here; a file may hold more.
"""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.report.blocks import Cell, Table, Tile, Tone
from bezoar.report.numbers import number, p_value, plural
from bezoar.report.study.cells import interval_cell, number_cell
from bezoar.stats import Interval

TONES: dict[str, Tone] = {"holds": "good", "fails": "bad", "not measured": "muted"}
_ORDER = ("holds", "fails", "undecided", "not measured")


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence of the paper and what was seen of it: see ``claims/claims.json``."""

    key: str
    statement: str
    source: str
    verdict: str
    value: Interval | None = None
    measure: str = ""
    null_p: float | None = None
    why: str = ""
    rule: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """All of them, in the order of the paper."""

    claims: tuple[Claim, ...]


def claims_table(claims: tuple[Claim, ...]) -> Table:
    """Each claim, its verdict and the number that decides."""
    rows = tuple(
        (
            Cell(claim.statement, claim.source),
            Cell(claim.verdict, "", TONES.get(claim.verdict, "")),
            _value(claim),
            "–" if claim.null_p is None else Cell(p_value(claim.null_p), "", "", (claim.null_p,)),
            Cell(claim.measure, claim.why),
        )
        for claim in claims
    )
    caption = (
        "Claims in the order of the paper, with the number that decides and its 95 % interval. p: "
        "how often what should have no effect does as well."
    )
    columns = ("claim", "verdict", "value", "p", "what the value is, and why")
    return Table(caption, columns, rows, wordy=True, key="claims")


def _value(claim: Claim) -> Cell:
    seen = claim.value
    if seen is None:
        return Cell("–", "", "muted")
    if 0.999 < seen.value < 1:  # a cosine, of which three digits would say nothing
        low, high = (number(bound, digits=6) for bound in (seen.low, seen.high))
        note = "" if low == high else f"[{low}, {high}]"
        return Cell(number(seen.value, digits=6), note, "", (seen.value, seen.low, seen.high))
    if seen.low == seen.high:  # computed from all there is
        return number_cell(seen.value)
    return interval_cell(seen)


def rules_table(claims: tuple[Claim, ...]) -> Table:
    """By which rule each was judged."""
    rows = tuple((claim.key, claim.rule) for claim in claims if claim.rule)
    return Table("By which rule each was judged.", ("claim", "rule"), rows, folded=True, wordy=True)


def claims_counted(claims: tuple[Claim, ...], paper: str) -> list[str]:
    """How many hold, fail, and so on, in a sentence; none if there are no claims."""
    if not claims:
        return []
    counted = {v: sum(claim.verdict == v for claim in claims) for v in _ORDER}
    words = {"holds": "hold", "fails": "fail", "undecided": "are undecided"}
    words["not measured"] = "were not measured"
    told = ", ".join(f"{n} {words[v] if n > 1 else _one(v)}" for v, n in counted.items() if n)
    return [f"Of {plural(len(claims), 'claim')} of {paper} and around it, {told}."]


def claims_tile(claims: tuple[Claim, ...]) -> list[Tile]:
    """The count as a headline number."""
    if not claims:
        return []
    holds, fails = (sum(claim.verdict == v for claim in claims) for v in ("holds", "fails"))
    return [Tile("claims that hold", f"{holds} of {len(claims)}", f"{fails} fail")]


def _one(verdict: str) -> str:
    return {"undecided": "is undecided", "not measured": "was not measured"}.get(verdict, verdict)
