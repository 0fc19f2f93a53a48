"""What a comparison of everything reads beside the two models, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bezoar.compare.models.interpolation import T_VALUES
from bezoar.edits import Edit
from bezoar.evaluate import Protocol
from bezoar.locate import Direction, ValueRanking
from bezoar.scoring import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class CompareInputs:
    """What a comparison reads beside the two models.

    Attributes:
        prompts: texts that are reported on.
        direction: of the behaviour, such as the probe's at the last layer.
        values: the base's value vectors ranked by it; None for a mixture of experts.
        tokens: that tell the behaviour; the lens follows their probability.
        examples: prompts to choose examples from, other than those reported on.
        scorer: of the continuations between and beyond the models; not measured without one.
        protocol: how these are decoded, and what statistic is made of the scores; without one they
            are greedy, and it is the mean.
        others: further edits of the base, by name, shown beside it in the examples.
    """

    prompts: Sequence[str]
    direction: Direction
    values: ValueRanking | None = None
    tokens: Sequence[int] = ()
    examples: Sequence[str] = ()
    scorer: Scorer | None = None
    protocol: Protocol | None = None
    others: Mapping[str, Edit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CompareSizes:
    """How much of each.

    Attributes:
        neurons: whose coefficients are followed (64 in the paper).
        vectors: value vectors that are compared, and that count as toxic.
        lens_prompts: at most so many that elicit the tokens.
        shifts, sources: layers whose shift is shown, whose sources are.
        examples: prompts.
        draws: random neurons or vectors, for the nulls.
        new_tokens, prompt_tokens: of a continuation; of a prompt, the first (None: all).
        t_values: where between and beyond the models.
    """

    neurons: int = 64
    vectors: int = 128
    lens_prompts: int = 64
    shifts: int = 4
    sources: int = 5
    examples: int = 3
    draws: int = 39
    new_tokens: int = 20
    prompt_tokens: int | None = 32
    t_values: tuple[float, ...] = T_VALUES
