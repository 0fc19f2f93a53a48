"""Rows of one method under several labels keep names of their own."""

from __future__ import annotations

from bezoar.evaluate import MethodRow, Scorecard


def row(method, label, kind="method"):
    return MethodRow(method=method, label=label, kind=kind)


def test_a_method_that_stands_in_several_rows_is_named_by_their_labels():
    rows = (
        row("base", "base", "base"),
        row("dpo", "dpo"),
        row("dpo", "dpo: 3 nulls", "null"),
        row("subtract", "subtract probe"),
        row("dpo", "dpo as trained"),
        row("dpo", "dpo as trained, 7 keys × 10"),
    )
    found = Scorecard("LEE@4", rows, 4, "a", "b").variants()
    names = ["base", "dpo", "subtract", "dpo as trained", "dpo as trained, 7 keys × 10"]
    assert list(found) == names
    assert found["dpo"].label == "dpo"
    assert found[names[-1]] is rows[-1]
