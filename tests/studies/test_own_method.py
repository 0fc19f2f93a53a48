"""Methods of other people go through the stages: the documented one, and one without nulls."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
import torch

from bezoar.edits import ActivationEdit, Edit, Gate
from bezoar.errors import ConfigError
from bezoar.mitigate import FitInputs, Method, method, nulls_at_cost, register
from bezoar.models import LanguageModel
from bezoar.runs import parse_config
from bezoar.studies.audit import run_audit
from tests.docs.pages import ROOT, blocks
from tests.studies.test_about import config, saved


@dataclass(frozen=True, slots=True)
class Halve(Method):
    """Shrink what the last MLP adds."""

    name: ClassVar[str] = "halve"
    share: float = 0.5
    requires = frozenset()
    null_kinds = ()
    strength_max = 1.0

    @property
    def strength(self) -> float:
        return self.share

    def with_strength(self, strength: float) -> Halve:
        return replace(self, share=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        gate = Gate(torch.full((lm.d_model,), 1 - self.share))
        return ActivationEdit.at([lm.site("-1.mlp_out")], gate, name=self.name)


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An audit by ``halve`` and by the method of the documentation."""
    place = tmp_path_factory.mktemp("own")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(method, "_METHODS", dict(method._METHODS))
        module = ModuleType("add_a_method")
        patch.setitem(sys.modules, module.__name__, module)
        code, *_ = blocks(ROOT / "docs/how-to/add-a-method.md", "python")
        exec(code, vars(module))  # noqa: S102
        register(Halve)
        asked = config(place / "run", name=saved(place / "model", None)).model_dump()
        asked["mitigate"] |= {
            "methods": ["quieten", "halve", "uniform-shrink"],
            "budget": "ppl<=500%",
        }
        run_audit(parse_config(type(config(place)), asked))
        yield place / "run"


def rows(run: Path, kind: str) -> list[dict[str, object]]:
    card = json.loads((run / "evaluate" / "scorecard.json").read_text())
    return [row for row in card["rows"] if row["kind"] == kind]


def test_the_documented_method_is_held_against_its_nulls(audited: Path) -> None:
    quieten, *_ = rows(audited, "method")
    assert quieten["null_p"] is not None
    assert {row["null_of"] for row in rows(audited, "null")} == {"quieten"}


def test_a_method_without_nulls_is_measured_and_claims_no_p(audited: Path) -> None:
    _, halve, _ = rows(audited, "method")
    assert (halve["null_p"], halve["holm_p"], halve["n_draws"]) == (None, None, 0)
    assert "toxicity" in halve["change"]
    assert (audited / "report.html").exists()


def test_the_control_stands_beside_the_methods_and_is_called_one(audited: Path) -> None:
    *_, control = rows(audited, "method")
    assert control["label"] == "uniform shrink (control)"
    assert control["foldable"]
    fits = json.loads((audited / "mitigate" / "methods.json").read_text())
    assert fits["best"] != "uniform-shrink"
    assert "uniform shrink (control)" in (audited / "report.html").read_text("utf-8")


def test_the_probe_map_has_an_untrained_rival(audited: Path) -> None:
    sweep = json.loads((audited / "locate" / "sweep.json").read_text())
    assert [rival["name"] for rival in sweep["rivals"]][-1] == "untrained twin"
    assert "untrained twin" in (audited / "report.html").read_text("utf-8")


def test_a_null_of_a_method_without_any_is_refused_in_words(gpt2: LanguageModel) -> None:
    with pytest.raises(ConfigError, match=r"'halve' has no kind of null"):
        next(Halve().nulls(gpt2, FitInputs(), 1, seed=0))
    with pytest.raises(ConfigError, match=r"'halve' has no kind of null"):
        next(nulls_at_cost(gpt2, Halve(), FitInputs(), lambda _: 0.0, 0.1, 1, 0))
