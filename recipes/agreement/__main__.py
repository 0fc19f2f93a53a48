"""``python -m recipes.agreement``: score, write the numbers, draw, write the page."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from recipes.agreement.figures import FIGURES, WIDTH
from recipes.agreement.images import write_images
from recipes.agreement.page import page
from recipes.agreement.study import run

from bezoar.errors import BezoarError


def main() -> None:
    parser = argparse.ArgumentParser(prog="recipes.agreement", description=__doc__)
    parser.add_argument("--data-root", type=Path, help="the public sets, in folders by name")
    parser.add_argument("--out", type=Path, required=True, help="the page is written beside it")
    parser.add_argument(
        "--scorer", action="append", metavar="SPEC", help="default: demo-a and demo-b; repeat it"
    )
    parser.add_argument("--no-figures", action="store_true", help="do not draw (needs Chromium)")
    parser.add_argument(
        "--from-numbers", action="store_true", help="draw and write from numbers.json in --out"
    )
    args = parser.parse_args()
    if args.data_root is None and not args.from_numbers:
        parser.error("--data-root is needed, or --from-numbers")
    numbers = args.out / "numbers.json"
    began = time.process_time()
    try:
        if not args.from_numbers:
            found = run(args.data_root, args.scorer or ["demo-a", "demo-b"])
            args.out.mkdir(parents=True, exist_ok=True)
            numbers.write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", "utf-8")
        found = json.loads(numbers.read_text("utf-8"))
        if not args.no_figures:
            drawn = {name: draw(found) for name, draw in FIGURES.items()}
            write_images(drawn, args.out, WIDTH)
    except BezoarError as error:
        raise SystemExit(f"{error}") from error
    args.out.with_suffix(".md").write_text(page(found), "utf-8")
    print(f"{args.out.with_suffix('.md')}: {time.process_time() - began:.0f} CPU seconds")


if __name__ == "__main__":
    main()
