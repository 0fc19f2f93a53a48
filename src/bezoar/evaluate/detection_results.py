"""What edits change in what a model writes, beside what they change in what can be read in it."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval

DETECTORS: dict[str, str] = {
    "probe": "a probe at its site, fitted anew",
    "frozen": "the unedited model's probe at that site",
    "unembed_in": "a probe on the final norm's output, fitted anew: what the unembedding reads if "
    "the edit is folded into it",
    "unembed_edited": "a probe on that output as edited, fitted anew: what is left of it if the "
    "edit acts there",
    "logits": "a probe on the log-probabilities of telling tokens, fitted anew",
    "says": "the mean log-probability of the words that give the behaviour away; nothing is fitted",
}
"""What looks for the behaviour in a text, by name."""


@dataclass(frozen=True, slots=True)
class DetectorScore(Result):
    """How well one detector does on an edited model.

    Attributes:
        detector: a key of `DETECTORS`.
        auroc: on texts that nothing was fitted on.
        change: edited − unedited, paired by text.
        identity: it cannot change by construction, so that it does not is no finding.
        why: of an identity.
    """

    detector: str
    auroc: Interval
    change: Interval
    identity: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class EditDetection(Result):
    """One edit as writer and as reader.

    Attributes:
        name, label: of the edit.
        control: whether it is only there to be beaten.
        toxicity: change of what it writes, to the no-op, paired by prompt; None if that was not
            measured.
        scores: every detector.
    """

    name: str
    label: str
    control: bool
    toxicity: Interval | None
    scores: tuple[DetectorScore, ...]

    def score(self, detector: str) -> DetectorScore | None:
        """That of one detector; None where it has nothing to look at."""
        return next((s for s in self.scores if s.detector == detector), None)


@dataclass(frozen=True, slots=True, repr=False)
class Detection(Result):
    """Every edit as writer and as reader.

    Attributes:
        protocol: of the toxicity, with the prompts it was taken on.
        scorer: of the toxicity.
        site: of the probe.
        pooling: of what detectors read, over the tokens of a text.
        train, test: texts that probes are fitted on, and that AUROC is taken on.
        base: AUROC of every detector on the unedited model.
        edits: in the order of the scorecard.
    """

    protocol: str
    scorer: str
    site: str
    pooling: str
    train: int
    test: int
    base: dict[str, Interval]
    edits: tuple[EditDetection, ...]

    def __rich__(self) -> Table:
        """Changes of AUROC; brackets: it could not change by construction."""
        table = Table(
            title=f"Detection, {self.test} texts; toxicity by {self.protocol}",
            caption="Changes to the unedited model; a star: the interval excludes zero; "
            "(=): it cannot change by construction.",
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        for name in ("edit", "toxicity", *DETECTORS):
            table.add_column(name, justify="left" if name == "edit" else "right", no_wrap=True)
        reads = [f"{self.base[name].value:.3f}" if name in self.base else "" for name in DETECTORS]
        table.add_row("unedited (AUROC)", "", *reads)
        for edit in self.edits:
            cells = [_cell(edit.score(name)) for name in DETECTORS]
            table.add_row(edit.label, _signed(edit.toxicity), *cells)
        return table


def _cell(score: DetectorScore | None) -> str:
    if score is None:
        return ""
    return "(=)" if score.identity else _signed(score.change)


def _signed(change: Interval | None) -> str:
    if change is None:
        return ""
    return f"{change.value:+.3f}{'*' if change.excludes_zero else ' '}"
