"""The picture of toxic states says what the report says."""

from __future__ import annotations

import pytest

from bezoar.report.figures.toxic_states import toxic_states
from tests.report.experts.findings import states


def test_positions_are_shares_and_the_diamond_is_the_distance() -> None:
    found = states()
    toxic, other, shuffled, own = toxic_states(found).data
    assert sum(toxic.y) == pytest.approx(1)
    assert sum(other.y) == pytest.approx(1)
    assert list(toxic.customdata) == list(found.toxic_positions)
    assert toxic.x[0] == 1  # tokens are counted from one
    assert list(shuffled.x) == list(found.null_norms)
    assert list(own.x) == [found.norm]
