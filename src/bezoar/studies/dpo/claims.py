"""Stage 9, claims: each claim of the paper, held against what was measured."""

from __future__ import annotations

from bezoar.studies.dpo.bench import DPOBench


def claims_stage(bench: DPOBench) -> None:
    """Not written yet: leaves an empty stage."""
    with bench.run.stage("claims", key=["empty"], after=["evaluate"]):
        pass
