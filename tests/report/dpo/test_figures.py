"""Pictures that only a study has: each shows what was measured, broken models and gaps included."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from bezoar.compare.models import Histogram
from bezoar.compare.models.drifts import DriftSummary
from bezoar.report import theme
from bezoar.report.figures.drift_layers import drift_layers
from bezoar.report.figures.figure_5_shift_sources import figure_5_shift_sources
from bezoar.report.figures.key_scaling import key_scaling
from bezoar.report.figures.outcomes import outcomes
from bezoar.report.figures.residual_capability import residual_capability
from bezoar.report.figures.survival_map import ALL, survival_map
from bezoar.report.figures.survival_predictors import survival_predictors
from bezoar.report.figures.training_variants import Variant, training_variants
from tests.report import specimens as audit
from tests.report.dpo import specimens

NAMES = ("dpo as trained", "subtract <b>probe</b>", "word ban")


def robust() -> list[Any]:
    return [specimens.robustness(name, 0.9 - 0.2 * i) for i, name in enumerate(NAMES)]


def variants() -> list[Variant]:
    rows = [row for row in specimens.scorecard().rows if row.label.endswith("as trained")]
    return [
        Variant(row.label, 0.004 * (i + 1), row.change["toxicity"], None)
        for i, row in enumerate(rows)
    ]


def predictors() -> list[Any]:
    free = specimens.SampleFree("x", 0.1, False, 0.4, None, None, 0.99)
    return [(found, replace(free, basin_width=0.1 * i)) for i, found in enumerate(robust())]


def shown() -> Any:
    rows = [row for row in specimens.scorecard().rows if row.kind in ("no-op", "method")]
    return outcomes(rows, [theme.BLUE] * len(rows))


def moved(**layers: dict[str, float]) -> list[DriftSummary]:
    return [
        DriftSummary(name, 3, 9, 0.9, 0.1, 0.9, 0.2, 2.0, {"mlp_out": 1.0}, shares)
        for name, shares in layers.items()
    ]


DRAWN: dict[str, Callable[[], Any]] = {
    "drift_layers": lambda: drift_layers(moved(all={"outside": 0.2, "3": 0.8}, late={"3": 1.0})),
    "key_scaling": lambda: key_scaling(specimens.key_scaling()),
    "outcomes": shown,
    "residual": lambda: residual_capability([specimens.residual("a", i) for i in range(5)]),
    "survival_map": lambda: survival_map(robust()),
    "survival_predictors": lambda: survival_predictors(predictors()),
    "training_variants": lambda: training_variants(variants()),
}


@pytest.fixture(scope="module", params=DRAWN)
def drawn(request: pytest.FixtureRequest) -> dict[str, Any]:
    return json.loads(DRAWN[request.param]().to_json())


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, list):
        for item in value:
            yield from numbers(item)
    elif isinstance(value, (int, float)):
        yield value


def test_every_trace_has_finite_data(drawn: dict[str, Any]) -> None:
    for trace in drawn["data"]:
        found = [n for key in ("x", "y", "z") for n in numbers(trace.get(key, []))]
        assert found
        assert all(math.isfinite(n) for n in found)


def test_no_colour_of_text_or_ground_and_no_markup(drawn: dict[str, Any]) -> None:
    layout = {k: v for k, v in drawn["layout"].items() if k != "template"}
    assert set(re.findall(r"#[0-9a-f]{6}", json.dumps(layout))) <= set(theme.SERIES)
    text = json.dumps({"data": drawn["data"], "layout": layout})
    assert not re.search(r"<(?!br>|/?extra>)", text)


def test_the_map_has_a_row_an_attack_and_the_mean_first() -> None:
    heat = survival_map(robust()).data[0]
    areas = [each.score.value for each in robust()]
    assert list(heat.z[0]) == pytest.approx(areas)
    assert survival_map(robust()).layout.yaxis.ticktext[0] == ALL
    without = replace(robust()[0], score=None, undefined="nothing to survive")
    assert len(survival_map([without, *robust()[1:]]).data[0].z[0]) == 2
    with pytest.raises(TypeError, match="no map"):
        survival_map([without])


@pytest.mark.parametrize(("n", "angle"), [(8, 0), (9, -90)])
def test_names_of_many_remedies_stand_upright(n: int, angle: int) -> None:
    many = [replace(robust()[0], edit=f"a remedy with a long name, {i}") for i in range(n)]
    assert survival_map(many).layout.xaxis.tickangle == angle


def test_an_attack_that_does_not_apply_leaves_its_cell_empty() -> None:
    one, *others = robust()
    gone = replace(one, curves=tuple(c for c in one.curves if c.attack != "pruning"))
    figure = survival_map([gone, *others])
    row = list(figure.layout.yaxis.ticktext).index("pruning")
    assert figure.data[0].z[row][0] is None
    assert figure.data[0].z[row][1] is not None


def test_an_outcome_has_the_interval_of_its_change_at_the_level_of_the_no_op() -> None:
    card = specimens.scorecard()
    rows = [row for row in card.rows if row.kind in ("no-op", "method")]
    dots = outcomes(rows, [theme.BLUE] * len(rows)).data[0]
    level = rows[0].metrics["toxicity"].value
    for i, row in enumerate(rows[1:], start=1):
        low = dots.x[i] - dots.error_x.arrayminus[i]
        assert low == pytest.approx(level + row.change["toxicity"].low)
    with pytest.raises(TypeError, match="no variant"):
        outcomes([], [])


def test_a_few_neurons_that_always_fire_do_not_hide_zero() -> None:
    """One in a hundred lies far out: it is in a bar of its own, named, and nothing is lost."""
    shares = (0.3, 0.4, 0.2, 0.09, *(0.0,) * 95, 0.01)
    layer = replace(specimens.sources(1).layers[0], activations=Histogram(-0.1, 4.9, shares))
    figure = figure_5_shift_sources(replace(specimens.sources(1), layers=(layer, layer)))
    bars = [bar for bar in figure.data if bar.xaxis == "x2"]
    assert [list(bar.y) for bar in bars] == [[0.3, 0.4, 0.2, 0.09], [pytest.approx(0.01)]]
    last = figure.layout.xaxis4  # of the last row, which bears the labels
    assert last.ticktext[-1] == "more"
    assert last.tickvals[-1] == bars[1].x[0] > 0.1
    assert "0" in last.ticktext
    assert last.range[1] < 0.3
    assert figure.layout.xaxis2.range == last.range
    titles = [figure.layout[f"yaxis{i}"].title.text for i in ("", "2", "3", "4")]
    assert titles == [None, None, "proportion", "proportion"]


def test_curves_that_lie_on_each_other_are_told_apart_and_names_lie_on_no_point() -> None:
    found = specimens.key_scaling()
    twice = replace(found, curves=(*found.curves, replace(found.curves[0], attack="with bias")))
    figure = key_scaling(twice)
    first, second = (
        t for t in figure.data if t.name in ("key scaling", "with bias") and t.error_y.array
    )
    assert (first.line.dash, second.line.dash) == ("solid", "dash")
    assert second.marker.size > first.marker.size
    assert second.marker.symbol[0] == "circle-open"
    assert 10 ** figure.layout.xaxis.range[0] < 0.6 * min(first.x)  # room for the names, left of it
    assert all(note.x == 0 for note in figure.layout.annotations)


def test_broken_models_are_crosses_where_keys_are_scaled() -> None:
    left = key_scaling(specimens.key_scaling()).data[0]
    assert list(left.marker.symbol) == ["circle", "circle", "x-thin-open"]
    assert list(left.x) == [7, 70, 700]
    with pytest.raises(TypeError, match="No keys"):
        key_scaling(replace(specimens.key_scaling(), curves=()))


def test_every_layer_stands_in_the_map_of_trainings_though_none_moved_it() -> None:
    (heat,) = drift_layers(moved(first={"outside": 0.2, "0": 0.8}, late={"3": 1.0})).data
    assert list(heat.x) == ["outside", "0", "1", "2", "3"]
    assert [list(line) for line in heat.z] == [[0.2, 0.8, 0, 0, 0], [0, 0, 0, 0, 1]]
    with pytest.raises(TypeError, match="No weight moved"):
        drift_layers(moved(none={}))


def test_trainings_that_moved_a_thousand_times_as_far_share_a_log_axis() -> None:
    near, far, still = (replace(variants()[0], relative=r) for r in (1e-4, 1e-1, 0.0))
    figure = training_variants([near, far, still])
    assert figure.layout.xaxis.type == "log"
    assert [note.x for note in figure.layout.annotations] == pytest.approx([-2, 1])


def test_names_of_trainings_do_not_lie_on_each_other() -> None:
    many = [Variant(f"v{i}", 0.01, audit.metric("toxicity", -0.1, 0.01)) for i in range(9)]
    heights = sorted(note.ay for note in training_variants(many).layout.annotations)
    low, high = training_variants(many).layout.yaxis.range
    assert all(b - a > 0.02 * (high - low) for a, b in itertools.pairwise(heights))
    assert low <= heights[0]
    assert heights[-1] <= high
