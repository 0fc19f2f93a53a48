"""A training in a folder is done once, taken up if it was killed, and never taken for another."""

from __future__ import annotations

import json
import math
from contextlib import contextmanager
from dataclasses import replace

import pytest

from bezoar.edits import load_edit
from bezoar.errors import CorruptArtefact, RunConflict, TrainingDiverged
from bezoar.mitigate import DPO, FitInputs, dpo, null_inputs, parse_method
from bezoar.mitigate.preference import Trainable, TrainingLog, trainer
from bezoar.runs.progress import Progress
from bezoar.runs.results import load_result
from bezoar.studies.audit.fitting import label_of, slug
from tests.mitigate.preferences import pairs, recipe, same, state_of


class Killed(BaseException):
    pass


class Bar(Progress):
    """A progress bar that kills what it shows after so many pairs."""

    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    @contextmanager
    def task(self, label, total, unit):
        yield self.advance if label == "Training" else lambda n: None

    def advance(self, n):
        self.left -= n
        if self.left < 0:
            raise Killed


@pytest.fixture
def quick(monkeypatch):
    """A short recipe, nothing in memory; the steps of each training that was begun."""
    monkeypatch.setattr(dpo, "get_recipe", lambda name, **changes: recipe(**changes))
    calls = []
    original = dpo.train

    def counted(*args, **options):
        calls.append(args[1])
        return original(*args, **options)

    monkeypatch.setattr(dpo, "train", counted)
    forget(monkeypatch)
    return calls


def forget(monkeypatch):
    monkeypatch.setattr(dpo, "_LAST", type(dpo._LAST)())


def weights(lm, trained):
    with trained.edit.applied_to(lm):
        return state_of(lm)


def test_it_is_read_from_its_folder_bit_for_bit(gpt2, quick, monkeypatch, tmp_path):
    given = FitInputs(pairs=pairs(), work=tmp_path / "kept")
    first = DPO().trained(gpt2, given)
    forget(monkeypatch)
    second = DPO().trained(gpt2, given)
    assert len(quick) == 1
    assert second.log == first.log
    assert same(weights(gpt2, second), weights(gpt2, first))
    assert not same(weights(gpt2, first), state_of(gpt2))
    assert {path.name for path in given.work.iterdir()} == {"edit", "log.json", "training.json"}
    assert same(weights(gpt2, DPO().trained(gpt2, FitInputs(pairs=pairs()))), weights(gpt2, first))


@pytest.mark.parametrize("spec", ["dpo", "dpo:trainable=layer:4", "dpo:trainable=biases"])
def test_one_that_was_killed_ends_with_the_bits_of_one_that_was_not(gpt2, quick, tmp_path, spec):
    method = parse_method(spec)
    given = FitInputs(pairs=pairs(), work=tmp_path / "killed", progress=Bar(12))
    with pytest.raises(Killed):
        method.trained(gpt2, given)
    assert (given.work / "checkpoint" / "state.json").exists()
    after = method.trained(gpt2, replace(given, progress=Bar(10**6)))
    whole = method.trained(gpt2, FitInputs(pairs=pairs(), work=tmp_path / "whole"))
    assert after.log == whole.log
    one, other = after.edit, whole.edit
    if spec.endswith("layer:4"):
        assert (one.layer.up == other.layer.up).all()
        assert (one.layer.up != 0).any()
    else:
        assert same(weights(gpt2, after), weights(gpt2, whole))


def test_a_folder_is_of_one_training(gpt2, quick, tmp_path):
    given = FitInputs(pairs=pairs(), work=tmp_path / "kept")
    DPO().trained(gpt2, given)
    with pytest.raises(RunConflict, match="another training: pairs differ"):
        DPO().trained(gpt2, replace(given, pairs=pairs(30)))
    with pytest.raises(RunConflict, match="recipe differ"):
        DPO(beta=0.5).trained(gpt2, given)
    (tmp_path / "kept" / "training.json").write_text("{")
    with pytest.raises(CorruptArtefact, match="no JSON"):
        DPO(seed=1).trained(gpt2, given)


