"""Gates on expert units: which are chosen, by how much, and that nothing else is touched."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.edits import Gate, self_test
from bezoar.errors import ConfigError, SiteError
from bezoar.locate.expert_search import find_experts
from bezoar.locate.experts import NeuronExperts, expert_sites
from bezoar.locate.neurons import NeuronScores
from bezoar.mitigate import FitInputs, null_inputs, parse_method
from bezoar.mitigate.gates import choose, ranked
from bezoar.models import Site
from tests.families import FAMILIES, tiny_model
from tests.locate.kit import corpus

SPECS = ("aura", "det-0", "damp")


def made_up(lm, points=("paper", "mlp_post"), seed=0) -> NeuronExperts:
    """Scores drawn at random: a method reads nothing else."""
    rng = np.random.default_rng(seed)
    auroc = {site: rng.uniform(0.2, 0.9, lm.site_width(site)) for site in expert_sites(lm, points)}
    scores = NeuronScores(auroc, auroc, {}, "max", 100, 50)
    matched = {site: rng.uniform(0.2, 0.9, len(value)) for site, value in auroc.items()}
    shuffled = {site: rng.uniform(0.45, 0.55, (3, len(value))) for site, value in auroc.items()}
    return NeuronExperts(scores, matched, shuffled, 128, "abc")


def gates_of(edit) -> dict[Site, np.ndarray]:
    assert all(isinstance(at.op, Gate) and at.positions == "all" for at in edit.ops)
    return {at.site: at.op.scale.numpy() for at in edit.ops}


def flat(lm, spec, experts, point="mlp_pre"):
    """Gates and AUROC of all units of a point, end to end."""
    gates = gates_of(parse_method(spec).fit(lm, FitInputs(experts=experts)))
    sites = lm.sites([point])
    values = np.concatenate([experts.auroc(site) for site in sites])
    ones = [gates.get(site, np.ones(len(experts.auroc(site)))) for site in sites]
    return np.concatenate(ones), values


def test_the_formulas_of_the_paper(gpt2):
    experts = made_up(gpt2)
    gate, auroc = flat(gpt2, "aura", experts)
    np.testing.assert_allclose(gate, np.where(auroc > 0.5, 2 * (1 - auroc), 1), atol=1e-6)
    gate, auroc = flat(gpt2, "det-0", experts)
    np.testing.assert_array_equal(gate, np.where(auroc > 0.5, 0, 1))
    gate, auroc = flat(gpt2, "damp:alpha=0.3", experts)
    np.testing.assert_allclose(gate, np.where(auroc > 0.5, 0.3, 1), atol=1e-7)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("family", FAMILIES)
def test_edits_act_fold_and_undo_themselves_on_gated_and_parallel_blocks(family, spec):
    lm = tiny_model(family)
    for points in ("paper", "mlp_post", "mlp_raw/mlp_post"):
        edit = parse_method(f"{spec}:points={points}").fit(lm, FitInputs(experts=made_up(lm)))
        proof = self_test(edit, lm, ["you are a fool", "the night is"])
        assert proof.logit_change > 1e-3
        assert proof.folded_max_difference is not None
        assert proof.folded_max_difference < 1e-5
        assert proof.restored_exactly


@pytest.mark.parametrize("spec", SPECS)
def test_only_the_named_points_and_layers_are_touched(gpt2, spec):
    experts = made_up(gpt2)
    sites = gates_of(parse_method(spec).fit(gpt2, FitInputs(experts=experts)))
    assert {site.point for site in sites} == {"mlp_pre", "mlp_raw"}
    options = f"{spec}:points=mlp_post,layers=-1/0"
    sites = gates_of(parse_method(options).fit(gpt2, FitInputs(experts=experts)))
    assert set(sites) == {Site(0, "mlp_post"), Site(2, "mlp_post")}
    with pytest.raises(SiteError):
        parse_method(f"{spec}:layers=7").fit(gpt2, FitInputs(experts=experts))


def test_the_best_n_of_all_sites_are_gated_and_no_others(gpt2):
    experts = made_up(gpt2)
    gates = gates_of(parse_method("damp:top_n=17").fit(gpt2, FitInputs(experts=experts)))
    gated = [experts.auroc(s)[i] for s, gate in gates.items() for i in np.flatnonzero(gate < 1)]
    every = np.concatenate([experts.auroc(site) for site in expert_sites(gpt2, ["paper"])])
    assert sorted(gated) == sorted(np.sort(every)[-17:])


def test_ties_fall_to_the_earlier_unit_and_the_published_code_drops_them():
    values = {
        Site(0, "mlp_pre"): np.array([0.9, 0.7, 0.7]),
        Site(1, "mlp_pre"): np.array([0.7, 0.4]),
    }

    def chosen(n, mode="correct"):
        return [part.tolist() for part in choose(values, n, mode).values()]

    assert chosen(2) == [[True, True, False], [False, False]]
    assert chosen(2, "code") == [[True, False, False], [False, False]]
    assert chosen(4) == chosen(4, "code") == chosen(None) == [[True, True, True], [True, False]]
    assert chosen(5) == chosen(None)  # 0.4 is no expert
    assert chosen(0) == chosen(0, "code") == [[False] * 3, [False] * 2]
    with pytest.raises(ConfigError, match="best 5 of 5 units"):
        chosen(5, "code")
    low = {Site(0, "mlp_pre"): np.array([0.6, 0.4, 0.3])}
    assert choose(low, 2, "code")[Site(0, "mlp_pre")].tolist() == [True, True, False]
    assert choose(low, 2)[Site(0, "mlp_pre")].tolist() == [True, False, False]
    ranks, experts = ranked(values, choose(values, None))
    assert (experts, [rank.tolist() for rank in ranks.values()]) == (4, [[0, 1, 2], [3, 4]])


def test_det_zero_silences_a_share_best_first_and_one_at_least(gpt2):
    experts = made_up(gpt2)
    whole, auroc = flat(gpt2, "det-0:points=mlp_pre", experts)
    count = int((whole == 0).sum())
    for share in (1e-9, 0.25, 0.5, 1.0):
        gate, _ = flat(gpt2, f"det-0:points=mlp_pre,share={share}", experts)
        silent = int((gate == 0).sum())
        assert silent == max(1, np.ceil(share * count))
        assert auroc[gate == 0].min() == np.sort(auroc)[-silent]
    assert flat(gpt2, "det-0:share=0", experts)[0].min() == 1
    few = parse_method("det-0:points=mlp_pre,top_n=8,share=0.5")
    assert few.fit(gpt2, FitInputs(experts=experts)).provenance["units"] == 4


def test_scores_on_texts_of_equal_length_may_count_instead(gpt2):
    experts = made_up(gpt2)
    gates = gates_of(parse_method("aura:texts=matched").fit(gpt2, FitInputs(experts=experts)))
    for site, gate in gates.items():
        value = experts.auroc(site, "matched")
        np.testing.assert_allclose(gate, 1 - 2 * np.maximum(value - 0.5, 0), atol=1e-6)


def test_nulls_turn_down_as_many_units_as_much_and_know_nothing(gpt2):
    experts = made_up(gpt2)
    inputs = FitInputs(experts=experts)
    for spec in SPECS:
        method = parse_method(spec)
        real = gates_of(method.fit(gpt2, inputs))
        drawn = [gates_of(edit) for edit in method.nulls(gpt2, inputs, 3, 7)]
        for gates in drawn:
            assert all(sorted(gates[site]) == sorted(real[site]) for site in real)
            assert any((gates[site] != real[site]).any() for site in real)
        assert any((drawn[0][site] != drawn[1][site]).any() for site in real)
        longer = [gates_of(edit) for edit in method.nulls(gpt2, inputs, 4, 7)]
        assert all((longer[2][site] == drawn[2][site]).all() for site in real)
    shuffled = [*null_inputs("shuffled-experts", gpt2, inputs, 3, 0)]
    for i, drawn in enumerate(shuffled):
        site = experts.sites[0]
        np.testing.assert_array_equal(drawn.experts.auroc(site), experts.shuffled[site][i])
    with pytest.raises(ConfigError, match=r"experts\.kept"):
        list(null_inputs("shuffled-experts", gpt2, inputs, 4, 0))
    # Units scored by chance have gates near one: to be as dear, a null goes further than s = 1.
    edit = parse_method("aura").with_strength(20.0).fit(gpt2, shuffled[0])
    gates = np.concatenate([*gates_of(edit).values()])
    assert gates.min() == 0
    assert (gates == 1).mean() > 0.3


def test_what_does_not_fit_is_refused(gpt2, lm):
    experts = made_up(gpt2)
    for spec, word in [
        ("aura:points=mlp_pree", "'mlp_pre'"),
        ("damp:alpha=2", "between 0 and 1"),
        ("det-0:top_n=-1", "top_n=-1"),
        ("aura:share=-1", "strength of -1"),
    ]:
        with pytest.raises(ConfigError, match=word):
            parse_method(spec)
    with pytest.raises(ConfigError, match="needs 'experts'"):
        parse_method("aura").fit(gpt2, FitInputs())
    with pytest.raises(ConfigError, match=r"0\.attn_out were not scored.*experts\.points"):
        parse_method("aura:points=attn_out").fit(gpt2, FitInputs(experts=experts))
    scored = find_experts(gpt2, corpus(40, 0), ["mlp_post"], shuffles=1, halves=0)[0]
    other = tiny_model("gpt2", seed=1)
    with pytest.raises(ConfigError, match="other weights"):
        parse_method("aura:points=mlp_post").fit(other, FitInputs(experts=scored))


def test_no_expert_is_no_edit(gpt2):
    experts = made_up(gpt2)
    for value in experts.scores.auroc.values():
        value[:] = np.minimum(value, 0.5)
    ids = gpt2.batch(gpt2.encode(["you are a fool"]))
    plain = gpt2.logits(ids)
    for spec in SPECS:
        edit = parse_method(spec).fit(gpt2, FitInputs(experts=experts))
        with edit.applied_to(gpt2):
            assert torch.equal(gpt2.logits(ids), plain)
