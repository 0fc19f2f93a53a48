"""The loop: it begins at ln 2, learns, stops, goes on bit for bit, and leaves the model alone."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from unittest.mock import Mock

import pytest
import torch
from accelerate.state import AcceleratorState

from bezoar.edits import load_edit
from bezoar.errors import (
    ConfigError,
    CorruptArtefact,
    DataError,
    EditError,
    ModelError,
    RunConflict,
    TrainingDiverged,
)
from bezoar.mitigate.preference import Recipe, TrainingLog, get_recipe, setup, train, trainer
from bezoar.mitigate.preference.setup import keep_out
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from bezoar.runs.results import load_result, save_result
from tests.families import tiny_hf_model, tiny_model
from tests.mitigate.preferences import pairs, recipe, same, state_of


def test_it_begins_at_ln_2_and_then_learns(lm):
    before, fingerprint = state_of(lm), lm.fingerprint
    flags = [p.requires_grad for p in lm.model.parameters()]
    trained = train(lm, pairs(), recipe())
    log = trained.log
    assert log.validation[0].loss == pytest.approx(math.log(2), abs=1e-6)
    assert log.validation[0].accuracy == pytest.approx(0.5, abs=0.5)
    assert log.steps[0].loss == pytest.approx(math.log(2), abs=1e-5)
    losses = [point.loss for point in log.validation]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.6
    assert log.best.accuracy > 0.9
    assert log.best.margin == pytest.approx(log.best.chosen_reward - log.best.rejected_reward)
    assert log.best.kl > log.validation[0].kl == 0
    assert log.stop_reason == "end of the pairs"
    assert same(before, state_of(lm))
    assert [p.requires_grad for p in lm.model.parameters()] == flags
    assert all(p.grad is None for p in lm.model.parameters())
    assert lm.fingerprint == fingerprint


def test_dropout_is_off_in_a_model_that_was_left_in_train_mode(gpt2):
    gpt2.model.train()
    gpt2.model.transformer.drop.p = 0.5
    log = train(gpt2, pairs(), recipe()).log
    assert log.validation[0].loss == pytest.approx(math.log(2), abs=1e-6)
    assert log.steps[0].loss == pytest.approx(math.log(2), abs=1e-5)
    assert gpt2.model.training
    assert all(module.training for module in gpt2.model.modules())
    gpt2.model.eval()


def test_validation_pairs_that_are_learnt_from_are_counted(lm):
    assert train(lm, pairs(), recipe()).log.known == 0
    log = train(lm, pairs(), recipe(), validation=pairs(8)).log
    assert log.known == 8
    assert "8 of 8 validation pairs are known" in log.__rich__().caption
    alone = [Pairs(("", ""), (a, "fine"), (b, "bad")) for a, b in (("x", "y"), ("z", "y"))]
    assert setup.known_of(*alone) == 2
    assert setup.known_of(alone[0], Pairs(("x",), ("good",), ("worse",))) == 0


def test_the_edit_is_the_model_that_was_trained(monkeypatch, tmp_path):
    lm = tiny_model("llama")
    seen = {}
    original = trainer.Trainer._result

    def result(self, reason):
        seen.update(state_of(self.lm))
        return original(self, reason)

    monkeypatch.setattr(trainer.Trainer, "_result", result)
    trained = train(lm, pairs(), recipe(keep="last"))
    with trained.edit.applied_to(lm):
        for name, value in state_of(lm).items():
            torch.testing.assert_close(value, seen[name], rtol=1e-6, atol=1e-7)
    trained.edit.save(tmp_path / "edit", lm)
    batch = lm.batch(lm.encode(["you are a fool"]))
    with trained.edit.applied_to(lm):
        expected = lm.logits(batch)
    with load_edit(tmp_path / "edit", lm, same_model=True).applied_to(lm):
        assert torch.equal(lm.logits(batch), expected)


def test_a_tied_head_stays_tied_and_is_counted_once(gpt2, tmp_path):
    from bezoar.edits import export

    assert gpt2.anatomy.tied
    trained = train(gpt2, pairs(), recipe())
    assert trained.log.trained == sum(p.numel() for p in gpt2.model.parameters())
    both = {"transformer.wte.weight", "lm_head.weight"}
    assert both <= set(trained.edit.deltas)
    trained.edit.save(tmp_path / "edit")
    for edit in (trained.edit, load_edit(tmp_path / "edit", gpt2)):
        with edit.applied_to(gpt2):
            assert gpt2.model.lm_head.weight is gpt2.model.transformer.wte.weight
    assert gpt2.model.lm_head.weight is gpt2.model.transformer.wte.weight
    assert not export(gpt2, trained.edit, tmp_path / "model").untied


def test_patience_ends_what_does_not_improve_and_nothing_is_kept_of_it(gpt2):
    against = pairs().swapped()  # what is learnt is wrong of these
    settings = recipe(patience=2, epochs=4)
    trained = train(gpt2, pairs(), settings, validation=against)
    assert trained.log.stop_reason == "patience"
    assert trained.log.best_step == 0
    assert len(trained.log.steps) == trained.log.validation[-1].step == 2 * settings.eval_steps
    assert trained.log.best.loss == min(point.loss for point in trained.log.validation)
    assert not trained.edit.deltas
    assert trained.log.norm == 0
    last = train(gpt2, pairs(), replace(settings, keep="last"), validation=against)
    assert last.log.best_step == len(last.log.steps) == 4 * (33 // 4)
    assert last.edit.deltas


@pytest.mark.parametrize("objective", ["dpo", "sft"])
def test_what_was_interrupted_goes_on_bit_for_bit(gpt2, tmp_path, monkeypatch, objective):
    settings = recipe(objective=objective, epochs=2)
    whole = train(gpt2, pairs(), settings, out=tmp_path / "whole")
    before = state_of(gpt2)
    steps = []
    original = trainer.Trainer._train_step

    def stopping(self):
        if len(steps) == 7:
            raise KeyboardInterrupt
        steps.append(self.step)
        original(self)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "_train_step", stopping)
        with pytest.raises(KeyboardInterrupt):
            train(gpt2, pairs(), settings, out=tmp_path / "killed")
    assert same(before, state_of(gpt2))
    resumed = train(gpt2, pairs(), settings, out=tmp_path / "killed")
    assert resumed.log == whole.log
    assert resumed.edit.deltas.keys() == whole.edit.deltas.keys()
    for name, delta in whole.edit.deltas.items():
        assert torch.equal(resumed.edit.deltas[name].delta, delta.delta)
    names = {path.name for path in (tmp_path / "killed").iterdir() if path.is_file()}
    assert names == {path.name for path in (tmp_path / "whole").iterdir() if path.is_file()}
    assert all(name.endswith((".safetensors", ".json")) for name in names)
    # and what is finished is only read
    monkeypatch.setattr(trainer.Trainer, "_train_step", None)
    assert train(gpt2, pairs(), settings, out=tmp_path / "whole").log == whole.log


def test_another_run_in_the_folder_is_refused_and_damage_is_named(gpt2, tmp_path):
    train(gpt2, pairs(), recipe(), out=tmp_path)
    with pytest.raises(RunConflict, match=r"recipe, trainable differ"):
        train(gpt2, pairs(), recipe(beta=0.2), out=tmp_path, trainable="late")
    with pytest.raises(RunConflict, match="model"):
        train(tiny_model("gpt2", seed=5), pairs(), recipe(), out=tmp_path)
    (last,) = tmp_path.glob("last-*.safetensors")
    last.write_bytes(last.read_bytes()[:-4] + b"abcd")
    with pytest.raises(CorruptArtefact, match=last.name):
        train(gpt2, pairs(), recipe(), out=tmp_path)
    state = json.loads((tmp_path / "state.json").read_bytes())
    state["files"]["best"]["name"] = "../elsewhere.safetensors"
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(CorruptArtefact, match="no checkpoint"):
        train(gpt2, pairs(), recipe(), out=tmp_path)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(gpt2, monkeypatch):
    before = state_of(gpt2)
    original = trainer.answer_logps
    calls = []

    def broken(lm, batch, model=None):
        found = original(lm, batch, model)
        if model is not None:  # a training batch, not a validation
            calls.append(batch.pairs)
            if len(calls) == 4:
                return found * float("nan")
        return found

    monkeypatch.setattr(trainer, "answer_logps", broken)
    with pytest.raises(TrainingDiverged, match=r"step 4, pairs \[\d+, \d+, \d+, \d+\]") as caught:
        train(gpt2, pairs(), recipe())
    assert same(before, state_of(gpt2))
    named = json.loads(re.search(r"pairs (\[.*?\])", str(caught.value))[1])
    learnt = keep_out(pairs(), recipe().eval_pairs)[0]
    read = {(learnt.prompts[i], learnt.chosen[i], learnt.rejected[i]) for i in calls[3]}
    given = pairs()
    assert {(given.prompts[i], given.chosen[i], given.rejected[i]) for i in named} == read
    kept = caught.value.trained
    assert kept.log.best_step == 2
    assert "not finite: step 4" in kept.log.stop_reason
    assert kept.edit.deltas
    with kept.edit.applied_to(gpt2):
        assert torch.isfinite(gpt2.logits(gpt2.batch([[1, 2, 3]]))).all()


def test_fine_tuning_on_the_chosen_sides_needs_no_beta(gpt2):
    log = train(gpt2, pairs(), recipe(objective="sft", beta=0.0)).log
    assert log.validation[0].loss > 2
    assert log.best.loss < log.validation[0].loss - 0.3
    assert log.objective == "sft"


def test_accumulated_batches_are_one_batch(gpt2):
    one = train(gpt2, pairs(), recipe(batch_pairs=4, optimiser="rmsprop", lr=1e-4))
    two = train(gpt2, pairs(), recipe(batch_pairs=2, accumulate=2, optimiser="rmsprop", lr=1e-4))
    for a, b in zip(one.log.steps, two.log.steps, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-5)
        assert a.gradient == pytest.approx(b.gradient, rel=1e-4)


def test_accumulated_tokens_are_one_mean(gpt2):
    settings = {"objective": "sft", "optimiser": "rmsprop", "lr": 1e-4}
    one = train(gpt2, pairs(), recipe(batch_pairs=4, **settings)).log
    two = train(gpt2, pairs(), recipe(batch_pairs=1, accumulate=4, **settings)).log
    for a, b in zip(one.steps, two.steps, strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-5)
        assert a.gradient == pytest.approx(b.gradient, rel=1e-4)
        assert a.accuracy is a.margin is None


def test_the_reference_is_read_in_the_precision_of_the_policy(gpt2, monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    AcceleratorState._reset_state(reset_partial_state=True)
    log = train(gpt2, pairs(), recipe(steps=2, eval_batch=4), out=tmp_path).log
    assert log.validation[0].loss == pytest.approx(math.log(2), abs=2e-5)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    AcceleratorState._reset_state(reset_partial_state=True)
    with pytest.raises(RunConflict, match="precision"):
        train(gpt2, pairs(), recipe(steps=2, eval_batch=4), out=tmp_path)


def test_half_precision_that_needs_scaling_is_refused(gpt2, monkeypatch):
    monkeypatch.setattr(setup, "Accelerator", lambda **_: Mock(mixed_precision="fp16"))
    with pytest.raises(ConfigError, match="bf16"):
        train(gpt2, pairs(), recipe())


def test_the_printed_recipe_is_table_5(lm):
    lee = get_recipe("lee2024")
    assert lee == Recipe("dpo", 0.1, 1e-6, "rmsprop", 4, 1, 10.0, 150)
    assert (lee.eval_every, lee.eval_steps, lee.eval_pairs, lee.eval_batch) == (100, 25, 64, 8)
    assert (lee.max_prompt_tokens, lee.max_answer_tokens) == (64, 64)
    patience = [get_recipe("lee2024", mode=m).patience_used for m in ("correct", "paper", "code")]
    assert patience == [10, 10, 30]
    rates = [lee.rate(step) / 1e-6 for step in (0, 75, 150, 10_000)]
    assert rates == pytest.approx([1 / 151, 76 / 151, 1, 1])


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"objective": "dop"}, "'dpo'"),
        ({"optimiser": "adam"}, "'adamw'"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"batch_pairs": 0}, "batch_pairs=0"),
        ({"beta": -1.0}, "beta=-1.0"),
    ],
)
def test_numbers_that_make_no_sense_are_named(changes, word):
    with pytest.raises(ConfigError, match=word):
        get_recipe("lee2024", **changes)
    with pytest.raises(ConfigError, match="lee2024"):
        get_recipe("lee2023")


def test_kept_out_pairs_share_no_prompt_with_those_learnt_from(lm):
    learn, keep = keep_out(pairs(200), 40)
    assert not {*learn.prompts} & {*keep.prompts}
    assert 0 < len(keep) <= 40
    alone = Pairs(("a",) * 9, tuple(" good" * i for i in range(1, 10)), (" bad",) * 9)
    with pytest.raises(DataError, match="more than one prompt"):
        keep_out(alone, 4)


def test_what_cannot_be_trained_is_refused():
    from transformers import BertConfig, BertForMaskedLM

    tokenizer = tiny_hf_model("gpt2")[1]
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    sizes |= {"intermediate_size": 64, "vocab_size": len(tokenizer)}
    bert = BertForMaskedLM(BertConfig(**sizes))
    with pytest.raises(ModelError, match="both directions"):
        train(LanguageModel(bert, tokenizer), pairs(), recipe())
    model, tokenizer = tiny_hf_model("gpt2")
    half = LanguageModel(model.bfloat16(), tokenizer)
    with pytest.raises(EditError, match=r"bfloat16.*float32"):
        train(half, pairs(), recipe())


def test_packed_weights_are_refused():
    lm = tiny_model("llama")
    module = lm.anatomy[1].w_out
    module.weight = torch.nn.Parameter(module.weight.detach().to(torch.int8), requires_grad=False)
    for trainable in ("all", "late:3", "random-values:190"):
        with pytest.raises(EditError, match="packed"):
            train(lm, pairs(), recipe(), trainable=trainable)


def test_the_log_is_a_result(gpt2, tmp_path):
    log = train(gpt2, pairs(), recipe()).log
    save_result(tmp_path / "log.json", log)
    assert load_result(tmp_path / "log.json", TrainingLog) == log
    drawn = log.figure()
    assert [len(trace.x) for trace in drawn.data] == [6, 4, 4]
    from rich.console import Console

    console = Console(record=True, width=100, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    console.print(log)
    assert "kept" in console.export_text()
