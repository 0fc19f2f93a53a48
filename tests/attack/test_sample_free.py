"""Statistics that need no toxic sample, and whether they predict anything."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from bezoar.attack import ScaleKeys, rank_correlation, sample_free
from bezoar.attack.rank_correlation import spearman_interval
from bezoar.attack.sample_free import spectrum, value_energy
from bezoar.edits import Dense, LogitEdit, LowRank, NoOp, WeightEdit
from bezoar.errors import ConfigError, DataError, SiteError
from bezoar.locate import Direction
from bezoar.mitigate import Subtract
from tests.attack.kit import same, state, weight_remedy
from tests.edits.kit import noise
from tests.mitigate.kit import TEXTS, inputs

NEURONS = ((0, 1), (1, 5), (2, 9))


def low_rank(lm, rank):
    module = lm.anatomy[1].part("w_out")
    rows, columns = module.weight.shape
    a = torch.linalg.qr(noise(rows, rank))[0]
    b = torch.linalg.qr(noise(columns, rank, seed=1))[0].T.contiguous()
    return WeightEdit({lm.parameter_name(module, "weight"): LowRank(a, b)}, name="low rank")


def test_the_spectrum_of_a_flat_change_is_its_rank(lm):
    for rank in (1, 5):
        edit = low_rank(lm, rank)
        norm, stable = spectrum(lm, edit)
        weight = lm.anatomy[1].part("w_out").weight
        assert stable == pytest.approx(rank, rel=1e-3)
        assert norm == pytest.approx(rank**0.5 / float(weight.detach().norm()), rel=1e-3)


def test_a_tied_matrix_is_counted_once(gpt2):
    """GPT-2's embedding is its unembedding: a change under both names is one change."""
    names = "transformer.wte.weight", "lm_head.weight"
    rows, columns = gpt2.anatomy.embed.weight.shape
    assert gpt2.anatomy.tied
    change = Dense(noise(rows, columns, scale=0.01))
    other = dict(low_rank(gpt2, 1).deltas)
    once = spectrum(gpt2, WeightEdit({names[0]: change} | other))
    assert spectrum(gpt2, WeightEdit(dict.fromkeys(names, change) | other)) == once
    # Under unlike values the two come apart, and are two matrices.
    unlike = {names[0]: change, names[1]: Dense(2 * change.delta)}
    assert spectrum(gpt2, WeightEdit(unlike | other))[0] > once[0]


def test_a_bias_has_no_spectrum(gpt2):
    remedy = Subtract("probe", 1.0).fit(gpt2, inputs(gpt2)).fold(gpt2)
    assert spectrum(gpt2, remedy) == (None, None)


def test_value_energy_is_what_is_left_along_the_direction(lm):
    direction = inputs(lm).probe
    assert value_energy(lm, NoOp(), direction, NEURONS) == pytest.approx(1)
    deltas = {}
    for layer in range(3):
        module = lm.anatomy[layer].part("w_out")
        out_in = module.weight.shape[0] == lm.d_model
        unit, half = direction.vector[:, None], -0.5 * direction.vector
        weight = module.weight.detach()
        delta = (
            LowRank(unit, (half @ weight)[None])
            if out_in
            else LowRank((weight @ half)[:, None], unit.T)
        )
        deltas[lm.parameter_name(module, "weight")] = delta
    halved = WeightEdit(deltas)
    assert value_energy(lm, halved, direction, NEURONS) == pytest.approx(0.25, rel=1e-3)


def test_a_constant_shift_of_the_last_residual_survives_every_noise(gpt2):
    before = state(gpt2)
    remedy = Subtract("probe", 3.0).fit(gpt2, inputs(gpt2))
    found = sample_free(gpt2, remedy, TEXTS, inputs(gpt2).probe, NEURONS, directions=2)
    assert found.basin_open
    assert found.basin_width == 0.3
    assert found.key_margin == pytest.approx(0, abs=1e-6)  # nothing reads the last residual
    assert found.relative_norm is found.stable_rank is None
    assert same(state(gpt2), before)


