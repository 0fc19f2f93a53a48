"""An autoencoder to be trained, in one line: ``topk:k=32,seed=1``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from bezoar.errors import ConfigError, did_you_mean
from bezoar.sae.registry import get_architecture

Value = float | int | str


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """What any spec may set for its own autoencoder alone.

    Attributes:
        seed: of its initial weights; that of the training if None.
        latents: how many; by ``expansion`` if None.
        expansion: latents for one dimension of the site; that of the training if None.
        lr: of Adam; that of the training if None.
    """

    seed: Annotated[int, Field(ge=0)] | None = None
    latents: Annotated[int, Field(ge=1)] | None = None
    expansion: Annotated[float, Field(gt=0)] | None = None
    lr: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class SAESpec:
    """An architecture and the options that differ from its defaults.

    Attributes:
        architecture: its name in the registry.
        options: as given, converted and checked.
        own: all options of the architecture.
        training: what it sets for its training.

    Raises:
        ConfigError: for an unknown architecture, option or value.
    """

    architecture: str
    options: dict[str, Value] = field(default_factory=dict)
    own: Any = field(init=False, repr=False, compare=False)
    training: TrainingOptions = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        kind = get_architecture(self.architecture).Options
        mine = {f.name for f in dataclasses.fields(kind)}
        common = {f.name for f in dataclasses.fields(TrainingOptions)}
        for key in self.options:
            if key not in mine | common:
                raise ConfigError(
                    f"The architecture {self.architecture!r} has no option {key!r}.",
                    hint=did_you_mean(key, mine | common),
                )
        own = self._made(kind, {k: v for k, v in self.options.items() if k in mine})
        training = self._made(
            TrainingOptions, {k: v for k, v in self.options.items() if k not in mine}
        )
        found = {
            key: getattr(own if key in mine else training, key) for key in sorted(self.options)
        }
        object.__setattr__(self, "own", own)
        object.__setattr__(self, "training", training)
        object.__setattr__(self, "options", found)

    @classmethod
    def parse(cls, text: str) -> SAESpec:
        """Read ``"topk"`` or ``"topk:k=32,seed=1"``.

        Raises:
            ConfigError: for an unknown architecture, option or value, or one given twice.
        """
        name, _, rest = text.partition(":")
        options: dict[str, Value] = {}
        for part in filter(None, (p.strip() for p in rest.split(","))):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not key or not value:
                raise ConfigError(
                    f"{part!r} in {text!r} is no 'option=value'.",
                    hint="Write it like topk:k=32,seed=1.",
                )
            if key in options:
                raise ConfigError(f"{text!r} gives {key!r} twice.", hint="Keep one of them.")
            options[key] = value
        return cls(name.strip(), options)

    def __str__(self) -> str:
        shown = ",".join(f"{key}={_plain(value)}" for key, value in self.options.items())
        return f"{self.architecture}:{shown}" if shown else self.architecture

    @property
    def slug(self) -> str:
        """The same as the name of a folder: ``topk_k32_seed1``."""
        return re.sub(r"[^\w.+-]", "_", str(self).replace("=", "").replace(":", "_"))

    def _made(self, kind: type, options: dict[str, Value]) -> Any:
        try:
            return TypeAdapter(kind).validate_python(options)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"][:1])
            default = {f.name: f.default for f in dataclasses.fields(kind)}.get(key)
            raise ConfigError(
                f"Option {key!r} of {self.architecture!r} cannot be {options.get(key)!r}: "
                f"{first['msg'][:1].lower()}{first['msg'][1:]}.",
                hint="" if default is None else f"Leave it away for {_plain(default)!r}.",
            ) from error


def distinct(specs: tuple[SAESpec, ...]) -> tuple[SAESpec, ...]:
    """The specs, of which no two may be the same.

    Raises:
        ConfigError: if two are, or there is none.
    """
    seen: set[str] = set()
    for spec in specs:
        if spec.slug in seen:
            raise ConfigError(
                f"{str(spec)!r} is there twice.", hint="Give one of them another seed, or drop it."
            )
        seen.add(spec.slug)
    if not specs:
        raise ConfigError("No autoencoder was named.", hint="Write topk:k=32, for example.")
    return specs


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
