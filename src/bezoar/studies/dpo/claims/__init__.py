"""Stage 9, claims: each claim of the paper, held against what was measured.

A claim is a function from results to a verdict, whose docstring is the rule (`rules`): `reading`
has those on the probe and the value vectors, `effects` those of Table 2, `mechanism` and `shift`
those on what DPO changed, `keys` and `undoing` those on what is left of it. Nothing is measured
here. File: ``claims.json``.
"""

from bezoar.studies.claims.results import Claim, Claims, Verdict
from bezoar.studies.dpo.claims.stage import claims_of, claims_stage

__all__ = ["Claim", "Claims", "Verdict", "claims_of", "claims_stage"]