def test_a_small_change_of_early_weights_drowns_in_noise(lm):
    remedy = weight_remedy(lm, scale=1e-3)
    found = sample_free(
        lm, remedy, TEXTS, inputs(lm).probe, NEURONS, directions=2, sigmas=(0.01, 3.0)
    )
    assert not found.basin_open
    assert 0 < found.basin_width < 3.0
    assert found.statistics().keys() >= {"basin_width", "key_margin", "stable_rank"}


def test_the_margin_is_the_shift_of_the_keys(gpt2):
    """Halving a key (and its bias) moves the mean pre-activation half way to zero."""
    edit = ScaleKeys(NEURONS[:1], 0.5, scale_bias=True).edit(gpt2)
    found = sample_free(gpt2, edit, TEXTS, inputs(gpt2).probe, NEURONS[:1], directions=1)
    batch = gpt2.batch(gpt2.encode(TEXTS))
    rows = gpt2.capture(batch, ["0.mlp_pre"])[gpt2.site("0.mlp_pre")][batch.mask][:, 1].double()
    assert found.key_margin == pytest.approx(0.5 * float(rows.mean() / rows.std()), rel=1e-3)


def test_what_cannot_be_measured_is_said_before_anything_is(gpt2):
    probe, remedy = inputs(gpt2).probe, weight_remedy(gpt2)
    with pytest.raises(DataError, match="0 different tokens"):
        sample_free(gpt2, remedy, [], probe, NEURONS)
    for one in (
        [" the"],
        [" the", " the"],
    ):  # of one row the deviation would be NaN, of equal ones 0
        assert len({token for row in gpt2.encode(one) for token in row}) == 1
        with pytest.raises(DataError, match="1 different tokens"):
            sample_free(gpt2, remedy, one, probe, NEURONS)
    with pytest.raises(DataError, match="one string, 'the man is kind'"):
        sample_free(gpt2, remedy, "the man is kind", probe, NEURONS)
    with pytest.raises(DataError, match="no neuron to follow"):
        sample_free(gpt2, remedy, TEXTS, probe, [])
    for neuron in ((0, gpt2.d_mlp), (0, -1), (-1, 0)):
        with pytest.raises(DataError, match="no neuron"):
            sample_free(gpt2, remedy, TEXTS, probe, [neuron])
    with pytest.raises(SiteError, match="9"):
        sample_free(gpt2, remedy, TEXTS, probe, [(9, 0)])
    wrong = Direction.of(noise(5), gpt2.site("0.resid_post"))
    with pytest.raises(DataError, match="width 5"):
        sample_free(gpt2, remedy, TEXTS, wrong, NEURONS)
    with pytest.raises(ConfigError, match="directions is 0"):  # not a basin of width zero
        sample_free(gpt2, remedy, TEXTS, probe, NEURONS, directions=0)
    with pytest.raises(ConfigError, match="σ is nan"):
        sample_free(gpt2, remedy, TEXTS, probe, NEURONS, sigmas=(0.1, float("nan")))


def test_a_word_ban_has_no_basin_and_leaves_keys_and_values_alone(gpt2):
    ban = LogitEdit(((3,), (4, 5)), torch.tensor([-torch.inf, -torch.inf]))
    found = sample_free(gpt2, ban, TEXTS, inputs(gpt2).probe, NEURONS, directions=1)
    assert (found.basin_width, found.basin_open) == (None, False)
    assert found.statistics() == {"key_margin": 0, "value_energy": pytest.approx(1)}


def test_rank_correlation_is_spearmans_with_exact_p_for_few_edits():
    rng = np.random.default_rng(0)
    y = rng.random(6)
    x = y + 0.4 * rng.random(6)
    row = rank_correlation({"x": x.tolist()}, y.tolist()).rows[0]
    assert row.rho.value == pytest.approx(spearmanr(x, y).statistic)
    perfect = rank_correlation({"x": y.tolist()}, y.tolist()).rows[0]
    assert perfect.rho.value == pytest.approx(1)
    assert perfect.p == pytest.approx(2 / 720)  # the order itself and its reverse


