"""Turn up the keys of toxic neurons: few or many, by little or much (Lee et al. 2024, §6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from bezoar.attack.attack import Attack, OnTop, Setting, at_least, rising
from bezoar.attack.scale_keys import ScaleKeys
from bezoar.edits import Edit, NoOp
from bezoar.errors import AttackFailed
from bezoar.locate import ValueRanking
from bezoar.models import LanguageModel

Neurons = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class KeyScaling(Attack):
    """Scale the first ``count`` keys of a ranking by a factor, for every pair of the two.

    The paper's Table 4 is the point ×10, 7 keys. The budget is factor × count. The nulls scale as
    many keys of random neurons of the same layers, none of them in the ranking; where a layer has
    too few others such a null fails, and says so.

    Attributes:
        neurons: (layer, index) by rank, the most toxic first.
        factors, counts: the grid; counts beyond the ranking are an error.
        scale_bias, which: as in `ScaleKeys`.
        null_draws: random sets of keys for every count; 0 for none.
        seed: of those.
    """

    axis: ClassVar[str] = "factor × number of keys"
    neurons: Neurons
    factors: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    counts: tuple[int, ...] = (1, 7, 32)
    scale_bias: bool = False
    which: Literal["gate", "up"] | None = None
    null_draws: int = 3
    seed: int = 0
    name: str = "key scaling"

    def __post_init__(self) -> None:
        self._scaled(self.neurons)  # refuses what it would refuse of every point
        at_least(0, null_draws=self.null_draws, seed=self.seed)

    @classmethod
    def of(cls, ranking: ValueRanking, lm: LanguageModel, **options: object) -> KeyScaling:
        """Of the top entries of a ranking; a gated MLP's gates are scaled unless said otherwise."""
        if lm.gated:
            options.setdefault("which", "gate")
        neurons = tuple((entry.layer, entry.index) for entry in ranking.entries)
        return cls(neurons, **options)  # type: ignore[arg-type]

    def _scaled(self, neurons: Neurons, factor: float = 1.0) -> ScaleKeys:
        return ScaleKeys(neurons, factor, scale_bias=self.scale_bias, which=self.which)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        """Raises ConfigError or EditError as `ScaleKeys.check` does."""
        self._scaled(self.neurons).check(lm)
        counts = [int(c) for c in rising(self.counts, "A count of keys", 1, len(self.neurons))]
        found = []
        for factor in rising(self.factors, "A factor", 0, 1e6):
            for count in counts if factor != 1 else counts[:1]:  # once is enough for nothing
                keys = "1 key" if count == 1 else f"{count} keys"
                label = f"×{factor:g}, {keys}" if factor != 1 else "×1"
                values: dict[str, float | int | str | bool | None] = {
                    "factor": factor,
                    "count": count,
                }
                found.append(Setting(factor * count, label, values=values))
                for draw in range(self.null_draws if factor != 1 else 0):
                    drawn = {**values, "draw": draw}
                    found.append(Setting(factor * count, label, f"draw {draw}", True, drawn))
        return tuple(sorted(found, key=lambda setting: setting.budget))

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        def edit(setting: Setting) -> Edit:
            factor, count = float(setting.values["factor"] or 0), int(setting.values["count"] or 0)
            if factor == 1:
                return NoOp()
            chosen = self.neurons[:count]
            if setting.null:
                chosen = random_neurons(
                    lm, chosen, self.neurons, seed=self.seed + int(setting.values["draw"] or 0)
                )
            return self._scaled(chosen, factor).edit(lm)

        return edit


def random_neurons(
    lm: LanguageModel, like: Neurons, excluded: Neurons, *, seed: int = 0
) -> Neurons:
    """Other neurons of the same layers, as many in each.

    Raises:
        AttackFailed: if a layer has too few others.
    """
    rng = np.random.default_rng(seed)
    found: list[tuple[int, int]] = []
    for layer in sorted({layer for layer, _ in like}):
        taken = {index for at, index in excluded if at == layer}
        others = np.setdiff1d(np.arange(lm.d_mlp), sorted(taken))
        wanted = sum(at == layer for at, _ in like)
        if wanted > len(others):
            raise AttackFailed(
                f"Layer {layer} has {len(others)} neurons outside of the ranking, and a null needs "
                f"{wanted}.",
                hint="Rank fewer, or pass null_draws=0.",
            )
        found += [(layer, int(i)) for i in rng.choice(others, wanted, replace=False)]
    return tuple(found)
