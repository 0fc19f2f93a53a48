"""Stage 4, pairs: the preferences that a method like DPO trains on."""

from __future__ import annotations

from bezoar.studies.audit.bench import Bench


def pairs_stage(bench: Bench) -> None:
    """Not written yet: leaves an empty stage."""
    with bench.run.stage("pairs", key=["empty"], after=["explore", "harvest", "locate"]):
        pass
