"""Read what the stages left, and try every claim on it."""

from __future__ import annotations

from pathlib import Path

from bezoar.evaluate.contest_results import Contest
from bezoar.runs import save_result
from bezoar.runs.reading import RunFiles
from bezoar.sae.feature_results import FeatureTable
from bezoar.sae.quality_results import QualityTable
from bezoar.studies.claims.results import Claims
from bezoar.studies.claims.rules import Rule
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.claims import latents, readers
from bezoar.studies.sae.claims.found import Found

SOURCE = "SAE safety probing (denisalpino/safety_alignment)"

RULES: tuple[Rule, ...] = (*readers.CLAIMS, *latents.CLAIMS)
"""Those on the contest first: it is what the study is for."""

BEFORE = ("quality", "features", "contest")


def claims_stage(bench: SAEBench) -> None:
    """Try the claims; it takes a moment."""
    done = bench.run.finished()
    after = [name for name in BEFORE if name in done]
    with bench.run.stage("claims", key=[rule.key for rule in RULES], after=after) as stage:
        if not stage.done:
            found = claims_of(read(bench.run.path), bench.lm.name)
            save_result(stage.folder / "claims.json", found)


def claims_of(found: Found, model: str) -> Claims:
    """Every claim, tried on what was found."""
    task = "" if found.contest is None else found.contest.task
    return Claims(tuple(rule(found) for rule in RULES), model, task, SOURCE)


def read(folder: Path) -> Found:
    """What is there of a run's results.

    Raises:
        CorruptArtefact: if a file is damaged, or not what its stage wrote.
    """
    run = RunFiles(folder)
    harmless = sorted((folder / "contest").glob("harmless*.json"))
    told = (run.result(str(path.relative_to(folder)), Contest) for path in harmless)
    return Found(
        contest=run.result("contest/contest.json", Contest),
        harmless=tuple(contest for contest in told if contest is not None),
        quality=run.result("quality/quality.json", QualityTable),
        features=run.result("features/features.json", FeatureTable),
    )
