"""The pictures hold the numbers of their results, and are found by the result's class."""

from __future__ import annotations

import json
import math

import pytest

from bezoar.compare.models import (
    Drifts,
    activation_drop,
    contributions,
    drift_summary,
    head_contributions,
    interpolation,
    lens_comparison,
    residual_shift,
    shift_sources,
    values_kept,
    weight_drift,
)
from bezoar.edits import NoOp
from tests.compare.models.kit import PROMPTS, direction, tuned
from tests.families import tiny_model


@pytest.fixture(scope="module")
def both():
    base = tiny_model("gpt2")
    return base, tuned(base, 0.05)


CALLS = {
    "values": lambda a, b: values_kept(a, b, direction(a), top=6),
    "drifts": lambda a, b: Drifts("base", (drift_summary(weight_drift(a, b)),)),
    "weights": lambda a, b: weight_drift(a, b),
    "lens": lambda a, b: lens_comparison(a, b, PROMPTS, 300),
    "drop": lambda a, b: activation_drop(a, b, PROMPTS, [(0, 1), (2, 5)], new_tokens=3),
    "shift": lambda a, b: residual_shift(a, b, PROMPTS, 1, 4),
    "shift without a neuron": lambda a, b: residual_shift(a, b, PROMPTS, 1),
    "sources": lambda a, b: shift_sources(a, b, PROMPTS, 2),
    "neurons": lambda a, b: contributions(a, b, PROMPTS, direction(a), toxic=8, new_tokens=3),
    "heads": lambda a, b: head_contributions(a, b, PROMPTS, direction(a)),
    "interpolation": lambda a, b: interpolation(a, b, lambda lm: [1.0, 2.0], [1.0], name="x"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("same", [False, True], ids=["tuned", "identical"])
def test_every_result_has_a_picture_of_finite_numbers(both, call, same):
    base, other = both
    drawn = json.loads(CALLS[call](base, NoOp() if same else other).figure().to_json())
    assert drawn["data"]
    for trace in drawn["data"]:
        for key in ("x", "y"):
            numbers = [v for v in trace[key] if isinstance(v, (int, float))]
            assert all(math.isfinite(v) for v in numbers)
        assert len(trace["x"]) == len(trace["y"]) or trace["type"] == "heatmap"


def test_the_lens_marks_the_steps_that_raise_the_token_most(both):
    found = lens_comparison(*both, PROMPTS, 300)
    figure = found.figure()
    marked = {a.text for a in figure.layout.annotations}
    assert marked == {s.component for s in found.top_steps(3) if s.base.low > 0}
    lines = [t for t in figure.data if t.mode == "lines+markers"]
    for line, side in zip(lines, (found.base, found.edited), strict=True):
        assert list(line.y) == [v.value for v in side]


def test_bars_are_pairs_with_their_intervals(both):
    found = activation_drop(*both, PROMPTS, [(0, 1), (2, 5)], new_tokens=3)
    first, second = found.figure().data
    assert [name.split("<br>")[0] for name in first.x] == ["0.1", "2.5", "all 2"]
    marked = [name.endswith(("▾", "▴")) for name in first.x]
    assert marked == [c.excludes_zero for c in (*(n.change for n in found.neurons), found.change)]
    assert list(second.y) == [*(n.edited.value for n in found.neurons), found.edited.value]
    low = second.y[0] - second.error_y.arrayminus[0]
    assert low == pytest.approx(found.neurons[0].edited.low)


def test_dotted_lines_join_the_two_states_of_a_prompt_only(both):
    found = residual_shift(*both, PROMPTS, 1, 4)
    joints, *drawn = found.figure().data
    base, edited = (trace for trace in drawn if trace.customdata is not None)
    for i, point in enumerate(found.points):
        assert joints.x[3 * i : 3 * i + 3] == (point.base_x, point.edited_x, None)
        assert (base.y[i], edited.y[i]) == (point.base_y, point.edited_y)
        assert edited.marker.color[i] == point.edited_coefficient


def test_histograms_of_a_column_share_their_range(both):
    figure = shift_sources(*both, PROMPTS, 2).figure()
    assert figure.layout.xaxis.range == figure.layout.xaxis3.range
    for axis in {bars.xaxis for bars in figure.data}:  # on the right, the last bar is "more"
        shares = [share for bars in figure.data if bars.xaxis == axis for share in bars.y]
        assert sum(shares) == pytest.approx(1)


def test_bars_of_groups_sum_to_the_neurons_change(both):
    found = contributions(*both, PROMPTS, direction(both[0]), toxic=8, new_tokens=3)
    whole = sum(sum(bars.x) for bars in found.figure().data)
    assert whole == pytest.approx(found.neurons, abs=1e-9)


def test_a_cell_is_a_heads_change(both):
    found = head_contributions(*both, PROMPTS, direction(both[0]))
    cells = found.figure().data[0].z
    for h in found.heads:
        assert cells[h.layer][h.head] == h.change.value


def test_a_vector_that_stayed_has_its_cross_in_its_circle(both):
    circles, crosses = values_kept(both[0], NoOp(), direction(both[0]), top=6).figure().data
    assert circles.x == crosses.x == (1, 2, 3, 4, 5, 6)
    assert circles.y == crosses.y
