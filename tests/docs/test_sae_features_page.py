"""The code of the page on latents runs, and what it says of its numbers is so."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "sae-features.md"


def test_the_page_reads_an_autoencoder_of_the_demo_model(tmp_path, monkeypatch):
    pytest.importorskip("bezoar_demo")
    monkeypatch.chdir(tmp_path)
    module = ModuleType("sae_features")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for number, code in enumerate(blocks(PAGE, "python")):
        exec(compile(code, f"{PAGE.name}, block {number + 1}", "exec"), vars(module))
    held = vars(module)
    loss, card = held["loss"], held["card"]
    assert loss.base < loss.spliced < loss.mean < loss.zero
    assert 0 < loss.recovered_of_mean < loss.recovered < 1
    assert 0 < held["quality"].explained_variance < 1
    assert held["table_of_latents"].texts == 200
    assert card.id == held["best"]
    assert all(scored[0][1] == 1 for scored in card.tokens.values())
    assert all(len(p.tokens) == len(p.activations) for p in card.prompts)
