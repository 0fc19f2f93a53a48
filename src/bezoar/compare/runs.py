"""Two runs, metric by metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bezoar.compare.folders import PER_PROMPT, PER_TEXT, SCORECARD, check_evaluated
from bezoar.compare.per_prompt import PerPrompt
from bezoar.compare.per_text import PerText
from bezoar.errors import ConfigError
from bezoar.evaluate.results import MethodRow, Metric, Scorecard
from bezoar.runs.config import flatten, read_yaml
from bezoar.runs.folder import CONFIG
from bezoar.runs.plain import MAX_OPTIONS, plain_file
from bezoar.runs.reading import RunFiles
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import paired_difference

if TYPE_CHECKING:
    from rich.console import RenderableType


_MAX_TABLE = 2**30
NEUTRAL = ("length",)
"""Metrics of which neither more nor less is better."""


@dataclass(frozen=True, slots=True)
class Difference(Result):
    """One metric of one variant in both runs; `value` is B minus A, with its 95 % interval.

    `paired` says whether the interval is a bootstrap over the prompts both runs share (for costs,
    over the windows, texts or items, where these are the same). Otherwise the runs' own intervals
    are joined as independent, which is wider.
    """

    variant: str
    metric: str
    protocol: str
    a: float
    b: float
    value: float
    low: float
    high: float
    paired: bool
    n: int
    higher_is_better: bool

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    @property
    def better(self) -> bool | None:
        """Whether B is better than A; None where the interval includes 0 or no side is better."""
        if not self.excludes_zero or self.metric in NEUTRAL:
            return None
        return (self.value > 0) == self.higher_is_better


@dataclass(frozen=True, slots=True)
class Comparison(Result):
    """All differences between two runs.

    Attributes:
        run_a, run_b: the folders.
        protocol: of both, and the set of prompts.
        rows: one for each metric that both runs measured on a variant of the same name.
        options: options that differ: `(key, in A, in B)`.
        only_a, only_b: variants that the other run lacks.
        other_prompts: whether the prompts, of one set, are not the same ones.
    """

    run_a: str
    run_b: str
    protocol: str
    rows: tuple[Difference, ...]
    options: tuple[tuple[str, str, str], ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    other_prompts: bool = False

    @property
    def summary(self) -> str:
        """How many differences there are, in one sentence."""
        from bezoar.compare.table import summary

        return summary(self)

    def __rich__(self) -> RenderableType:
        from bezoar.compare.table import comparison_table

        return comparison_table(self)


def compare_runs(
    run_a: str | Path, run_b: str | Path, *, resamples: int = 10_000, seed: int = 0
) -> Comparison:
    """Compare two evaluated runs.

    Args:
        run_a: folder of the run to compare with.
        run_b: folder of the run that is compared.
        resamples: of the paired bootstrap by prompt.
        seed: of the resamples.

    Raises:
        RunError: if a folder holds no evaluated run.
        CorruptArtefact: if a file of theirs is a link, too large, or not what its stage wrote.
        ConfigError: if the runs' protocols, report scorers or sets of prompts differ.
    """
    for run in (run_a, run_b):
        check_evaluated(run)
    a, b = RunFiles(Path(run_a)), RunFiles(Path(run_b))
    card_a, card_b = _scorecard(a), _scorecard(b)
    for what in ("protocol", "report_scorer", "prompts"):
        seen = getattr(card_a, what), getattr(card_b, what)
        if seen[0] != seen[1] and all(seen):  # runs of before 0.1 do not name their prompts
            raise ConfigError(
                f"The runs cannot be compared: their {what.replace('_', ' ').rstrip('s')}s "
                f"are {seen[0]!r} and {seen[1]!r}.",
                hint="Evaluate one of them again as the other was.",
            )
    prompts = _per_prompt(a), _per_prompt(b)
    texts = a.result(PER_TEXT, PerText) or PerText(), b.result(PER_TEXT, PerText) or PerText()
    variants_a, variants_b = card_a.variants(), card_b.variants()
    rows = [
        difference
        for name, row in variants_a.items()
        if name in variants_b
        for difference in _differences(name, row, variants_b[name], prompts, texts, resamples, seed)
    ]
    return Comparison(
        run_a=str(run_a),
        run_b=str(run_b),
        protocol=card_a.measured,
        rows=tuple(rows),
        options=_differing_options(a, b),
        only_a=tuple(name for name in variants_a if name not in variants_b),
        only_b=tuple(name for name in variants_b if name not in variants_a),
        other_prompts=card_a.prompts_key != card_b.prompts_key,
    )


def _scorecard(run: RunFiles) -> Scorecard:
    card = run.result(SCORECARD, Scorecard)
    assert card is not None  # check_evaluated saw it
    return card


def _per_prompt(run: RunFiles) -> PerPrompt:
    path = run.find(PER_PROMPT, limit=_MAX_TABLE)
    return PerPrompt([], {}) if path is None else PerPrompt.load(path)


def _differences(
    variant: str,
    row_a: MethodRow,
    row_b: MethodRow,
    prompts: tuple[PerPrompt, PerPrompt],
    texts: tuple[PerText, PerText],
    resamples: int,
    seed: int,
) -> Iterator[Difference]:
    for name, a in row_a.metrics.items():
        b = row_b.metrics.get(name)
        if b is None or a.protocol != b.protocol or a.scorer != b.scorer:
            continue
        pairs = prompts[0].pairs(prompts[1], variant, name)
        by_text = texts[0].difference(texts[1], variant, name, resamples, seed)
        if pairs is not None:
            interval = paired_difference(pairs[1], pairs[0], resamples=resamples, seed=seed)
            seen = interval.value, interval.low, interval.high, True, len(pairs[0])
        elif by_text is not None:
            interval, n = by_text
            seen = interval.value, interval.low, interval.high, True, n
        else:
            seen = (*_independent(a, b), False, min(a.n, b.n))
        yield Difference(
            variant, name, a.protocol, a.value, b.value, *seen, higher_is_better=a.higher_is_better
        )


def _independent(a: Metric, b: Metric) -> tuple[float, float, float]:
    """`b − a` with the half-widths of both intervals added in squares."""
    value = b.value - a.value
    low = value - math.hypot(b.value - b.low, a.high - a.value)
    high = value + math.hypot(b.high - b.value, a.value - a.low)
    return value, low, high


def _differing_options(a: RunFiles, b: RunFiles) -> tuple[tuple[str, str, str], ...]:
    files = (plain_file(run.folder / CONFIG, limit=MAX_OPTIONS) for run in (a, b))
    here, there = (flatten(read_yaml(file)) for file in files)
    keys = sorted(here.keys() | there.keys())
    return tuple(
        (key, str(here.get(key)), str(there.get(key)))
        for key in keys
        if here.get(key) != there.get(key)
    )
