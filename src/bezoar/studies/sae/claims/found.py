"""What a study left on disk, as far as it is there: all that claims are tried on."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.evaluate.contest_results import Contest, ContestRow, Difference, Family
from bezoar.sae.feature_results import FeatureTable
from bezoar.sae.quality_results import QualityRow, QualityTable


@dataclass(frozen=True, slots=True)
class Found:
    """Results by name; None (or empty) is what was not measured.

    Attributes:
        contest: the label of the corpus against the rest of it.
        harmless: the whole corpus against each set of harmless texts.
        quality: of all autoencoders.
        features: of the one whose latents were read.
    """

    contest: Contest | None = None
    harmless: tuple[Contest, ...] = ()
    quality: QualityTable | None = None
    features: FeatureTable | None = None

    def best(self, family: Family) -> ContestRow | None:
        """The reader of a family that cross-validation on the training texts prefers."""
        return None if self.contest is None else self.contest.best(family)

    def baseline(self, kind: str) -> ContestRow | None:
        """What needs no model: "words", "length", "source"."""
        rows = () if self.contest is None else self.contest.rows
        told = (row for row in rows if row.family == "baseline" and row.kind == kind)
        return max(told, key=lambda row: row.cv_auroc, default=None)

    def difference(self, a: ContestRow, b: ContestRow) -> Difference | None:
        """AUROC of one reader less that of another, paired by text."""
        pairs = () if self.contest is None else self.contest.differences
        wanted = (a.label, b.label, "auroc")
        return next((d for d in pairs if (d.a, d.b, d.metric) == wanted), None)

    @property
    def read(self) -> QualityRow | None:
        """The autoencoder whose latents were read."""
        return None if self.quality is None else self.quality.row(self.quality.chosen)
