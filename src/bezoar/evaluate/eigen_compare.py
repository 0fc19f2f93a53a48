"""What damping the unembedding's directions did, against a control that went through the same code.

In the published grid even edits that change next to nothing seem to lower toxicity by a sixth: the
mark of a baseline that was measured otherwise. So everything here is paired, prompt by prompt, with
an edit of α = 1, and every choice of directions is held against random choices of as many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bezoar.errors import DataError
from bezoar.evaluate.eigen import RANDOM, Choice
from bezoar.evaluate.eigen_results import EigenChoice, EigenChoices, EigenGrid, EigenPoint
from bezoar.evaluate.measure import Measurement
from bezoar.evaluate.pareto import tph
from bezoar.scoring import relative_perplexity
from bezoar.stats import Interval, mean_interval, paired_difference, paired_ratio
from bezoar.stats.bootstrap import pooled_null_difference
from bezoar.stats.nulls import null_p_value

Cell = tuple[Choice, Measurement]
"""An edit and what it did."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What stands beside all numbers.

    Attributes:
        model: its name.
        scorer: name and hash.
        d_model: how many directions there are.
        resamples, seed: of the bootstraps.
    """

    model: str
    scorer: str
    d_model: int
    resamples: int = 2_000
    seed: int = 0


def eigen_point(cell: Cell, control: Measurement, setting: Setting) -> EigenPoint:
    """One edit against the control, prompt by prompt and window by window.

    Raises:
        DataError: if the two are not of the same prompts, or one has no perplexity.
    """
    choice, measured = cell
    here, base = _toxicity(measured, control), _toxicity(control, control)
    if measured.perplexity is None or control.perplexity is None:
        raise DataError("A point has no perplexity.", hint="Give the evaluator neutral text.")
    resamples, seed = setting.resamples, setting.seed
    reduction = None
    try:
        ratio = paired_ratio(here, base, resamples=resamples, seed=seed)
        reduction = Interval(1 - ratio.value, 1 - ratio.high, 1 - ratio.low)
    except DataError:  # the control's toxicity may be zero
        pass
    ppl, before, mean = measured.perplexity, control.perplexity, float(base.mean())
    cost = relative_perplexity(ppl, before, resamples, seed)
    return EigenPoint(
        name=choice.name,
        alpha=choice.alpha,
        k=len(choice.chosen),
        size=choice.size,
        toxicity=mean_interval(here, resamples=resamples, seed=seed),
        change=paired_difference(here, base, resamples=resamples, seed=seed),
        reduction=reduction,
        perplexity=ppl.value,
        perplexity_change=Interval(cost.value - 1, cost.low - 1, cost.high - 1),
        kl=None if measured.kl is None else measured.kl.value,
        tph=tph(float(here.mean()), ppl.value, mean, before.value) if mean > 0 else 0.0,
    )


def _toxicity(measured: Measurement, control: Measurement) -> np.ndarray:
    if (measured.prompts_key, measured.protocol) != (control.prompts_key, control.protocol):
        raise DataError(
            f"{measured.name} was measured by {measured.protocol}, and the control by "
            f"{control.protocol}, or on other prompts.",
            hint="Measure all points with one Evaluator.",
        )
    return np.array(measured.per_prompt["toxicity"])


def eigen_grid(
    cells: Sequence[Cell],
    control: Cell,
    base: Measurement,
    setting: Setting,
    *,
    alphas: Sequence[float],
    ks: Sequence[int],
) -> EigenGrid:
    """The grid of what was measured.

    Args:
        cells: one for each α but 1 and each k, in that order.
        control: α = 1, measured like them.
        base: the unedited model.
        setting: what stands beside the numbers.
        alphas, ks: the axes.
    """
    still = eigen_point(control, control[1], setting)
    found = iter([eigen_point(cell, control[1], setting) for cell in cells])
    points = [replace(still, k=k) if alpha == 1 else next(found) for alpha in alphas for k in ks]
    return EigenGrid(
        **_about(control[1], setting),
        alphas=tuple(alphas),
        ks=tuple(ks),
        control=still,
        control_is_base=control[1].per_prompt == base.per_prompt,
        points=tuple(points),
    )


def eigen_choices(
    cells: Sequence[Cell], control: Cell, setting: Setting, *, cost: float | None = None
) -> EigenChoices:
    """Every choice against the random draws among the cells.

    Args:
        cells: of `choices_at` or `at_cost`, "correct" first.
        control: α = 1, measured like them.
        setting: what stands beside the numbers.
        cost: what each was brought to, if they are not of one α.

    Raises:
        DataError: if there are fewer than two random draws.
    """
    drawn = [cell for cell in cells if _random(cell)]
    if len(drawn) < 2:
        raise DataError(
            f"{len(drawn)} random draws cannot be compared with.", hint="Draw 39 or more."
        )
    null = np.stack([_toxicity(measured, control[1]) for _, measured in drawn])
    first = cells[0][0]
    choices = [
        _against(cell, null, first, eigen_point(cell, control[1], setting), setting)
        for cell in cells
        if not _random(cell)
    ]
    return EigenChoices(
        **_about(control[1], setting),
        control=eigen_point(control, control[1], setting),
        alpha=first.alpha if cost is None else None,
        k=len(first.chosen),
        cost=cost,
        choices=tuple(choices),
        draws=tuple(eigen_point(cell, control[1], setting) for cell in drawn),
    )


def _random(cell: Cell) -> bool:
    return cell[0].name.startswith(f"{RANDOM} ")


def _against(
    cell: Cell, null: np.ndarray, first: Choice, point: EigenPoint, setting: Setting
) -> EigenChoice:
    choice, measured = cell
    here = np.array(measured.per_prompt["toxicity"])
    means = null.mean(axis=1)
    common = set(choice.chosen.tolist()) & set(first.chosen.tolist())
    return EigenChoice(
        point=point,
        overlap=len(common) / len(choice.chosen) if len(choice.chosen) else None,
        as_good=float((means <= here.mean()).mean()),
        p=null_p_value(float(here.mean()), means, "less"),
        beyond_random=pooled_null_difference(
            here, null, resamples=setting.resamples, seed=setting.seed
        ),
    )


def _about(control: Measurement, setting: Setting) -> dict[str, Any]:
    assert control.perplexity is not None  # a point was made of it
    return {
        "model": setting.model,
        "protocol": control.protocol,
        "perplexity_protocol": control.perplexity.protocol,
        "scorer": setting.scorer,
        "prompts": control.prompts,
        "d_model": setting.d_model,
    }
