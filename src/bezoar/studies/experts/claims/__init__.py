"""Stage claims: each claim of the paper, and what it left open, held against what was measured.

A claim is a function from results to a verdict, whose docstring is the rule. `neurons` and `layers`
have those on experts, `spectrum` those on EigenShift itself, `effects` those of the main table,
`detection` the one in the title. Nothing is measured here. File: ``claims.json``.
"""

from bezoar.studies.experts.claims.stage import claims_of, claims_stage

__all__ = ["claims_of", "claims_stage"]
