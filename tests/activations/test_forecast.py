"""The time of a forecast is the machine's, not that of whatever else it happened to do."""

from __future__ import annotations

import sys

import pytest

from bezoar.activations import forecast
from bezoar.activations.forecast import best_time
from tests.activations.corpora import texts
from tests.families import tiny_model


class Clock:
    """Time that passes only while work is done; how long each takes is told, the last for ever."""

    def __init__(self, *lengths: float) -> None:
        self.now, self.lengths, self.begun = 0.0, list(lengths), 0

    def work(self) -> None:
        self.begun += 1
        self.now += self.lengths.pop(0) if len(self.lengths) > 1 else self.lengths[0]

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clocked(monkeypatch: pytest.MonkeyPatch):
    def at(*lengths: float) -> Clock:
        clock = Clock(*lengths)
        monkeypatch.setattr(sys.modules["bezoar.activations.forecast"], "time", clock)
        return clock

    return at


@pytest.mark.parametrize(
    ("lengths", "best", "passes"),
    [
        ((9.0, 0.3, 0.1, 0.2), 0.1, 7),  # the first warms up and does not count
        ((0.1, 5.0, 0.1, 5.0), 0.1, 3),  # one pass of three was not disturbed
        ((0.1, 30.0, 30.0, 2.0, 0.01), 2.0, 3),  # slow: no more than three
    ],
)
def test_the_least_of_several_passes_counts(clocked, lengths, best, passes):
    clock = clocked(*lengths)
    assert best_time(clock.work) == pytest.approx(best)
    assert clock.begun == passes + 1


def test_a_busy_machine_does_not_change_the_forecast(clocked, monkeypatch):
    lm = tiny_model("gpt2")
    capture = lm.capture

    def told(*lengths: float) -> float:
        clock = clocked(*lengths)

        def timed(*args, **options):
            clock.work()
            return capture(*args, **options)

        monkeypatch.setattr(lm, "capture", timed)
        return forecast(lm, texts(30, seed=5), ["0.mlp_out"]).seconds

    idle, busy = told(0.01), told(0.4, 0.5, 0.3, 0.01, 0.4)
    assert busy == pytest.approx(idle)
    assert told(0.02) == pytest.approx(2 * idle)
