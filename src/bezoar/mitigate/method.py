"""What a method is, what it is fitted from, and how it is found by name.

A method is a frozen dataclass of options with a strength. To add one, write one file:

    @register
    @dataclass(frozen=True, slots=True)
    class Dampen(Method):
        '''One line for `bezoar list methods`.'''

        name: ClassVar[str] = "dampen"
        alpha: float = 0.5
        ...

A package of its own registers the class as an entry point of the group ``bezoar.methods``.
"""

from __future__ import annotations

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, TypeVar

import numpy as np
from jaxtyping import Float, Shaped

from bezoar.corpus import Corpus
from bezoar.edits import Edit
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate import Direction, Subspace, ValueRanking
from bezoar.locate.experts import NeuronExperts
from bezoar.locate.moments import UnitMoments
from bezoar.locate.states import ToxicStates
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from bezoar.runs.progress import Progress
from bezoar.runs.results import one_line
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.profile import LatentProfile

GROUP = "bezoar.methods"
M = TypeVar("M", bound="type[Method]")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FitInputs:
    """What the earlier stages found. A method names what it needs in ``requires``.

    Attributes:
        probe: direction of the linear probe.
        mean_difference: direction from the mean of unlabelled to that of labelled texts.
        values: MLP value vectors ranked by cosine to the probe.
        svd: singular basis of the top ones.
        words: of a word ban; a trailing ``*`` bans what begins so.
        corpus: labelled texts: word frequencies for the nulls of a word ban.
        rows: pooled activations at the probe's site, and
        labels: their labels: for the nulls with shuffled labels.
        pairs: preferences, for methods that train on them, and
        held_out: others, of other prompts, that say when to stop; some of ``pairs`` if None.
        states: what the unembedding read before toxic tokens, and before others.
        moments: mean and variance of single units on each class of texts.
        experts: how well every single unit tells the two classes apart.
        sae: a sparse autoencoder of one site, and
        latents: what its latents have to do with the behaviour.
        work: folder in which a method may keep what would be dear to make twice of these inputs.
        progress: where a method that takes long may show it.
    """

    probe: Direction | None = None
    mean_difference: Direction | None = None
    values: ValueRanking | None = None
    svd: Subspace | None = None
    words: tuple[str, ...] = ()
    corpus: Corpus | None = None
    rows: Float[np.ndarray, "n d"] | None = None
    labels: Shaped[np.ndarray, " n"] | None = None
    pairs: Pairs | None = None
    held_out: Pairs | None = None
    moments: UnitMoments | None = None
    states: ToxicStates | None = None
    experts: NeuronExperts | None = None
    sae: SparseAutoencoder | None = None
    latents: LatentProfile | None = None
    work: Path | None = None
    progress: Progress | None = None

    __repr__ = one_line

    def need(self, name: str, by: str) -> Any:
        """The input of that name.

        Raises:
            ConfigError: if it was not given.
        """
        given = {
            field.name: value
            for field in dataclasses.fields(self)
            if field.name not in ("work", "progress")
            and (value := getattr(self, field.name)) is not None
            and not (isinstance(value, tuple) and not value)
        }
        if name not in given:
            raise ConfigError(
                f"{by} needs {name!r}, and the inputs hold {', '.join(given) or 'nothing'}.",
                hint=f"Pass FitInputs({name}=...)"
                + (" (a mixture of experts has none)." if name in ("values", "svd") else "."),
            )
        return given[name]


