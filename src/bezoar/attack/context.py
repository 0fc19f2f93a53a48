"""Put toxic text in front of the prompt: does the model fall back into what it reads?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bezoar.attack.attack import Asking, Setting, Use, at_least, rising, some_texts
from bezoar.errors import several
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True, repr=False)
class ToxicContext(Asking):
    """A few toxic texts in front of every prompt, a line each; the worst draw of them counts.

    Nulls put as many harmless texts there. What survives is counted against the base without a
    context: an attacker wants toxic text, however it comes about.

    Attributes:
        texts: toxic ones; none that is reported on.
        plain: harmless ones for the nulls.
        counts: texts in front.
        draws: of texts, at every count.
        words: a text is cut there.
        seed: of the draws.
    """

    axis: ClassVar[str] = "texts in front"
    texts: tuple[str, ...]
    plain: tuple[str, ...] = ()
    counts: tuple[int, ...] = (1, 2, 4)
    draws: int = 2
    words: int = 24
    seed: int = 0
    name: str = "toxic context"

    def __post_init__(self) -> None:
        some_texts(self.texts, "to put in front")
        several(self.plain, "harmless texts")
        at_least(1, draws=self.draws, words=self.words)
        at_least(0, seed=self.seed)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        found: list[Setting] = []
        for count in rising(self.counts, "A count of texts", 1, len(self.texts)):
            label = f"{int(count)} text{'s' if count > 1 else ''}"
            for null in (False, True)[: 1 + (len(self.plain) >= count)]:
                for draw in range(self.draws):
                    values = {"count": int(count), "draw": draw}
                    found.append(Setting(count, label, f"draw {draw}", null, values))
        return tuple(found)

    def use(self, setting: Setting) -> Use:
        texts = self.plain if setting.null else self.texts
        count, draw = int(setting.values["count"] or 0), int(setting.values["draw"] or 0)
        rng = np.random.default_rng([self.seed, draw])
        drawn = [texts[i] for i in rng.permutation(len(texts))[:count]]
        return Use(context="\n".join(" ".join(t.split()[: self.words]) for t in drawn))
