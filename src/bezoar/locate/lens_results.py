"""What the logit lens returns."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.locate.vocabulary import quoted
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class LensIncrement(Result):
    """How much one component raises the probability, at the state it leads to.

    Attributes:
        component: the site of what was added: "3.attn_out", "3.mlp_out", or "3.resid_delta" for a
            whole block.
        change: mean over prompts.
    """

    component: str
    change: Interval


@dataclass(frozen=True, slots=True, repr=False)
class LensMap(Result):
    """One prompt as a heat map: the top token of each state at each position.

    Attributes:
        prompt: the prompt's tokens, one a position (raw text: mask it before showing).
        tokens: `[state][position]` the likeliest next token there.
        probability: `[state][position]` its probability.
    """

    prompt: tuple[str, ...]
    tokens: tuple[tuple[str, ...], ...]
    probability: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, repr=False)
class LensResult(Result):
    """The probability of a set of tokens along the residual stream.

    Attributes:
        states: "0.resid_pre", "0.resid_mid", …, "<L-1>.resid_post".
        probability: of the set at each state, mean over prompts with its bootstrap interval.
        rank: of the set's best token at each state (1 = top), median over prompts.
        increments: one for each step from a state to the next.
        token_ids, tokens: the set.
        mode, include_bias: which lens.
        prompts_n: how many prompts.
        example: the heat map of one prompt.
    """

    states: tuple[str, ...]
    probability: tuple[Interval, ...]
    rank: tuple[float, ...]
    increments: tuple[LensIncrement, ...]
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    mode: str
    include_bias: bool
    prompts_n: int
    example: LensMap | None = None

    @property
    def mean(self) -> tuple[float, ...]:
        return tuple(p.value for p in self.probability)

    @property
    def low(self) -> tuple[float, ...]:
        return tuple(p.low for p in self.probability)

    @property
    def high(self) -> tuple[float, ...]:
        return tuple(p.high for p in self.probability)

    def top_components(self, n: int = 5) -> tuple[LensIncrement, ...]:
        """The components that raise the probability most, largest first."""
        return tuple(sorted(self.increments, key=lambda i: -i.change.value)[:n])

    def __rich__(self) -> Table:
        names = " ".join(quoted(t) for t in self.tokens[:5])
        title = f"logit lens ({self.mode}) of {names} over {self.prompts_n} prompts"
        table = Table("state", "probability", "rank", "raised by", title=title)
        steps = (None, *self.increments)
        for state, p, rank, step in zip(
            self.states, self.probability, self.rank, steps, strict=True
        ):
            raised = "" if step is None else f"{step.component} {step.change.value:+.2g}"
            value = f"{p.value:.3g} [{p.low:.3g}, {p.high:.3g}]"
            table.add_row(state, value, f"{rank:.0f}", raised)
        return table
