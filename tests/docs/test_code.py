"""The code of the documentation runs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.docs import configuration
from tests.docs.pages import ROOT, blocks
from tests.mitigate.kit import inputs

DOCS = ROOT / "docs"


@pytest.fixture
def run(monkeypatch):
    """Run a page's Python blocks as one module; gives its names."""

    def run_page(page: Path) -> dict[str, object]:
        module = ModuleType(page.stem.replace("-", "_"))
        monkeypatch.setitem(sys.modules, module.__name__, module)  # dataclasses look there
        for number, code in enumerate(blocks(page, "python")):
            exec(compile(code, f"{page.name}, block {number + 1}", "exec"), vars(module))
        return vars(module)

    return run_page


def test_the_tutorial_runs(run, tmp_path, monkeypatch):
    pytest.importorskip("bezoar_demo")
    monkeypatch.chdir(tmp_path)
    run(DOCS / "tutorial.md")
    assert (tmp_path / "quieter").is_dir()


def test_the_method_of_the_how_to_is_a_method(run, gpt2, monkeypatch):
    from bezoar.mitigate import method, parse_method

    monkeypatch.setattr(method, "_METHODS", dict(method._METHODS))
    names = run(DOCS / "how-to" / "add-a-method.md")
    assert method.get_method("quieten") is names["Quieten"]
    batch = gpt2.batch(gpt2.encode(["the fool is lovely"]))
    plain = gpt2.logits(batch)
    for share, same in ((0.0, True), (0.5, False)):
        edit = parse_method(f"quieten:share={share}").fit(gpt2, inputs(gpt2))
        with edit.applied_to(gpt2):
            assert gpt2.logits(batch).allclose(plain, atol=1e-5) == same


def test_the_configuration_page_is_the_configuration():
    assert configuration.PAGE.read_text() == configuration.page(), (
        "make it again: python -m tests.docs.configuration"
    )
