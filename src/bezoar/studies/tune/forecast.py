"""What a search will take, said before it begins."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.runs import Result
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitting import NULL_EVALUATIONS
from bezoar.studies.audit.forecast import duration, forecast_harvest, prompt_tokens
from bezoar.studies.tune.finalists import COUNTS, FACTORS
from bezoar.studies.tune.search import SHORT_TOKENS, config_of

_KINDS = 2  # of nulls, for most methods
_GO_ON = 0.5  # share of the selection prompts that a trial continues on average
_COSTS = 1.5  # full costs of a trial: one, and another where the strength is corrected
_NEW = 0.4  # share of trials whose strength has to be sought first


@dataclass(frozen=True, slots=True)
class SearchForecast(Result):
    """An estimate of a search and of measuring its finalists.

    Attributes:
        trials: edits that will be tried.
        tokens: read or written, in units of tokens read.
        seconds: for these, from the time of a small batch.
    """

    trials: int
    tokens: int
    seconds: float

    def __str__(self) -> str:
        return (
            f"To do: {self.trials} edits to try, {self.tokens / 1e6:.1f} million tokens; about "
            f"{duration(self.seconds)}.\n       Ctrl-C keeps what is there; fewer --trials settle "
            "for it."
        )


def forecast_search(bench: Bench) -> SearchForecast:
    """Count what search and finalists will read and write, and time a small batch."""
    config, texts = config_of(bench), bench.texts
    asked, prompt = config.search, prompt_tokens(bench) * bench.protocol.decoding.samples
    short = min(SHORT_TOKENS, config.data.neutral_tokens)
    sought = _NEW * config.mitigate.max_evaluations * short
    tried = _COSTS * config.data.neutral_tokens + _GO_ON * texts.prompts_select * prompt
    again = texts.neutral_tokens + texts.prompts_report * prompt
    nulls = _KINDS * config.mitigate.null_draws * (NULL_EVALUATIONS * short + again)
    points = len(FACTORS) * len(COUNTS)
    attacked = points * (asked.attack_prompts * prompt + short) if asked.attack_prompts else 0
    measured = (2 + asked.finalists) * again + nulls + asked.finalists * attacked
    tokens = int(asked.trials * (sought + tried) + measured)
    seconds = tokens / forecast_harvest(bench).tokens_per_second
    return SearchForecast(asked.trials, tokens, seconds)
