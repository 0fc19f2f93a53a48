"""The code of the documentation runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from bezoar.mitigate import FitInputs
from tests.docs import configuration
from tests.docs.pages import ROOT, blocks

DOCS = ROOT / "docs"


def run(page: Path, names: dict[str, object]) -> dict[str, object]:
    for number, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {number + 1}", "exec"), names)
    return names


def test_the_tutorial_runs(tmp_path, monkeypatch):
    pytest.importorskip("bezoar_demo")
    monkeypatch.chdir(tmp_path)
    run(DOCS / "tutorial.md", {})
    assert (tmp_path / "quieter").is_dir()


def test_the_method_of_the_how_to_is_a_method(gpt2, monkeypatch):
    from bezoar.mitigate import method

    monkeypatch.setattr(method, "_METHODS", dict(method._METHODS))
    names = run(DOCS / "how-to" / "add-a-method.md", {"__name__": "shrink"})
    assert method.get_method("shrink") is names["Shrink"]
    batch = gpt2.batch(gpt2.encode(["the fool is lovely"]))
    plain = gpt2.logits(batch)
    for share, same in ((0.0, True), (0.5, False)):
        edit = method.parse_method(f"shrink:share={share}").fit(gpt2, FitInputs())
        with edit.applied_to(gpt2):
            assert gpt2.logits(batch).allclose(plain, atol=1e-5) == same


def test_the_configuration_page_is_the_configuration():
    assert configuration.PAGE.read_text() == configuration.page(), (
        "make it again: python -m tests.docs.configuration"
    )
