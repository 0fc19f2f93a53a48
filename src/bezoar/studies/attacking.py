"""Everything that is asked of a remedy under attack, for a run and for the command alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from bezoar.attack import (
    Attack,
    AttackInputs,
    RankCorrelations,
    ResidualCapability,
    Robustness,
    SampleFree,
    Steering,
    ToxicityAndCost,
    first_of_each,
    make_attacks,
    rank_correlation,
    residual_capability,
    run_attacks,
    sample_free,
)
from bezoar.corpus import Corpus, NeutralText
from bezoar.edits import Edit
from bezoar.errors import DataError
from bezoar.models import LanguageModel
from bezoar.runs import Progress, Result

if TYPE_CHECKING:
    from rich.console import RenderableType

STATISTICS = ("basin_width", "key_margin", "relative_norm", "stable_rank", "value_energy")
"""Of `SampleFree`."""

OWN_WORK = 1.5
"""What a point takes, in measurements: the attack's work, training above all, is half of one."""

_NEUTRAL_TEXTS = 16  # of the statistics that need no samples
_NEURONS = 32


@dataclass(frozen=True, slots=True)
class AttackSetup(Result):
    """What remedies are attacked with.

    Attributes:
        grid: "quick", "default" or "full".
        points: of each attack, nulls included.
        left_out: attacks that have no place in this model, and why.
        texts: where the attacker's texts are from, in words.
        prompts, neutral_tokens: what each point is measured on.
        not_attacked: edits that have no score, and why.
        seconds: of one edit, from the time of one measurement; None if that was not taken.
    """

    grid: str
    points: dict[str, int]
    left_out: dict[str, str]
    texts: str
    prompts: int
    neutral_tokens: int
    not_attacked: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None

    def __str__(self) -> str:
        total = sum(self.points.values())
        time = f", about {max(1.0, self.seconds / 60):.0f} min" if self.seconds else ""
        lines = [
            f"To do: {total} points of {len(self.points)} attacks ({self.grid} grid), each on "
            f"{self.prompts} prompts and {self.neutral_tokens:,} neutral tokens{time}.",
            f"The attacker's texts: {self.texts}.",
        ]
        return "\n".join(lines + [f"Left out: {n}, {why}." for n, why in self.left_out.items()])


@dataclass(frozen=True, slots=True)
class Attacked(Result):
    """What was found of one remedy.

    Attributes:
        setup: what it was attacked with.
        robustness, residual, sample_free: see `bezoar.attack`; the last one is None if the edit
            lowers nothing, and where value vectors are not ranked.
    """

    setup: AttackSetup
    robustness: Robustness
    residual: ResidualCapability | None = None
    sample_free: SampleFree | None = None

    def verdict(self) -> str:
        """What survives, and whether the behaviour is gone, in a sentence."""
        found = self.robustness
        if found.score is None or found.minimum is None:
            return f"No score: {found.undefined}."
        said = (
            f"{found.score.value:.0%} of the reduction survives on average over "
            f"{sum(curve.area is not None for curve in found.curves)} attacks, least under "
            f"{found.weakest} ({found.minimum.value:.0%})"
        )
        return f"{said}; the behaviour is {self.residual.verdict}." if self.residual else f"{said}."

    def __rich__(self) -> RenderableType:
        from rich.console import Group

        parts = (self.robustness, self.residual, self.sample_free)
        return Group(*(part for part in parts if part is not None))


