"""Mutated corpus files: none may end in a traceback, and no row may vanish without being counted.

Run it: ``python -m tests.faults.mutate_corpus --files 10000``. A file that breaks the promise is
kept, and its number is said; ``--only NUMBER`` runs that one alone. Each file is a function of its
number, so a run can be repeated.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from bezoar.corpus import clean, explore, load_corpus, load_neutral, load_prompts, split_corpus
from bezoar.corpus.reading import read_table
from bezoar.errors import BezoarError
from tests.faults.mutations import make


def check(path: Path, number: int) -> str:
    """Read a file every way; what became of it.

    Raises:
        AssertionError: if a row vanished without being counted, or an error does not name it.
        Exception: anything that is no BezoarError.
    """
    rng = random.Random(-number)
    options = rng.choice(
        ({}, {}, {"text": "text"}, {"threshold": 0.5}, {"positive": "1"}, {"limit": 30},
         {"source": "source", "category": "label"}, {"reserved_only": True})
    )  # fmt: skip
    if rng.random() < 0.9:
        options = options | {"label": "label"}
    read = "refused"
    expected = None
    for load in (load_prompts, load_neutral, load_corpus):
        asked = options if load is load_corpus else {}
        try:
            rows = load(str(path), **asked)
        except BezoarError as error:
            said = str(error)
            assert error.hint, f"no hint: {said}"
            assert path.name in said or "limit" in said, f"which file? {said}"
            assert len(said) < 2_000, "a message, not a page"
            continue
        origin = rows.origin
        assert origin.rows == len(rows) + sum(origin.left_out.values()), origin
        expected = expected or rows_in(path)
        assert origin.rows == expected, f"{origin.rows} rows read, {expected} in the file"
        "".join(rows.texts).encode()
        rows.save(path.with_suffix(".saved"))
        assert type(rows).load(path.with_suffix(".saved")).hash == rows.hash
        if load is load_corpus:
            read = used(rows)
    return read


def rows_in(path: Path) -> int:
    """Rows of a file that could be read, blank lines included, counted by other means."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return int(pq.ParquetFile(path).metadata.num_rows)
    marked = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    wide = data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
    text = data.decode("utf-32" if wide else "utf-16" if marked else "utf-8-sig")
    if path.suffix == ".json":
        parsed = json.loads(text)
        return len(parsed) if isinstance(parsed, list) else 1
    if path.suffix in (".jsonl", ".txt"):
        return len(text.removesuffix("\n").split("\n"))
    # A line of the file is the header's, a row's, blank, or ends inside a quoted field.
    columns = read_table(path).columns
    inner = sum(map(_breaks, [*columns, *(cell for cells in columns.values() for cell in cells)]))
    lines = _breaks(text) + (not text.endswith(("\n", "\r")))
    return lines - inner - 1


def _breaks(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def used(corpus: Any) -> str:
    """Clean, look at and split a corpus that could be read."""
    try:
        kept, report = clean(corpus)
        gone = sum(map(len, report.dropped.values()))
        assert len(kept) + gone == len(corpus) == report.rows_in
        assert kept.origin.rows == len(kept) + sum(kept.origin.left_out.values())
        seen = explore(corpus)
        assert seen.rows == seen.n + sum(seen.left_out.values())
        parts = split_corpus(kept)
        assert sum(map(len, parts)) == len(kept)
    except BezoarError as error:
        assert error.hint, f"no hint: {error}"
        return "read, then refused"
    return "used"


def run(numbers: range, folder: Path) -> tuple[Counter[str], list[str]]:
    """What became of the files, and every broken promise."""
    outcomes: Counter[str] = Counter()
    broken: list[str] = []
    for number in numbers:
        suffix, data = make(number)
        path = folder / f"m{number}.{suffix}"
        path.write_bytes(data)
        try:
            outcomes[check(path, number)] += 1
        except Exception as error:
            broken.append(f"{path}: {type(error).__name__}: {str(error)[:300]}")
            continue
        path.unlink()
        path.with_suffix(".saved").unlink(missing_ok=True)
    return outcomes, broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bezoar-mutated-"))
    numbers = range(asked.first, asked.first + asked.files)
    if asked.only is not None:
        numbers = range(asked.only, asked.only + 1)
    began = time.monotonic()
    outcomes, broken = run(numbers, folder)
    sys.stdout.write("\n".join([*broken, ""]))
    counts = ", ".join(f"{n} {what}" for what, n in sorted(outcomes.items()))
    sys.stdout.write(
        f"{len(numbers)} files in {time.monotonic() - began:.0f} s: {counts}; {len(broken)} broke "
        f"the promise{f' (kept in {folder})' if broken else ''}\n"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
