"""How much of each attack is tried: three grids, by attack.

``full`` is the grid of the literature; ``default`` has its ends and fewer draws; ``quick`` is a
look. A number from one grid is none of another: the more is tried, the less survives.
"""

from __future__ import annotations

from typing import Any

GRIDS = ("quick", "default", "full")

_SHARES: dict[str, dict[str, Any]] = {
    "quick": {"shares": (0.3,)},
    "default": {"shares": (0.1, 0.3, 0.5)},
    "full": {"shares": (0.1, 0.2, 0.3, 0.4, 0.5)},
}
_KEYS: dict[str, dict[str, Any]] = {
    "quick": {"factors": (1.0, 10.0), "counts": (7,), "null_draws": 1},
    "default": {"factors": (1.0, 2.0, 5.0, 10.0), "counts": (1, 7, 32), "null_draws": 1},
    "full": {"factors": (1.0, 2.0, 5.0, 10.0), "counts": (1, 7, 32), "null_draws": 3},
}
_HARMLESS: dict[str, dict[str, Any]] = {
    "quick": {"counts": (100,), "rates": (1e-4,), "seeds": 1, "steps": 10},
    "default": {"counts": (100,), "rates": (1e-5, 1e-4), "seeds": 1, "steps": 20},
    "full": {"counts": (10, 100), "rates": (1e-5, 1e-4, 1e-3), "seeds": 3, "steps": 30},
}

BUDGETS: dict[str, dict[str, dict[str, Any]]] = {
    "key-scaling": _KEYS,
    "key-scaling-bias": _KEYS,
    "key-scaling-up": _KEYS,
    "steering": {
        "quick": {"coefficients": (0.125, 0.25), "null_draws": 1},
        "default": {"coefficients": (0.0625, 0.125, 0.25), "null_draws": 1},
        "full": {"coefficients": (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0), "null_draws": 3},
    },
    "fine-tuning": {
        "quick": {"counts": (10,), "rates": (1e-4,), "seeds": 1, "steps": 10},
        "default": {"counts": (1, 10, 100), "rates": (1e-5, 1e-4), "seeds": 1, "steps": 20},
        "full": {"counts": (1, 10, 100), "rates": (1e-5, 1e-4, 1e-3), "seeds": 3, "steps": 30},
    },
    "lora": {
        "quick": {"counts": (10,), "rates": (1e-3,), "seeds": 1, "steps": 10},
        "default": {"counts": (100,), "rates": (1e-4, 1e-3), "seeds": 1, "steps": 20},
        "full": {"counts": (1, 10, 100), "rates": (1e-4, 1e-3, 1e-2), "seeds": 3, "steps": 30},
    },
    "relearning": {
        "quick": {"steps": (1, 4, 8), "rates": (1e-4,), "seeds": 1},
        "default": {"steps": (1, 2, 4, 8, 16), "rates": (1e-4, 1e-3), "seeds": 1},
        "full": {"steps": (1, 2, 4, 8, 16, 32, 64), "rates": (1e-5, 1e-4, 1e-3), "seeds": 3},
    },
    "benign-fine-tuning": _HARMLESS,
    "later-checkpoint": _HARMLESS,
    "pruning": _SHARES,
    "wanda": _SHARES,
    "quantisation": {
        "quick": {"bits": (8, 4)},
        "default": {"bits": (8, 4, 3, 2)},
        "full": {"bits": (8, 4, 3, 2)},
    },
    "noise": {
        "quick": {"sigmas": (0.1,), "directions": 1},
        "default": {"sigmas": (0.03, 0.1, 0.3), "directions": 2},
        "full": {"sigmas": (0.01, 0.03, 0.1, 0.3), "directions": 20},
    },
    "interpolation": {
        "quick": {"shares": (0.5, 1.0)},
        "default": {"shares": (0.25, 0.5, 1.0)},
        "full": {"shares": (0.125, 0.25, 0.5, 0.75, 1.0)},
    },
    "decoding": {
        "quick": {"temperatures": (1.0,), "top_p": (1.0,)},
        "default": {"temperatures": (0.5, 1.0, 1.5), "top_p": (0.9, 1.0)},
        "full": {"temperatures": (0.5, 0.75, 1.0, 1.25, 1.5), "top_p": (0.9, 0.95, 1.0)},
    },
    "toxic-context": {
        "quick": {"counts": (1,), "draws": 1},
        "default": {"counts": (1, 4), "draws": 1},
        "full": {"counts": (1, 2, 4), "draws": 3},
    },
}
"""Attack -> grid -> its options; ``seeds`` is how many."""

TEXTS: dict[str, int] = {"quick": 64, "default": 200, "full": 400}
"""Texts of each label that steering reads its directions from."""
