"""How many words in a row the demo texts share with the public sets that the demo learnt from.

    python recipes/demo/overlap.py --data-root DATA --corpus demo/src/bezoar_demo/corpus

Prints, for each file, its longest run of words that stands in a public text as well. Case,
punctuation and line breaks are ignored.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from scorer_data import SETS_A, SETS_B
from text import SOURCES

MAY = 12
"""Words in a row that a shipped text may share with a public one."""
LOOKED_FOR = 6
"""Shorter runs are everyday English and are not looked for."""
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


def words(text: str) -> list[str]:
    """The words of a text in lower case."""
    return WORD.findall(text.lower())


def public_texts(root: Path) -> Iterator[str]:
    """Every string in the files of the sets that the model or a scorer learnt from."""
    for file in sorted({item.file for item in (*SOURCES, *SETS_A, *SETS_B)}):
        table = pq.read_table(root / file)
        for column in table.columns:
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                for chunk in column.chunks:
                    yield from filter(None, chunk.to_pylist())


def shared_runs(texts: Sequence[str], others: Iterable[str]) -> list[tuple[int, str]]:
    """For each text its longest run of words that one of ``others`` holds too: length and words.

    Runs shorter than ``LOOKED_FOR`` are (0, "").
    """
    ours = [words(text) for text in texts]
    places: dict[str, list[tuple[int, int]]] = {}
    for index, own in enumerate(ours):
        for at in range(len(own) - LOOKED_FOR + 1):
            places.setdefault(" ".join(own[at : at + LOOKED_FOR]), []).append((index, at))
    best = [(0, 0)] * len(ours)  # length, where
    for other in others:
        theirs = words(other)
        for at in range(len(theirs) - LOOKED_FOR + 1):
            for index, own_at in places.get(" ".join(theirs[at : at + LOOKED_FOR]), ()):
                length, own = LOOKED_FOR, ours[index]
                while (
                    own_at + length < len(own)
                    and at + length < len(theirs)
                    and own[own_at + length] == theirs[at + length]
                ):
                    length += 1
                if length > best[index][0]:
                    best[index] = (length, own_at)
    return [
        (length, " ".join(own[at : at + length]))
        for own, (length, at) in zip(ours, best, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, default=Path("demo/src/bezoar_demo/corpus"))
    args = parser.parse_args()
    texts = {
        name: pq.read_table(args.corpus / f"{name}.parquet")["texts"].to_pylist()
        for name in ("corpus", "prompts", "neutral")
    }
    together = [text for some in texts.values() for text in some]
    runs = iter(shared_runs(together, public_texts(args.data_root)))
    for name, some in texts.items():
        length, run = max(next(runs) for _ in some)
        print(f"{name}: {length} words at most, of {MAY}: {run!r}")


if __name__ == "__main__":
    main()
