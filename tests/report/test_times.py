"""What fitting took, on the page: from the log, and only if pages may differ between equal runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bezoar.report.artefacts import load_artefacts
from bezoar.report.sections.strengths import _stages_for, strengths
from bezoar.runs.usage import Usage, note_fit
from tests.report.specimens import write_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    write_run(tmp_path)
    note_fit(tmp_path, "subtract", Usage(1.25, 3 * 2**20))
    note_fit(tmp_path, "not-in-this-run", Usage(9.0, 1))
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write(json.dumps({"stage": "locate", "event": "done", "seconds": 20}) + "\n")
    return tmp_path


def tables(run):
    found = load_artefacts(run)
    found = replace(found, traces=(replace(found.traces[0], method="subtract"),))
    assert found.scorecard is not None
    blocks = strengths(found, found.scorecard)
    return [b for b in blocks if "one fit took" in getattr(b, "caption", "")]


def test_seconds_memory_and_the_stages_before(run):
    (table,) = tables(run)
    ((_, seconds, memory, before),) = table.rows
    assert (seconds, memory) == ("1.250", "3.000")
    assert (before.text, before.note) == ("20.00", "locate")


def test_a_device_has_a_column_of_its_own(run):
    note_fit(run, "subtract", Usage(1.0, 0, 2**21))
    (table,) = tables(run)
    assert table.columns[3] == "device MiB"
    assert table.rows[0][3] == "2.000"


def test_without_times_there_is_no_table(run, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert not tables(run)


def test_what_a_method_is_fitted_from():
    assert _stages_for("transport") == ("moments",)
    assert _stages_for("distributed-shift") == ("locate", "moments")
    assert _stages_for("uniform-shrink") == ()
    assert _stages_for("of another package") == ()
