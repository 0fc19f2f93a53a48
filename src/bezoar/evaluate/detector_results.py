"""What a detector is said to be, and what it says of texts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64

from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class Tried(Result):
    """What a detector flags among texts that it was not made from.

    Attributes:
        texts: what they are.
        label: that they should have; harmless texts have 0.
        n: how many.
        flagged: share of them, families of near repeats being drawn together.
    """

    texts: str
    label: int
    n: int
    flagged: Interval


@dataclass(frozen=True, slots=True)
class DetectorInfo(Result):
    """What a detector is, and what it was measured to do.

    Attributes:
        site, pooling: what it reads.
        reads: "states" or "latents".
        reader: the row of the contest that it was made from.
        intercept: of its decisions, which are calibrated log-odds.
        threshold: a text is flagged above it.
        asked: the rate of false alarms that the threshold was set for.
        false_alarms: the rate to expect of new texts of label 0, and where it lies with 95 %: exact
            for texts like the calibration ones, whatever the distribution.
        hits: of calibration texts of label 1 (Clopper & Pearson 1934).
        calibration: texts of label 0 that the threshold was set on, one of each family of near
            repeats, and texts of label 1 beside them.
        reported_false_alarms, reported_hits: the same on report texts, which set nothing.
        auroc: on those.
        model, fingerprint: of the model that it reads.
        chat: whether texts stand in the model's chat template.
        max_tokens: texts are cut there.
        trained_on: the data, in words.
        licence_note: what its licence says about passing the detector on.
        note: what else should be known, such as that a bag of words does as well.
        latents: their numbers in the autoencoder.
        active: latents of the whole encoder that are active at once; 0 if they do not compete.
        autoencoder: its name.
        tried: what it flags elsewhere: among harmless texts, and report texts by category.
    """

    site: str
    pooling: str
    reads: str
    reader: str
    intercept: float
    threshold: float
    asked: float
    false_alarms: Interval
    hits: Interval
    calibration: tuple[int, int]
    reported_false_alarms: Interval
    reported_hits: Interval
    auroc: Interval
    model: str
    fingerprint: str
    chat: bool = False
    max_tokens: int | None = None
    trained_on: str = ""
    licence_note: str = ""
    note: str = ""
    latents: tuple[int, ...] = ()
    active: int = 0
    autoencoder: str = ""
    tried: tuple[Tried, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict(Result):
    """What a detector says of one text.

    Attributes:
        probability: of label 1, calibrated on texts like those that it was made from.
        log_odds: the decision; ``intercept`` plus all contributions.
        flagged: whether it lies above the threshold.
        tokens: strings of the tokens that were read.
        contributions: what each added to the log-odds.
        cut: whether the text was longer than what was read.
    """

    probability: float
    log_odds: float
    flagged: bool
    tokens: tuple[str, ...]
    contributions: tuple[float, ...]
    cut: bool

    def top(self, k: int = 5) -> tuple[tuple[str, float], ...]:
        """The tokens that spoke most for label 1, and what each added; none that spoke against."""
        pairs = zip(self.tokens, self.contributions, strict=True)
        most = sorted(pairs, key=lambda pair: -pair[1])[:k]
        return tuple(pair for pair in most if pair[1] > 0)


@dataclass(frozen=True, slots=True)
class Verdicts(Result):
    """What a detector says of many texts, in their order."""

    texts: tuple[Verdict, ...]

    @property
    def scores(self) -> Float64[np.ndarray, " texts"]:
        """Probability of label 1."""
        return np.array([one.probability for one in self.texts])

    @property
    def flagged(self) -> Bool[np.ndarray, " texts"]:
        return np.array([one.flagged for one in self.texts], dtype=bool)

    def __len__(self) -> int:
        return len(self.texts)
