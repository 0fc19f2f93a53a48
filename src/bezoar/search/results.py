"""What a search tried and found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bezoar.mitigate import Method, parse_method
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, slots=True)
class Part(Result):
    """A method at a strength: a whole edit, or one of a stack.

    Attributes:
        spec: as `bezoar.mitigate.parse_method` reads it.
        strength: of the method.
    """

    spec: str
    strength: float

    def method(self) -> Method:
        return parse_method(self.spec).with_strength(self.strength)


@dataclass(frozen=True, slots=True)
class Calibration(Result):
    """What the whole budget buys of a method: the unit in which a search counts strengths.

    Attributes:
        spec: of the method; it says ``mode=code`` where a direction acts at another place than the
            one that it was fitted at.
        strength: at which it costs the budget, or its largest; None if there is none.
        why: why there is none.
    """

    spec: str
    strength: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, repr=False)
class Trial(Result):
    """An edit that was tried.

    Attributes:
        number: from 0, in the order of the search.
        of: the methods that were asked for, of those that are searched, and
        asked: the same with the options that were chosen.
        parts: what became of these, in order, with their strengths.
        spend: what share of the budget it was meant to cost.
        cost: on the selection half, in the units of the budget; None if that was no number, or if
            there was no edit.
        toxicity: scorer A's statistic by prompt, over as many of the selection prompts as the edit
            was tried on; empty if it was too dear for that.
        why: why there was no edit, or "".
    """

    number: int
    of: tuple[str, ...]
    asked: tuple[str, ...]
    parts: tuple[Part, ...]
    spend: float
    cost: float | None = None
    toxicity: tuple[float, ...] = ()
    why: str = ""

    @property
    def label(self) -> str:
        """For people: ``subtract value, layers=3 + word ban``."""
        return " + ".join(parse_method(spec).label for spec in self.specs)

    @property
    def short(self) -> str:
        """The same without options: ``12: subtract + word ban``."""
        names = (parse_method(spec).name.replace("-", " ") for spec in self.specs)
        return f"{self.number}: {' + '.join(names)}"

    @property
    def specs(self) -> tuple[str, ...]:
        """Of its methods, as far as it came."""
        return tuple(part.spec for part in self.parts) or self.asked

    def left(self, base: tuple[float, ...]) -> float:
        """The share of the base's toxicity that is left on the prompts it was tried on; NaN if on
        none. A share, so that trials on few and on many prompts compare."""
        return share(self.toxicity, base)


@dataclass(frozen=True, slots=True)
class Flattery(Result):
    """What picking the best of many adds to its estimate, foreseen from the selection prompts.

    Attributes:
        reduction: by how much the winner's reduction (a share) is too large on average, over
            resamples of the prompts in each of which a winner is picked anew.
        same: the share of resamples that pick the same winner.
        candidates: edits that were picked from.
    """

    reduction: float
    same: float
    candidates: int


@dataclass(frozen=True, slots=True, repr=False)
class Found(Result):
    """A search, as far as it got.

    Attributes:
        budget: as it was asked for; ``limit`` is its number.
        rungs: selection prompts that an edit is tried on first, and if it goes on; ascending.
        base: the unedited model's toxicity by selection prompt.
        trials: all, in order.
        front: numbers of the trials within the budget that no other beats in both cost and
            toxicity, by rising cost; all were tried on every selection prompt.
        finalists: those of the front that are worth measuring again, the winner first.
        flattery: see there.
        failed: spec of each structure that could not be had, and why.
    """

    budget: str
    limit: float
    rungs: tuple[int, ...]
    base: tuple[float, ...]
    trials: tuple[Trial, ...]
    front: tuple[int, ...] = ()
    finalists: tuple[int, ...] = ()
    flattery: Flattery | None = None
    failed: dict[str, str] | None = None

    @property
    def winner(self) -> Trial:
        """The least toxic within the budget, on the selection half."""
        return self.trials[self.finalists[0]]

    @property
    def mean(self) -> float:
        """The unedited model's toxicity."""
        return math.fsum(self.base) / len(self.base)

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(
            title=f"{len(self.trials)} edits tried for {self.budget}",
            caption="The front on the selection half. * is the least toxic within the budget.",
            box=None,
            padding=(0, 2, 0, 0),
            pad_edge=False,
        )
        table.add_column("trial", justify="right")
        table.add_column("edit")
        for name in ("cost", "less toxic"):
            table.add_column(name, justify="right", no_wrap=True)
        for number in self.front:
            trial = self.trials[number]
            mark = " *" if number == self.finalists[0] else ""
            less = f"{1 - trial.left(self.base):.0%}"
            table.add_row(str(number), trial.label + mark, f"{trial.cost or 0.0:.3g}", less)
        return table


