"""Fixtures of this room."""

from __future__ import annotations

import jaxtyping
import pytest


@pytest.fixture
def _unhooked():
    """Annotations unchecked, as outside of tests: what then happens to a wrong value counts."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
