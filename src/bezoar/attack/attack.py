"""What every attack is: budget points, and for each of them an edit on top of the remedy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import ClassVar, Literal

from bezoar.edits import Edit, NoOp
from bezoar.errors import ConfigError, DataError, NotFoldable, several
from bezoar.models import LanguageModel

Plain = float | int | str | bool | None
OnTop = Callable[["Setting"], Edit]
"""Setting -> what to apply on top of the remedy."""


@dataclass(frozen=True, slots=True)
class Use:
    """How the attacked model is asked, where that is not the way of the protocol.

    Attributes:
        temperature, top_p, seed: of sampling; a temperature of None decodes as the protocol does.
        context: text in front of every prompt.
    """

    temperature: float | None = None
    top_p: float = 1.0
    seed: int = 0
    context: str = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing to try at one budget.

    Attributes:
        budget: what it costs the attacker, on the axis of the attack; 0 is no attack.
        label: of the budget point, for people ("×10, 7 keys").
        variant: which of several tries at this budget ("seed 0, rate 1e-4"); the attack says how
            they are combined.
        null: whether this is a null of the attack: as strong, but aimless.
        values: what the attack needs to know.
    """

    budget: float
    label: str
    variant: str = ""
    null: bool = False
    values: Mapping[str, Plain] = field(default_factory=dict)


class Attack(ABC):
    """A way to undo a remedy, tried at several budgets. An attack's fields are all it depends on.

    What could never be tried is refused before anything is: fields that leave nothing when the
    attack is made, what does not fit the model by `settings`.

    Attributes:
        name: for tables.
        axis: what a budget counts.
        combine: of several variants at a budget the "worst" counts (the attacker picks), or their
            "mean" (chance picks). Nulls are combined likewise, with as many tries (`score`).
        asks: whether it changes how the model is asked (`use`), and not the model.
    """

    __slots__ = ()
    name: str
    axis: ClassVar[str]
    combine: ClassVar[Literal["worst", "mean"]] = "worst"
    asks: ClassVar[bool] = False

    @abstractmethod
    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        """Everything to try, by rising budget."""

    @abstractmethod
    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        """Fit what has to be fitted on the edited model; the result makes the edits.

        Args:
            lm: the base model.
            remedy: what is attacked, in the form it would be released in (`released`).

        Raises:
            NotFoldable: if the attack needs plain weights and the remedy has none.
            AttackFailed: as the edits that it makes may, where one variant breaks down: that is put
                down, and the others go on.
        """

    def compose(self, remedy: Edit, on_top: Edit) -> Edit:
        """The attacked model as one edit of the base model."""
        return remedy.then(on_top)

    def use(self, setting: Setting) -> Use | None:
        """How the attacked model is asked; None for the way of the protocol."""
        return None

    def edit(self, lm: LanguageModel, remedy: Edit, setting: Setting) -> Edit:
        """What to apply on top of the remedy at one setting.

        `against` does the fitting once for many.
        """
        return self.against(lm, remedy)(setting)


class Asking(Attack):
    """An attack that leaves the model as it is released, and asks it otherwise."""

    __slots__ = ()
    asks: ClassVar[bool] = True

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        return lambda setting: NoOp()

    def compose(self, remedy: Edit, on_top: Edit) -> Edit:
        return remedy


def released(lm: LanguageModel, edit: Edit) -> Edit:
    """The edit as an attacker would meet it: plain weights where it folds, else as it is.

    A subtraction that was folded into a bias can be trained, rounded and pruned like any other
    weight; as a hook it could not. So the folded form is what is attacked.
    """
    if not edit.foldable:
        return edit
    try:
        return edit.fold(lm)
    except NotFoldable:
        return edit


def rising(
    values: Sequence[float | int], what: str, low: float | int, high: float | int
) -> tuple[float, ...]:
    """Budgets in ascending order, each once.

    Raises:
        ConfigError: if there are none, or one lies outside of [low, high].
    """
    wrong = [value for value in values if not low <= value <= high]
    if wrong or not values:
        seen = f"{wrong[0]:g}" if wrong else "empty"
        raise ConfigError(f"{what} is {seen}.", hint=f"Give numbers from {low:g} to {high:g}.")
    return tuple(sorted({float(value) for value in values}))


def at_least(least: int, **counts: int) -> None:
    """Refuse a count that leaves nothing to try.

    Raises:
        ConfigError: naming the first that is no whole number, or below the least.
    """
    for name, count in counts.items():
        if not isinstance(count, Integral) or count < least:
            raise ConfigError(
                f"{name} is {count!r}.", hint=f"Give a whole number, {least} or more."
            )


def some_texts(texts: Sequence[str], purpose: str) -> None:
    """Refuse texts that are none, or one string, whose letters would be taken for texts.

    Raises:
        DataError: saying what they are for.
    """
    if len(several(texts, f"texts {purpose}")) == 0:
        raise DataError(f"There is no text {purpose}.", hint="Give a few.")
