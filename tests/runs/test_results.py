"""Results: whole or not at all, equal data gives equal bytes, damage is named."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest

from bezoar.errors import CorruptArtefact, NoFigure
from bezoar.runs.results import Result, atomic_write, load_result, save_json, save_result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class Table(Result):
    rows: tuple[Interval, ...]
    by_name: dict[str, float]


def test_results_go_round_and_equal_results_are_equal_bytes(tmp_path):
    table = Table((Interval(0.5, 0.4, 0.6),), {"b": 1.0, "a": 2.0})
    same = Table((Interval(0.5, 0.4, 0.6),), {"a": 2.0, "b": 1.0})
    save_result(tmp_path / "a.json", table)
    save_result(tmp_path / "b.json", same)
    assert load_result(tmp_path / "a.json", Table) == table
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    path = tmp_path / "x.json"
    save_json(path, 1)
    monkeypatch.setattr(os, "fsync", lambda fd: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        atomic_write(path, b"2")
    assert path.read_bytes() == b"1\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_number_that_is_none_is_never_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        save_json(tmp_path / "x.json", {"auroc": float("nan")})
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize("text", ["", "{", '{"rows": 3, "by_name": {}}', "\ud800"])
def test_a_damaged_result_is_named(tmp_path, text):
    path = tmp_path / "table.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(CorruptArtefact, match=r"table\.json cannot be read as Table"):
        load_result(path, Table)


def test_the_notebook_view_escapes_hostile_text():
    @dataclass(frozen=True, slots=True)
    class Text(Result):
        text: str

        def figure(self):
            raise NoFigure("There is no picture of it.")

    assert "<script>" not in Text("<script>alert(1)</script>")._repr_html_()
