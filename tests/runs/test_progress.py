"""Progress: bars on a terminal, lines in a log, nothing when silence was asked for."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

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
