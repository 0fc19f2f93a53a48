"""EigenShift: its options, its nulls, its budget, and models it does not fit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from transformers import AutoModel

from bezoar.edits import export, load_edit
from bezoar.errors import ConfigError, EditError, UnsupportedAnatomy
from bezoar.locate import unembed, unembedding_of
from bezoar.mitigate import EigenShift, FitInputs, fit_to_budget, null_inputs, parse_method
from bezoar.mitigate.eigenshift import direction_scores
from bezoar.models import LanguageModel
from tests.edits.kit import logits, noise
from tests.families import tiny_config, tiny_tokenizer
from tests.mitigate.eigen import edited, eigen_inputs, random_states, states_along, states_between


def test_it_is_found_by_name_with_its_options():
    method = parse_method("eigenshift:k=3,score=sigma")
    assert method == EigenShift(k=3, score="sigma")
    assert method.spec == "eigenshift:k=3,score=sigma"
    assert parse_method("eigenshift:percentile=90").size(32) == 4
    assert parse_method("eigenshift").spec == "eigenshift"
    assert EigenShift().requires == {"states"}
    assert EigenShift(alpha=-0.5).strength == 1.5
    assert EigenShift().with_strength(0.25).alpha == 0.75


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"alpha": float("nan")}, "alpha=nan"),
        ({"alpha": float("inf")}, "alpha=inf"),
        ({"percentile": 101.0}, "percentile=101"),
        ({"percentile": float("nan")}, "percentile=nan"),
        ({"k": -1}, "k=-1"),
        ({"mode": "code", "score": "sigma"}, "score='sigma' is ours"),
        ({"mode": "paper", "score": "squared"}, "score='squared' is ours"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, says):
    with pytest.raises(ConfigError, match=says):
        EigenShift(**options)


@pytest.mark.parametrize(
    "spec", ["eigenshift:alpha=nan", "eigenshift:score=loud", "eigenshift:q=3"]
)
def test_and_so_they_are_in_a_spec(spec):
    with pytest.raises(ConfigError):
        parse_method(spec)


def test_inputs_that_do_not_fit_are_refused(gpt2):
    with pytest.raises(ConfigError, match="needs 'states'"):
        EigenShift().fit(gpt2, FitInputs())
    with pytest.raises(ConfigError, match=r"k=33 .* d_model 32"):
        edited(gpt2, k=33)
    with pytest.raises(EditError, match="width 16"):
        EigenShift().fit(gpt2, FitInputs(states=states_along(noise(16))))
    elsewhere = random_states(gpt2)
    found = dataclasses.replace(elsewhere.found, model="another")
    elsewhere = dataclasses.replace(elsewhere, found=found)
    with pytest.raises(EditError, match="other weights than"):
        EigenShift().fit(gpt2, FitInputs(states=elsewhere))
    headless = LanguageModel(
        AutoModel.from_config(tiny_config("llama", 300)), tiny_tokenizer(), name="headless"
    )
    with pytest.raises(UnsupportedAnatomy, match="headless has no unembedding"):
        edited(headless)


@pytest.mark.parametrize("k", [0, 1, 8, 32])
def test_any_k_makes_an_edit_that_folds(lm, k):
    edit = edited(lm, alpha=-0.5, k=k)
    assert edit.ops[0].op.basis.shape == (k, lm.d_model)
    before = logits(lm)
    with edit.applied_to(lm):
        hooked = logits(lm)
    with edit.fold(lm).applied_to(lm):
        torch.testing.assert_close(logits(lm), hooked, atol=1e-4, rtol=1e-4)
    assert torch.equal(hooked, before) == (k == 0)


def test_scores_weigh_as_they_say(gpt2):
    parts = unembedding_of(gpt2)
    difference = random_states(gpt2).difference
    signed = direction_scores(parts, difference, "signed")
    torch.testing.assert_close(direction_scores(parts, difference), signed.abs())
    torch.testing.assert_close(direction_scores(parts, difference, "squared"), signed**2)
    sigma = direction_scores(parts, difference, "sigma")
    torch.testing.assert_close(sigma, signed.abs() * parts.singular_values)
    # σ |Δ| is how far a direction moves logits: the norm of what W_U makes of that part of Δ.
    part = gpt2.W_U.double() @ (parts.directions[5] * signed[5])
    assert float(sigma[5]) == pytest.approx(float(part.norm()), rel=1e-5)


def test_the_published_selection_differs_and_takes_too_few(gpt2):
    parts, states = unembedding_of(gpt2), random_states(gpt2)
    ours = EigenShift(k=8).choose(parts, states)
    theirs = EigenShift(k=8, mode="code").choose(parts, states)
    assert set(ours.tolist()) != set(theirs.tolist())
    assert len(EigenShift(k=20, mode="code").choose(parts, states)) == 12
    assert len(EigenShift(k=20, mode="paper").choose(parts, states)) == 20
    assert len(EigenShift(k=32, mode="code").choose(parts, states)) == 0


def test_the_model_is_taken_apart_once(gpt2, monkeypatch):
    calls = []
    real = unembed.decompose
    monkeypatch.setattr(unembed, "decompose", lambda lm: calls.append(lm) or real(lm))
    unembed._KNOWN.clear()
    given = eigen_inputs(gpt2)
    for kind in EigenShift().null_kinds:
        list(EigenShift().nulls(gpt2, given, 3, seed=0, kind=kind))
    fit_to_budget(gpt2, EigenShift(), given, _cost(gpt2), 0.5)
    assert calls == [gpt2]


def _cost(lm):
    base = logits(lm)

    def cost(edit):
        with edit.applied_to(lm):
            return float((logits(lm) - base).abs().mean())

    return cost


def test_a_budget_finds_a_strength_below_the_largest(lm):
    given, cost = eigen_inputs(lm), _cost(lm)
    whole = cost(EigenShift().fit(lm, given))
    found = fit_to_budget(lm, EigenShift(), given, cost, whole / 3)
    assert 0 < found.strength < 1
    assert found.trace.monotone
    assert cost(found.edit) <= whole / 3
    most = fit_to_budget(lm, EigenShift(k=1), given, lambda edit: 0.0, 1.0)
    assert (most.strength, most.method.alpha) == (3.0, -2.0)


# Nulls


def test_random_choices_are_uniform_over_directions(gpt2):
    lm, parts = gpt2, unembedding_of(gpt2)
    given = eigen_inputs(lm)
    drawn = list(null_inputs("random-choices", lm, given, 400, 0))
    norm = float(given.states.difference.norm())
    counts = np.zeros(lm.d_model)
    for each in drawn:
        assert float(each.states.difference.norm()) == pytest.approx(norm, rel=1e-4)
        counts[EigenShift(k=8).choose(parts, each.states)] += 1
    # Each direction is chosen in a quarter of the draws: 100 ± 8.7.
    assert abs(counts - 100).max() < 5 * 8.7
    assert counts.sum() == 3200


def test_shuffled_states_are_the_same_states(gpt2):
    given = eigen_inputs(gpt2)
    pool = torch.cat([given.states.toxic, given.states.other])
    for each in null_inputs("shuffled-states", gpt2, given, 3, 0):
        drawn = torch.cat([each.states.toxic, each.states.other])
        assert each.states.toxic.shape == given.states.toxic.shape
        assert not torch.equal(drawn, pool)
        assert sorted(map(tuple, drawn.tolist())) == sorted(map(tuple, pool.tolist()))


def test_shuffled_states_lose_a_plant(gpt2):
    lm, parts = gpt2, unembedding_of(gpt2)
    other = noise(60, lm.d_model, seed=1)
    states = states_between(noise(60, lm.d_model, seed=2) + 4 * parts.directions[9].float(), other)
    assert int(EigenShift(k=1).choose(parts, states)[0]) == 9
    given = FitInputs(states=states)
    strengths = [
        abs(float(direction_scores(parts, d.states.difference)[9]))
        for d in null_inputs("shuffled-states", lm, given, 12, 0)
    ]
    assert max(strengths) < 2


@pytest.mark.parametrize("kind", ["random-choices", "shuffled-states"])
def test_draws_differ_repeat_extend_and_need_states(gpt2, kind):
    method, given = EigenShift(k=4), eigen_inputs(gpt2)

    def chosen(n, seed):
        nulls = method.nulls(gpt2, given, n, seed, kind)
        return [e.ops[0].op.basis.flatten().tolist() for e in nulls]

    few, many = chosen(2, 3), chosen(4, 3)
    assert many[:2] == few
    assert len(set(map(tuple, many))) == 4
    assert chosen(2, 4) != few
    with pytest.raises(ConfigError, match="needs 'states'"):
        list(null_inputs(kind, gpt2, FitInputs(), 1, 0))


# On disk


def test_the_edit_is_saved_and_the_folded_model_exported_untied(gpt2, tmp_path):
    edit = edited(gpt2, alpha=-0.5)
    edit.save(tmp_path / "edit", gpt2)
    back = load_edit(tmp_path / "edit", gpt2)
    assert torch.equal(back.ops[0].op.basis, edit.ops[0].op.basis)
    assert back.provenance["method"] == "eigenshift"
    assert back.provenance["strength"] == 1.5
    with edit.applied_to(gpt2):
        hooked = logits(gpt2)
    export(gpt2, edit, tmp_path / "model")
    stock = LanguageModel.from_pretrained(tmp_path / "model")
    assert not stock.anatomy.tied
    torch.testing.assert_close(logits(stock), hooked, atol=1e-4, rtol=1e-4)
    assert torch.equal(stock.anatomy.embed.weight, gpt2.anatomy.embed.weight)


def test_two_models_do_not_share_a_decomposition(lm):
    other = dataclasses.replace(unembedding_of(lm))
    assert unembedding_of(lm) is not other
    assert unembedding_of(lm).fingerprint == lm.fingerprint
