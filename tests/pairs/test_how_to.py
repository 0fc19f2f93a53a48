"""The page about pairs runs."""

from __future__ import annotations

import pytest

from tests.docs.pages import ROOT, blocks


def test_the_code_of_the_page_runs_and_gives_what_it_says(tmp_path, monkeypatch):
    pytest.importorskip("bezoar_demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for code in blocks(ROOT / "docs" / "how-to" / "pairs.md", "python"):
        exec(code, names)  # noqa: S102 (our own page)
    assert names["agreement"].above.value > 0.8
    assert names["agreement"].independent
    assert sum(map(len, names["parts"].values())) == len(names["kept"])
    assert names["human"].rejected == ("You are an idiot", "Get lost")
