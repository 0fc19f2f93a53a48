"""Read what the stages left, and try every claim on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bezoar.evaluate import Measurement, Scorecard
from bezoar.evaluate.detection_results import Detection
from bezoar.evaluate.eigen_results import EigenChoices, EigenGrid
from bezoar.locate import ExpertsReport, Reconstruction, StatesReport
from bezoar.locate.layer_results import LayersReport
from bezoar.mitigate import EigenShift, parse_method
from bezoar.runs import save_result
from bezoar.runs.reading import RunFiles
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitting import label_of, slug
from bezoar.studies.claims.results import Claims
from bezoar.studies.claims.rules import Rule
from bezoar.studies.experts.claims import detection, effects, layers, neurons, spectrum
from bezoar.studies.experts.claims.found import Found

PAPER = "EigenShift (2025)"

RULES: tuple[Rule, ...] = (
    *neurons.CLAIMS,
    *layers.CLAIMS,
    *spectrum.CLAIMS,
    *effects.CLAIMS,
    *detection.CLAIMS,
)
"""In the order of the paper."""

BEFORE = ("states", "experts", "layers", "mitigate", "evaluate", "grid", "detect")


def claims_stage(bench: Bench) -> None:
    """Try the claims; it takes a moment."""
    key = [rule.key for rule in RULES]
    done = bench.run.finished()
    after = [name for name in BEFORE if name in done]
    with bench.run.stage("claims", key=key, after=after) as stage:
        if not stage.done:
            found = read(bench.run.path, specs_of(bench.config.mitigate.methods))
            save_result(stage.folder / "claims.json", claims_of(found, bench.lm.name))


def claims_of(found: Found, model: str) -> Claims:
    """Every claim, tried on what was found."""
    protocol = "" if found.scorecard is None else found.scorecard.measured
    asked = [rule for mode, rule in effects.MODES.items() if mode in found.eigen]
    claims = tuple(rule(found) for rule in (*RULES, *asked))
    return Claims(claims, model, protocol, PAPER)


def read(folder: Path, specs: Sequence[str]) -> Found:
    """What is there of a run's results.

    Args:
        folder: the run.
        specs: the methods that were asked for.

    Raises:
        CorruptArtefact: if a file is damaged, or not what its stage wrote.
    """
    run = RunFiles(folder)
    specs = [parse_method(spec).spec for spec in specs]
    found = {
        label_of(spec): run.result(f"evaluate/measured/{slug(spec)}.json", Measurement)
        for spec in specs
    }
    eigen, rivals = labels(specs)
    report = run.result("layers/layers.json", LayersReport)
    choices = run.result("grid/choices.json", EigenChoices)
    named = () if choices is None else [each.point.name for each in choices.choices]
    chosen = {name: run.result(f"grid/measured/{slug(name)}.json", Measurement) for name in named}
    return Found(
        eigen=eigen,
        rivals=rivals,
        layers=() if report is None else report.experts,
        experts=run.result("experts/report.json", ExpertsReport),
        states=run.result("states/report.json", StatesReport),
        scorecard=run.result("evaluate/scorecard.json", Scorecard),
        measured={label: seen for label, seen in found.items() if seen is not None},
        grid=run.result("grid/grid.json", EigenGrid),
        choices=choices,
        at_cost=run.result("grid/choices_at_cost.json", EigenChoices),
        chosen={name: seen for name, seen in chosen.items() if seen is not None},
        reconstruction=run.result("grid/reconstruction.json", Reconstruction),
        detection=run.result("detect/detect.json", Detection),
    )


def labels(specs: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Labels of EigenShift by mode, and of other methods by name; the first row of each counts."""
    eigen: dict[str, str] = {}
    rivals: dict[str, str] = {}
    for spec in specs:
        method = parse_method(spec)
        if isinstance(method, EigenShift):
            eigen.setdefault(method.mode, label_of(spec))
        else:
            rivals.setdefault(method.name, label_of(spec))
    return eigen, rivals
