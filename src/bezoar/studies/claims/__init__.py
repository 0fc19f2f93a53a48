"""Claims of a paper, each held against what was measured by a stated rule.

A claim is a function from results to a verdict, whose docstring is the rule.
"""

from bezoar.studies.claims.results import VERDICTS, Claim, Claims, Verdict, number
from bezoar.studies.claims.rules import Finding, Rule, claim, not_measured

__all__ = [
    "VERDICTS",
    "Claim",
    "Claims",
    "Finding",
    "Rule",
    "Verdict",
    "claim",
    "not_measured",
    "number",
]
