"""``python -m recipes.ladder``: measure every rung, write the numbers, draw, write the page."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from recipes.agreement.images import write_images
from recipes.ladder.figures import FIGURES, WIDTH
from recipes.ladder.measures import rung
from recipes.ladder.page import page

from bezoar.errors import BezoarError


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.ladder", description=__doc__)
    parser.add_argument("--rung", type=Path, action="append", default=[], metavar="FOLDER")
    parser.add_argument("--ngram", type=Path, help="what recipes/demo/ngram.py printed")
    parser.add_argument("--data-root", type=Path, help="the public sets, in folders by name")
    parser.add_argument("--out", type=Path, required=True, help="the page is written beside it")
    parser.add_argument("--no-figures", action="store_true", help="do not draw (needs Chromium)")
    parser.add_argument(
        "--from-numbers", action="store_true", help="draw and write from numbers.json in --out"
    )
    args = parser.parse_args()
    if not args.from_numbers and not (args.rung and args.ngram and args.data_root):
        parser.error("--rung, --ngram and --data-root are needed, or --from-numbers")
    numbers = args.out / "numbers.json"
    try:
        if not args.from_numbers:
            rungs = []
            for folder in args.rung:
                print(f"measuring {folder}", file=sys.stderr)
                rungs.append(rung(folder, args.data_root))
            rungs.sort(key=lambda found: (not found["decoder"], found["parameters"]))
            ngram = json.loads(args.ngram.read_text("utf-8"))["bits_per_byte"]
            args.out.mkdir(parents=True, exist_ok=True)
            found = {"ngram": ngram, "rungs": rungs}
            numbers.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        found = json.loads(numbers.read_text("utf-8"))
        if not args.no_figures:
            write_images({name: draw(found) for name, draw in FIGURES.items()}, args.out, WIDTH)
    except BezoarError as error:
        raise SystemExit(f"{error}") from error
    args.out.with_suffix(".md").write_text(page(found), "utf-8")


if __name__ == "__main__":
    main()
