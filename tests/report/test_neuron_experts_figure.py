"""The picture of neuron experts shows the counts of the report, and their bands."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bezoar.locate import ExpertsReport, find_experts
from bezoar.report.figures import figure_of
from bezoar.report.figures.experts_figure_3_neurons import experts_figure_3_neurons
from tests.locate.kit import corpus


@pytest.fixture(scope="module")
def report(gpt2) -> ExpertsReport:
    return find_experts(gpt2, corpus(80, 0), ["paper"], shuffles=19, halves=0)[1]


def test_all_units_are_in_the_picture_and_the_curve_is_theirs(report):
    figure = experts_figure_3_neurons(report)
    spread = report.groups[0].all_texts
    steps = {trace.name: trace for trace in figure.data if trace.name}
    assert set(steps) == {"shuffled labels", "all texts", "equal lengths"}
    for trace in steps.values():
        assert sum(trace.y[:-1]) == pytest.approx(100)
        assert len(trace.x) == len(trace.y)
    assert sum(steps["all texts"].y[50:-1]) == pytest.approx(100 * spread.shares[0].share)
    lines = [t for t in figure.data if t.xaxis == "x2" and t.fill is None]
    np.testing.assert_allclose(lines[0].y, 100 * np.array(spread.above))
    assert figure_of(report).to_json() == figure_of(report).to_json()


def test_without_texts_of_equal_length_there_is_one_curve(report):
    group = dataclasses.replace(report.groups[0], matched=None)
    figure = experts_figure_3_neurons(dataclasses.replace(report, groups=(group,)))
    assert {t.name for t in figure.data if t.name} == {"shuffled labels", "all texts"}
