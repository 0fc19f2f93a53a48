"""What the folder of a study of experts holds for its report: an audit, and the stages after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bezoar.evaluate import MethodRow
from bezoar.evaluate.detection_results import Detection
from bezoar.evaluate.eigen_results import EigenChoices, EigenGrid, EigenSpectrum
from bezoar.locate import ExpertsReport, StatesReport
from bezoar.locate.layer_results import LayerExperts, LayersReport
from bezoar.report.artefacts import Artefacts, load_artefacts
from bezoar.report.study.claims import Claim, Claims
from bezoar.runs.reading import RunFiles

AS_PUBLISHED = "as published"
WIDEST = 1.0
"""Rise of perplexity up to which a row is drawn."""


@dataclass(frozen=True, slots=True)
class Study:
    """One study, as far as it got.

    Attributes:
        audit: what it has in common with an audit.
        claims: verdicts on the paper's claims.
        experts: single units, with the controls that their number needs.
        layers: each model on each set of texts, the audited one first.
        states: the states before toxic tokens.
        detection: every edit as a reader.
        grid, choices, at_cost, spectrum: of damping the unembedding's directions; ``no_grid`` is
            why there is none.
    """

    audit: Artefacts
    claims: tuple[Claim, ...]
    experts: ExpertsReport | None
    layers: tuple[LayerExperts, ...]
    states: StatesReport | None
    detection: Detection | None
    grid: EigenGrid | None
    choices: EigenChoices | None
    at_cost: EigenChoices | None
    spectrum: EigenSpectrum | None
    no_grid: str

    @property
    def methods(self) -> tuple[MethodRow, ...]:
        """The scorecard's methods, in its order."""
        card = self.audit.scorecard
        return () if card is None else tuple(r for r in card.rows if r.kind == "method")

    @property
    def no_op(self) -> MethodRow | None:
        """What all rows are compared with."""
        card = self.audit.scorecard
        rows = () if card is None else card.rows
        return next((r for r in rows if r.kind == "no-op" and "toxicity" in r.metrics), None)

    def published(self, method: str) -> MethodRow | None:
        """The first row of a method at its printed strength."""
        rows = (r for r in self.methods if r.label.endswith(AS_PUBLISHED))
        return next((r for r in rows if name_of(r) == method), None)

    def at_budget(self, method: str) -> MethodRow | None:
        """The first row of a method at the budget."""
        rows = (r for r in self.methods if not r.label.endswith(AS_PUBLISHED))
        return next((r for r in rows if name_of(r) == method), None)


def name_of(row: MethodRow) -> str:
    """A row's method without its options."""
    return row.method.partition(":")[0]


def broken(row: MethodRow) -> bool:
    """Whether perplexity more than doubles: pictures with such a row show nothing else."""
    cost = row.change.get("perplexity_change")
    return cost is not None and not cost.value <= WIDEST


def load_study(folder: Path) -> Study:
    """Read a study's run folder.

    Raises:
        RunError: if it holds nothing to report.
        CorruptArtefact: if a part is damaged; the file is named.
        ConfigError: if the configuration is no YAML.
    """
    run = RunFiles(folder)
    claims = run.result("claims/claims.json", Claims)
    layers = run.result("layers/layers.json", LayersReport)
    return Study(
        audit=load_artefacts(folder),
        claims=() if claims is None else claims.claims,
        experts=run.result("experts/report.json", ExpertsReport),
        layers=() if layers is None else layers.experts,
        states=run.result("states/report.json", StatesReport),
        detection=run.result("detect/detect.json", Detection),
        grid=run.result("grid/grid.json", EigenGrid),
        choices=run.result("grid/choices.json", EigenChoices),
        at_cost=run.result("grid/choices_at_cost.json", EigenChoices),
        spectrum=run.result("grid/spectrum.json", EigenSpectrum),
        no_grid=str((run.json("grid/skipped.json", dict) or {}).get("why", "")),
    )
