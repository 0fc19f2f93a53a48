"""The page on training autoencoders does what it says."""

from __future__ import annotations

import re

import pytest

from bezoar.sae import SAESpec, architectures
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "how-to" / "sae.md"


def test_the_example_runs(tmp_path, monkeypatch) -> None:
    pytest.importorskip("bezoar_demo")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    [code] = blocks(PAGE, "python")
    exec(compile(code, "sae.md", "exec"), names)
    assert names["sae"].info.site == "3.resid_post"
    assert names["latents"].values.shape[0] == 10


def test_the_table_names_every_kind_and_its_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| ([^|]*) \|$", PAGE.read_text(), re.MULTILINE)
    assert {kind for kind, _ in rows} == set(architectures())
    for kind, options in rows:
        own = SAESpec.parse(kind).own
        told = re.findall(r"`(\w+)(?:=([\d.]+))?`", options)
        assert {name for name, _ in told} == set(type(own).__dataclass_fields__), kind
        for name, value in told:
            assert not value or getattr(own, name) == float(value)
