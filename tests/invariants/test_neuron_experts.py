"""Invariants 45 to 49 of AurA, Det-0 and Damp: scores of units, their gates, and what these do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bezoar.activations import harvest
from bezoar.errors import UnsupportedAnatomy
from bezoar.locate.experts import expert_sites
from bezoar.mitigate import FitInputs, parse_method
from bezoar.models import Site
from bezoar.stats import auroc, separate_columns
from bezoar.stats.ranks import auroc_of_ranks, doubled_ranks, sortable_columns
from tests.families import tiny_model
from tests.invariants.applies import why_not
from tests.mitigate.test_gates import gates_of, made_up
from tests.models import zoo
from tests.models.helpers import TEXTS

CLOSE = {"atol": 1e-4, "rtol": 1e-4}
SPECS = ("aura", "det-0", "damp")
LABELS = np.arange(24) % 2

columns = hnp.arrays(np.float32, 24, elements=st.floats(-100, 100, width=16))


def score(column):
    ranks = [doubled_ranks(rows) for _, rows in sortable_columns(column[:, None])]
    value = float(auroc_of_ranks(ranks[0], LABELS[None])[0, 0])
    assert value == separate_columns(column[:, None], LABELS).auroc[0]
    assert value == pytest.approx(auroc(column, LABELS))
    return value


@settings(max_examples=40, deadline=None)
@given(columns)
def test_45_a_unit_and_its_negative_share_one_and_order_is_all_that_counts(column):
    assert score(column) + score(-column) == pytest.approx(1)
    assert score(np.arctan(column.astype(np.float64))) == score(column)
    assert score(3 * column.astype(np.float64) - 7) == score(column)


def test_45_a_constant_unit_stays_and_a_perfect_one_is_silenced(gpt2):
    experts = made_up(gpt2)
    site = Site(1, "mlp_pre")
    experts.scores.auroc[site][:3] = score(np.ones(24)), score(LABELS * 2.0), score(LABELS * -2.0)
    gates = gates_of(parse_method("aura").fit(gpt2, FitInputs(experts=experts)))
    assert gates[site][:3].tolist() == [1, 0, 1]


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.float64, 12, elements=st.floats(0, 1)))
def test_46_gates_are_one_less_the_gini_where_it_is_positive(values):
    method = parse_method("aura")
    site = Site(0, "mlp_pre")
    gate = method.gates({site: values}, {site: values > 0.5})[site]
    assert ((gate >= 0) & (gate <= 1)).all()
    gini = 2 * values - 1
    np.testing.assert_allclose(gate, 1 - np.maximum(0, gini), atol=1e-12)
    below = np.minimum(values, 0.5)
    assert (method.gates({site: below}, {site: below > 0.5})[site] == 1).all()


@pytest.mark.parametrize("family", zoo.DECODERS)
def test_47_hooks_do_what_scaled_rows_and_biases_do(family):
    lm = zoo.family_model(family)
    if why_not(lm, "3"):
        with pytest.raises(UnsupportedAnatomy):
            expert_sites(lm)
        return
    batch = lm.batch(lm.encode(TEXTS))
    inputs = FitInputs(experts=made_up(lm))
    for spec in ("aura", "damp:points=mlp_post"):
        edit = parse_method(spec).fit(lm, inputs)
        with edit.applied_to(lm):
            hooked = lm.logits(batch)[batch.mask]
        with edit.fold(lm).applied_to(lm):
            torch.testing.assert_close(lm.logits(batch)[batch.mask], hooked, **CLOSE)


def test_47_rows_of_weight_and_bias_are_scaled_by_the_gates(gpt2):
    edit = parse_method("aura:points=mlp_pre").fit(gpt2, FitInputs(experts=made_up(gpt2)))
    c_fc = gpt2.model.transformer.h[1].mlp.c_fc
    weight, bias = c_fc.weight.clone(), c_fc.bias.clone()
    gate = torch.from_numpy(gates_of(edit)[Site(1, "mlp_pre")])
    with edit.fold(gpt2).applied_to(gpt2):
        torch.testing.assert_close(c_fc.weight, weight * gate)  # [in, out], as GPT-2 stores it
        torch.testing.assert_close(c_fc.bias, bias * gate)
    assert torch.equal(c_fc.weight, weight)


@pytest.mark.parametrize("spec", SPECS)
def test_47_no_strength_is_the_identity(lm, spec):
    batch = lm.batch(lm.encode(TEXTS))
    plain = lm.logits(batch)
    edit = parse_method(spec).with_strength(0.0).fit(lm, FitInputs(experts=made_up(lm)))
    with edit.applied_to(lm):
        assert torch.equal(lm.logits(batch), plain)


@pytest.mark.parametrize("spec", ["aura", "damp"])
def test_47_a_single_layer_moves_linearly_with_the_strength(lm, spec):
    site = Site(lm.n_layers - 1, "mlp_raw")
    batch = lm.batch(lm.encode(TEXTS))
    method = parse_method(f"{spec}:points=mlp_raw,layers=-1")
    inputs = FitInputs(experts=made_up(lm))

    def written(strength):
        with method.with_strength(strength).fit(lm, inputs).applied_to(lm):
            return lm.capture(batch, [f"{lm.n_layers - 1}.mlp_out"])[Site(site.layer, "mlp_out")]

    whole, none = written(1.0), written(0.0)
    for strength in (0.25, 0.7):
        expected = (1 - strength) * none + strength * whole
        torch.testing.assert_close(written(strength), expected, **CLOSE)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("n", [0, 1, 13, 60])
def test_48_exactly_the_best_n_are_gated(gpt2, spec, n):
    edit = parse_method(f"{spec}:top_n={n}").fit(gpt2, FitInputs(experts=made_up(gpt2)))
    assert sum(int((gate != 1).sum()) for gate in gates_of(edit).values()) == n
    code = parse_method(f"{spec}:top_n={n},mode=code").fit(gpt2, FitInputs(experts=made_up(gpt2)))
    assert {s: g.tolist() for s, g in gates_of(code).items()} == {
        s: g.tolist() for s, g in gates_of(edit).items()
    }


def test_48_damp_ends_at_nothing_and_at_det_zero(gpt2):
    inputs = FitInputs(experts=made_up(gpt2))
    assert gates_of(parse_method("damp:alpha=1").fit(gpt2, inputs)) == {}
    for more in ("", ",top_n=13"):
        silent = gates_of(parse_method(f"damp:alpha=0{more}").fit(gpt2, inputs))
        zero = gates_of(parse_method(f"det-0:share=1{more}").fit(gpt2, inputs))
        assert silent.keys() == zero.keys()
        assert all((silent[site] == zero[site]).all() for site in zero)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_49_padding_changes_no_maximum(family):
    lm = tiny_model(family)
    texts = [text * (1 + i % 3) for i, text in enumerate(TEXTS)]
    sites = expert_sites(lm)
    together = harvest(lm, texts, sites, pooling="max", budget_tokens=10_000)
    alone = [harvest(lm, [text], sites, pooling="max") for text in texts]
    for site in sites:
        expected = np.concatenate([store.rows(site) for store in alone])
        np.testing.assert_allclose(together.rows(site), expected, atol=1e-5)
        assert (together.rows(site) > -1e4).all()
