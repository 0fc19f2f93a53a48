"""What the folder of a study of DPO holds for its report: an audit, and the stages after it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bezoar.attack import RankCorrelations, ResidualCapability, Robustness, SampleFree
from bezoar.compare.models import (
    ActivationDrop,
    Contributions,
    HeadContributions,
    Interpolation,
    LensComparison,
    Skipped,
    WeightDrift,
)
from bezoar.compare.models.drifts import Drifts
from bezoar.compare.models.qualitative import Qualitative
from bezoar.compare.models.shift import ResidualShifts
from bezoar.compare.models.sources import SourcesByLayer
from bezoar.compare.models.values import ValuesKept
from bezoar.evaluate import MethodRow
from bezoar.locate.svd import NSweep
from bezoar.mitigate.preference import TrainingLog
from bezoar.pairs import Pairs, PairsAgreement, PairsReport
from bezoar.report.artefacts import Artefacts, load_artefacts
from bezoar.report.dpo.parts import settings_of
from bezoar.report.study.claims import Claim, Claims
from bezoar.runs.reading import RunFiles
from bezoar.stats import Interval

AS_TRAINED = "as trained"
MAIN = "dpo-as-trained"
"""The folder of the main training below ``attack``."""
MAX_PAIRS = 512 * 2**20


@dataclass(frozen=True, slots=True)
class Attacked:
    """One edit under attack: its folder below ``attack`` and what was seen."""

    name: str
    robustness: Robustness | None
    residual: ResidualCapability | None
    sample_free: SampleFree | None


@dataclass(frozen=True, slots=True)
class Study:
    """One study, as far as it got.

    Attributes:
        audit: what it has in common with an audit.
        n_sweep: how the toxic subspace depends on the number of value vectors.
        pairs, agreement: of the pairs that were trained on; ``some_pairs`` are these themselves,
            ``pplm_pairs`` and ``pplm_agreement`` of those that PPLM made.
        pplm_settings: how PPLM was run; empty if it was not.
        trainings: the log of each training, by its folder's name.
        claims: verdicts on the paper's claims.
        drift, drifts, lens, drops, shifts, sources, contributions, heads, interpolation: the
            trained model beside the base; ``drops`` by "own", "shared" and "random";
            ``lens_reversed`` with the weights moved as far the other way.
        values, qualitative: value vectors before and after, and Table 3.
        skipped: parts of the comparison that could not be had, and why.
        attacked, correlations: of the attacks; ``key_scaling`` is Table 4 with other factors and
            numbers of keys, ``setup`` what was tried, on which texts.
    """

    audit: Artefacts
    n_sweep: NSweep | None
    pairs: PairsReport | None
    agreement: PairsAgreement | None
    some_pairs: Pairs | None
    pplm_pairs: PairsReport | None
    pplm_agreement: PairsAgreement | None
    pplm_settings: dict[str, Any]
    trainings: dict[str, TrainingLog]
    claims: tuple[Claim, ...]
    drift: WeightDrift | None
    drifts: Drifts | None
    lens: LensComparison | None
    drops: dict[str, ActivationDrop]
    lens_reversed: LensComparison | None
    shifts: ResidualShifts | None
    sources: SourcesByLayer | None
    contributions: Contributions | None
    heads: HeadContributions | None
    interpolation: Interpolation | None
    values: ValuesKept | None
    qualitative: Qualitative | None
    skipped: dict[str, str]
    attacked: tuple[Attacked, ...]
    key_scaling: Robustness | None
    setup: dict[str, Any]
    correlations: RankCorrelations | None

    def row(self, ending: str) -> MethodRow | None:
        """The scorecard's first method row whose label ends so."""
        return next((row for row in self.methods if row.label.endswith(ending)), None)

    @property
    def methods(self) -> tuple[MethodRow, ...]:
        card = self.audit.scorecard
        return () if card is None else tuple(r for r in card.rows if r.kind == "method")

    @property
    def compared(self) -> int:
        """Prompts that the comparison of the two models measured on; 0 if it is not known."""
        return len(self.shifts.shifts[0].points) if self.shifts and self.shifts.shifts else 0

    @property
    def restored(self) -> Interval | None:
        """Share of the reduction that scaled keys undo, where its claim could be judged."""
        return next((c.value for c in self.claims if c.key == "keys-restore"), None)

    @property
    def trained(self) -> MethodRow | None:
        """The main training as it ended."""
        return self.row(AS_TRAINED)

    @property
    def unaligned(self) -> MethodRow | None:
        """The main training with its toxic keys scaled (Table 4)."""
        return next((r for r in self.methods if f"{AS_TRAINED}, " in r.label), None)


