"""The page on harvesting: its examples run, one after the other."""

from __future__ import annotations

import bezoar
from bezoar.activations import RowsChoice
from tests.activations.corpora import texts
from tests.docs.pages import ROOT, blocks


def test_the_examples_run(gpt2, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"bezoar": bezoar, "lm": gpt2, "texts": texts(40)}
    first, *rest = blocks(ROOT / "docs" / "how-to" / "harvest.md", "python")
    assert "from_pretrained" in first  # of a model that is not at hand
    for number, code in enumerate(rest):
        exec(compile(code, f"harvest.md, block {number + 2}", "exec"), names)
    assert isinstance(names["said"], RowsChoice)
    assert len(names["strings"]) == len(names["states"])
    assert len(names["answers"]) == 40
