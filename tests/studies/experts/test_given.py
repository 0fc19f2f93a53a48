"""Rows as published: at the printed strength whatever was asked for, without what cannot be had."""

from __future__ import annotations

from pathlib import Path

import pytest

from bezoar.edits import Project
from bezoar.mitigate import FitInputs
from bezoar.runs import ExpertsStudyConfig, Run, parse_config
from bezoar.studies.audit.bench import Bench
from bezoar.studies.experts import evaluate
from tests.mitigate.eigen import eigen_inputs
from tests.studies.tiny import TINY


def given(lm, folder: Path, inputs: FitInputs, monkeypatch: pytest.MonkeyPatch, *methods: str):
    asked = parse_config(
        ExpertsStudyConfig, TINY, {"out": str(folder), "mitigate": {"methods": list(methods)}}
    )
    monkeypatch.setattr(evaluate, "fit_inputs", lambda _: inputs)
    with Run.open(folder, asked) as run:
        bench = Bench(run, asked)
        bench.lm = lm
        return list(evaluate.given(bench))


def test_a_method_that_cannot_be_fitted_costs_its_own_row_alone(gpt2, tmp_path, monkeypatch):
    """A mixture of experts has no units to gate, and a model may have fewer than k directions."""
    inputs = eigen_inputs(gpt2)  # and no experts
    asked = ("aura", "eigenshift", "damp", f"eigenshift:k={gpt2.d_model + 1}")
    found = given(gpt2, tmp_path / "run", inputs, monkeypatch, *asked)
    assert [one.label for one in found] == ["eigenshift as published"]


def test_as_published_is_the_printed_strength(gpt2, tmp_path, monkeypatch):
    inputs = eigen_inputs(gpt2)
    (found,) = given(gpt2, tmp_path / "run", inputs, monkeypatch, "eigenshift:alpha=0.9")
    (at,) = found.edit.ops
    assert isinstance(at.op, Project)
    assert at.op.fraction == 1.0
