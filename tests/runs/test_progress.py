"""Progress: bars on a terminal, lines in a log, nothing when silence was asked for."""

from __future__ import annotations

import io
import re
import time

import pytest
from rich.console import Console

from bezoar.runs import progress as module
from bezoar.runs.progress import Progress, track


def console(terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=100), file


def test_items_pass_through_with_and_without_a_bar():
    made, _ = console(terminal=True)
    with Progress(console=made) as bars:
        for progress in (None, bars, Progress(quiet=True), Progress()):  # the last never opened
            assert list(track(progress, iter([1, 2, 3]), "Reading", total=3)) == [1, 2, 3]


def test_a_terminal_sees_the_label_the_count_and_the_rate():
    made, file = console(terminal=True)
    with Progress(console=made) as bars, bars.task("Harvest", 40, unit="texts") as advance:
        advance(10)
        advance(20)
        bars._bars.refresh()
    shown = file.getvalue()
    assert "Harvest" in shown
    assert "30/40" in shown
    assert "texts/s" in shown


def test_a_log_gets_a_line_when_a_loop_begins_and_none_for_loops_within():
    made, file = console(terminal=False)
    with Progress(console=made) as bars:
        for _ in bars.track([1, 2], "Fitting"):
            list(bars.track([1], "Generating"))
        bars.note("[bold]as it is")
    assert file.getvalue() == "Fitting …\n[bold]as it is\n"


def said(file: io.StringIO, text: str) -> bool:
    """Whether a text comes up in a log within ten seconds."""
    until = time.monotonic() + 10
    while text not in file.getvalue() and time.monotonic() < until:
        time.sleep(0.01)
    return text in file.getvalue()


def test_a_log_says_now_and_then_how_far_it_is_and_how_long_it_takes(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.02)
    made, file = console(terminal=False)
    with Progress(console=made) as bars, bars.task("Fitting", 4, unit="methods") as outer:
        outer(1)
        assert said(file, "Fitting 1/4 methods\n")
        with bars.task("Training", 2_000_000, unit="pairs") as advance:
            advance(1_000_000)  # what was done before it was interrupted
            time.sleep(0.05)
            advance(500)
            assert said(file, "Fitting 1/4: Training 1,000,500/2,000,000 pairs, about ")
        with bars.task("Reading", unit="texts") as advance:
            advance(7)
            assert said(file, "Fitting 1/4: Reading 7 texts\n")
    told = next(line for line in file.getvalue().splitlines() if " left" in line)
    assert re.search(r" pairs, about [\d.]+ (s|min|h) left$", told)
    after = file.getvalue()
    time.sleep(0.1)
    assert file.getvalue() == after


@pytest.mark.parametrize(
    ("seconds", "text"), [(42.4, "42 s"), (89.0, "89 s"), (200.0, "3 min"), (7200.0, "2.0 h")]
)
def test_time_left_is_said_in_its_unit(seconds, text):
    assert module.duration(seconds) == text


def test_a_terminal_gets_bars_alone(monkeypatch):
    monkeypatch.setattr(module, "EVERY", 0.01)
    made, file = console(terminal=True)
    with Progress(console=made) as bars, bars.task("Harvest", 40, unit="texts"):
        time.sleep(0.1)
    assert "0/40 texts" not in file.getvalue()


def test_quiet_is_silent():
    made, file = console(terminal=True)
    with Progress(quiet=True, console=made) as bars:
        list(bars.track([1], "Loop"))
        bars.note("a note")
    assert file.getvalue() == ""


def test_a_failing_loop_takes_its_bar_along():
    made, _ = console(terminal=True)
    with Progress(console=made) as bars:
        with pytest.raises(ZeroDivisionError):
            for _ in bars.track([1], "Loop"):
                raise ZeroDivisionError
        assert not bars._bars.tasks
