"""How many words a text shares with others: planted runs are found, to the word."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes" / "demo"
RUN = "we walked along the shore until the lamps were lit in town"  # 12 words


@pytest.fixture(scope="module")
def overlap():
    sys.path.insert(0, str(RECIPES))
    try:
        import overlap
    finally:
        sys.path.remove(str(RECIPES))
    return overlap


def test_a_planted_run_is_found_whatever_its_case_and_punctuation(overlap):
    ours = f"On Sunday {RUN}, and then home."
    shouted = RUN.upper().replace(" UNTIL", " --\nUntil")
    theirs = f"Yesterday: {shouted}! Good night."
    assert overlap.shared_runs([ours, "nothing of it at all, not a word of this"], [theirs]) == [
        (12, RUN),
        (0, ""),
    ]


def test_the_longest_of_several_runs_counts_and_short_ones_do_not(overlap):
    first, second = " ".join(RUN.split()[:7]), " ".join(RUN.split()[4:])
    assert overlap.shared_runs([RUN], [first, second, first]) == [(8, second)]
    assert overlap.shared_runs([RUN], [" ".join(RUN.split()[:5])]) == [(0, "")]


def test_a_run_does_not_cross_from_one_public_text_to_the_next(overlap):
    halves = [" ".join(RUN.split()[:6]), " ".join(RUN.split()[6:])]
    assert overlap.shared_runs([RUN], halves)[0][0] == 6


def test_every_string_of_every_set_is_read(overlap, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    files = {item.file for item in (*overlap.SOURCES, *overlap.SETS_A, *overlap.SETS_B)}
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        pq.write_table(pa.table({"n": [1, 2], "s": [file, None]}), tmp_path / file)
    assert list(overlap.public_texts(tmp_path)) == sorted(files)
