"""Stage claims: what the third system set out to show, and what it left open, held against results.

A claim is a function from results to a verdict, whose docstring is the rule. `readers` has those on
the contest, `latents` those on the autoencoders and what their latents stand for. Nothing is
measured here. File: ``claims.json``.
"""

from bezoar.studies.sae.claims.stage import claims_of, claims_stage

__all__ = ["claims_of", "claims_stage"]
