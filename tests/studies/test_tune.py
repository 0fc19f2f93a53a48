"""`bezoar tune` on a tiny random model: every stage, stopped and added to, and its mistakes."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bezoar.errors import BudgetError, ConfigError, NotFoldable
from bezoar.evaluate import Scorecard
from bezoar.mitigate import methods
from bezoar.runs import Run, TuneConfig, load_result, parse_config, save_result
from bezoar.search import Finals, Found
from bezoar.studies.tune import STAGES, check_tune, run_tune, settled
from bezoar.studies.tune.search import rungs_of
from tests.studies.tiny import TINY, save_tiny_model

SMALLER: dict[str, Any] = {
    "mitigate": {
        "methods": ["subtract", "subtract:direction=mean_difference", "word-ban"],
        "budget": "ppl<=20%",
        "max_evaluations": 4,
        "select_prompts": 8,
    },
    "search": {"trials": 7, "first_prompts": 4, "finalists": 3, "attack_prompts": 4},
}
WHEN = ("log.jsonl", ".lock", "environment.json", "journal.log")


def asked(out: Path, model: str, *more: dict[str, Any]) -> TuneConfig:
    return parse_config(
        TuneConfig, TINY, SMALLER, {"out": str(out), "model": {"name": model}}, *more
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def done(tmp_path_factory, model):
    out = tmp_path_factory.mktemp("tune") / "run"
    return out, run_tune(asked(out, model))


def artefacts(out: Path) -> dict[str, Any]:
    """Every file that a stage wrote; of markers all but the journal's hash: it has times."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        if path.name == "stage.json":
            marker = json.loads(path.read_text())
            marker["files"].pop("search/journal.log", None)
            found[str(path.relative_to(out))] = marker
        elif path.is_file() and path.name not in WHEN:
            found[str(path.relative_to(out))] = path.read_bytes()
    return found


def test_the_finalists_were_chosen_and_measured_on_different_prompts_by_different_scorers(done):
    out, summary = done
    found = load_result(out / "finalists" / "front.json", Found)
    finals = load_result(out / "finalists" / "finals.json", Finals)
    card = load_result(out / "finalists" / "scorecard.json", Scorecard)
    assert len(found.trials) == 7
    assert [one.number for one in finals.finalists] == list(found.finalists)
    assert card.selection_scorer.split("#")[0] != card.report_scorer.split("#")[0]
    labels = [row.label for row in card.rows if row.kind == "method"]
    assert labels == [one.label for one in finals.finalists]
    assert Path(summary.report).is_file()
    assert summary.finals == finals


def test_both_estimates_are_of_what_they_say(done):
    out, _ = done
    found = load_result(out / "finalists" / "front.json", Found)
    finals = load_result(out / "finalists" / "finals.json", Finals)
    card = load_result(out / "finalists" / "scorecard.json", Scorecard)
    for one in finals.finalists:
        row = next(row for row in card.rows if row.label == one.label)
        assert one.selection.value == pytest.approx(1 - found.trials[one.number].left(found.base))
        assert one.report.value == pytest.approx(row.change["toxicity_reduction"].value)
        assert one.cost_again == pytest.approx(row.change["perplexity_change"].value)
        assert one.cost <= found.limit


def test_only_the_winner_is_held_against_nulls_of_its_own_cost(done):
    out, _ = done
    card = load_result(out / "finalists" / "scorecard.json", Scorecard)
    finals = load_result(out / "finalists" / "finals.json", Finals)
    assert {row.null_of for row in card.rows if row.kind == "null"} <= {
        next(row.method for row in card.rows if row.label == finals.winner.label)
    }


