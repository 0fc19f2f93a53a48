"""Write the demo's capability tasks: last words, pairs of sentences, choices; and their card.

    python recipes/demo/make_tasks.py --out demo/src/bezoar_demo/tasks

All text comes from ``writing/``; nothing is drawn from a dataset. The same files give the same
bytes. The card says how the demo model fares (seconds on one core); ``--without-model`` leaves it
out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from task_card import write_card
from templates import fill, headed_lines, read_slots

from bezoar.runs.results import atomic_write
from bezoar.stats.splits import text_key

WRITING = Path(__file__).parent / "writing"
COPIES = 5  # pairs of one template
Row = dict[str, object]


def last_words() -> Iterator[Row]:
    """Passages whose last word follows from what stands before it."""
    for kind, text in headed_lines(WRITING / "last_words.txt"):
        yield {"text": text, "kind": kind}


def grammar(seed: int) -> Iterator[Row]:
    """Pairs of sentences, one of them wrong: `COPIES` of each template, slots filled alike."""
    slots = read_slots(WRITING / "grammar_slots.txt")
    for kind, template in headed_lines(WRITING / "grammar.txt"):
        rng = np.random.default_rng([seed, int(text_key(template), 16)])
        found: dict[str, None] = {}
        while len(found) < COPIES:
            found.setdefault(fill(template, slots, rng))
        for pair in found:
            good, bad = pair.split(" || ")
            group = text_key(template)
            yield {"sentence_good": good, "sentence_bad": bad, "kind": kind, "group": group}


def choices() -> Iterator[Row]:
    """Beginnings with endings. A block shares its endings, each being right exactly once.

    So whoever does not read the beginning (but goes by length, frequency or position) is right by
    chance, exactly.
    """
    for block in (WRITING / "choices.txt").read_text(encoding="utf-8").strip().split("\n\n"):
        head, *beginnings = block.splitlines()
        endings = head.removeprefix("= ").split(" | ")
        for label, beginning in enumerate(beginnings):
            kind = f"{len(endings)} endings"
            row = {"ctx": beginning, "endings": endings, "label": label}
            yield row | {"kind": kind, "group": text_key(head)}


def make(out: Path, *, measure: bool = True, seed: int = 0) -> None:
    """Write the three files, and with ``measure`` their card, below ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    made = {"last_word": last_words(), "grammar": grammar(seed), "choice": choices()}
    for name, rows in made.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        atomic_write(out / f"{name}.jsonl", lines.encode())
    if measure:
        write_card(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--without-model", action="store_true", help="no card")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    make(args.out, measure=not args.without_model, seed=args.seed)


if __name__ == "__main__":
    main()
