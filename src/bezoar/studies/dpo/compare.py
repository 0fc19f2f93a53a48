"""Stage 7, compare: the trained model beside its base (Figures 1, 2 and 4 to 10, section 5)."""

from __future__ import annotations

from bezoar.studies.dpo.bench import DPOBench


def compare_stage(bench: DPOBench) -> None:
    """Not written yet: leaves an empty stage."""
    with bench.run.stage("compare", key=["empty"], after=["evaluate"]):
        pass
