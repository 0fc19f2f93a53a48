"""Costs of two runs are paired by window, text and item where these are the same ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bezoar.compare import PerText, compare_runs
from bezoar.edits import ActivationEdit, Add
from bezoar.evaluate import Evaluator, Measurement, MethodRow, Scorecard
from bezoar.evaluate.metrics import Maker
from bezoar.runs import AuditConfig, Run, load_result, parse_config, save_result
from bezoar.scoring import Choice, WordListScorer
from bezoar.scoring.tasks import Task
from tests.scoring.models import SENTENCES, TEXT

TASK = Task(
    "toy",
    choices=tuple(Choice((a, a), (" good", " bad"), (0,)) for a in ("so", "the", "a", "it is")),
)
COSTS = ("perplexity", "kl", "f1", "task:toy")


@pytest.fixture(scope="module")
def measured(gpt2) -> tuple[Measurement, Measurement]:
    neutral = [*SENTENCES, TEXT, TEXT[40:], TEXT[90:]]
    evaluator = Evaluator(gpt2, SENTENCES[:2], "LEE@2", [WordListScorer()], neutral, tasks=[TASK])
    vector = torch.randn(gpt2.d_model, generator=torch.Generator().manual_seed(0))
    edit = ActivationEdit.at([gpt2.site("-1.resid_post")], Add(3 * vector), "all", name="m")
    return evaluator.measure(None), evaluator.measure(edit)


def test_a_run_against_itself_differs_by_exactly_nothing(measured, tmp_path) -> None:
    saved = PerText.of({"m": measured[1]}, "text", [TASK])
    save_result(tmp_path / "per_text.json", saved)
    again = load_result(tmp_path / "per_text.json", PerText)
    for metric in COSTS:
        found = saved.difference(again, "m", metric, 200, 0)
        assert found is not None
        assert (found[0].value, found[0].low, found[0].high) == (0, 0, 0)


def test_differences_are_those_of_one_run(measured) -> None:
    base, edited = measured
    a, b = (PerText.of({"m": m}, "text", [TASK]) for m in measured)
    inside = Maker({"words": "words#1"}, 500, 0).changes(edited, base)
    for metric, seed in (("perplexity", 1), ("f1", 0), ("task:toy", 0)):
        found = a.difference(b, "m", metric, 500, seed)
        assert found is not None
        one = inside[metric]
        np.testing.assert_allclose(
            (found[0].value, found[0].low, found[0].high), (one.value, one.low, one.high)
        )
    kl = a.difference(b, "m", "kl", 500, 0)
    assert kl is not None
    assert kl[0].value == pytest.approx(edited.kl.value)
    assert kl[0].low > 0


def test_other_texts_are_not_paired(measured) -> None:
    a = PerText.of({"m": measured[0]}, "text", [TASK])
    other = replace(PerText.of({"m": measured[1]}, "another", []), tasks={"toy": "other items"})
    for metric in (*COSTS, "toxicity", "excess:identity"):
        assert a.difference(other, "m", metric, 100, 0) is None
    assert a.difference(a, "absent", "kl", 100, 0) is None
    assert PerText().difference(PerText(), "m", "perplexity", 100, 0) is None


def test_two_runs_use_them(measured, tmp_path) -> None:
    runs = []
    for name, measurement in zip("ab", measured, strict=True):
        with Run.open(tmp_path / name, parse_config(AuditConfig)) as run:
            with run.stage("evaluate") as stage:
                metrics = Maker({"words": "words#1"}, 200, 0).metrics(measurement)
                row = MethodRow("m", "m", "method", metrics={n: metrics[n] for n in COSTS})
                save_result(
                    stage.folder / "scorecard.json", Scorecard("LEE@2", (row,), 2, "a", "b")
                )
                by_text = PerText.of({"m": measurement}, "text", [TASK])
                save_result(stage.folder / "per_text.json", by_text)
            runs.append(tmp_path / name)
    same, other = compare_runs(runs[0], runs[0]), compare_runs(*runs, resamples=200)
    assert {r.metric: (r.value, r.low, r.high) for r in same.rows} == dict.fromkeys(COSTS, (0,) * 3)
    assert all(row.paired for row in (*same.rows, *other.rows))
    assert other.rows[0].value == pytest.approx(other.rows[0].b - other.rows[0].a)
