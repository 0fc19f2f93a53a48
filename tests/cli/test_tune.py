"""``tune``: what is refused at once, what is asked at a terminal, and what is handed over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest

from bezoar.cli import tune_command
from bezoar.runs import TuneConfig
from bezoar.search import Finalist, Finals, Part
from bezoar.stats import Interval
from bezoar.studies.tune import TuneSummary


def finalist(number: int, less: float, *, foldable: bool = True) -> Finalist:
    seen = Interval(less, less - 0.1, less + 0.1)
    return Finalist(
        number=number,
        name=f"trial-{number}",
        label=f"{number}: subtract",
        parts=(Part("subtract:direction=value", 2.0), Part("word-ban", 1.0)),
        foldable=foldable,
        fold_reason="" if foldable else "a ban acts on logits",
        cost=0.02,
        cost_again=0.031,
        selection=seen,
        same_scorer=Interval(less / 2, 0.0, less),
        report=Interval(less / 3, 0.0, less),
        survives=Interval(0.4, 0.2, 0.6),
        attack="keys x10, 7 keys",
    )


@dataclass
class Ran:
    """What a stand-in was asked for."""

    config: TuneConfig | None = None
    finals: Finals | None = None


@pytest.fixture
def ran(monkeypatch) -> Ran:
    """Stands in for the search itself, which has tests of its own."""
    from bezoar.studies import tune

    seen = Ran(
        finals=Finals(
            *("ppl<=3%", 0.03, (finalist(12, 0.6), finalist(3, 0.4, foldable=False)), None),
            *("demo-a", "demo-b", 200, 500),
        )
    )

    def run_tune(config: TuneConfig, **more: Any) -> TuneSummary:
        seen.config = config
        return TuneSummary("demo", config.out, "", seen.finals, ("model  demo",))

    monkeypatch.setattr(tune, "run_tune", run_tune)
    return seen


def test_trials_and_budget_reach_the_search_and_default_is_spelt_out(ran, bezoar, tmp_path):
    out = tmp_path / "run"
    status, said, err = bezoar("tune", "--out", out, "--trials", 7, "--budget", "ppl<=4%", "-q")
    assert (status, err) == (0, "")
    assert ran.config.search.trials == 7
    assert ran.config.mitigate.budget == "ppl<=4%"
    assert "default" not in ran.config.mitigate.methods
    assert "60%" in said
    assert "20% [0%, 60%]" in " ".join(said.split())
    assert "trial-12" in " ".join(said.split())
    assert (out / "config.yaml").exists()


def test_json_is_one_document_and_asks_nothing(ran, bezoar, tmp_path, monkeypatch):
    monkeypatch.setattr(tune_command, "_terminal", lambda: True)
    status, said, err = bezoar("tune", "--out", tmp_path / "run", "--json")
    assert (status, err) == (0, "")
    assert json.loads(said)["finals"]["finalists"][0]["number"] == 12


@pytest.mark.parametrize(
    ("answer", "told"), [("1", "bezoar apply"), ("2", "does not fold"), ("0", None)]
)
def test_at_a_terminal_one_is_picked(ran, bezoar, tmp_path, monkeypatch, answer, told):
    answers = iter(["9", answer])  # there are two
    monkeypatch.setattr(tune_command, "_terminal", lambda: True)
    monkeypatch.setattr(tune_command.typer, "prompt", lambda *a, **more: int(next(answers)))
    status, said, _ = bezoar("tune", "--out", tmp_path / "run", "-q")
    assert status == 0
    assert ("bezoar apply" in said) == (told == "bezoar apply")
    assert ("does not fold" in said) == (told == "does not fold")


@pytest.mark.parametrize(
    ("options", "status", "told"),
    [
        (("--methods", "subtrakt"), 2, "subtract"),
        (("--methods", "uniform-shrink"), 2, "control"),
        (("--budget", "ppl<=0%"), 2, "buys nothing"),
        (("--budget", "toxicity<=3%"), 2, "toxicity"),
        (("--set", "search.trails=3"), 2, "trials"),
        (("--trials", 0), 2, "trials"),
    ],
)
def test_what_cannot_be_searched_is_told_before_a_folder_is_made(
    ran, bezoar, tmp_path, options, status, told
):
    seen, _, err = bezoar("tune", "--out", tmp_path / "run", *options)
    assert seen == status
    assert told in err
    assert ran.config is None
    assert not (tmp_path / "run").exists()


def test_a_folder_for_the_checkpoint_that_is_not_empty_is_refused_before_hours_of_work(
    ran, bezoar, tmp_path
):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    status, _, err = bezoar("tune", "--out", tmp_path / "run", "--export", tmp_path / "there")
    assert status == 5
    assert "not empty" in err
    assert ran.config is None


def test_the_module_is_a_command_without_heavy_imports():
    assert isinstance(tune_command, ModuleType)
    assert "torch" not in vars(tune_command)
