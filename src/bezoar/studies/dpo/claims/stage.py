"""Read what the stages left, and try every claim on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bezoar.attack import ResidualCapability, Robustness
from bezoar.compare.models import (
    ActivationDrop,
    Contributions,
    Interpolation,
    LensComparison,
    ResidualShifts,
    SourcesByLayer,
    ValuesKept,
    WeightDrift,
)
from bezoar.evaluate import Measurement, Scorecard
from bezoar.locate import LexiconShare, ProbeSweep
from bezoar.mitigate.preference import TrainingLog
from bezoar.runs import save_result
from bezoar.runs.reading import RunFiles
from bezoar.studies.audit.fitting import label_of, slug
from bezoar.studies.claims.results import Claims
from bezoar.studies.claims.rules import Rule
from bezoar.studies.dpo.bench import DPOBench, trained_specs
from bezoar.studies.dpo.claims import effects, keys, mechanism, reading, shift, undoing
from bezoar.studies.dpo.claims.found import NO_OP, Found
from bezoar.studies.dpo.evaluate import AS_TRAINED

ATTACKED = "dpo-as-trained"
"""Folder of what the attack stage found of the main training."""

RULES: tuple[Rule, ...] = (
    *reading.CLAIMS,
    *effects.CLAIMS,
    *mechanism.CLAIMS,
    *shift.CLAIMS,
    *keys.CLAIMS,
    *undoing.CLAIMS,
)
"""In the order of the paper."""


def claims_stage(bench: DPOBench) -> None:
    """Try the claims; it takes a moment."""
    after = ["locate", "mitigate", "evaluate", "compare", "attack"]
    # A claim that says otherwise, or by another rule, is tried anew.
    rules = [[r.key, r.statement, r.source, r.measure, r.rule] for r in RULES]
    with bench.run.stage("claims", key=rules, after=after) as stage:
        if not stage.done:
            found = read(bench.run.path, trained_specs(bench.config))
            save_result(stage.folder / "claims.json", claims_of(found, bench.lm.name))


def claims_of(found: Found, model: str) -> Claims:
    """Every claim, tried on what was found."""
    claims = (*(rule(found) for rule in RULES), *undoing.masks(found))
    protocol = "" if found.scorecard is None else found.scorecard.measured
    return Claims(claims, model, protocol)


def read(folder: Path, specs: Sequence[str]) -> Found:
    """What is there of a run's results.

    Args:
        folder: the run.
        specs: its trainings, the main one first.

    Raises:
        CorruptArtefact: if a file is damaged, or not what its stage wrote.
    """
    run = RunFiles(folder)
    main = specs[0]
    names = {NO_OP: NO_OP} | {f"{label_of(s)} {AS_TRAINED}": f"{slug(s)}-as-trained" for s in specs}
    names[Found(label_of(main)).scaled] = f"{slug(main)}-keys"
    measured = {
        label: run.result(f"evaluate/measured/{name}.json", Measurement)
        for label, name in names.items()
    }
    logs = {s: run.result(f"mitigate/training/{slug(s)}/log.json", TrainingLog) for s in specs}
    shifts = run.result("compare/shifts.json", ResidualShifts)
    sources = run.result("compare/sources.json", SourcesByLayer)
    return Found(
        dpo=label_of(main),
        sweep=run.result("locate/sweep.json", ProbeSweep),
        share=run.result("locate/share.json", LexiconShare),
        logs={spec: log for spec, log in logs.items() if log is not None},
        scorecard=run.result("evaluate/scorecard.json", Scorecard),
        measured={label: seen for label, seen in measured.items() if seen is not None},
        drift=run.result("compare/drift.json", WeightDrift),
        values=run.result("compare/values.json", ValuesKept),
        lens=run.result("compare/lens.json", LensComparison),
        lens_reversed=run.result("compare/lens_reversed.json", LensComparison),
        drop=run.result("compare/drop.json", ActivationDrop),
        drop_shared=run.result("compare/drop_shared.json", ActivationDrop),
        shifts=() if shifts is None else shifts.shifts,
        sources=() if sources is None else sources.sources,
        contributions=run.result("compare/contributions.json", Contributions),
        interpolation=run.result("compare/interpolation.json", Interpolation),
        scaling=run.result("attack/key_scaling.json", Robustness),
        residual=run.result(f"attack/{ATTACKED}/residual.json", ResidualCapability),
    )
