"""The lens and the neurons on both sides: identical sides are equal, each side is itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.compare.models import (
    LensComparison,
    activation_drop,
    eliciting_prompts,
    lens_comparison,
)
from bezoar.compare.models.activations import random_sets
from bezoar.compare.models.passes import readings
from bezoar.compare.models.side import sides_of
from bezoar.edits import Add, Dense, NoOp, WeightEdit
from bezoar.errors import ConfigError, DataError
from bezoar.locate import logit_lens, rank_values
from bezoar.models import Decoding, Site, generate
from bezoar.runs.results import load_result, save_json, to_plain
from tests.compare.models.kit import PROMPTS, direction, value_edit
from tests.edits.kit import one
from tests.families import tiny_model


def test_each_side_of_the_lens_is_the_lens_of_that_model(pair):
    base, other = pair
    found = lens_comparison(base, other, PROMPTS, [300, 5])
    for side, lm in ((found.base, base), (found.edited, other)):
        alone = logit_lens(lm, PROMPTS, [300, 5], example=None)
        assert [i.value for i in side] == pytest.approx(list(alone.mean), abs=1e-7)
        assert list(found.states) == list(alone.states)
    changes = [b.value - a.value for a, b in zip(found.base, found.edited, strict=True)]
    assert [c.value for c in found.change] == pytest.approx(changes, abs=1e-9)
    steps = sum(step.change.value for step in found.steps)
    assert steps == pytest.approx(changes[-1] - changes[0], abs=1e-9)


def test_an_edit_of_an_mlp_changes_no_state_before_it(pair):
    base, _ = pair
    found = lens_comparison(base, value_edit(base, 1), PROMPTS, 300)
    for state, change in zip(found.states, found.change, strict=True):
        site = Site.parse(state)
        before = site.layer < 1 or (site.layer == 1 and site.point != "resid_post")
        assert (change.low == change.high == 0) == before
    lowered = found.most_changed(1)[0]
    assert lowered.component in (
        "1.mlp_out",
        "1.resid_delta",
        "2.attn_out",
        "2.mlp_out",
        "2.resid_delta",
    )


def test_eliciting_prompts_are_those_continued_with_the_token(pair):
    base, _ = pair
    said = [t[0] if t else None for t in generate(base, PROMPTS, Decoding(1)).tokens]
    for token in {t for t in said if t is not None}:
        expected = [i for i, t in enumerate(said) if t == token]
        assert eliciting_prompts(base, PROMPTS, token) == expected
    unsaid = next(t for t in range(base.d_vocab) if t not in said and t != 0)
    assert eliciting_prompts(base, PROMPTS, unsaid) == []


def test_the_lens_keeps_which_prompts_elicit_a_token_and_what_becomes_of_it_there(pair):
    base, other = pair
    said = [t[0] if t else None for t in generate(base, PROMPTS, Decoding(1)).tokens]
    token = max({t for t in said if t is not None}, key=said.count)
    found = lens_comparison(base, other, PROMPTS, token)
    rows = eliciting_prompts(base, PROMPTS, token)
    assert [i for i, elicits in enumerate(found.elicits) if elicits] == rows
    assert found.base_says == len(rows)
    assert np.mean(found.base_last) == pytest.approx(found.base[-1].value)
    change = np.array(found.edited_last) - np.array(found.base_last)
    assert change.mean() == pytest.approx(found.change[-1].value)
    own = found.eliciting_change()
    assert (own is None) == (len(rows) < 2)
    if own is not None:
        assert own.value == pytest.approx(change[rows].mean())
    few = lens_comparison(base, other, [PROMPTS[i] for i in rows] * 2, token)
    assert few.eliciting_change() == few.change[-1]


def test_a_lens_that_was_saved_without_its_prompts_is_read(pair, tmp_path):
    base, other = pair
    found = lens_comparison(base, other, PROMPTS, 300)
    plain = to_plain(found)
    for name in ("base_last", "edited_last", "elicits"):
        del plain[name]
    save_json(tmp_path / "lens.json", plain)
    old = load_result(tmp_path / "lens.json", LensComparison)
    assert (old.change, old.elicits) == (found.change, ())
    assert old.eliciting_change() is None


@pytest.mark.parametrize("continuations", ["own", "shared", "base"])
def test_the_bars_of_identical_models_are_equal(pair, continuations):
    """Item 29."""
    base, _ = pair
    found = activation_drop(
        base, NoOp(), PROMPTS, [(0, 3), (2, 9)], continuations=continuations, new_tokens=4
    )
    for neuron in found.neurons:
        assert neuron.base == neuron.edited
        assert (neuron.change.value, neuron.change.low, neuron.change.high) == (0, 0, 0)
    assert (found.fell, found.rose) == (0, 0)


def test_coefficients_are_read_where_each_new_token_is_decided(pair):
    """Against generation by hand: one forward pass a step, the last position of each."""
    base, other = pair
    neurons, steps = [(1, 5), (2, 0)], 4
    found = activation_drop(base, other, PROMPTS, neurons, new_tokens=steps)
    for lm, side in ((base, "base"), (other, "edited")):
        means = []
        for ids in lm.encode(PROMPTS):
            seen = []
            for _ in range(steps):
                batch = lm.batch([ids])
                got = lm.capture(batch, ["1.mlp_post", "2.mlp_post"])
                seen.append([float(got[Site(j, "mlp_post")][0, -1, i]) for j, i in neurons])
                chosen = int(lm.logits(batch)[0, -1].argmax())
                if chosen in lm.end_ids:
                    break
                ids = [*ids, chosen]
            means.append(np.mean(seen, axis=0))
        expected = np.mean(means, axis=0)
        assert [getattr(n, side).value for n in found.neurons] == pytest.approx(
            expected.tolist(), abs=1e-4
        )
    assert found.base.value == pytest.approx(np.mean([n.base.value for n in found.neurons]))


def test_the_bug_of_the_reference_is_a_mode(pair):
    base, other = pair
    sides = sides_of(base, other)
    options = {"new_tokens": 6, "max_prompt_tokens": None, "progress": None}
    own = readings(*sides, PROMPTS, "own", **options)
    assert own[0] != own[1]
    assert readings(*sides, PROMPTS, "shared", **options) == (own[1], own[1])
    assert readings(*sides, PROMPTS, "base", **options) == (own[0], own[0])


def test_a_silenced_neuron_falls():
    base = tiny_model("gpt2")
    bias = base.parameter_name(base.anatomy[1].w_in, "bias")
    change = torch.zeros(base.d_mlp)
    change[9] = -5.0
    with torch.no_grad():
        base.anatomy[1].w_in.bias[9] = 4.0
    edit = WeightEdit({bias: Dense(change)})
    found = activation_drop(base, edit, PROMPTS, [(1, 9), (0, 9)], new_tokens=5)
    assert found.neurons[0].change.high < -2
    assert found.neurons[0].base.value > 3
    shared = activation_drop(base, edit, PROMPTS, [(0, 9)], new_tokens=5, continuations="shared")
    assert shared.neurons[0].change.value == pytest.approx(0, abs=1e-6)  # a layer before the edit
    assert found.fell >= 0.5


def test_a_fall_of_these_neurons_alone_stands_out_of_the_null():
    base = tiny_model("gpt2")
    change = torch.zeros(base.d_mlp)
    change[[9, 20, 21]] = -5.0
    edit = WeightEdit({base.parameter_name(base.anatomy[2].w_in, "bias"): Dense(change)})
    with torch.no_grad():
        base.anatomy[2].w_in.bias[[9, 20, 21]] = 4.0
    toxic = [(2, 9), (2, 20), (2, 21)]
    found = activation_drop(base, edit, PROMPTS, toxic, new_tokens=3, continuations="base")
    assert found.null_p == 1 / 40
    assert max(map(abs, found.random)) < 1e-5 < -found.change.value  # other neurons saw no edit
    every = activation_drop(base, edit, PROMPTS, [(2, i) for i in range(128)], new_tokens=2)
    assert (every.random, every.null_p) == ((), None)


def test_the_null_is_of_the_neurons_that_were_drawn(pair):
    base, other = pair
    toxic = [(0, 1), (2, 7)]
    found = activation_drop(base, other, PROMPTS, toxic, draws=2, new_tokens=3, seed=5)
    for drawn, change in zip(random_sets(base, toxic, 2, seed=5), found.random, strict=True):
        alone = activation_drop(base, other, PROMPTS, drawn, draws=0, new_tokens=3)
        assert alone.change.value == pytest.approx(change, abs=1e-6)


def test_it_is_counted_how_many_prompts_elicit_a_token(pair):
    base, other = pair
    said = [[t[0] if t else None for t in generate(lm, PROMPTS, Decoding(1)).tokens] for lm in pair]
    token = next(t for t in said[0] if t is not None)
    found = lens_comparison(base, other, PROMPTS, token)
    assert (found.base_says, found.edited_says) == tuple(row.count(token) for row in said)


def test_edits_of_activations_are_seen_too(gpt2):
    edit = one("0.resid_post", Add(torch.ones(32)))
    ranking = rank_values(gpt2, direction(gpt2), top=5)
    found = activation_drop(gpt2, edit, PROMPTS, ranking, new_tokens=3)
    assert [str(n) for n in found.neurons] == [str(e) for e in ranking.entries]
    for neuron in found.neurons:
        assert (neuron.change.low != neuron.change.high) or neuron.layer == 0


def test_what_cannot_be_followed_is_refused(gpt2):
    with pytest.raises(DataError, match="no neuron to follow"):
        activation_drop(gpt2, NoOp(), PROMPTS, [])
    with pytest.raises(DataError, match=r"no neuron 1\.128"):
        activation_drop(gpt2, NoOp(), PROMPTS, [(1, 128)])
    with pytest.raises(DataError, match="1 prompts"):
        activation_drop(gpt2, NoOp(), ["a"], [(1, 1)])
    with pytest.raises(DataError, match="one string"):
        lens_comparison(gpt2, NoOp(), "you are", 5)


@pytest.mark.usefixtures("_unhooked")
def test_an_unknown_word_is_answered_with_the_nearest(gpt2):
    with pytest.raises(ConfigError, match="own"):
        activation_drop(gpt2, NoOp(), PROMPTS, [(1, 1)], continuations="owm")
