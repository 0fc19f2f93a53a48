"""The page on layers: its example runs, and says what the result holds."""

from __future__ import annotations

import pytest

from bezoar.locate import LayerExperts
from tests.docs.pages import ROOT, blocks


def test_the_example_runs() -> None:
    pytest.importorskip("bezoar_demo")
    (code,) = blocks(ROOT / "docs" / "how-to" / "layers.md", "python")
    names: dict[str, object] = {}
    exec(compile(code, "layers.md", "exec"), names)
    found = names["found"]
    assert isinstance(found, LayerExperts)
    assert len(found.layers) == 6
    assert {one.like_for_like for one in found.contests} == {True, False}
