"""The page, made from the numbers and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2

Numbers = dict[str, Any]
KEYS = ("value", "low", "high")
ROUNDING = 1e-6


def page(found: Numbers) -> str:
    """The whole page."""
    template = jinja2.Template(
        Path(__file__).with_name("page.md.j2").read_text("utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    groups = dict.fromkeys(row["group"] for row in found["rows"])
    tables = {g: table(row for row in found["rows"] if row["group"] == g) for g in groups}
    by_key = {row["key"]: row for row in found["rows"]}
    beyond = [row for row in found["rows"] if row["n"] and apart(row)]
    return template.render(
        found=found,
        tables=tables,
        rows=by_key,
        sampled=sum(bool(row["n"]) for row in found["rows"]),
        beyond=beyond,
        estimate=estimate,
        number=number,
    )


def apart(row: Numbers) -> bool:
    """Whether the interval of the difference leaves zero out."""
    least = ROUNDING * max(abs(row["ours"]), abs(row["theirs"]))
    return bool(row["change"]["low"] > least or row["change"]["high"] < -least)


def table(rows: Iterable[Numbers]) -> str:
    """What differs, what is measured, ours, theirs, how far apart."""
    head = ["what they do", "measure", "ours", "theirs", "theirs less ours"]
    cells = [
        [
            row["differs"],
            row["measure"],
            own(row, "ours"),
            own(row, "theirs"),
            f"**{difference(row)}**" if row["n"] and apart(row) else difference(row),
        ]
        for row in rows
    ]
    lines: list[Sequence[str]] = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def own(row: Numbers, side: str) -> str:
    """One side's number, with its interval if the row is about an effect."""
    effect = row.get(f"{side}_change")
    return number(row[side]) if effect is None else estimate(effect)


def difference(row: Numbers) -> str:
    """With its interval, where something was sampled."""
    change = row["change"]
    rounding = ROUNDING * max(abs(row["ours"]), abs(row["theirs"]))
    clean = {key: 0.0 if abs(value) <= rounding else value for key, value in change.items()}
    return estimate(clean)


def estimate(found: Numbers) -> str:
    """``+0.012 [+0.004, +0.020]``, or the number alone if it was computed and not sampled."""
    value, low, high = (f"{found[key]:+.3g}" if found[key] else "0" for key in KEYS)
    return f"{value} [{low}, {high}]" if low != high else value


def number(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
