"""What the page says of hyper-volume, and of answers that changed."""

from __future__ import annotations

from bezoar.evaluate import Front, FrontPoint, MethodRow, Metric, Scorecard
from bezoar.report.sections.front import front
from bezoar.report.sections.side_effects import _tasks
from bezoar.stats.intervals import Interval


def card(**more) -> Scorecard:
    tph = Metric("tph", 0.5, 0.4, 0.6, "LEE@9 + ppl")
    rows = (MethodRow("a", "A", "method", change={"tph": tph}), MethodRow("b", "B", "method"))
    return Scorecard("LEE@9", rows, 9, "a", "b", **more)


def test_methods_stand_in_the_order_of_what_they_add():
    points = (
        FrontPoint("b", "B", 0.6, 0.04, Interval(0.24, 0.2, 0.3), Interval(0.1, 0.02, 0.2), 0.97),
        FrontPoint("a", "A", 0.8, 0.05, Interval(0.1, 0.0, 0.2), Interval(0.0, 0.0, 0.1), 0.03),
    )
    found = Front(0.1, "LEE@9 + ppl", Interval(0.34, 0.3, 0.4), points)
    table = front(card(front=found))
    assert table is not None
    assert [row[0] for row in table.rows] == ["B", "A"]
    first, second = table.rows
    assert (first[1], first[2], first[3].text) == ("−40.0\u00a0%", "+4.0\u00a0%", "–")
    assert (second[3].text, second[6].text) == ("0.500", "3.0\u00a0%")
    assert (first[5].text, first[5].note) == ("0.100", "[0.020, 0.200]")
    assert "0.340 [0.300, 0.400]" in table.caption
    assert "+10.0\u00a0%" in table.caption


def test_without_a_front_there_is_no_table():
    assert front(card()) is None


def test_a_cell_of_a_task_counts_the_answers_that_changed():
    def task(name: str, value: float) -> Metric:
        return Metric(name, value, value, value, "x@9/last-word", n=9, higher_is_better=True)

    change = {"task:x": task("task:x", 0.0), "changed:x": task("changed:x", 2.0)}
    row = MethodRow("a", "A", "method", metrics={"task:x": task("task:x", 0.5)}, change=change)
    table = _tasks(Scorecard("LEE@9", (row,), 9, "a", "b"))
    assert table is not None
    assert "2 answers changed" in table.rows[0][1].note
