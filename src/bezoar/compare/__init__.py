"""Comparing what was measured in two runs: a model and its tuned version, two settings, two days.

The evaluation keeps each prompt's value (`PerPrompt`), so that a difference between two
runs is bootstrapped over the prompts they share, and what all prompts have in common cancels; so it
keeps windows, texts and items (`PerText`) for what is measured on these.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bezoar.compare.folders import check_evaluated

if TYPE_CHECKING:
    from bezoar.compare.measurements import compare_measurements
    from bezoar.compare.per_prompt import PerPrompt
    from bezoar.compare.per_text import PerText
    from bezoar.compare.runs import Comparison, Difference, compare_runs

# A wrong folder is told of before torch is imported.
_LATER = {
    "Comparison": "runs",
    "Difference": "runs",
    "PerPrompt": "per_prompt",
    "PerText": "per_text",
    "compare_measurements": "measurements",
    "compare_runs": "runs",
}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "Comparison",
    "Difference",
    "PerPrompt",
    "PerText",
    "check_evaluated",
    "compare_measurements",
    "compare_runs",
]
