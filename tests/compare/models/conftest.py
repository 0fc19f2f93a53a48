"""Fixtures of base against edited."""

from __future__ import annotations

import jaxtyping
import pytest

from tests.compare.models.kit import FAMILIES, model, tuned


@pytest.fixture(scope="session", params=FAMILIES)
def pair(request: pytest.FixtureRequest):
    """A tiny model of each family and a noisy copy. Do not change their weights."""
    base = model(request.param)
    return base, tuned(base)


@pytest.fixture
def _unhooked():
    """Annotations unchecked, as outside of tests: what then happens to a wrong value counts."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
