"""Record a search: its configuration, and its finalists into the page.

    python recipes/results/record_tune.py RUN docs/results/NAME

In ``docs/results/NAME.md`` what stands between ``<!-- finalists -->`` and ``<!-- end -->`` is
replaced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

from record import arguments, fill, record_config, shown


def finalists(found: dict[str, Any]) -> Iterator[str]:
    """One line an edit, the chosen one first."""
    a, b = found["scorer_a"], found["scorer_b"]
    yield (
        f"| edit | less, where chosen ({a}) | again, {a} | again, {b} | perplexity | again | "
        "left with keys scaled |"
    )
    yield "|---|---|---|---|---|---|---|"
    for one in found["finalists"]:
        parts = " + ".join(f"`{part['spec']}` at {part['strength']:.3g}" for part in one["parts"])
        shares = (one[name] for name in ("selection", "same_scorer", "report"))
        cells = [
            parts,
            *(shown(share, 0, percent=True) for share in shares),
            *(f"{100 * one[name]:+.1f} %" for name in ("cost", "cost_again")),
            f"{shown(one['survives'], 0, percent=True)} ({one['attack']})",
        ]
        yield f"| {' | '.join(cells)} |"


def main() -> None:
    args = arguments(__doc__).parse_args()
    record_config(args.run, args.out)
    found = args.run / "finalists" / "finals.json"
    shutil.copyfile(found, args.out / "finals.json")
    fill(args.out.with_suffix(".md"), {"finalists": finalists(json.loads(found.read_text()))})


if __name__ == "__main__":
    main()
