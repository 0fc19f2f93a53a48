"""The decomposition is exact: over neurons, over groups, over parts, over heads."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.compare.models import contributions, head_contributions
from bezoar.compare.models.contribution_results import LOWERING, RAISING, UNCHANGED
from bezoar.compare.models.contributions import group_names
from bezoar.edits import Add, NoOp
from bezoar.errors import ConfigError, DataError, UnsupportedAnatomy
from bezoar.locate import component_attribution
from bezoar.models import LanguageModel, Site
from bezoar.runs.results import load_result, save_result
from tests.compare.models.kit import PROMPTS, direction, model, value_edit
from tests.edits.kit import noise, one
from tests.families import tiny_tokenizer

STEPS = {"new_tokens": 4, "toxic": 8, "draws": 5}


@pytest.fixture(scope="module")
def found(pair):
    return contributions(*pair, PROMPTS, direction(pair[0]), **STEPS)


def test_neurons_and_biases_sum_to_the_measured_change(found):
    """Items 30 and 31, through any norm after the MLP: nothing is left."""
    size = max(abs(layer.measured.value) for layer in found.layers)
    for layer in found.layers:
        whole = layer.coefficients + layer.vectors + layer.both + layer.constant
        assert whole == pytest.approx(layer.measured.value, rel=1e-4, abs=1e-4 * size)
    assert abs(found.rest) < 1e-4 * size
    assert found.measured.value == pytest.approx(
        sum(layer.measured.value for layer in found.layers), abs=1e-9
    )


def test_the_measured_change_is_that_of_the_mlps_outputs(pair, found):
    """By hand: one forward pass a step, the last position of each, every layer."""
    unit = direction(pair[0]).vector
    means = []
    for lm in pair:
        sites = lm.sites(["mlp_out"])
        rows = []
        for ids in lm.encode(PROMPTS):
            steps = []
            for _ in range(STEPS["new_tokens"]):
                batch = lm.batch([ids])
                got = lm.capture(batch, sites)
                steps.append(sum(float(got[site][0, -1] @ unit) for site in sites))
                chosen = int(lm.logits(batch)[0, -1].argmax())
                if chosen in lm.end_ids:
                    break
                ids = [*ids, chosen]
            rows.append(np.mean(steps))
        means.append(np.mean(rows))
    assert found.measured.value == pytest.approx(means[1] - means[0], abs=1e-4)


def test_groups_partition_the_neurons_and_their_change(found):
    assert sum(g.neurons for g in found.groups) == found.neurons_n
    assert sum(g.change for g in found.groups) == pytest.approx(found.neurons, abs=1e-9)
    assert [g.name for g in found.groups] == [*LOWERING, *RAISING, UNCHANGED]
    assert all(g.coefficients <= 0 for g in found.groups if g.name in LOWERING)
    assert all(g.coefficients >= 0 for g in found.groups if g.name in RAISING)
    whole = sum(layer.coefficients for layer in found.layers)
    assert sum(g.coefficients for g in found.groups) == pytest.approx(whole, abs=1e-9)
    assert found.curve[-1].share == pytest.approx(1)
    assert found.curve[-1].neurons == found.neurons_n


def test_coefficients_alone_lower_in_lowering_groups_and_raise_in_their_mirrors():
    rng = np.random.default_rng(0)
    cosine, before, after = rng.normal(size=(3, 500))
    after[:20] = before[:20]
    names = group_names(cosine, before, after)
    change = cosine * (after - before)
    for name in LOWERING:
        assert (change[names == name] < 0).all()
    for name in RAISING:
        assert (change[names == name] > 0).all()
    assert (names == UNCHANGED).sum() == 20
    assert set(names) == {*LOWERING, *RAISING, UNCHANGED}
    one_of_each = group_names(
        np.array([1.0, 1, -1, -1]), np.array([2.0, -1, 1, -2]), np.array([1.0, -2, 2, -1])
    )
    assert one_of_each.tolist() == list(LOWERING)


def test_identical_models_change_nothing(pair):
    base, _ = pair
    found = contributions(base, NoOp(), PROMPTS, direction(base), **STEPS)
    assert found.measured.value == found.neurons == found.constant == 0
    assert (found.toxic_share, found.random_shares, found.null_p, found.curve) == (
        None,
        (),
        None,
        (),
    )
    assert {g.name for g in found.groups if g.neurons} == {UNCHANGED}


def test_moved_value_vectors_alone_are_seen_as_such(pair):
    base, _ = pair
    same = {"continuations": "base"} | STEPS
    found = contributions(base, value_edit(base, 2), PROMPTS, direction(base), **same)
    first, last = found.layers[0], found.layers[2]
    assert first.neurons == pytest.approx(0, abs=1e-7)
    assert abs(last.vectors) > 1e-3
    if base.anatomy[2].mlp_post_norm is None:  # else its scale, and so the coefficient, moves too
        assert last.coefficients == pytest.approx(0, abs=1e-5)
        assert last.vectors == pytest.approx(last.measured.value, abs=1e-4)


def test_an_edit_of_the_output_itself_is_the_rest(pair):
    """Also where it hangs on the norm that is taken apart."""
    base, _ = pair
    shift = noise(32, seed=5)
    unit = direction(base)
    edit = one("2.mlp_out", Add(shift))
    same = {"continuations": "base"} | STEPS
    found = contributions(base, edit, PROMPTS, unit, **same)
    assert found.rest == pytest.approx(float(shift @ unit.vector), abs=1e-4)
    assert found.neurons == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "gemma2"])
def test_half_precision_leaves_as_little_as_its_rounding(family):
    base = model(family)
    base.model.bfloat16()
    found = contributions(base, value_edit(base, 2), PROMPTS, direction(base), **STEPS)
    size = max(abs(layer.measured.value) for layer in found.layers)
    assert abs(found.rest) < 0.05 * size
    heads = head_contributions(base, value_edit(base, 0), PROMPTS, 300)
    for attention in heads.attentions:
        assert attention.base_rest == pytest.approx(0, abs=0.05)


def test_the_toxic_share_is_that_of_the_neurons_of_largest_cosine(pair, found):
    base, _ = pair
    unit = direction(base).vector
    everything = contributions(
        *pair, PROMPTS, direction(base), **STEPS | {"toxic": found.neurons_n}
    )
    if everything.toxic_share is not None:
        assert everything.toxic_share.value == pytest.approx(1, abs=1e-5)
        assert everything.random_shares == pytest.approx([1] * 5, abs=1e-5)
    assert everything.toxic_change == pytest.approx(found.neurons, abs=1e-9)
    eight = next(p for p in found.curve if p.neurons == 8)
    assert found.toxic_change == pytest.approx(eight.share * found.neurons, abs=1e-9)
    if found.toxic_share is not None:
        assert found.toxic_share.value == pytest.approx(eight.share, rel=1e-3, abs=1e-4)
    if base.anatomy[0].mlp_post_norm is None:
        cosine = torch.nn.functional.cosine_similarity(base.values(0), unit, dim=1)
        for neuron in found.top:
            if neuron.layer == 0:
                assert neuron.cosine == pytest.approx(float(cosine[neuron.index]), abs=1e-5)


def test_heads_sum_to_their_attention_along_a_direction(pair):
    base, _ = pair
    found = head_contributions(*pair, PROMPTS, direction(base))
    assert len(found.heads) == base.n_layers * base.n_heads
    for attention in found.attentions:
        own = [h for h in found.heads if h.layer == attention.layer]
        for side in ("base", "edited"):
            whole = sum(getattr(h, side) for h in own) + getattr(attention, f"{side}_bias")
            assert whole == pytest.approx(getattr(attention, side).value, abs=1e-4)
            assert getattr(attention, f"{side}_rest") == pytest.approx(0, abs=1e-4)
        change = sum(h.change.value for h in own)
        assert change + attention.edited_bias - attention.base_bias == pytest.approx(
            attention.change.value, abs=1e-4
        )


def test_heads_sum_to_their_attentions_part_of_the_logit(pair):
    found = head_contributions(*pair, PROMPTS, [300, 60])
    for lm, side in zip(pair, ("base", "edited"), strict=True):
        parts = component_attribution(lm, PROMPTS, [300, 60]).parts
        for attention in found.attentions:
            (expected,) = [
                p.logit.value for p in parts if p.component == f"{attention.layer}.attn_out"
            ]
            assert getattr(attention, side).value == pytest.approx(expected, abs=1e-4)
            assert getattr(attention, f"{side}_rest") == pytest.approx(0, abs=1e-4)


def test_a_head_is_what_is_lost_when_its_part_of_z_is_zero(pair):
    """Also with grouped queries: heads are those of z."""
    base, other = pair
    if base.anatomy[1].attn_post_norm is not None:
        pytest.skip("ablation moves the scale of the norm after attention")
    unit = direction(base)
    found = head_contributions(base, other, PROMPTS, unit)
    for head in (0, 3):
        rows = []
        for ids in base.encode(PROMPTS):
            z = base.capture(base.batch([ids]), ["1.z"])[Site(1, "z")][:, -1]
            cut = z.clone()
            cut[:, head * base.d_head : (head + 1) * base.d_head] = 0
            project = base.anatomy[1].attn_out_proj
            lost = (project(z) - project(cut)).detach()
            rows.append(float(lost[0] @ unit.vector))
        (entry,) = [h for h in found.heads if (h.layer, h.head) == (1, head)]
        assert entry.base == pytest.approx(np.mean(rows), abs=1e-4)


def test_a_head_that_was_changed_is_the_one_that_is_found(gpt2):
    from bezoar.edits import Dense, WeightEdit

    projection = gpt2.anatomy[2].attn_out_proj
    unit = direction(gpt2)
    change = torch.zeros_like(projection.weight)
    change[8:16] = noise(8, seed=1)[:, None] * unit.vector[None]  # Conv1D: rows are of z
    edit = WeightEdit({gpt2.parameter_name(projection): Dense(change)})
    found = head_contributions(gpt2, edit, PROMPTS, unit)
    assert [(h.layer, h.head) for h in found.changed()] in ([(2, 1)], [])
    assert all(h.p == 1 and h.change.value == 0 for h in found.heads if (h.layer, h.head) != (2, 1))
    (hit,) = [h for h in found.heads if (h.layer, h.head) == (2, 1)]
    assert abs(hit.change.value) > 0
    assert hit.adjusted_p >= hit.p


def test_results_come_back_from_disk(pair, found, tmp_path):
    heads = head_contributions(*pair, PROMPTS, 300)
    for i, result in enumerate((found, heads)):
        save_result(tmp_path / f"{i}.json", result)
        assert load_result(tmp_path / f"{i}.json", type(result)) == result
        assert result.__rich__().row_count > 5


def test_what_cannot_be_decomposed_is_refused(gpt2):
    from transformers import MixtralConfig, MixtralForCausalLM

    tokenizer = tiny_tokenizer()
    config = MixtralConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        num_local_experts=2,
        max_position_embeddings=64,
    )
    experts = LanguageModel(MixtralForCausalLM(config), tokenizer, name="experts")
    with pytest.raises(UnsupportedAnatomy):
        contributions(experts, NoOp(), PROMPTS, direction(experts))
    with pytest.raises(ConfigError, match="toxic neurons"):
        contributions(gpt2, NoOp(), PROMPTS, direction(gpt2), toxic=10_000)
    wide = direction(gpt2)
    with pytest.raises(DataError):
        contributions(tiny_wide(), NoOp(), PROMPTS, wide)


def tiny_wide():
    from transformers import GPT2Config, GPT2LMHeadModel

    tokenizer = tiny_tokenizer()
    config = GPT2Config(n_embd=48, n_layer=2, n_head=4, n_positions=64, vocab_size=len(tokenizer))
    return LanguageModel(GPT2LMHeadModel(config), tokenizer)