def test_what_left_the_finite_numbers_leaves_its_best_state(gpt2, quick, monkeypatch, tmp_path):
    original = trainer.answer_logps

    calls = []

    def broken(lm, batch, model=None):
        found = original(lm, batch, model)
        if model is not None:  # a training batch, not a validation
            calls.append(batch.pairs)
        return found * math.nan if len(calls) == 4 else found

    monkeypatch.setattr(trainer, "answer_logps", broken)
    with pytest.raises(TrainingDiverged, match=str(tmp_path / "diverged")):
        DPO("small").trained(gpt2, FitInputs(pairs=pairs(), work=tmp_path))
    log = load_result(tmp_path / "diverged" / "log.json", TrainingLog)
    assert "not finite" in log.stop_reason
    assert load_edit(tmp_path / "diverged" / "edit", gpt2).deltas.keys()
    assert not (tmp_path / "training.json").exists()


def test_nulls_are_kept_apart_and_done_once(gpt2, quick, monkeypatch, tmp_path):
    given = FitInputs(pairs=pairs(), work=tmp_path / "dpo")
    for _ in range(2):
        for drawn in null_inputs("shuffled-pairs", gpt2, given, 2, seed=0):
            DPO().trained(gpt2, drawn)
        forget(monkeypatch)
    assert len(quick) == 2
    assert [path.name for path in sorted(given.work.iterdir())] == [
        "shuffled-pairs-0",
        "shuffled-pairs-1",
    ]
    held = json.loads((given.work / "shuffled-pairs-1" / "training.json").read_text())
    assert held["recipe"]["keep"] == "last"


def test_held_out_pairs_say_when_to_stop_and_are_not_learnt_from(gpt2, quick):
    whole = pairs(33)
    parts = [whole.subset(range(24)), whole.subset(range(24, 33))]
    log = DPO().trained(gpt2, FitInputs(pairs=parts[0], held_out=parts[1])).log
    assert (log.pairs, log.validation_pairs) == (24, 8)  # the recipe's eval_pairs
    none = parts[1].subset([])
    assert DPO().trained(gpt2, FitInputs(pairs=parts[0], held_out=none)).log.pairs < 24


@pytest.mark.parametrize(
    ("spec", "label", "name"),
    [
        ("dpo", "dpo", "dpo"),
        ("dpo:trainable=values:64", "dpo, top 64 value vectors", "dpo-values-64"),
        (
            "dpo:trainable=random-values:64:3",
            "dpo, 64 random value vectors (draw 3)",
            "dpo-random-values-64-3",
        ),
        ("dpo:trainable=biases", "dpo, biases", "dpo-biases"),
        ("dpo:trainable=late", "dpo, last third of the layers", "dpo-late"),
        ("dpo:trainable=late:2", "dpo, last 2 layers", "dpo-late-2"),
        ("dpo:trainable=lora:4", "dpo, adapters of rank 4", "dpo-lora-4"),
        ("dpo:trainable=layer", "dpo, one added layer of width 16", "dpo-layer"),
        ("dpo:beta=0.01,seed=43", "dpo, β 0.01, seed 43", "dpo-beta=0.01-seed=43"),
        ("dpo:lr=0.001", "dpo, rate 0.001", "dpo-lr=0.001"),
        ("dpo:objective=sft", "sft on chosen sides", "dpo-sft"),
        ("dpo:recipe=lee2024", "dpo, recipe lee2024", "dpo-recipe=lee2024"),
        ("dpo:mode=code", "dpo, mode code", "dpo-mode=code"),
        ("subtract", "subtract probe", "subtract"),
        ("subtract:direction=value", "subtract value", "subtract-value"),
        ("project-out:layers=3/4", "project out probe, layers=3/4", "project-out-layers=3-4"),
        ("uniform-shrink", "uniform shrink", "uniform-shrink"),
    ],
)  # fmt: skip
def test_methods_have_names_for_people_and_for_folders(spec, label, name):
    assert label_of(spec) == label
    assert slug(parse_method(spec).spec) == name


def test_what_is_trained_has_words(gpt2):
    assert Trainable.parse("random-values").label == "128 random value vectors"
    assert Trainable("all").label == ""
