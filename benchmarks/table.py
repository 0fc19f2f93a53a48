"""The tables of README.md, made of what the other scripts saved.

python -m benchmarks.table harvest.json probes.json …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import spread


def main() -> None:
    for path in sys.argv[1:]:
        print(table(json.loads(Path(path).read_text())))


def table(saved: dict[str, Any]) -> str:
    """One script's command and figures in Markdown."""
    lines = [f"`{saved['command']}`", ""]
    lines += ["| figure | goal | wall clock | processor time | |", "|---|---|---|---|---|"]
    notes = []
    for row in saved["figures"]:
        sign = "≥" if row["at_least"] else "≤"
        cells = [
            row["claim"],
            f"{sign} {row['goal']:g} {row['unit']}".strip(),
            spread(row["values"], row["unit"]).strip(),
            spread(row["cpu"], row["unit"]).strip() if row["cpu"] else "",
            "met" if row["met"] else "**missed**",
        ]
        lines.append("| " + " | ".join(cells) + " |")
        notes += [row["note"]] if row["note"] else []
    lines += ["", *([". ".join(dict.fromkeys(notes)) + "."] if notes else []), ""]
    load = saved["machine"].rpartition("load ")[2]
    return "\n".join([*lines, f"(load {load} at the end; {saved['versions']})", ""])


if __name__ == "__main__":
    main()
