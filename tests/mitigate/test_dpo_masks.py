"""What may move moves, and nothing else does, by one bit."""

from __future__ import annotations

import sys

import pytest
import torch

from bezoar.edits import ModuleEdit, WeightEdit
from bezoar.errors import ConfigError, EditError
from bezoar.locate import Direction, rank_values
from bezoar.mitigate.preference import Trainable, mask_energy, train, trainer
from bezoar.mitigate.preference.masks import parts_of
from bezoar.mitigate.preference.targets import target_of
from bezoar.models import Site
from tests.edits.kit import noise
from tests.mitigate.preferences import pairs, recipe, same, state_of


def ranking(lm, top: int = 20):
    return rank_values(lm, Direction.of(noise(lm.d_model), Site(0, "mlp_out")), top)


def trained_state(lm, monkeypatch, **options):
    """The model while it is trained, at the end, and what came of it."""
    seen = {}
    original = trainer.Trainer._result

    def result(self, reason):
        seen.update(state_of(self.lm))
        return original(self, reason)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "_result", result)
        return train(lm, pairs(), recipe(keep="last"), **options), seen


@pytest.mark.parametrize("kind", ["values", "random-values"])
def test_only_those_value_vectors_move(lm, monkeypatch, kind):
    values = ranking(lm)
    before = state_of(lm)
    trained, after = trained_state(lm, monkeypatch, trainable=f"{kind}:12", values=values)
    if kind == "values":
        free = {(e.layer, e.index) for e in values.entries[:12]}
    else:
        free = {
            (layer, i)
            for layer in range(lm.n_layers)
            for i in range(lm.d_mlp)
            if not torch.equal(_values(lm, after, layer)[i], lm.values(layer)[i])
        }
        assert len(free) == 12
    for layer in range(lm.n_layers):
        name = lm.parameter_name(lm.anatomy[layer].w_out)
        moved = (_values(lm, after, layer) != lm.values(layer)).any(-1).nonzero()[:, 0]
        assert {(layer, int(i)) for i in moved} == {p for p in free if p[0] == layer}
        after[name] = before[name]
    assert same(before, after)
    # so does the edit, which also is exactly the trained model
    with trained.edit.applied_to(lm):
        for layer in range(lm.n_layers):
            moved = (lm.values(layer) != _values(lm, before, layer)).any(-1).nonzero()[:, 0]
            assert {(layer, int(i)) for i in moved} <= free
    assert mask_energy(lm, trained.edit, f"{kind}:12", values) == pytest.approx(1.0)
    assert trained.log.trained == 12 * lm.d_model


def _values(lm, state, layer):
    stored = state[lm.parameter_name(lm.anatomy[layer].w_out)]
    return stored if stored.shape == (lm.d_mlp, lm.d_model) else stored.T


@pytest.mark.parametrize("trainable", ["biases", "late:1", "late"])
def test_whole_parameters_outside_of_the_mask_keep_every_bit(gpt2, monkeypatch, trainable):
    before = state_of(gpt2)
    trained, after = trained_state(gpt2, monkeypatch, trainable=trainable)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    expected = {
        "biases": {name for name in before if name.endswith(".bias")},
        "late:1": {name for name in before if name.startswith("transformer.h.2.")},
        "late": {name for name in before if name.startswith("transformer.h.2.")},
    }[trainable]
    assert moved == expected
    assert set(trained.edit.deltas) == expected


def test_an_architecture_without_biases_says_so(lm):
    if any(name.endswith("bias") for name, _ in lm.model.named_parameters()):
        pytest.skip("it has some")
    with pytest.raises(EditError, match="no biases to train"):
        train(lm, pairs(), recipe(), trainable="biases")


def test_energy_of_a_free_training_divides_over_masks(gpt2):
    edit = train(gpt2, pairs(), recipe()).edit
    shares = [mask_energy(gpt2, edit, kind) for kind in ("all", "late:3", "late:1", "biases")]
    assert shares[0] == pytest.approx(1.0)
    assert 1 > shares[1] > shares[2] > 0
    every = gpt2.n_layers * gpt2.d_mlp
    rows = mask_energy(gpt2, edit, f"random-values:{every}")
    some = mask_energy(gpt2, edit, f"random-values:{every // 4}")
    assert rows / 8 < some < rows < 1
    assert mask_energy(gpt2, WeightEdit({}), "all") == 0


