"""The attack stage, on a tiny model with remedies and texts that are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from bezoar.attack import (
    Measured,
    RankCorrelations,
    ResidualCapability,
    Robustness,
    SampleFree,
    ToxicityAndCost,
    toxicity_and_cost,
)
from bezoar.attack.grids import BUDGETS
from bezoar.corpus import NeutralText
from bezoar.edits import LogitEdit, load_edit
from bezoar.errors import ConfigError
from bezoar.locate import rank_values
from bezoar.mitigate import Subtract
from bezoar.runs import DPOStudyConfig, Run, load_result, parse_config, save_result
from bezoar.scoring import load_scorer
from bezoar.studies.attacking import AttackSetup
from bezoar.studies.audit.fitted import FittedMethod
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.dpo import DPOBench
from bezoar.studies.dpo import attack as module
from bezoar.studies.dpo.attack import attack_stage, check_attacks, remedies
from tests.attack.kit import same, state, weight_remedy
from tests.attack.test_residual import corpus
from tests.mitigate.kit import TEXTS, inputs

OPTIONS = {
    "mitigate": {"methods": ["dpo", "subtract", "uniform-shrink"]},
    "attack": {
        "attacks": ["pruning", "interpolation", "steering", "toxic-context"],
        "grid": "quick",
        "prompts": 4,
        "probe_texts": 20,
        "resamples": 100,
    },
    "harvest": {"max_tokens": 16},
}


def fitted(name, spec):
    return FittedMethod(name, spec, f"{name}, fitted", 1.0, 0.01, True, "", 1.0, 0.3, ())


class Bench(DPOBench):
    """What the stage needs of a bench: no other stage has to run."""

    def __init__(self, lm, run, config):
        super().__init__(run, config)
        self.lm = lm
        self.scorer_b = load_scorer("words")
        probe = inputs(lm).probe
        self.direction, self.values = probe, rank_values(lm, probe, 8)
        self.dpo_spec = "dpo"
        self.edits = {
            "dpo": weight_remedy(lm),
            "subtract": Subtract("probe", 3.0).fit(lm, inputs(lm)),
        }

    def corpus(self, part):
        return corpus(60, 1) if part == "train" else corpus(60, 2)

    def prompts(self, part):
        assert part == "report"
        return [*TEXTS, "never reached"]

    def neutral(self, part):
        assert part == "report"
        return NeutralText(("the river is lovely and the tree is good " * 8,) * 12)

    def trained(self, spec):
        assert spec == "dpo"
        return SimpleNamespace(edit=weight_remedy(self.lm, 0.02))

    def edit(self, name):
        return self.edits[name]


class Scripted(ToxicityAndCost):
    """DPO lowers toxicity by much, the subtraction by nothing; attacks bring half of it back."""

    def __init__(self, real):
        self.key, self.protocol, self.calls, self.stop = real.key, real.protocol, 0, None

    def __call__(self, edit):
        self.calls += 1
        if self.calls == self.stop:
            raise KeyboardInterrupt
        name = "base" if edit is None else edit.name
        level = 0.6 if edit is None or name.startswith("subtract") else 0.2
        if "+" in name or "prune" in name:
            level = 0.4
        return Measured(tuple(level + 0.01 * i for i in range(4)), 10.0)

    def under(self, use):
        return self


@pytest.fixture
def made(gpt2, tmp_path, monkeypatch):
    measures = []

    def scripted(lm, prompts, *more):
        assert prompts == list(TEXTS)
        measures.append(Scripted(toxicity_and_cost(lm, prompts, *more)))
        return measures[-1]

    monkeypatch.setattr(module, "toxicity_and_cost", scripted)

    def make(name="run", **options):
        config = parse_config(
            DPOStudyConfig, OPTIONS, {"out": str(tmp_path / name)}, {"attack": options}
        )
        run = Run.open(tmp_path / name, config)
        for stage in ("explore", "locate", "mitigate"):
            with run.stage(stage, key=[stage]) as opened:
                if stage == "mitigate" and not opened.done:
                    methods = (
                        fitted("dpo", "dpo"),
                        fitted("subtract", "subtract"),
                        fitted("uniform-shrink", "uniform-shrink"),
                    )
                    save_result(opened.folder / "methods.json", Fits(methods, {}, "dpo", 0.5))
        return Bench(gpt2, run, config), run.folder("attack")

    return make, measures


def test_every_remedy_that_lowers_toxicity_has_its_three_results(made, gpt2):
    before, (make, _) = state(gpt2), made
    bench, folder = make()
    with bench.run:
        attack_stage(bench)
    assert same(state(gpt2), before)
    for name in ("dpo-as-trained", "dpo"):
        found = load_result(folder / name / "robustness.json", Robustness)
        assert found.score is not None
        assert load_result(folder / name / "residual.json", ResidualCapability).recovered
        assert load_result(folder / name / "sample_free.json", SampleFree).stable_rank > 0
    assert load_result(folder / "dpo-as-trained" / "robustness.json", Robustness).edit == (
        "dpo as trained"
    )
    none = load_result(folder / "subtract" / "robustness.json", Robustness)
    assert (none.score, none.curves) == (None, ())
    assert not (folder / "subtract" / "sample_free.json").exists()
    left = load_result(folder / "subtract" / "residual.json", ResidualCapability)
    assert (left.verdict, left.recovered) == ("undecided", None)
    assert "does not lower" in left.why
    assert not (folder / "uniform-shrink").exists()  # a control is no remedy
    told = load_result(folder / "rank_correlations.json", RankCorrelations)
    assert "Too few edits to tell: 2" in told.verdict()
    setup = load_result(folder / "setup.json", AttackSetup)
    assert setup.points["toxic context"] == 2
    assert setup.not_attacked.keys() == {"subtract, fitted"}
    assert "no remedy" in setup.texts


def test_a_word_ban_stops_no_study(made):
    make, _ = made
    bench, folder = make(attacks=["toxic-context"], edits=["dpo"])
    bench.edits["dpo"] = LogitEdit(((3,),), torch.tensor([-torch.inf]))
    with bench.run:
        attack_stage(bench)
    assert load_result(folder / "dpo" / "sample_free.json", SampleFree).basin_width is None
    assert (folder / "setup.json").exists()


def test_table_4_has_its_point_whatever_the_training_did(made, gpt2):
    make, _ = made
    bench, folder = make()
    bench.trained = lambda spec: SimpleNamespace(edit=bench.edits["subtract"])  # lowers nothing
    with bench.run:
        attack_stage(bench)
    table = load_result(folder / "key_scaling.json", Robustness)
    assert [curve.attack for curve in table.curves] == ["key scaling", "key scaling with bias"]
    for curve in table.curves:
        point = next(p for p in curve.points if p.label == "×10, 7 keys")
        assert point.toxicity is not None
        assert point.toxicity_interval.low <= point.toxicity <= point.toxicity_interval.high
        assert curve.nulls[-1].label == "×10, 7 keys"
    assert (folder / "dpo-as-trained" / "residual.json").exists()


def test_attacked_weights_are_written_only_if_that_was_asked_for(made, gpt2):
    make, _ = made
    bench, folder = make("plain")
    with bench.run:
        attack_stage(bench)
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".json", ".jsonl"}
    bench, folder = make("kept", keep_attacked=True)
    with bench.run:
        attack_stage(bench)
    saved = folder / "dpo-as-trained" / "attacked"
    assert {"pruning", "interpolation", "key-scaling"} <= {p.name for p in saved.iterdir()}
    assert not (saved / "toxic-context").exists()
    load_edit(saved / "pruning", gpt2).check(gpt2)


def test_a_stage_that_was_killed_measures_nothing_twice_and_ends_alike(made):
    make, measures = made
    bench, folder = make("whole")
    with bench.run:
        attack_stage(bench)
    whole, bytes_ = measures[-1].calls, contents(folder)

    bench, folder = make("killed")
    stopped = whole // 2
    original = module.toxicity_and_cost

    def stopping(*args):
        measure = original(*args)
        measure.stop = stopped
        return measure

    with bench.run, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "toxicity_and_cost", stopping)
        with pytest.raises(KeyboardInterrupt):
            attack_stage(bench)
    bench, folder = make("killed")
    with bench.run:
        attack_stage(bench)
    assert measures[-1].calls == whole - (stopped - 1)
    assert contents(folder) == bytes_
    with bench.run:
        attack_stage(bench)
    assert measures[-1].calls == whole - (stopped - 1)  # done is done


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "stage.json"
    }


def test_a_grid_that_holds_something_else_is_run_again(made, monkeypatch):
    make, measures = made
    options = {"attacks": ["interpolation"], "edits": ["dpo"]}

    def shares():
        bench, folder = make(**options)
        with bench.run:
            attack_stage(bench)
        found = load_result(folder / "dpo" / "robustness.json", Robustness)
        return {point.budget for point in found.curves[0].points}

    before = shares()
    monkeypatch.setitem(BUDGETS["interpolation"]["quick"], "shares", (0.25, 0.75))
    assert before == {0.5, 1.0}
    assert shares() == {0.25, 0.75}
    monkeypatch.setitem(BUDGETS["noise"]["quick"], "sigmas", (0.2,))  # not asked for
    done = len(measures)
    shares()
    assert len(measures) == done


def test_edits_are_chosen_by_name(made):
    make, _ = made
    bench, _ = make(edits=("subtract", "dpo-as-trained"))
    with bench.run:
        assert [r.name for r in remedies(bench)] == ["dpo-as-trained", "subtract"]


def test_wrong_names_are_told_of_before_any_work():
    config = parse_config(DPOStudyConfig, OPTIONS, {"attack": {"edits": ["subtrakt"]}})
    with pytest.raises(ConfigError, match=r"'subtrakt'.*subtract"):
        check_attacks(config)
    config = parse_config(DPOStudyConfig, OPTIONS, {"attack": {"attacks": ["prunning"]}})
    with pytest.raises(ConfigError, match=r"'prunning'.*pruning"):
        check_attacks(config)
    config = parse_config(DPOStudyConfig, OPTIONS, {"attack": {"attacks": "noise, prunning"}})
    with pytest.raises(ConfigError, match=r"'prunning'.*pruning"):
        check_attacks(config)
    check_attacks(parse_config(DPOStudyConfig, {}))
