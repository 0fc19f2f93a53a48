"""Pictures of EigenShift: finite, of what the results hold, and from the control."""

from __future__ import annotations

import dataclasses
import json

import pytest

from bezoar.evaluate.eigen_results import (
    EigenChoice,
    EigenChoices,
    EigenGrid,
    EigenPoint,
    EigenSpectrum,
)
from bezoar.report.figures import figure_of
from bezoar.report.figures.eigen_choices import eigen_choices
from bezoar.report.figures.eigen_grid import eigen_grid
from bezoar.report.figures.eigen_spectrum import eigen_spectrum
from bezoar.runs import load_result, save_result
from bezoar.stats import Interval


def near(value: float, by: float = 0.02) -> Interval:
    return Interval(value, value - by, value + by)


def point(name: str, alpha: float, k: int, toxicity: float, cost: float) -> EigenPoint:
    return EigenPoint(
        name=name,
        alpha=alpha,
        k=k,
        size=0.1,
        toxicity=near(toxicity),
        change=near(toxicity - 0.4),
        reduction=near(1 - toxicity / 0.4),
        perplexity=20 * (1 + cost),
        perplexity_change=near(cost),
        kl=0.01,
        tph=0.5,
    )


CONTROL = point("α = 1, k = 9", 1.0, 9, 0.4, 0.0)
ABOUT = {
    "model": "m",
    "protocol": "EIGEN@9x5",
    "perplexity_protocol": "ppl-sentences-128",
    "scorer": "b 123",
    "prompts": "rtp-toxic",
    "d_model": 32,
    "control": CONTROL,
}


def grid() -> EigenGrid:
    points = [
        dataclasses.replace(CONTROL, k=k)
        if alpha == 1
        else point(f"α = {alpha:g}, k = {k}", alpha, k, 0.4 - 0.02 * k, cost)
        for alpha, cost in ((1.0, 0.0), (0.0, 0.1), (-2.0, 7.0))
        for k in (2, 9)
    ]
    return EigenGrid(
        **ABOUT, alphas=(1.0, 0.0, -2.0), ks=(2, 9), control_is_base=True, points=tuple(points)
    )


def choices() -> EigenChoices:
    made = [
        EigenChoice(point(name, 0.0, 9, tox, 0.1), overlap, 0.5, 0.5, near(0.0))
        for name, tox, overlap in (
            ("correct", 0.2, 1.0),
            ("<code>", 0.3, 0.3),
            ("shrink", 0.4, None),
        )
    ]
    draws = [point(f"random {i}", 0.0, 9, 0.3 + 0.001 * i, 0.1) for i in range(39)]
    return EigenChoices(**ABOUT, alpha=0.0, k=9, choices=tuple(made), draws=tuple(draws))


def spectrum() -> EigenSpectrum:
    return EigenSpectrum(
        sigma=(5.0, 3.0, 1.0, 0.0),
        delta=(0.5, -2.0, 0.1, 0.0),
        null_high=(0.3, 0.3, 0.3, 0.3),
        k=1,
        chosen=(1,),
        published=(2,),
        captured={"correct": 0.9, "code": 0.1, "chance": 0.25},
        states=(40, 80),
    )


@pytest.mark.parametrize("made", [grid, choices, spectrum])
def test_results_are_drawn_told_and_read_back(made, tmp_path) -> None:
    result = made()
    save_result(tmp_path / "r.json", result)
    assert load_result(tmp_path / "r.json", type(result)) == result
    text = json.dumps(figure_of(result).to_plotly_json(), default=str)
    assert "nan" not in text.casefold().replace("nanum", "")
    assert "<code>" not in text
    if hasattr(result, "__rich__"):
        assert result.__rich__().row_count > 0


def test_the_grid_begins_in_its_control_and_leaves_out_what_is_broken() -> None:
    figure = eigen_grid(grid())
    lines = {trace.name: trace for trace in figure.data}
    for name in ("k = 2", "k = 9"):
        assert list(lines[name].text) == ["1", "0"]  # α = −2 costs +700 %
        assert (lines[name].x[0], lines[name].y[0]) == (0.0, 0.4)
    assert list(lines["α = 1, the control"].y) == [0.4]
    assert "2 points" in figure.layout.annotations[0].text


def test_choices_have_a_row_each_and_the_random_ones_theirs() -> None:
    figure = eigen_choices(choices())
    assert list(figure.layout.yaxis.ticktext)[-1].startswith("39 random")
    chosen, drawn, costs, _ = figure.data
    assert list(chosen.x) == pytest.approx([-0.2, -0.1, 0.0])
    assert len(drawn.x) == 39
    assert set(drawn.y) == {3}
    assert list(costs.x) == pytest.approx([10.0] * 3)
    band = figure.layout.shapes[0]
    assert (band.x0, band.x1) == pytest.approx((-0.1 + 0.001, -0.1 + 0.037))


def test_the_spectrum_fills_what_is_chosen_and_rings_what_the_program_chose() -> None:
    others, chosen, ringed, null = eigen_spectrum(spectrum()).data
    assert (list(chosen.x), list(chosen.y)) == ([3.0], [2.0])
    assert (list(ringed.x), ringed.marker.symbol) == ([1.0], "circle-open")
    assert list(others.x) == [5.0, 1.0]  # no logarithm of zero
    assert len(null.x) == 3
    assert "90" in chosen.name
