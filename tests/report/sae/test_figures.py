"""Pictures of autoencoders and of the contest: right numbers in the right places."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from bezoar.errors import NoFigure
from bezoar.report.figures.contest import contest
from bezoar.report.figures.contest_differences import contest_differences
from bezoar.report.figures.contest_efficiency import contest_efficiency
from bezoar.report.figures.contest_layers import contest_layers
from bezoar.report.figures.contest_noise import contest_noise
from bezoar.report.figures.contest_sources import contest_sources
from bezoar.report.figures.sae_density import sae_density
from bezoar.report.figures.sae_interpretability import MOST, TOP, sae_interpretability, sizes
from bezoar.report.figures.sae_probing import sae_probing
from bezoar.report.figures.sae_quality import sae_quality
from bezoar.report.figures.sae_training import sae_training
from tests.report.sae import specimens


def points(figure: Any) -> list[Any]:
    """The traces of a solid figure that draw latents, without the keys of its legend."""
    return [trace for trace in figure.data if trace.customdata is not None]


def test_the_largest_latents_are_diamonds_with_their_own_numbers() -> None:
    table = specimens.table()
    *_, top = points(sae_interpretability(table))
    assert top.marker.symbol == "diamond"
    ranked = sorted(range(len(table)), key=lambda i: -table.contribution[i])[:TOP]
    assert list(top.text) == [str(table.id[i]) for i in ranked]
    assert list(top.x) == pytest.approx([table.cosine[i] for i in ranked], abs=1e-4)
    assert list(top.y) == pytest.approx([math.log10(table.density[i]) for i in ranked], abs=1e-4)
    assert list(top.z) == pytest.approx([table.bias[i] for i in ranked], abs=1e-4)


def test_numbers_stay_true_when_only_some_latents_are_drawn() -> None:
    """The source numbered latents by their place among those that it drew."""
    table = specimens.table(MOST + 300)
    places = {latent: i for i, latent in enumerate(table.id)}
    drawn = [
        (float(x), told)
        for trace in points(sae_interpretability(table))
        for x, told in zip(trace.x, trace.customdata, strict=True)
    ]
    assert len(drawn) == MOST
    for x, told in drawn:
        latent = int(told.removeprefix("latent ").partition("<")[0])
        assert x == pytest.approx(table.cosine[places[latent]], abs=1e-4)


def test_groups_are_by_density_and_the_dead_are_counted() -> None:
    table = specimens.table()
    figure = sae_interpretability(table)
    bounds = ((-math.inf, -4), (-4, -1), (-1, math.inf))
    for trace, (low, high) in zip(points(figure)[:3], bounds, strict=True):
        assert all(low <= y < high for y in trace.y)
    dead = sum(density == 0 for density in table.density)
    assert f"{dead} never" in figure.layout.title.text
    assert "explained variance 0.731" in figure.layout.title.text
    assert sum(len(trace.x) for trace in points(figure)) == len(table) - dead


def test_sizes_follow_the_share_of_the_reconstruction() -> None:
    table = replace(specimens.table(3), contribution=(0.64, 0.16, 0.0))
    assert sizes(table, [0, 1, 2]) == pytest.approx([44.0, 25.0, 6.0])


def test_a_histogram_holds_all_latents_and_the_chosen_is_told_apart() -> None:
    table = specimens.quality_table()
    figure = sae_density(table)
    assert len(figure.data) == len(table.rows)
    for trace, row in zip(figure.data, table.rows, strict=True):
        assert sum(trace.y) == pytest.approx(1)
        assert trace.y[0] == pytest.approx(row.held_out.density.dead / row.d_sae)
    last = {trace.marker.color[-1] for trace in figure.data}
    assert len(last) == 2


def test_quality_is_a_line_by_layer_and_seeds_lie_beside_it() -> None:
    table = specimens.quality_table()
    figure = sae_quality(table)
    line = figure.data[0]
    assert list(line.x) == list(range(6))
    assert list(line.y) == [row.held_out.explained_variance for row in table.rows[:6]]
    beside = figure.data[1]
    assert list(beside.x) == [3, 3]
    assert beside.mode == "markers"


def test_two_points_of_a_layer_are_two_lines() -> None:
    table = specimens.quality_table()
    delta = [replace(row, site=row.site.replace("post", "delta")) for row in table.rows[:6]]
    rows = replace(table, rows=(*table.rows[:6], *delta))
    first = [trace for trace in sae_quality(rows).data if trace.showlegend]
    assert [trace.name for trace in first] == ["topk, resid_post", "topk, resid_delta"]
    assert [len(trace.x) for trace in first] == [6, 6]


def test_training_of_several_is_three_panels_of_them() -> None:
    curves = [specimens.curve("topk:k=32"), specimens.curve("relu:l1=5")]
    figure = sae_training(curves)
    assert len(figure.data) == 6
    assert list(figure.data[0].x) == list(curves[0].tokens)
    assert list(figure.data[2].y) == list(curves[0].l0)
    assert len(sae_training(curves[0]).data) == 3


def test_the_contest_draws_the_chosen_and_fills_the_best_of_each_family() -> None:
    found = specimens.contest()
    figure = contest(found)
    chosen = [row for row in found.rows if row.chosen]
    assert sum(len(trace.x) for trace in figure.data) == len(chosen)
    filled = [trace.x[trace.marker.symbol.index("circle")] for trace in figure.data]
    best = [found.best(family) for family in ("sae", "dense", "baseline")]
    assert filled == [row.auroc.value for row in best if row is not None]
    assert all(trace.marker.symbol.count("circle") == 1 for trace in figure.data)


def test_differences_begin_with_the_contest_and_only_settled_ones_are_filled() -> None:
    (dots,) = contest_differences(specimens.contest(settled=False)).data
    assert dots.x[0] == -0.004
    assert list(dots.marker.symbol) == ["circle-open", "circle", "circle"]


def test_readers_that_differ_by_layer_only_are_one_line() -> None:
    found = specimens.contest()
    lines = {trace.name: trace for trace in contest_layers(found).data}
    assert set(lines) == {
        "topk resid_post, mean", "topk resid_post, max", "resid_post, mean",
        "resid_post, mean: mean difference",
    }  # fmt: skip
    assert list(lines["topk resid_post, mean"].x) == [2, 3]
    assert list(lines["resid_post, mean"].y) == [0.931, 0.915]
    alone = replace(found, rows=tuple(row for row in found.rows if row.site != "2.resid_post"))
    alone = replace(alone, rows=tuple(row for row in alone.rows if row.site != "5.resid_post"))
    with pytest.raises(NoFigure, match="one layer"):
        contest_layers(alone)


def test_curves_and_sources_hold_every_point() -> None:
    found = specimens.contest()
    drawn = sum(len(trace.x) for trace in contest_efficiency(found).data)
    assert drawn == len(found.efficiency)
    assert sum(len(trace.x) for trace in contest_noise(found).data) == len(found.noise)
    gaps, seen, left_out = contest_sources(found).data
    assert len(seen.x) == len(left_out.x) == len(found.leave_one_out)
    assert sum(a > b for a, b in zip(seen.x, left_out.x, strict=True)) == len(seen.x)
    assert len(gaps.x) == 3 * len(seen.x)


def test_what_was_not_measured_has_no_picture() -> None:
    empty = replace(specimens.contest(), efficiency=(), noise=(), leave_one_out=(), differences=())
    for draw in (contest_efficiency, contest_noise, contest_sources, contest_differences):
        with pytest.raises(NoFigure):
            draw(empty)
    table = specimens.quality_table()
    with pytest.raises(NoFigure):
        sae_probing(replace(table, rows=tuple(replace(row, probing=()) for row in table.rows)))
