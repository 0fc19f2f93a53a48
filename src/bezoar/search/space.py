"""What is searched: methods with their options, and stacks of several methods as one method."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from bezoar.edits import Edit, NoOp
from bezoar.errors import ConfigError
from bezoar.mitigate import FitInputs, Method, methods, parse_searched
from bezoar.models import LanguageModel
from bezoar.search.results import Part

Choices = Mapping[str, tuple[str, ...]]


def searched_by_default() -> tuple[str, ...]:
    """Every method that is no control and takes no training, of an autoencoder neither."""
    return tuple(
        name
        for name, cls in methods().items()
        if not cls.control and not cls.trains and "sae" not in cls().requires
    )


class Space:
    """The options of some methods.

    Args:
        specs: methods; an option that is written there is held as it is.
        lm: the model, whose layers are among the options.

    Raises:
        ConfigError: for an unknown method, a control, one that is named twice, or a strength that
            is written: of each edit the budget decides it.
    """

    def __init__(self, specs: Sequence[str], lm: LanguageModel) -> None:
        parsed = [parse_searched(spec) for spec in specs]
        for method in parsed:
            if method.control:
                raise ConfigError(
                    f"{method.name} is a control: it is there to be beaten, not to be chosen.",
                    hint="Leave it out of --methods.",
                )
        self.specs = tuple(method.spec for method in parsed)
        if len({*self.specs}) < len(self.specs):
            raise ConfigError(f"A method is named twice in {', '.join(self.specs)}.")
        self.choices: dict[str, Choices] = {
            method.spec: _free(method, written, lm)
            for method, written in zip(parsed, specs, strict=True)
        }

    def spec(self, method: str, pieces: Sequence[str]) -> str:
        """A method with pieces of a spec put in."""
        joined = ",".join(filter(None, (method.partition(":")[2], *pieces)))
        return f"{method.partition(':')[0]}:{joined}" if joined else method

    def first(self, method: str) -> tuple[str, ...]:
        """Of each choice, what to try first."""
        return tuple(values[0] for values in self.choices[method].values())

    @property
    def size(self) -> int:
        """How many methods with options there are, strengths and stacks aside."""
        return sum(math.prod(map(len, choices.values())) for choices in self.choices.values())


def _free(method: Method, written: str, lm: LanguageModel) -> Choices:
    """The choices that the spec leaves open."""
    held = {part.partition("=")[0].strip() for part in written.partition(":")[2].split(",")}
    return {
        name: values
        for name, values in type(method).search_space(lm).items()
        if len(values) > 1 and not any(_options(value) & held for value in values)
    }


def _options(piece: str) -> set[str]:
    return {part.partition("=")[0] for part in piece.split(",") if part}


@dataclass(frozen=True, slots=True)
class Stack(Method):
    """Several methods, one edit after the other; its strength multiplies all of theirs.

    Every part is fitted on the unedited model. It is no entry of the registry: a search makes it.

    Attributes:
        parts: the methods with their strengths.
        factor: of all strengths; each stays below its method's own largest.
        drawn: the inputs of each part, where they are not the same: of a null.
    """

    name: ClassVar[str] = "stack"
    parts: tuple[Part, ...] = ()
    factor: float = 1.0
    drawn: tuple[FitInputs, ...] = dataclasses.field(default=(), compare=False)

    @property
    def requires(self) -> frozenset[str]:
        return frozenset[str]().union(*(part.method().requires for part in self.parts))

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ()

    @property
    def strength(self) -> float:
        return self.factor

    @property
    def spec(self) -> str:
        return " + ".join(part.spec for part in self.parts)

    @property
    def label(self) -> str:
        return " + ".join(part.method().label for part in self.parts)

    def with_strength(self, strength: float) -> Stack:
        return dataclasses.replace(self, factor=strength)

    def strengths(self) -> tuple[Part, ...]:
        """The parts at the strengths that they come to."""
        return tuple(
            Part(p.spec, min(p.strength * self.factor, p.method().strength_max)) for p in self.parts
        )

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """The parts' edits in order; no edit for no parts."""
        edits = [
            part.method().fit(lm, self.drawn[i] if self.drawn else inputs)
            for i, part in enumerate(self.strengths())
        ]
        if not edits:
            return NoOp()
        whole = edits[0]
        for edit in edits[1:]:
            whole = whole.then(edit)
        return whole
