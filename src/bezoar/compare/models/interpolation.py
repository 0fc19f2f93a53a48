"""On the way from base to edited, and beyond: any measure at W + t (W' - W)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from rich.table import Table

from bezoar.compare.models.parameters import scaled_edit, weight_differences
from bezoar.compare.models.passes import checked_prompts
from bezoar.compare.models.shown import plain, signed
from bezoar.compare.models.side import sides_of
from bezoar.edits import Edit
from bezoar.errors import ConfigError, DataError
from bezoar.evaluate import Evaluator, Protocol
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.scoring import Scorer
from bezoar.stats.bootstrap import mean_interval, paired_difference
from bezoar.stats.intervals import Interval

Values = float | Sequence[float] | Float64[np.ndarray, " prompts"]
Measure = Callable[[LanguageModel], Values] | tuple[Scorer, Sequence[str]]
"""A number, or one for each prompt; or a scorer and the prompts whose continuations it scores."""

T_VALUES = (-1.0, -0.5, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


@dataclass(frozen=True, slots=True)
class InterpolationPoint(Result):
    """The measure at one t.

    Attributes:
        t: 0 is the base, 1 the edited model.
        value: mean over prompts with its interval (of a single number: the number alone).
        change: against the base, paired by prompt.
    """

    t: float
    value: Interval
    change: Interval


@dataclass(frozen=True, slots=True, repr=False)
class Interpolation(Result):
    """A measure between and beyond two sets of weights.

    Attributes:
        base_name, edited_name: of the models.
        measure: what was measured.
        points: by rising t.
    """

    base_name: str
    edited_name: str
    measure: str
    points: tuple[InterpolationPoint, ...]

    def __rich__(self) -> Table:
        title = f"{self.measure} at W + t ΔW, from {self.base_name} to {self.edited_name}"
        table = Table("t", self.measure, "against the base", title=title)
        for p in self.points:
            table.add_row(f"{p.t:g}", plain(p.value), signed(p.change))
        return table


def interpolation(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    measure: Measure,
    t_values: Iterable[float] = T_VALUES,
    *,
    name: str = "",
    decoding: Decoding | None = None,
    max_prompt_tokens: int | None = 32,
    progress: Progress | None = None,
) -> Interpolation:
    """Measure the model at W + t (W' - W) for several t; the weights are as before afterwards.

    Args:
        base: the model; it is the one that is measured, with the edit at t applied.
        edited: an edit of it that folds into weights, or another checkpoint.
        measure: a function of the model that returns a number or one for each prompt, or
            ``(scorer, prompts)``: the mean toxicity of greedy continuations. For the statistic of a
            protocol see `protocol_measure`.
        t_values: which t; the base itself is measured as well, as t = 0.
        name: what to call the measure.
        decoding: for a scorer; 20 greedy tokens if None.
        max_prompt_tokens: for a scorer; longer prompts keep their first tokens.
        progress: where to show it.

    Raises:
        NotFoldable: if the edit is no change of weights.
        ModelError: if the models differ in shape, parameters or tokenizer.
        ConfigError: if there is no t, one that is not finite, or one number instead of several; if
            ``max_prompt_tokens`` is below 1.
        DataError: if the measure returns another number of values at another t, or NaN.
    """
    ts = sorted({0.0, *_checked_t(t_values)})
    first, second = sides_of(base, edited)
    differences = weight_differences(base, edited)
    function, label = _function(measure, name, decoding or Decoding(), max_prompt_tokens)
    seen: dict[float, np.ndarray] = {}
    for t in track(progress, ts, "Interpolating weights", unit="models"):
        with scaled_edit(differences if t else {}, t).applied_to(base):
            seen[t] = _checked(function(base), t)
    origin = seen[0.0]
    return Interpolation(
        base_name=first.name,
        edited_name=second.name,
        measure=label,
        points=tuple(_point(t, seen[t], origin) for t in ts),
    )


def protocol_measure(
    lm: LanguageModel, prompts: Sequence[str], scorer: Scorer, protocol: Protocol
) -> Callable[[LanguageModel], Values]:
    """A protocol's statistic by prompt, as a measure of this model: of its continuations, decoded
    as the protocol says.

    Args:
        lm: the base of the interpolation.
        prompts: any number.
        scorer: of the continuations.
        protocol: its number of prompts does not matter.
    """
    evaluator = Evaluator(lm, list(prompts), protocol.resized(len(prompts)), [scorer])

    def statistic(_: LanguageModel) -> Values:
        seen = evaluator.measure(None, parts=("toxicity",), keep_texts=False)
        return seen.per_prompt["toxicity"]

    return statistic


def _function(
    measure: Measure, name: str, decoding: Decoding, max_prompt_tokens: int | None
) -> tuple[Callable[[LanguageModel], Values], str]:
    if callable(measure):
        return measure, name or getattr(measure, "__name__", "measure").strip("<>")
    scorer, prompts = measure
    prompts = checked_prompts(prompts)

    def toxicity(lm: LanguageModel) -> Values:
        made = generate(lm, prompts, decoding, max_prompt_tokens=max_prompt_tokens)
        scores = scorer.score(list(made.text))["toxicity"]
        by_prompt = np.bincount(made.prompt_index, weights=scores) / decoding.samples
        return np.asarray(by_prompt, dtype=np.float64)

    return toxicity, name or f"toxicity ({scorer.name})"


def _checked_t(t_values: Iterable[float]) -> set[float]:
    hint = "Give finite numbers in a list, such as [0.5]."
    try:
        asked = {float(t) for t in t_values}
    except (TypeError, ValueError):
        raise ConfigError(f"t_values={t_values!r:.60}.", hint=hint) from None
    if not asked or not np.isfinite(list(asked)).all():
        raise ConfigError(f"t_values={sorted(asked)}.", hint=hint)
    return asked


def _checked(values: Values, t: float) -> Float64[np.ndarray, " prompts"]:
    found = np.atleast_1d(np.asarray(values, dtype=np.float64))
    if found.ndim != 1 or not found.size or not np.isfinite(found).all():
        raise DataError(
            f"At t = {t:g} the measure returned {str(values)[:60]}.",
            hint="It must return a finite number, or one for each prompt.",
        )
    return found


def _point(
    t: float,
    values: Float64[np.ndarray, " prompts"],
    origin: Float64[np.ndarray, " prompts_at_0"],
) -> InterpolationPoint:
    if len(values) != len(origin):
        raise DataError(
            f"The measure returned {len(values)} values at t = {t:g} and {len(origin)} at t = 0.",
            hint="It must return one for each of the same prompts, so that they can be paired.",
        )
    if len(values) == 1:
        value, change = float(values[0]), float(values[0] - origin[0])
        return InterpolationPoint(
            t, Interval(value, value, value), Interval(change, change, change)
        )
    return InterpolationPoint(t, mean_interval(values), paired_difference(values, origin))