class Method(ABC):
    """A way to make an edit. Subclasses are frozen dataclasses: their fields are their options."""

    __slots__ = ()
    name: ClassVar[str]
    """How it is found in the registry."""
    control: ClassVar[bool] = False
    """Whether it is only there to be beaten; an audit measures it and never chooses it."""
    trains: ClassVar[bool] = False
    """Whether an edit, and so each of its nulls, takes a training."""

    @property
    @abstractmethod
    def requires(self) -> frozenset[str]:
        """Fields of `FitInputs` that must be there."""

    @property
    @abstractmethod
    def null_kinds(self) -> tuple[str, ...]:
        """Kinds of null (`bezoar.mitigate.nulls`) that this method could lose to; first = main.

        Empty if there is none: the method is then measured, and no p-value is claimed for it.
        """

    @property
    @abstractmethod
    def strength(self) -> float:
        """How much; 0 does nothing, and more costs more."""

    @property
    def null_strength_max(self) -> float:
        """How far a search may go to make a null as dear as the method."""
        return self.strength_max

    @property
    def strength_max(self) -> float:
        """The largest strength that makes sense; it may be infinite."""
        return math.inf

    @property
    def strength_start(self) -> float:
        """The strength that a search for a budget begins with."""
        return 1.0

    @property
    def idle(self) -> str:
        """The option by which this changes nothing at any strength, as ``k=0``; "" if none does."""
        return ""

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        """What `bezoar tune` tries of this method beside its strength.

        Returns:
            Choices by name; each is a tuple of pieces of a spec ("direction=value,rank=1", or ""
            for the default), what to try first at the front. A piece may set several options, so
            that only such come together as belong together.
        """
        return {}

    @abstractmethod
    def with_strength(self, strength: float) -> Method:
        """The same method, at another strength."""

    @abstractmethod
    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """Make the edit.

        Raises:
            ConfigError: if an input is missing.
            EditError: if it does not fit the model.
        """

    def nulls(
        self, lm: LanguageModel, inputs: FitInputs, n: int, seed: int, kind: str | None = None
    ) -> Iterator[Edit]:
        """``n`` edits of the same kind and strength made from what carries no signal.

        Raises:
            ConfigError: if no kind is given and the method has none.
        """
        from bezoar.mitigate.nulls import null_inputs

        for drawn in null_inputs(kind or self.main_null(), lm, inputs, n, seed):
            yield self.fit(lm, drawn)

    def main_null(self) -> str:
        """The first of ``null_kinds``.

        Raises:
            ConfigError: if the method has none.
        """
        if not self.null_kinds:
            raise ConfigError(
                f"The method {self.name!r} has no kind of null.",
                hint="Name one in its null_kinds: the same kind of edit, made from no signal.",
            )
        return self.null_kinds[0]

    @property
    def spec(self) -> str:
        """The method in one line, strength aside: ``subtract:direction=value``."""
        default = type(self)().with_strength(1.0)
        mine = self.with_strength(1.0)
        options = [
            f"{f.name}={plain(getattr(mine, f.name))}"
            for f in dataclasses.fields(self)  # type: ignore[arg-type]
            if getattr(mine, f.name) != getattr(default, f.name)
        ]
        return f"{self.name}:{','.join(options)}" if options else self.name

    @property
    def label(self) -> str:
        """The same for people: ``subtract value``."""
        name, _, options = self.spec.partition(":")
        direction = getattr(self, "direction", None)
        if isinstance(direction, str) and "direction=" not in options:
            options = ",".join(filter(None, (direction, options)))
        options = options.replace("direction=", "").replace("_", " ").replace(",", ", ")
        return f"{name.replace('-', ' ')} {options}".strip()

    def origin(self, lm: LanguageModel, **more: Any) -> dict[str, Any]:
        """The provenance of an edit that this method makes."""
        strength = self.strength if math.isfinite(self.strength) else "infinite"
        return {"method": self.spec, "strength": strength, "model": lm.fingerprint, **more}


_METHODS: dict[str, type[Method]] = {}


def register(cls: M) -> M:
    """Make a method findable by its name.

    Raises:
        ConfigError: if another class has that name.
    """
    known = _METHODS.setdefault(cls.name, cls)
    if known is not cls:
        raise ConfigError(
            f"Two methods are called {cls.name!r}: {known.__module__}.{known.__qualname__} and "
            f"{cls.__module__}.{cls.__qualname__}.",
            hint="Rename one of them, or uninstall the package that brings it.",
        )
    return cls


def methods() -> dict[str, type[Method]]:
    """All methods by name: those of the modules beside this one and of installed packages."""
    room = import_module("bezoar.mitigate")
    for module in iter_modules(room.__path__):
        import_module(f"{room.__name__}.{module.name}")
    for entry in entry_points(group=GROUP):
        register(entry.load())
    return dict(sorted(_METHODS.items()))


def get_method(name: str) -> type[Method]:
    """The method of that name.

    Raises:
        ConfigError: if there is none; the nearest names are given.
    """
    if name in _METHODS:  # looking through every installed package takes a while
        return _METHODS[name]
    found = methods()
    if name not in found:
        raise ConfigError(f"There is no method {name!r}.", hint=did_you_mean(name, found))
    return found[name]


def plain(value: object) -> str:
    """A value of an option as it is written in a spec."""
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)
