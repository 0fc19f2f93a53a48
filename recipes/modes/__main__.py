"""``python -m recipes.modes``: measure once, write the numbers, draw, write the page."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from recipes.agreement.images import write_images
from recipes.modes.bench import Bench, Numbers
from recipes.modes.directions import directions
from recipes.modes.figures import FIGURES, WIDTH
from recipes.modes.measuring import measuring
from recipes.modes.page import page
from recipes.modes.pictures import pictures
from recipes.modes.training import RECIPE, training

from bezoar.errors import BezoarError


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.modes", description=__doc__)
    parser.add_argument("--data-root", type=Path, help="the public sets, in folders by name")
    parser.add_argument("--out", type=Path, required=True, help="the page is written beside it")
    parser.add_argument("--scale", type=float, default=1.0, help="share of all sizes, for a try")
    parser.add_argument("--no-figures", action="store_true", help="do not draw (needs Chromium)")
    parser.add_argument(
        "--from-numbers", action="store_true", help="draw and write from numbers.json in --out"
    )
    args = parser.parse_args()
    if not args.from_numbers and args.data_root is None:
        parser.error("--data-root is needed, or --from-numbers")
    numbers = args.out / "numbers.json"
    try:
        if not args.from_numbers:
            args.out.mkdir(parents=True, exist_ok=True)
            found = measured(Bench(args.data_root, scale=args.scale))
            numbers.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")
        found = json.loads(numbers.read_text("utf-8"))
        if not args.no_figures:
            write_images({name: draw(found) for name, draw in FIGURES.items()}, args.out, WIDTH)
    except BezoarError as error:
        raise SystemExit(f"{error}") from error
    args.out.with_suffix(".md").write_text(page(found), "utf-8")


def measured(bench: Bench) -> Numbers:
    """Every row, and the sizes."""
    start = time.process_time()
    rows = timed(bench, "directions", directions) + timed(bench, "measuring", measuring)
    ours = bench.trained(**RECIPE)
    rows += timed(bench, "training", lambda b: training(b, ours))
    rows += timed(bench, "pictures", lambda b: pictures(b, ours.edit))
    return {
        "model": bench.lm.name,
        "prompts": len(bench.prompts),
        "texts": len(bench.corpus),
        "pairs": len(bench.pairs),
        "alpha": bench.alpha,
        "seconds": round(time.process_time() - start),
        "rows": rows,
    }


def timed(bench: Bench, name: str, make: Callable[[Bench], list[Numbers]]) -> list[Numbers]:
    start = time.process_time()
    rows = make(bench)
    print(f"{name}: {time.process_time() - start:.0f} s", file=sys.stderr)
    return rows


if __name__ == "__main__":
    main()
