"""What the folder of a study of sparse autoencoders holds for its pages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from bezoar.corpus.explore_doubts import Doubts
from bezoar.corpus.explore_lengths import LengthDistribution
from bezoar.errors import CorruptArtefact
from bezoar.evaluate.contest_results import Contest
from bezoar.evaluate.detector_results import DetectorInfo
from bezoar.report.artefacts import Artefacts, load_artefacts
from bezoar.report.study.claims import Claim, Claims
from bezoar.runs.reading import RunFiles
from bezoar.sae.curves import Curves, TrainingCurve
from bezoar.sae.feature_results import FeatureCard, FeatureTable
from bezoar.sae.quality_results import QualityTable

MAX_CARDS = 256 * 2**20
"""Bytes of ``features/cards.jsonl``: of thousands of latents with long texts."""


@dataclass(frozen=True, slots=True)
class Study:
    """One study, as far as it got.

    Attributes:
        audit: what it has in common with an audit.
        claims: verdicts on what the source set out to show.
        curves: of the trainings.
        contest: the label of the corpus against the rest of it.
        harmless: the corpus against each set of harmless texts.
        quality: of all autoencoders.
        features: of the one whose latents were read.
        lengths: of the texts, in characters.
        doubts: noise, repeats and languages among them.
        detector: what was made of the winner.
        cards: of its latents, in the order of the file.
    """

    audit: Artefacts
    claims: tuple[Claim, ...]
    curves: tuple[TrainingCurve, ...]
    contest: Contest | None
    harmless: tuple[Contest, ...]
    quality: QualityTable | None
    features: FeatureTable | None
    cards: tuple[FeatureCard, ...]
    lengths: LengthDistribution | None
    doubts: Doubts | None
    detector: DetectorInfo | None


def load_study(folder: Path) -> Study:
    """Read a study's run folder.

    Raises:
        RunError: if it holds nothing to report.
        CorruptArtefact: if a part is damaged; the file is named.
        ConfigError: if the configuration is no YAML.
    """
    run = RunFiles(folder)
    claims = run.result("claims/claims.json", Claims)
    curves = run.result("saes/curves.json", Curves)
    harmless = (
        run.result(path.relative_to(folder), Contest)
        for path in sorted((folder / "contest").glob("harmless*.json"))
    )
    return Study(
        audit=load_artefacts(folder),
        claims=() if claims is None else claims.claims,
        curves=() if curves is None else curves.curves,
        contest=run.result("contest/contest.json", Contest),
        harmless=tuple(contest for contest in harmless if contest is not None),
        quality=run.result("quality/quality.json", QualityTable),
        features=run.result("features/features.json", FeatureTable),
        cards=_cards(run),
        lengths=run.result("explore/lengths.json", LengthDistribution),
        doubts=run.result("explore/doubts.json", Doubts),
        detector=_detector(run),
    )


def _detector(run: RunFiles) -> DetectorInfo | None:
    """What the detector is said to be, without its weights."""
    name = "detector/detector.json"
    told = run.json(name, dict)
    if told is None:
        return None
    try:
        return TypeAdapter(DetectorInfo).validate_python(told.get("about"))
    except ValidationError as error:
        raise CorruptArtefact(
            f"{run.folder / name} is no detector: {str(error).splitlines()[0]}.",
            hint="Remove the stage's folder and run it again.",
        ) from error


def _cards(run: RunFiles) -> tuple[FeatureCard, ...]:
    path = run.find("features/cards.jsonl", limit=MAX_CARDS)
    if path is None:
        return ()
    card = TypeAdapter(FeatureCard)
    found = []
    with path.open("rb") as file:
        for i, line in enumerate(file, start=1):
            try:
                found.append(card.validate_json(line))
            except ValidationError as error:
                raise CorruptArtefact(
                    f"{path}, line {i}, is no card of a latent: {str(error).splitlines()[0]}.",
                    hint="Remove the stage's folder and run it again.",
                ) from error
    return tuple(found)
