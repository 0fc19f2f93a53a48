"""A small part of the mutated files of ``mutate_corpus``, and that its check can fail."""

from __future__ import annotations

from bezoar.corpus import Origin, formats, reading
from tests.faults.mutate_corpus import run
from tests.faults.mutations import make


def test_no_mutated_file_ends_in_a_traceback_and_no_row_vanishes(tmp_path):
    outcomes, broken = run(range(200), tmp_path)
    assert broken == []
    assert sum(outcomes.values()) == 200
    assert min(outcomes["used"], outcomes["refused"], outcomes["read, then refused"]) >= 5


def test_a_file_is_a_function_of_its_number():
    assert [make(number) for number in range(20)] == [make(number) for number in range(20)]
    assert len({make(number) for number in range(20)}) == 20


def test_the_check_sees_rows_that_are_lost_in_reading(tmp_path, monkeypatch):
    read = formats.read_lines
    monkeypatch.setattr(
        reading, "read_lines", lambda text, place: read(text.rsplit("\n", 2)[0], place)
    )
    assert any("rows read" in said for said in run(range(40), tmp_path)[1])


def test_the_check_sees_rows_that_are_left_out_and_not_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(Origin, "without", lambda self, left_out, *notes, rows=0: self)
    assert run(range(40), tmp_path)[1]
