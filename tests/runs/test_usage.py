"""What work took: measured, noted in the log, and read back with distrust."""

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest

from bezoar.errors import CorruptArtefact
from bezoar.runs.usage import LOG, Meter, Usage, note_fit, read_times


@pytest.fixture(autouse=True)
def no_epoch(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)


@pytest.mark.skipif(sys.platform != "linux", reason="the largest size is not forgotten elsewhere")
def test_growth_is_seen_though_more_was_held_before():
    held = np.ones(30_000_000)  # 240 MB, given back
    del held
    meter = Meter()
    time.sleep(0.05)
    passing = np.ones(10_000_000)  # 80 MB at the most
    del passing
    took = meter.stop()
    assert 0.05 <= took.seconds < 5
    assert 60e6 < took.memory < 130e6
    assert Meter().stop().memory < 20e6


def test_what_is_noted_is_read_and_the_last_word_counts(tmp_path):
    note_fit(tmp_path, "transport", Usage(1.0, 5))
    note_fit(tmp_path, "profs:k=3", Usage(2.5, 7, 9))
    note_fit(tmp_path, "transport", Usage(3.0, 6))
    with (tmp_path / LOG).open("a") as file:
        file.write(json.dumps({"stage": "moments", "event": "done", "seconds": 4.5}) + "\n")
    found = read_times(tmp_path)
    assert found.fitted == {"transport": Usage(3.0, 6), "profs:k=3": Usage(2.5, 7, 9)}
    assert found.stages == {"moments": 4.5}


def test_lines_that_are_not_ours_are_passed_over(tmp_path, monkeypatch):
    lines = ["", "no json", "[1]", "3", '{"event": "fitted"}', "[" * 5000]
    lines += ['{"event": "done", "stage": "a", "seconds": -1}']
    lines += ['{"event": "done", "stage": "a", "seconds": NaN}', '{"seconds": 1, "event": "x"}']
    lines += ['{"event": "fitted", "method": "m", "seconds": 1, "memory": "x"}']
    (tmp_path / LOG).write_bytes("\n".join(lines).encode() + b"\n\xff\xfe\n")
    note_fit(tmp_path, "mine", Usage(1.0, 2))
    found = read_times(tmp_path)
    assert (list(found.fitted), found.stages) == (["mine"], {})
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert not read_times(tmp_path).fitted


def test_no_log_is_no_time_and_a_link_is_refused(tmp_path):
    assert not read_times(tmp_path).stages
    (tmp_path / LOG).symlink_to("/dev/zero")
    with pytest.raises(CorruptArtefact, match="link"):
        read_times(tmp_path)
