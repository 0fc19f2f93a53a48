"""The shift of the stream and its sources: axes, honest coefficients, padding left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bezoar.compare.models import ShiftSources, residual_shift, shift_sources, sources
from bezoar.compare.models.shift import principal_components
from bezoar.edits import Add, NoOp
from bezoar.errors import ConfigError, DataError, SiteError
from bezoar.models import Site
from bezoar.runs.results import load_result, save_json, save_result, to_plain
from bezoar.stats.bootstrap import percentile_bounds, resample_counts
from tests.compare.models.kit import PROMPTS, value_edit
from tests.edits.kit import noise, one


def point_of(lm):
    return "resid_pre" if lm.anatomy.parallel else "resid_mid"


def test_components_are_orthonormal_and_hold_the_variance():
    """Item 32."""
    states = noise(12, 40, seed=3).double().numpy() * np.linspace(1, 9, 40)
    components, shares, spread = principal_components(states, 5)
    assert np.allclose(components @ components.T, np.eye(5), atol=1e-10)
    standard = (states - states.mean(0)) / spread
    total = (standard**2).sum()
    energy = ((standard @ components.T) ** 2).sum(0) / total
    assert energy.tolist() == pytest.approx(list(shares))
    assert list(shares) == sorted(shares, reverse=True)


def test_the_clouds_lie_the_norm_of_the_shift_apart(pair):
    """Item 32: the projection of the mean difference on itself is positive, and its norm."""
    base, other = pair
    found = residual_shift(base, other, PROMPTS, 1, point=point_of(base))
    site = Site(1, point_of(base))
    rows = []
    for lm in (base, other):
        batches = [lm.batch([ids]) for ids in lm.encode(PROMPTS)]
        rows.append(torch.stack([lm.capture(b, [site])[site][0, -1] for b in batches]).double())
    delta = (rows[1] - rows[0]).mean(0)
    assert found.norm == pytest.approx(float(delta.norm()), rel=1e-4)
    x = np.array([[p.base_x, p.edited_x] for p in found.points])
    assert x[:, 0].mean() == pytest.approx(0, abs=1e-6)
    assert x[:, 1].mean() == pytest.approx(found.norm, rel=1e-6)
    assert found.norm > 0
    assert sum(found.explained) <= 1 + 1e-9


def test_nothing_shifts_between_identical_models(pair):
    """Item 29."""
    base, _ = pair
    found = residual_shift(base, NoOp(), PROMPTS, 2, 4, point=point_of(base))
    assert (found.norm, found.relative, found.consistency) == (0, 0, 0)
    assert all((p.base_x, p.base_y) == (p.edited_x, p.edited_y) for p in found.points)
    assert found.base_coefficient == found.edited_coefficient


def test_a_constant_shift_is_seen_in_every_prompt(gpt2):
    edit = one("0.resid_post", Add(3 * noise(32, seed=2)))
    found = residual_shift(gpt2, edit, PROMPTS, 1, point="resid_pre")
    assert found.norm == pytest.approx(3 * float(noise(32, seed=2).norm()), rel=1e-5)
    assert found.consistency == 1
    assert found.cosine.value == pytest.approx(1, abs=1e-5)


def test_coefficients_are_the_models_own_unless_the_reference_is_asked_for(gpt2):
    found = residual_shift(gpt2, NoOp(), PROMPTS, 1, 7)
    raw = residual_shift(gpt2, NoOp(), PROMPTS, 1, 7, mode="code")
    assert residual_shift(gpt2, NoOp(), PROMPTS, 1, 7, mode="paper").points == found.points
    post, mid = Site(1, "mlp_post"), Site(1, "resid_mid")
    for i, ids in enumerate(gpt2.encode(PROMPTS)):
        got = gpt2.capture(gpt2.batch([ids]), [post, mid])
        honest = float(got[post][0, -1, 7])
        assert found.points[i].base_coefficient == pytest.approx(honest, abs=1e-5)
        trap = gpt2.act_fn(got[mid][0, -1] @ gpt2.keys(1)[7])
        assert raw.points[i].base_coefficient == pytest.approx(float(trap), abs=1e-5)
    assert found.base_coefficient.value != pytest.approx(raw.base_coefficient.value, abs=1e-3)


def test_the_raw_axis_is_the_unit_axis_times_the_norm(pair):
    base, other = pair
    where = {"layer": 1, "point": point_of(base)}
    fair = residual_shift(base, other, PROMPTS, **where)
    raw = residual_shift(base, other, PROMPTS, mode="code", **where)
    width = fair.points[0].edited_x - fair.points[0].base_x
    wide = raw.points[0].edited_x - raw.points[0].base_x
    assert wide == pytest.approx(width * fair.norm, rel=1e-6)
    assert raw.points[0].base_y == fair.points[0].base_y


def test_what_has_no_such_state_or_key_is_told():
    from tests.families import tiny_model

    with pytest.raises(SiteError, match="run in parallel"):
        residual_shift(tiny_model("gpt_neox"), NoOp(), PROMPTS, 1)
    llama = tiny_model("llama")
    with pytest.raises(ConfigError, match="two keys"):
        residual_shift(llama, NoOp(), PROMPTS, 1, 3, mode="code")
    with pytest.raises(DataError, match=r"no neuron 1\.64"):
        residual_shift(llama, NoOp(), PROMPTS, 1, 64)
    with pytest.raises(DataError, match="Earlier layers"):
        shift_sources(llama, NoOp(), PROMPTS, 0)
    with pytest.raises(DataError, match="Earlier layers"):
        shift_sources(llama, NoOp(), PROMPTS, 1, [1])


def test_only_moved_value_vectors_have_a_cosine(pair):
    base, _ = pair
    found = shift_sources(base, value_edit(base, 1), PROMPTS, 2, point=point_of(base))
    assert [s.layer for s in found.layers] == [0, 1]
    still, moved = found.layers
    assert (still.moved, still.cosines, still.along) == (0, None, 0)
    assert moved.moved == base.d_mlp
    assert sum(moved.cosines.shares) == pytest.approx(1)
    assert -1 <= moved.mean_cosine <= 1


def test_a_few_neurons_that_always_fire_do_not_stretch_the_histogram(pair):
    """It goes as far above zero as below, or to nine tenths of all neurons; the last bin has the
    rest."""
    base, _ = pair
    found = shift_sources(base, value_edit(base, 1), PROMPTS, 2, point=point_of(base))
    ends = {(s.activations.low, s.activations.high) for s in found.layers}
    assert len(ends) == 1
    (low, high) = ends.pop()
    assert low <= 0 < -low <= high
    beyond = sum(s.activations.shares[-1] for s in found.layers) / len(found.layers)
    assert beyond >= 0.1 - 1e-9 or high == -low
    for layer in found.layers:
        assert sum(layer.activations.shares) == pytest.approx(1)


def test_moved_value_vectors_explain_the_shift_of_the_next_state(pair):
    """δ_x of the state that layer 1 writes is Σ_i ā_i δ_v,i, if nothing else moved."""
    base, _ = pair
    if base.anatomy[1].mlp_post_norm is not None:
        pytest.skip("a norm stands between the value vectors and the stream")
    found = shift_sources(base, value_edit(base, 1), PROMPTS, 2, [1], point="resid_pre")
    assert found.layers[0].along == pytest.approx(found.norm, rel=1e-4)


def test_padding_counts_only_in_the_reference(pair):
    base, other = pair
    here = {"layer": 2, "point": point_of(base)}
    together = shift_sources(base, other, PROMPTS, **here)
    alone = [shift_sources(base, other, [p], **here) for p in PROMPTS]
    count = sum(a.positions_n for a in alone)
    assert together.positions_n == count
    weighted = sum(a.layers[0].mean_activation * a.positions_n for a in alone) / count
    assert together.layers[0].mean_activation == pytest.approx(weighted, abs=1e-5)
    paper = shift_sources(base, other, PROMPTS, mode="paper", **here)
    assert (paper.layers, paper.positions_n) == (together.layers, together.positions_n)
    code = shift_sources(base, other, PROMPTS, mode="code", **here)
    longest = max(len(ids) for ids in base.encode(PROMPTS[:4]))
    rest = max(len(ids) for ids in base.encode(PROMPTS[4:]))
    assert code.positions_n == 4 * longest + 2 * rest
    assert not math.isclose(code.norm, together.norm, rel_tol=1e-4)


def pooled(found):
    """The three numbers of all earlier layers, out of those of each."""
    moved = sum(s.moved for s in found.layers)
    return (
        sum(s.moved * s.opposing for s in found.layers) / moved,
        sum(s.negative for s in found.layers) / len(found.layers),
        sum(s.along for s in found.layers) / found.norm,
    )


@pytest.mark.parametrize("mode", ["correct", "code"])
def test_intervals_of_sources_are_those_of_other_prompts(pair, mode):
    """Against the whole computation, done again for every resample of the prompts."""
    base, other = pair
    # In the reference's mode padding counts, which other prompts beside one would change.
    here = {"layer": 2, "point": point_of(base), "mode": mode}
    here["max_tokens"] = 3 if mode == "code" else None
    found = shift_sources(base, other, PROMPTS, resamples=20, seed=3, **here)
    samples = []
    for counts in resample_counts(len(PROMPTS), 20, 3):
        for row in counts.astype(int):
            drawn = [prompt for prompt, n in zip(PROMPTS, row, strict=True) for _ in range(n)]
            samples.append(pooled(shift_sources(base, other, drawn, **here)))
    intervals = found.opposing, found.negative, found.along
    for interval, value, column in zip(intervals, pooled(found), np.array(samples).T, strict=True):
        assert interval.value == pytest.approx(value)
        low, high = percentile_bounds(column, 0.95)
        assert interval.low == pytest.approx(min(low, value), abs=1e-5)
        assert interval.high == pytest.approx(max(high, value), abs=1e-5)
    assert found.along.low < found.along.high


def test_many_prompts_are_resampled_in_groups(gpt2, monkeypatch):
    """So that sums are kept for so many alone; what they come to is the same."""
    other = value_edit(gpt2, 1)
    fine = shift_sources(gpt2, other, PROMPTS, 2)
    monkeypatch.setattr(sources, "GROUPS", 3)
    coarse = shift_sources(gpt2, other, PROMPTS, 2)
    assert coarse.along.value == pytest.approx(fine.along.value)
    assert coarse.positions_n == fine.positions_n
    assert coarse.along != fine.along
    same = shift_sources(gpt2, other, [*PROMPTS[:3], *PROMPTS[:3]], 2)
    alone = shift_sources(gpt2, other, PROMPTS[:3], 2)
    assert same.along.low == pytest.approx(alone.along.low)
    assert same.along.high == pytest.approx(alone.along.high)


def test_what_has_no_share_has_no_interval(gpt2):
    alone = shift_sources(gpt2, value_edit(gpt2, 1), PROMPTS[:1], 2)
    assert (alone.opposing, alone.negative, alone.along) == (None, None, None)
    still = shift_sources(gpt2, NoOp(), PROMPTS, 2)
    assert (still.opposing, still.along) == (None, None)
    assert still.negative.low <= still.negative.value <= still.negative.high


def test_sources_that_were_saved_without_intervals_are_read(gpt2, tmp_path):
    found = shift_sources(gpt2, value_edit(gpt2, 1), PROMPTS, 2)
    plain = to_plain(found)
    for name in ("opposing", "negative", "along"):
        del plain[name]
    save_json(tmp_path / "old.json", plain)
    old = load_result(tmp_path / "old.json", ShiftSources)
    assert (old.layers, old.along) == (found.layers, None)


def test_results_come_back_from_disk(pair, tmp_path):
    base, other = pair
    here = {"layer": 2, "point": point_of(base)}
    for i, found in enumerate(
        (residual_shift(base, other, PROMPTS, **here), shift_sources(base, other, PROMPTS, **here))
    ):
        save_result(tmp_path / f"{i}.json", found)
        assert load_result(tmp_path / f"{i}.json", type(found)) == found
        assert found.__rich__().row_count >= 2