def test_monotone_maps_change_nothing_and_negation_reverses():
    y = np.random.default_rng(1).random(12)
    x = y + np.random.default_rng(2).random(12)
    rows = rank_correlation({"x": x, "cubed": x**3, "minus": -x}, y).rows
    assert rows[0].rho.value == rows[1].rho.value == -rows[2].rho.value
    assert rows[0].p == rows[1].p == rows[2].p
    assert rows[0].rho.low <= rows[0].rho.value <= rows[0].rho.high
    assert all(row.p <= row.p_holm for row in rows)


def test_a_constant_statistic_has_no_correlation_and_few_edits_none_at_all():
    rows = rank_correlation({"x": [1.0] * 5, "y": [1, 2, 3, 4, 5]}, [1, 2, 3, 4, 6]).rows
    assert (rows[0].rho, rows[0].p) == (None, None)
    assert rows[1].p_holm == rows[1].p
    few = rank_correlation({"x": [1, 2, 3]}, [1, 2, 3])
    assert (few.rows[0].rho, few.rows[0].p, few.rows[0].n) == (None, None, 3)
    assert "Too few edits to tell: 3" in few.verdict()
    with pytest.raises(DataError, match="2 values for 3"):
        rank_correlation({"x": [1, 2]}, [1, 2, 3])
    with pytest.raises(DataError, match="not finite"):
        rank_correlation({"x": [1, 2, 3, float("inf")]}, [1, 2, 3, 4])


def test_an_edit_without_a_statistic_is_left_out_of_that_row_alone():
    x = [1.0, 2.0, float("nan"), 3.0, 5.0]
    found = rank_correlation({"x": x, "y": [1, 2, 0, 3, 5]}, [1, 2, 9, 3, 4])
    assert [row.n for row in found.rows] == [4, 5]
    assert found.rows[0].rho.value == pytest.approx(1)
    assert found.rows[1].rho.value < 1
    assert "too few for it" in found.verdict()  # of four edits no order is rarer than 1 in 12


def test_a_perfect_order_of_few_edits_is_no_certainty():
    """Its p is exact, and its interval has a width that shrinks with the edits."""
    widths = []
    for n in (4, 5, 8, 20):
        y = np.arange(n).tolist()
        up, down = rank_correlation({"up": y, "down": [-v for v in y]}, y).rows
        assert up.rho.value == pytest.approx(1)
        assert up.rho.high == up.rho.value
        assert (down.rho.low, down.rho.high) == pytest.approx((-up.rho.high, -up.rho.low))
        assert up.rho.excludes_zero == (up.p < 0.05)
        widths.append(up.rho.high - up.rho.low)
    assert all(wide > narrow > 0 for wide, narrow in pairwise(widths))
    assert (
        "predicts survival: ρ 1.000 [0.1" in rank_correlation({"x": range(5)}, range(5)).verdict()
    )


def test_the_interval_is_bonett_and_wrights():
    found = spearman_interval(-0.8181818, 12)
    z, half = np.arctanh(0.8181818), 1.959964 * np.sqrt((1 + 0.8181818**2 / 2) / 9)
    assert found.low == pytest.approx(-np.tanh(z + half), abs=1e-6)
    assert found.high == pytest.approx(-np.tanh(z - half), abs=1e-6)
    assert spearman_interval(1 + 1e-15, 12).value == 1


@pytest.mark.parametrize(("n", "r"), [(4, 0.9), (5, 0.8), (8, 0.5), (12, 0.95), (12, 0.0)])
def test_the_interval_holds_the_truth_as_often_as_it_says(n, r):
    rng = np.random.default_rng(n)
    truth = 6 / np.pi * np.arcsin(r / 2)  # of normal pairs whose correlation is r
    held = 0
    for _ in range(500):
        x, more = rng.standard_normal((2, n))
        found = spearman_interval(spearmanr(x, r * x + (1 - r**2) ** 0.5 * more).statistic, n)
        held += found.low <= truth <= found.high
    assert held / 500 > 0.92
