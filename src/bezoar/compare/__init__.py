"""Comparing what was measured in two runs: a model and its tuned version, two settings, two days.

The evaluation keeps each prompt's value (`PerPrompt`), so that a difference between two
runs is bootstrapped over the prompts they share, and what all prompts have in common cancels.
"""

from bezoar.compare.measurements import compare_measurements
from bezoar.compare.per_prompt import PerPrompt
from bezoar.compare.runs import Comparison, Difference, compare_runs

__all__ = ["Comparison", "Difference", "PerPrompt", "compare_measurements", "compare_runs"]
