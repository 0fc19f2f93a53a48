"""What an edit costs, in the units of a run's budget."""

from __future__ import annotations

import numpy as np

from bezoar.edits import Edit
from bezoar.evaluate import everywhere
from bezoar.evaluate.cost import PerplexityMeter
from bezoar.runs import Budget
from bezoar.scoring import KLMeter, plan_windows
from bezoar.studies.audit.bench import Bench


class Costs:
    """What an edit costs on a half of the neutral text, in the units of the budget."""

    def __init__(
        self, bench: Bench, budget: Budget, tokens: int | None = None, part: str = "select"
    ) -> None:
        lm, texts = bench.lm, list(bench.neutral(part).texts)
        if tokens is not None:
            ends = np.cumsum([len(ids) for ids in lm.encode(texts)])
            texts = texts[: int(np.searchsorted(ends, tokens)) + 1]
        self._budget = budget
        if budget.measure == "kl":
            self._kl = KLMeter(lm, texts, bench.config.evaluate.kl_tokens)
            return
        protocol = "bpb-1024" if budget.measure == "bits_per_byte" else bench.protocol.perplexity
        self._meter = PerplexityMeter(lm, plan_windows(lm, texts, protocol))
        self._base = self._meter.measure(None).value

    def __call__(self, edit: Edit) -> float:
        if self._budget.measure == "kl":
            return self._kl.measure(everywhere(edit)).value
        return self._budget.cost(self._base, self._meter.measure(edit).value)