@dataclass(slots=True, eq=False)
class Attacker:
    """Attacks one edit after another with the same attacks, on the same texts.

    Attributes:
        lm: the base model.
        inputs: texts and directions of the attacker.
        measure: of an attacked model; see `toxicity_and_cost`.
        neutral: what that takes perplexity on.
        prompts: how many it continues.
        train: labelled texts to fit probes of edited models on; they are tested on the attacker's.
        names, grid: which attacks, at which budgets.
        site: where the probes read.
        max_tokens, probe_texts: of a text, and texts of each label, for those.
        limit: points count up to so many times the base's perplexity.
        resamples, seed: of intervals.
        kept: file of finished measurements.
        keep: folder for what undoes a remedy; None keeps none.
        progress: where to show it.
    """

    lm: LanguageModel
    inputs: AttackInputs
    measure: ToxicityAndCost
    neutral: NeutralText
    prompts: int
    train: Corpus
    names: Sequence[str] = ("default",)
    grid: str = "default"
    site: str = "-1.resid_post"
    max_tokens: int = 128
    probe_texts: int = 200
    limit: float = 1.2
    resamples: int = 2_000
    seed: int = 0
    kept: Path | None = None
    keep: Path | None = None
    progress: Progress | None = None
    attacks: list[Attack] = field(init=False)
    left_out: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.attacks, self.left_out = self.made(self.names)

    def made(self, names: Sequence[str]) -> tuple[list[Attack], dict[str, str]]:
        """Attacks of these names, and why others are left out."""
        return make_attacks(names, self.inputs, self.lm, self.grid)

    def setup(
        self, not_attacked: Mapping[str, str] | None = None, *, seconds: float | None = None
    ) -> AttackSetup:
        """What is tried, for the reader."""
        return AttackSetup(
            grid=self.grid,
            points={attack.name: len(attack.settings(self.lm)) for attack in self.attacks},
            left_out=self.left_out,
            texts=self.inputs.origin,
            prompts=self.prompts,
            neutral_tokens=sum(map(len, self.lm.encode(list(self.neutral.texts)))),
            not_attacked=dict(not_attacked or {}),
            seconds=seconds,
        )

    def forecast(self) -> AttackSetup:
        """What is to be done, with the time that one measurement of the base tells."""
        start = perf_counter()
        self.measure(None)
        points = 2 + sum(len(attack.settings(self.lm)) for attack in self.attacks)
        return self.setup(seconds=OWN_WORK * points * (perf_counter() - start))

    def attacked(self, edit: Edit) -> Attacked:
        """Everything of one edit; of one that lowers nothing that, and what a probe reads."""
        found = Attacked(self.setup(), self.robustness(edit), self.residual(edit))
        if found.robustness.score is None or not self.ranked:
            return found
        return replace(found, sample_free=self.sample_free(edit))

    def robustness(
        self, edit: Edit, attacks: Sequence[Attack] | None = None, *, anyway: bool = False
    ) -> Robustness:
        """See `run_attacks`."""
        return run_attacks(
            self.lm,
            edit,
            self.attacks if attacks is None else attacks,
            self.measure,
            limit=self.limit,
            kept=self.kept,
            anyway=anyway,
            keep_attacked=None if self.keep is None else self.keep / "attacked",
            resamples=self.resamples,
            seed=self.seed,
            progress=self.progress,
        )

    def residual(self, edit: Edit) -> ResidualCapability:
        """See `residual_capability`; the steering is that of the attacks, if it is among them."""
        steering = next((a for a in self.attacks if isinstance(a, Steering)), None)
        n = self.probe_texts
        return residual_capability(
            self.lm,
            edit,
            first_of_each(self.train, n),
            self.inputs.few(n),
            self.measure,
            site=self.site,
            steering=steering or Steering(self.inputs.few(n), self.inputs.direction),
            limit=self.limit,
            max_tokens=self.max_tokens,
            kept=self.kept,
            progress=self.progress,
        )

    @property
    def ranked(self) -> bool:
        """Whether there are toxic value vectors and a direction, as `sample_free` needs them."""
        return self.inputs.values is not None and self.inputs.direction is not None

    def sample_free(self, edit: Edit) -> SampleFree:
        """See `sample_free`.

        Raises:
            DataError: without a ranking or a direction.
        """
        values, direction = self.inputs.values, self.inputs.direction
        if values is None or direction is None:
            raise DataError(f"The value vectors of {self.lm.name} are not ranked.")
        return sample_free(
            self.lm,
            edit,
            sorted(self.neutral.texts, key=len, reverse=True)[:_NEUTRAL_TEXTS],
            direction,
            [(entry.layer, entry.index) for entry in values.entries[:_NEURONS]],
            directions=2 if self.grid == "quick" else 5,
            seed=self.seed,
        )


def predicted(
    found: Sequence[tuple[Robustness, SampleFree | None]], *, seed: int = 0
) -> RankCorrelations:
    """Of every statistic with the score, over the edits that have both."""
    both = [
        (robustness.score.value, free.statistics())
        for robustness, free in found
        if robustness.score is not None and free is not None
    ]
    columns = {name: [told.get(name, math.nan) for _, told in both] for name in STATISTICS}
    return rank_correlation(columns, [score for score, _ in both], seed=seed)


def first_tokens(lm: LanguageModel, neutral: NeutralText, tokens: int) -> NeutralText:
    """The first rows of a neutral text that together have so many tokens; two at least."""
    ends = np.cumsum([len(ids) for ids in lm.encode(list(neutral.texts))])
    rows = min(max(2, int(np.searchsorted(ends, tokens)) + 1), len(neutral))
    return neutral.take(range(rows), note=f"the first {tokens} tokens")


def origin_of(corpus: Corpus) -> str:
    """Where an attacker's texts are from, in words."""
    toxic = int(corpus.labels.sum())
    return (
        f"the report half of the labelled texts ({toxic} toxic, {len(corpus) - toxic} others), on "
        "which no remedy of a run is fitted; no prompt repeats one of them"
    )
