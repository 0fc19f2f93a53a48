"""Record a study of EigenShift: its configuration, claims and tables into the page.

    python recipes/results/record_experts.py RUN docs/results/NAME

Texts are left out. In ``docs/results/NAME.md`` what stands between ``<!-- NAME -->`` and
``<!-- end -->`` is replaced: the claims, and the tables that the run's page exports.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

from record import claims, fill, record_config

TABLES = {
    "main": (
        "variant",
        "toxicity",
        "change",
        "p (Holm)",
        "perplexity",
        "change of perplexity",
        "TPH",
    ),
    "beside": None,
    "grid": ("α", "directions", "toxicity", "change", "change of perplexity", "TPH"),
    "choices": ("choice", "toxicity", "change", "reduction", "change of perplexity", "p"),
    "choices_at_cost": ("choice", "toxicity", "change", "reduction", "change of perplexity", "p"),
    "neurons": ("units", "threshold", "above it", "shuffled labels", "p", "equal lengths"),
    "same_neurons": None,
    "layers": ("texts", "clusters", "against", "alike", "AUROC", "rival's", "difference"),
    "detection": None,
    "states": None,
}
"""Tables of the run by the end of their file's name, and the columns that are shown; all if None.
A column that a table does not have is left out."""
_LEFT_OUT = ("writes, after one prompt", "seconds to fit", "MiB to fit")
"""Columns of texts, and of what another run would not find again."""


def table(path: Path, wanted: tuple[str, ...] | None) -> Iterator[str]:
    """A CSV file of the page as Markdown, each number with its bounds in one cell."""
    with path.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    held = [
        name
        for name in (rows[0] if rows else ())
        if not name.endswith((", low", ", high", ", note"))
    ]
    names = [n for n in (held if wanted is None else wanted) if n in held and n not in _LEFT_OUT]
    yield "| " + " | ".join(names) + " |"
    yield "|---" * len(names) + "|"
    for row in rows:
        yield "| " + " | ".join(_cell(row, name) for name in names) + " |"


def _cell(row: dict[str, str], name: str) -> str:
    value = _number(row[name])
    low, high, note = (row.get(f"{name}, {part}") or "" for part in ("low", "high", "note"))
    if low and high:
        value += f" [{_number(low)}, {_number(high)}]"
    told = f"{value} ({note})" if note and name in ("variant", "choice") else value
    return told.replace("|", "\\|")


def _number(text: str) -> str:
    try:
        return f"{float(text):.3g}"
    except ValueError:
        return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "claims" / "claims.json", args.out / "claims.json")
    tables = {
        name: list(table(path, wanted))
        for name, wanted in TABLES.items()
        if (path := args.run / "tables" / f"table_{name}.csv").exists()
    }
    fill(args.out.with_suffix(".md"), {"claims": claims(args.run), **tables})


if __name__ == "__main__":
    main()
