"""Pictures of layers as experts; and of Chinese, which needs fonts that have it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from bezoar.locate import (
    ClusterScore,
    LayerExperts,
    LayerRanks,
    LayerScore,
    LayersReport,
    MeanNeuron,
    ReaderScore,
)
from bezoar.report import theme
from bezoar.report.figures import figure_of
from bezoar.report.figures.experts_figure_5_layer_ranks import (
    BINS,
    experts_figure_5_layer_ranks,
)
from bezoar.report.figures.experts_figure_6_auroc_silhouette import (
    experts_figure_6_auroc_silhouette,
)
from bezoar.report.figures.layer_experts import layer_experts
from bezoar.report.figures.promoted_tokens import promoted_tokens
from bezoar.stats import Interval
from tests.report import specimens

CRITERIA = ("k-means", "hierarchical", "silhouette", "best neuron", "mean difference", "probe")


def around(value: float, half: float = 0.05) -> Interval:
    return Interval(value, value - half, value + half)


def experts(n: int = 4, **more: object) -> LayerExperts:
    """A model of n layers that get better with depth, all but the last."""
    layers = []
    for i in range(n):
        value = 0.55 + 0.3 * i / n - 0.1 * (i == n - 1)
        cluster = ClusterScore(
            around(value), around(value), 0.52, 0.56, 0.01, 0.2 + i / n / 2, 0.6, 0.4, around(0.5)
        )
        reader = ReaderScore(around(value + 0.1), around(value + 0.08), None, 3 + i)
        mean = MeanNeuron(8, around(0.49), around(0.56), around(0.53))
        scores = (cluster, replace(cluster, auroc=around(value - 0.02)), reader, mean)
        site = f"{i}.resid_post"
        layers.append(LayerScore(i, site, (i + 1) / n, *scores, replace(reader, unit=None), reader))
    line = tuple(i / max(n - 1, 1) for i in range(n))
    ranks = tuple(LayerRanks(name, line, (line, line[::-1])) for name in CRITERIA)
    found = LayerExperts(
        "m", "c", "decoder", tuple(layers), ranks, (), 0.01, 90, 60, 30, 50, "mean", "mlp_post",
        "ward", 0.3, 0.0,
    )  # fmt: skip
    return replace(found, **more)


def test_every_line_is_drawn_as_it_was_measured() -> None:
    found = experts()
    drawn = {trace.name: trace for trace in layer_experts(found).data if trace.name}
    kmeans = drawn["k-means"]
    seen = [layer.kmeans.auroc for layer in found.layers]
    assert list(kmeans.y) == [interval.value for interval in seen]
    lows = [y - below for y, below in zip(kmeans.y, kmeans.error_y.arrayminus, strict=True)]
    assert lows == pytest.approx([interval.low for interval in seen])
    assert list(drawn["probe"].y) == [one.probe.balanced_accuracy.value for one in found.layers]
    assert list(drawn["mean neuron"].y) == [one.mean_neuron.halved.value for one in found.layers]
    assert list(drawn["matched by chance"].y) == [0.56] * 4
    assert "unit 3" in drawn["best neuron"].customdata[0]
    assert found.figure().data  # a result finds its picture


def test_a_caveat_stands_in_the_picture() -> None:
    text = layer_experts(experts(caveat="a test of the pipeline, no claim: 3.0 tokens")).to_json()
    assert "no claim" in text
    assert "no claim" not in layer_experts(experts()).to_json()


def test_boxes_hold_the_ranks_of_all_criteria_and_resamples_in_a_panel_a_kind() -> None:
    report = LayersReport((experts(), experts(kind="encoder", model="e"), experts(corpus="d")))
    figure = experts_figure_5_layer_ranks(report)
    decoders, _, encoders, _ = figure.data
    assert (decoders.xaxis, encoders.xaxis) == ("x", "x2")
    assert list(decoders.x) == [0.25, 0.5, 0.75, 1]
    # A third each of the observed rank, that again, and the reverse: 0, 0 and 1 for the first.
    assert list(decoders.median) == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert decoders.upperfence[0] == 1
    titles = [note.text.replace("<br>", " ") for note in figure.layout.annotations]
    assert titles == ["decoders: m on c, m on d", "encoders: e on c"]


def test_layers_of_a_deep_model_share_boxes() -> None:
    figure = experts_figure_5_layer_ranks(LayersReport((experts(80), experts(6))))
    assert len(figure.data[0].x) == BINS
    assert figure.data[0].x[-1] == 1


def test_a_point_a_layer_stands_at_silhouette_and_matched_auroc() -> None:
    found = experts()
    figure = experts_figure_6_auroc_silhouette(LayersReport((found,)))
    kmeans = figure.data[0]
    assert list(kmeans.x) == [one.kmeans.silhouette for one in found.layers]
    assert list(kmeans.y) == [one.kmeans.matched.value for one in found.layers]
    assert figure.layout.shapes[0].y0 == 0.56


def test_layers_of_one_cluster_have_no_point() -> None:
    found = experts()
    alone = [
        replace(
            one,
            kmeans=replace(one.kmeans, silhouette=None),
            hierarchical=replace(one.hierarchical, silhouette=None),
        )
        for one in found.layers
    ]
    with pytest.raises(TypeError, match="in two"):
        experts_figure_6_auroc_silhouette(LayersReport((replace(found, layers=tuple(alone)),)))
    some = replace(found, layers=(alone[0], *found.layers[1:]))
    assert len(experts_figure_6_auroc_silhouette(LayersReport((some,))).data[0].x) == 3
    with pytest.raises(TypeError, match="No model"):
        experts_figure_5_layer_ranks(LayersReport(()))


@pytest.mark.parametrize(
    "draw",
    [layer_experts, *(lambda one, f=f: f(LayersReport((one,))) for f in (
        experts_figure_5_layer_ranks, experts_figure_6_auroc_silhouette))],
)  # fmt: skip
def test_no_picture_fixes_a_colour_of_text_or_ground_and_names_are_escaped(draw) -> None:
    drawn = json.loads(draw(experts(model="<b>x</b>", kind="encoder")).to_json())
    layout = json.dumps({k: v for k, v in drawn["layout"].items() if k != "template"})
    assert set(re.findall(r"#[0-9a-f]{6}", layout)) <= set(theme.SERIES)
    assert "bgcolor" not in layout
    assert "<b>x" not in json.dumps(drawn)
    assert drawn == json.loads(draw(experts(model="<b>x</b>", kind="encoder")).to_json())


def test_figures_and_page_ask_for_fonts_that_have_chinese_signs() -> None:
    figure = promoted_tokens(specimens.token_lists(token="笨蛋")[0])
    text = json.loads(figure.to_json())
    assert "笨蛋" in json.dumps(text, ensure_ascii=False)
    asked = text["layout"]["template"]["layout"]
    styles = (Path(theme.__file__).parent / "templates" / "report.css").read_text()
    body = styles[styles.index("font: 16px") :].split(";")[0]
    for name in theme.CJK:
        assert f"'{name}'" in asked["font"]["family"]
        assert f"'{name}'" in asked["hoverlabel"]["font"]["family"]
        assert f'"{name}"' in body
    assert asked["font"]["family"].endswith(", sans-serif")  # and else whatever the machine has
    assert (
        figure_of(experts(corpus="中文")).layout.template.layout.font.family
        == (asked["font"]["family"])
    )
