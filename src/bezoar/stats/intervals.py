"""A number with its interval."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.runs.results import Result


@dataclass(frozen=True, slots=True)
class Interval(Result):
    """An estimate and the bounds of its confidence interval (95 % unless said otherwise)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0
