"""Comparing: a model with its edited or fine-tuned self, and what was measured in two runs.

Of two models, `weight_drift`, `lens_comparison`, `activation_drop`, `residual_shift` and their like
say what training changed and how that works; `compare_all` makes them all (`bezoar.compare.models`
has them, and what they return). Of two runs, the evaluation keeps each prompt's value
(`PerPrompt`), so that a difference is bootstrapped over the prompts they share, and what all
prompts have in common cancels; so it keeps windows, texts and items (`PerText`) for what is
measured on these.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bezoar.compare.folders import check_evaluated

if TYPE_CHECKING:
    from bezoar.compare.measurements import compare_measurements
    from bezoar.compare.models import (
        CompareInputs,
        CompareSizes,
        activation_drop,
        compare_all,
        contributions,
        drift_summary,
        eliciting_prompts,
        head_contributions,
        interpolation,
        lens_comparison,
        load_compared,
        qualitative,
        residual_shift,
        shift_sources,
        telling_prompts,
        values_kept,
        verdict,
        weight_differences,
        weight_drift,
    )
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

__all__ = [
    "CompareInputs",
    "CompareSizes",
    "Comparison",
    "Difference",
    "PerPrompt",
    "PerText",
    "activation_drop",
    "check_evaluated",
    "compare_all",
    "compare_measurements",
    "compare_runs",
    "contributions",
    "drift_summary",
    "eliciting_prompts",
    "head_contributions",
    "interpolation",
    "lens_comparison",
    "load_compared",
    "qualitative",
    "residual_shift",
    "shift_sources",
    "telling_prompts",
    "values_kept",
    "verdict",
    "weight_differences",
    "weight_drift",
]


def __getattr__(name: str) -> Any:
    if name == "models":
        return import_module(f"{__name__}.models")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER.get(name, 'models')}"), name)