def load_study(folder: Path) -> Study:
    """Read a study's run folder.

    Raises:
        RunError: if it holds nothing to report.
        CorruptArtefact: if a part is damaged; the file is named.
        ConfigError: if the configuration is no YAML.
    """
    run = RunFiles(folder)
    claims = run.result("claims/claims.json", Claims)
    drops = {
        name: run.result(f"compare/{file}.json", ActivationDrop)
        for name, file in (("own", "drop"), ("shared", "drop_shared"), ("random", "drop_random"))
    }
    return Study(
        audit=load_artefacts(folder),
        n_sweep=run.result("locate/n_sweep.json", NSweep),
        pairs=run.result("pairs/report.json", PairsReport),
        agreement=run.result("pairs/agreement.json", PairsAgreement),
        pplm_pairs=run.result("pairs/pplm_report.json", PairsReport),
        pplm_agreement=run.result("pairs/pplm_agreement.json", PairsAgreement),
        some_pairs=_pairs(run, "pairs/pairs.parquet"),
        pplm_settings=settings_of(_pairs(run, "pairs/pplm.parquet")),
        trainings=_trainings(run),
        claims=() if claims is None else claims.claims,
        drift=run.result("compare/drift.json", WeightDrift),
        drifts=run.result("compare/drifts.json", Drifts),
        lens=run.result("compare/lens.json", LensComparison),
        drops={name: drop for name, drop in drops.items() if drop is not None},
        lens_reversed=run.result("compare/lens_reversed.json", LensComparison),
        shifts=run.result("compare/shifts.json", ResidualShifts),
        sources=run.result("compare/sources.json", SourcesByLayer),
        contributions=run.result("compare/contributions.json", Contributions),
        heads=run.result("compare/heads.json", HeadContributions),
        interpolation=run.result("compare/interpolation.json", Interpolation),
        values=run.result("compare/values.json", ValuesKept),
        qualitative=run.result("compare/qualitative.json", Qualitative),
        skipped=_skipped(run),
        attacked=_attacked(run),
        key_scaling=run.result("attack/key_scaling.json", Robustness),
        setup=run.json("attack/setup.json", dict) or {},
        correlations=run.result("attack/rank_correlations.json", RankCorrelations),
    )


def _skipped(run: RunFiles) -> dict[str, str]:
    found = run.result("compare/skipped.json", Skipped)
    return {} if found is None else found.reasons


def _named(run: RunFiles, pattern: str) -> list[str]:
    """The names of the folders that hold such a file."""
    return sorted(path.parent.name for path in run.folder.glob(pattern))


def _pairs(run: RunFiles, name: str) -> Pairs | None:
    path = run.find(name, limit=MAX_PAIRS)
    return None if path is None else Pairs.load(path)


def _trainings(run: RunFiles) -> dict[str, TrainingLog]:
    logs = {
        name: run.result(f"mitigate/training/{name}/log.json", TrainingLog)
        for name in _named(run, "mitigate/training/*/log.json")
    }
    return {name: log for name, log in logs.items() if log is not None}


def _attacked(run: RunFiles) -> tuple[Attacked, ...]:
    """The main training first."""
    names = sorted(_named(run, "attack/*/robustness.json"), key=lambda name: name != MAIN)
    return tuple(
        Attacked(
            name,
            run.result(f"attack/{name}/robustness.json", Robustness),
            run.result(f"attack/{name}/residual.json", ResidualCapability),
            run.result(f"attack/{name}/sample_free.json", SampleFree),
        )
        for name in names
    )
