"""The front of all methods: areas, what each adds, and that prompts are resampled together."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from bezoar.errors import ConfigError
from bezoar.evaluate import Measurement, front_of, hypervolume
from bezoar.evaluate.front import hypervolumes
from bezoar.runs.results import load_result, save_result
from bezoar.scoring import PerplexityResult

RNG = np.random.default_rng(0)
TOXICITY = RNG.random(60)
NLL = 100 + RNG.random(12)


def measured(share: float, cost: float, wobble: float = 0.0, seed: int = 0) -> Measurement:
    """A method with that share of the toxicity and about that rise of perplexity."""
    noise = np.random.default_rng(seed)
    toxicity = share * TOXICITY * (1 + wobble * noise.standard_normal(60))
    nll = NLL + 50 * np.log1p(cost) * (1 + wobble * noise.standard_normal(12))
    counts = (50,) * 12
    value = float(np.exp(nll.sum() / 600))
    ppl = PerplexityResult(value, 600, "ppl-windows-1024", tuple(nll.tolist()), counts, 0, 1.0)
    return Measurement("m", "LEE@60", "k", {"toxicity": tuple(toxicity.tolist())}, perplexity=ppl)


NO_OP = measured(1.0, 0.0)


def front(*methods: Measurement, **options):
    named = [(f"m{i}", f"Method {i}", m) for i, m in enumerate(methods)]
    return front_of(named, NO_OP, resamples=400, **options)


def test_the_area_is_that_of_the_plain_hypervolume():
    points = RNG.uniform(-0.1, 1.3, (200, 5, 2))
    x, y = points[..., 0], points[..., 1]
    fast = hypervolumes(x, y)
    for i, each in enumerate(points):
        clipped = [(max(float(a), 0.0), max(float(b), 0.0)) for a, b in each]
        assert fast[i] == pytest.approx(hypervolume(clipped, (1.0, 1.0)), abs=1e-12)
    assert hypervolumes(np.array([[0.0]]), np.array([[0.0]]))[0] == 1


def test_one_method_covers_its_rectangle():
    found = front(measured(0.6, 0.04))
    assert found is not None
    (point,) = found.points
    assert point.toxicity == pytest.approx(0.6)
    assert point.perplexity_change == pytest.approx(0.04)
    assert point.alone.value == pytest.approx(0.4 * 0.6)
    assert found.total == point.alone == point.added
    assert point.on_front == 1


def test_what_is_beaten_on_both_adds_nothing():
    found = front(measured(0.6, 0.04), measured(0.7, 0.05), measured(0.5, 0.08))
    assert found is not None
    by_name = {p.method: p for p in found.points}
    assert (by_name["m1"].added.value, by_name["m1"].on_front) == (0, 0)
    assert by_name["m1"].alone.value == pytest.approx(0.3 * 0.5)
    assert by_name["m2"].added.value == pytest.approx(0.1 * 0.2)
    assert found.total.value == pytest.approx(0.4 * 0.6 + 0.1 * 0.2)
    assert [p.method for p in found.points] == ["m0", "m2", "m1"]


def test_twins_add_nothing_and_what_they_share_is_lost_by_both():
    found = front(measured(0.6, 0.04), measured(0.6, 0.04))
    assert found is not None
    assert [p.added.value for p in found.points] == [0, 0]
    assert found.total.value == pytest.approx(0.24)


def test_harm_cost_beyond_the_limit_and_gain_in_perplexity():
    assert front(measured(1.2, 0.01)).total.value == 0
    assert front(measured(0.5, 0.11)).total.value == 0
    assert front(measured(0.5, 0.11), limit=0.2).total.value == pytest.approx(0.5 * 0.45)
    # A lower perplexity is no lower cost than none.
    assert front(measured(0.5, -0.05)).total.value == pytest.approx(0.5)


def test_an_interval_holds_its_estimate_and_two_methods_move_together():
    found = front(measured(0.6, 0.04, 0.5, 1), measured(0.58, 0.05, 0.5, 2))
    assert found is not None
    for p in found.points:
        assert 0 <= p.added.low <= p.added.value <= p.added.high <= p.alone.high
        assert p.alone.low <= p.alone.value <= p.alone.high
    assert any(0 < p.on_front < 1 for p in found.points)
    assert found.total.low < found.total.high
    same = front(measured(0.6, 0.04, 0.5, 1), measured(0.6, 0.04, 0.5, 1))
    assert [p.on_front for p in same.points] == [0, 0]  # equal in every resample


def test_nothing_to_draw_a_front_of():
    bare = Measurement("m", "LEE@60", "k", {"toxicity": tuple(TOXICITY)})
    assert front() is None
    assert front(bare) is None
    clean = Measurement("m", "LEE@60", "k", {"toxicity": (0.0,) * 60}, perplexity=NO_OP.perplexity)
    assert front_of([("m", "M", NO_OP)], clean) is None
    with pytest.raises(ConfigError, match="limit=0"):
        front(measured(0.5, 0.01), limit=0.0)


def test_it_is_saved_and_shown(tmp_path):
    found = front(measured(0.6, 0.04), measured(0.7, 0.05))
    save_result(tmp_path / "front.json", found)
    assert load_result(tmp_path / "front.json", type(found)) == found
    assert found.protocol == "LEE@60 + ppl-windows-1024"
    console = Console(file=io.StringIO(), width=80, record=True)
    console.print(found)
    text = console.export_text()
    assert "perplexity +10%" in text
    assert "Method 0" in text
