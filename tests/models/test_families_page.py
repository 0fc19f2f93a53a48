"""The page of families says what the tests see."""

from __future__ import annotations

from tests.models import capabilities


def test_the_page_is_what_the_families_can_do():
    assert capabilities.PAGE.read_text(encoding="utf-8") == capabilities.page(), (
        "make it again: python -m tests.models.capabilities"
    )


def test_a_family_that_changes_changes_the_page(monkeypatch):
    monkeypatch.setitem(capabilities._COLUMNS, "block", lambda lm: "sequential")
    assert capabilities.PAGE.read_text(encoding="utf-8") != capabilities.page()