def share(toxicity: tuple[float, ...], base: tuple[float, ...], n: int | None = None) -> float:
    """What the first ``n`` prompts of one are of those of the other; NaN of none."""
    n = len(toxicity) if n is None else n
    return math.fsum(toxicity[:n]) / math.fsum(base[:n]) if n else math.nan


@dataclass(frozen=True, slots=True)
class Finalist(Result):
    """An edit that was measured again on prompts and texts that nothing was chosen by.

    Attributes:
        number: of its trial; ``name`` is its folder below ``edits``.
        label: for people; unique. ``options`` are its methods with theirs.
        parts: see `Trial`.
        foldable, fold_reason: whether it becomes plain weights, and if not, why.
        cost: on the selection half, in the units of the budget; ``cost_again`` on the report half.
        selection: by which share scorer A's toxicity falls on the selection prompts;
            ``same_scorer`` on the report prompts, by the same scorer; ``report`` there, by scorer
            B. None where the model's own toxicity cannot be told from none.
        survives: which share of the reduction is left when keys are scaled up, at the factor and
            number of keys that leave least; None if that was not measured, and ``attack`` says why
            or which it was.
    """

    number: int
    name: str
    label: str
    parts: tuple[Part, ...]
    foldable: bool
    fold_reason: str
    cost: float
    cost_again: float
    selection: Interval | None
    same_scorer: Interval | None
    report: Interval | None
    survives: Interval | None = None
    attack: str = ""

    @property
    def options(self) -> str:
        return " + ".join(part.method().label for part in self.parts)


@dataclass(frozen=True, slots=True, repr=False)
class Finals(Result):
    """The finalists, measured again.

    The winner was picked for its number on the selection prompts, so that this number flatters it.
    On other prompts, by the same scorer, the flattery is gone; by the other scorer it is what is
    reported.

    Attributes:
        budget, limit: see `Found`.
        finalists: the winner first, then in the order of the front.
        flattery: what was foreseen of it; see `Flattery`.
        scorer_a, scorer_b: their names.
        selection_prompts, report_prompts: how many.
    """

    budget: str
    limit: float
    finalists: tuple[Finalist, ...]
    flattery: Flattery | None
    scorer_a: str
    scorer_b: str
    selection_prompts: int
    report_prompts: int

    @property
    def winner(self) -> Finalist:
        return self.finalists[0]

    @property
    def shrinkage(self) -> float | None:
        """The share of the winner's selection estimate that is gone on other prompts, by the same
        scorer; negative if it grew."""
        first, again = self.winner.selection, self.winner.same_scorer
        if first is None or again is None or first.value <= 0:
            return None
        return 1 - again.value / first.value

    def __rich__(self) -> Table:
        from rich.table import Table

        table = Table(
            title=f"Within {self.budget}: less toxicity, chosen by and measured again",
            caption=f"Chosen on {self.selection_prompts} prompts by {self.scorer_a}, again on "
            f"{self.report_prompts} others by {self.scorer_b}. * is chosen; keys: what is left of "
            "it with keys scaled.",
            box=None,
            padding=(0, 1, 0, 0),
            pad_edge=False,
        )
        table.add_column("", justify="right")
        table.add_column("edit")
        for name in ("chosen by", "again", "cost", "again", "keys"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("folds")
        for place, one in enumerate(self.finalists, 1):
            table.add_row(
                str(place),
                one.options + " *" * (place == 1),
                _percent(one.selection),
                _percent(one.report, bounds=True),
                f"{one.cost:.3g}",
                f"{one.cost_again:.3g}",
                _percent(one.survives),
                "yes" if one.foldable else "no",
            )
        return table


def _percent(seen: Interval | None, *, bounds: bool = False) -> str:
    if seen is None:
        return "–"
    around = f" [{seen.low:.0%}, {seen.high:.0%}]" if bounds else ""
    return f"{seen.value:.0%}{around}"
