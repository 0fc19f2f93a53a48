"""What an evaluation leaves: metrics with their protocol and interval, rows, and the scorecard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rich.table import Table

from bezoar.errors import ConfigError
from bezoar.evaluate.front import Front
from bezoar.runs.results import Result

Kind = Literal["base", "no-op", "method", "null"]

METRICS: dict[str, tuple[str, bool]] = {
    "toxicity": ("toxicity", False),
    "toxicity_reduction": ("toxicity reduction (share of the no-op's)", True),
    "mean_score": ("mean toxicity", False),
    "mean_max_attribute": ("mean of the largest attribute", False),
    "toxic_share": ("share of toxic samples", False),
    "any_of_k": ("prompts with a toxic sample", False),
    "expected_max_toxicity": ("expected maximum toxicity", False),
    "perplexity": ("perplexity", False),
    "perplexity_change": ("perplexity change (share of the no-op's)", False),
    "kl": ("KL to the base, nats per token", False),
    "f1": ("F1 on neutral continuations", True),
    "distinct_2": ("distinct 2-grams", True),
    "repetition_4": ("repeated 4-grams", False),
    "length": ("tokens a continuation", True),
    "empty": ("empty continuations", False),
    "tph": ("toxicity-perplexity harmonic mean", True),
}
"""Every metric by name: what it says, and whether more is better. A second scorer's toxicity is
"toxicity:NAME", a capability task's accuracy "task:NAME" (and as a change "changed:NAME", how many
of its answers turned right or wrong), a side effect "excess:GROUP"."""


@dataclass(frozen=True, slots=True)
class Metric(Result):
    """A number that says how it was measured.

    Attributes:
        name: a key of `METRICS`, or one of its families ("task:lambada").
        value, low, high: the number and its 95 % interval.
        protocol: id of the protocol, with the sizes in it; never empty.
        scorer: name and hash of the scorer, for numbers that come of one.
        n: prompts (or windows, or items) behind it.
        identity: it cannot move by construction, so that it does not is no finding.
        higher_is_better: how to read it.
        chance: of a task, what guessing earns; None of what cannot be guessed.

    Raises:
        ConfigError: without a protocol there is no number.
    """

    name: str
    value: float
    low: float
    high: float
    protocol: str
    scorer: str | None = None
    n: int = 0
    identity: bool = False
    higher_is_better: bool = False
    chance: float | None = None

    def __post_init__(self) -> None:
        if not self.protocol.strip():
            raise ConfigError(
                f"The number {self.name} = {self.value:g} has no protocol.",
                hint="Say how it was measured: a number without a protocol id is not reported.",
            )

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] ({self.protocol})"


@dataclass(frozen=True, slots=True, repr=False)
class MethodRow(Result):
    """One variant of the model.

    Attributes:
        method: registry name; of a null row, the name of its method.
        label: for people.
        kind: base (nothing applied), no-op (the edit machinery doing nothing), method, or null.
        null_of: the method that a null row belongs to.
        strength: of the edit, if it has one.
        foldable: whether it can be written into plain weights; None if not asked.
        fold_reason: why not.
        metrics: by name. A null row holds means over its draws.
        change: paired differences to the no-op, by name (and ``toxicity_reduction``,
            ``perplexity_change``, ``tph``, which are relative to it).
        null_p: how often, over resampled prompts and pooled null draws, a draw does as well.
        holm_p: ``null_p`` adjusted for the number of methods.
        n_draws: null draws, of every kind.
        rank_p: the exact rank p-value among all draws, which never falls below 1 / (draws + 1).
        null_cost: where nulls were to cost as much as the method: the share of its cost that they
            came to, mean over draws; of a method, that of its cheapest kind of null.
    """

    method: str
    label: str
    kind: Kind
    null_of: str | None = None
    strength: float | None = None
    foldable: bool | None = None
    fold_reason: str = ""
    metrics: dict[str, Metric] = field(default_factory=dict)
    change: dict[str, Metric] = field(default_factory=dict)
    null_p: float | None = None
    holm_p: float | None = None
    n_draws: int = 0
    rank_p: float | None = None
    null_cost: float | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Continuation(Result):
    """What each variant made of one prompt. Texts are as the model wrote them: mask before showing.

    Attributes:
        prompt: the prompt.
        by_method: label of the row -> first continuation.
        scores: label of the row -> toxicity of that continuation.
    """

    prompt: str
    by_method: dict[str, str]
    scores: dict[str, float]


@dataclass(frozen=True, slots=True, repr=False)
class Scorecard(Result):
    """The comparison of all variants under one protocol.

    Attributes:
        protocol: its id.
        rows: base, no-op, then each method followed by its null.
        prompts_n: report prompts.
        selection_scorer: what chose strengths (name and hash); never the report scorer.
        report_scorer: what scored here.
        continuations: before and after, for some prompts.
        prompts: name of the set that the report prompts are of: `rtp-challenging`, a file's name.
        prompts_key: hash of the report prompts, as the model read them.
        front: what each method adds to the best of all trades of toxicity against perplexity.
    """

    protocol: str
    rows: tuple[MethodRow, ...]
    prompts_n: int
    selection_scorer: str
    report_scorer: str
    continuations: tuple[Continuation, ...] = ()
    prompts: str = ""
    prompts_key: str = ""
    front: Front | None = None

    @property
    def measured(self) -> str:
        """The protocol and what it was run on: "LEE@48 on demo-prompts"."""
        return f"{self.protocol} on {self.prompts}" if self.prompts else self.protocol

    def row(self, method: str, kind: Kind = "method") -> MethodRow:
        """The row of a method (or of its null, with ``kind="null"``).

        Raises:
            ConfigError: if there is none.
        """
        for row in self.rows:
            if (row.method, row.kind) == (method, kind):
                return row
        names = ", ".join(row.method for row in self.rows if row.kind == kind)
        raise ConfigError(f"The scorecard has no {kind} row {method!r}.", hint=f"It has {names}.")

    def variants(self) -> dict[str, MethodRow]:
        """What can be compared by name: every row but nulls, by its method; by its label where a
        row before it has that method (an edit at a budget, and as it was trained)."""
        found: dict[str, MethodRow] = {}
        for row in self.rows:
            if row.kind != "null":
                found[row.label if row.method in found else row.method] = row
        return found

    def __rich__(self) -> Table:
        """Eighty columns: intervals of the toxicity; all others are in the report."""
        costs = [name for name in ("perplexity", "kl", "f1") if self._has(name)]
        table = Table(
            title=f"{self.measured}, {self.prompts_n:,} prompts, scored by {self.report_scorer}",
            caption="95 % intervals by prompt; p: against null edits (dim), Holm-adjusted.",
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        table.add_column("variant")
        for name in ("toxicity", *costs, "less", "p"):
            shown = {"perplexity": "perpl."}.get(name, name)
            table.add_column(shown, justify="right", no_wrap=True)
        for row in self.rows:
            reduction = row.change.get("toxicity_reduction")
            table.add_row(
                f"  {row.label.partition(': ')[2] or row.label}" if row.null_of else row.label,
                _cell(row.metrics.get("toxicity"), interval=True),
                *(_cell(row.metrics.get(name)) for name in costs),
                "" if reduction is None or reduction.identity else f"{reduction.value:.0%}",
                "" if row.holm_p is None else f"{row.holm_p:.2g}",
                style={"null": "dim", "method": ""}.get(row.kind, "italic"),
            )
        return table

    def _has(self, name: str) -> bool:
        return any(name in row.metrics for row in self.rows)


def _cell(metric: Metric | None, *, interval: bool = False) -> str:
    if metric is None:
        return ""
    digits = 3 if abs(metric.value) < 10 else 1
    value = f"{metric.value:.{digits}f}"
    return f"{value} [{metric.low:.{digits}f}, {metric.high:.{digits}f}]" if interval else value
