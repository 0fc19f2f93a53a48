"""Stage 8, attack: what is left of each remedy when somebody tries to undo it (section 6)."""

from __future__ import annotations

from bezoar.studies.dpo.bench import DPOBench


def attack_stage(bench: DPOBench) -> None:
    """Not written yet: leaves an empty stage."""
    with bench.run.stage("attack", key=["empty"], after=["evaluate"]):
        pass