def test_an_added_layer_begins_as_nothing_and_learns(lm):
    before = state_of(lm)
    trained = train(lm, pairs(), recipe(lr=1e-2), trainable="layer:4")
    assert isinstance(trained.edit, ModuleEdit)
    assert trained.log.validation[0].loss == pytest.approx(0.6931472, abs=1e-6)
    assert trained.log.best.loss < 0.69
    assert same(before, state_of(lm))
    assert trained.log.trained == 4 * (2 * lm.d_model + 1)


def test_adapters_need_peft(gpt2, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigError, match=r"bezoar\[lora\]"):
        train(gpt2, pairs(), recipe(), trainable="lora:2")


def test_adapters_become_plain_deltas(lm, monkeypatch):
    pytest.importorskip("peft")
    modules, before = dict(lm.model.named_modules()), state_of(lm)
    seen = {}
    original = trainer.Trainer._result
    batch = lm.batch(lm.encode(["you are a fool"]))

    def result(self, reason):
        seen["logits"] = lm.logits(batch)
        return original(self, reason)

    monkeypatch.setattr(trainer.Trainer, "_result", result)
    trained = train(lm, pairs(), recipe(keep="last"), trainable="lora:2")
    assert trained.log.validation[0].loss == pytest.approx(0.6931472, abs=1e-6)
    assert trained.log.best.loss < 0.68
    assert dict(lm.model.named_modules()) == modules
    assert same(before, state_of(lm))
    with trained.edit.applied_to(lm):
        torch.testing.assert_close(lm.logits(batch), seen["logits"], rtol=1e-4, atol=1e-5)
        for layer in range(lm.n_layers):
            rank = torch.linalg.matrix_rank(
                lm.values(layer) - _values(lm, before, layer), rtol=1e-4
            )
            assert rank == 2


@pytest.mark.parametrize("text", ["all", "values:64", "random-values:64:3", "late:4", "lora:8"])
def test_what_to_train_is_read_and_written(text):
    assert str(Trainable.parse(text)) == text
    assert Trainable.parse(Trainable.parse(text)) == Trainable.parse(text)


def test_a_default_count_with_a_seed_is_written_so_that_it_is_read():
    assert str(Trainable("random-values", seed=3)) == "random-values:128:3"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("value:3", "'values'"),
        ("late:x", "values:64"),
        ("late:1:2:3", "late:1"),
        ("values:²", "values:64"),
        ("values:0", "counts 0.*Write values for the default"),
        ("late:0", "counts 0"),
        ("random-values:0:3", "counts 0"),
        ("all:0", "counts 0"),
        ("all:5", "trained whole, and 5"),
        ("biases:64", "Write biases, or values:64"),
        ("lora:8:3", "seed=3 has no place.*dpo:seed=3"),
    ],
)
def test_what_says_nothing_is_refused(text, word):
    with pytest.raises(ConfigError, match=word):
        Trainable.parse(text)


def test_more_than_there_is_is_refused(gpt2):
    for text, word in (
        ("values:64", "none are ranked"),
        ("late:9", "has 3"),
        ("random-values:9999", "there are 384"),
    ):
        with pytest.raises(ConfigError, match=word):
            parts_of(gpt2, Trainable.parse(text))
    with pytest.raises(ConfigError, match="there are 20"):
        parts_of(gpt2, Trainable.parse("values:21"), ranking(gpt2))


def test_random_vectors_are_those_of_the_seed(gpt2):
    chosen = [
        [part.index.tolist() for part in parts_of(gpt2, Trainable("random-values", 30, seed))]
        for seed in (0, 0, 1)
    ]
    assert chosen[0] == chosen[1] != chosen[2]


def test_the_optimiser_is_given_the_rows_alone(gpt2, tmp_path):
    target = target_of(gpt2, Trainable("random-values", 5), None, 0)
    with target.training(tmp_path):
        assert sum(p.numel() for p in target.parameters.values()) == 5 * gpt2.d_model