def test_what_was_killed_anywhere_goes_on_to_the_same_bytes(done, model, tmp_path, monkeypatch):
    whole, _ = done
    out = tmp_path / "run"
    for name in STAGES:
        begun = Run.stage

        def stopping(self, stage, *args, begun=begun, name=name, **more):
            if stage == name:
                raise KeyboardInterrupt
            return begun(self, stage, *args, **more)

        monkeypatch.setattr(Run, "stage", stopping)
        if name in ("explore", "search", "finalists", "report"):
            with pytest.raises(KeyboardInterrupt):
                run_tune(asked(out, model))
        monkeypatch.setattr(Run, "stage", begun)
    run_tune(asked(out, model))
    assert artefacts(out) == artefacts(whole)


def test_more_trials_are_added_and_those_before_stay_as_they_are(done, model, tmp_path):
    whole, _ = done
    out = tmp_path / "run"
    with suppress(BudgetError):  # so few may find nothing: what they tried is kept all the same
        run_tune(asked(out, model, {"search": {"trials": 4}}))
    first = load_result(out / "search" / "found.json", Found).trials
    run_tune(asked(out, model))  # more trials are no other run: no conflict, no --update
    later = load_result(out / "search" / "found.json", Found).trials
    assert later[:4] == first
    assert later == load_result(whole / "search" / "found.json", Found).trials
    assert load_result(out / "finalists" / "finals.json", Finals) == load_result(
        whole / "finalists" / "finals.json", Finals
    )


def test_default_is_every_training_free_method_by_name(model, tmp_path):
    names = settled(asked(tmp_path, model, {"mitigate": {"methods": ["default"]}})).mitigate.methods
    controls = {name for name, cls in methods().items() if cls.control}
    assert {"subtract", "word-ban", "eigenshift", "aura", "transport"} <= {*names}
    assert not {*names} & (controls | {"dpo", "sae-latents", "default"})


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"mitigate": {"methods": ["subtrakt"]}}, "no method 'subtrakt'"),
        ({"mitigate": {"methods": ["uniform-shrink"]}}, "is a control"),
        ({"mitigate": {"budget": "ppl<=0%"}}, "buys nothing"),
        ({"search": {"first_prompts": 9}}, "of 8 selection prompts"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_work(model, tmp_path, more, told):
    with pytest.raises(ConfigError, match=told):
        check_tune(asked(tmp_path / "run", model, more))
    assert not (tmp_path / "run").exists()


def test_a_search_that_met_no_budget_names_the_nearest_and_keeps_its_trials(done, model, tmp_path):
    whole, _ = done
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "finalists")
    file, marker = out / "search" / "found.json", out / "search" / "stage.json"
    found = load_result(file, Found)
    dear = tuple(replace(t, cost=0.5 + t.number, toxicity=()) for t in found.trials)
    save_result(file, replace(found, trials=dear))
    told = json.loads(marker.read_text())
    size, digest = file.stat().st_size, hashlib.sha256(file.read_bytes()).hexdigest()
    told["files"]["search/found.json"] = {"bytes": size, "sha256": digest}
    marker.write_text(json.dumps(told))
    with pytest.raises(BudgetError, match=r"None of 7 edits costs as little as ppl<=20%.* 0.5"):
        run_tune(asked(out, model))
    assert (out / "search" / "trials" / "0006.json").exists()


@pytest.mark.parametrize(
    ("prompts", "first", "rungs"),
    [
        (200, 50, (50, 150, 200)),
        (200, 25, (25, 75, 200)),
        (24, 8, (8, 24)),
        (24, 24, (24,)),
        (25, 24, (25,)),
        (5, 4, (5,)),
        (6, 4, (4, 6)),
    ],
)
def test_rungs_end_with_all_prompts_and_none_adds_a_single_one(prompts, first, rungs):
    assert rungs_of(prompts, first, 3.0) == rungs


def test_the_kept_edit_is_the_one_that_was_measured(done, model):
    from bezoar.edits import load_edit
    from bezoar.models import LanguageModel

    out, summary = done
    lm = LanguageModel.from_pretrained(model)
    for one in summary.finals.finalists:
        edit = load_edit(out / "finalists" / "edits" / one.name, lm)
        if one.foldable:
            assert edit.fold(lm).deltas
        else:
            with pytest.raises(NotFoldable):
                edit.fold(lm)
