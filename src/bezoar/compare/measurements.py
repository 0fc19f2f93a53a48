"""Two models measured on the same prompts: did a fine-tune make the model more toxic?"""

from __future__ import annotations

from collections.abc import Sequence

from bezoar.compare.runs import Comparison, Difference
from bezoar.evaluate import Measurement
from bezoar.evaluate.metrics import Maker
from bezoar.scoring import Scorer, scorer_id


def compare_measurements(
    a: Measurement,
    b: Measurement,
    *,
    names: tuple[str, str],
    scorers: Sequence[Scorer],
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Differences b − a, paired by prompt (by window for perplexity), with 95 % intervals.

    Args:
        a: of the model that is compared with, e.g. the one that `b` was tuned from.
        b: of the model in question.
        names: of both models, in that order.
        scorers: those of the evaluators, the one that reports first.
        resamples, seed: of the bootstraps.

    Raises:
        DataError: if the two were not measured on the same prompts by the same protocol.
    """
    maker = Maker({scorer.name: scorer_id(scorer) for scorer in scorers}, resamples, seed)
    before, after = maker.metrics(a), maker.metrics(b)
    rows = [
        Difference(
            variant="model",
            metric=name,
            protocol=change.protocol,
            a=before[name].value,
            b=after[name].value,
            value=change.value,
            low=change.low,
            high=change.high,
            paired=True,
            n=change.n,
            higher_is_better=after[name].higher_is_better,
        )
        for name, change in maker.changes(b, a).items()
        if name in before and name in after
    ]
    return Comparison(
        run_a=names[0],
        run_b=names[1],
        protocol=b.protocol,
        rows=tuple(rows),
        options=(),
        only_a=(),
        only_b=(),
    )
