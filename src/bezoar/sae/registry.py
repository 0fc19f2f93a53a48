"""The architectures by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TypeVar

from bezoar.errors import ConfigError, did_you_mean
from bezoar.sae.base import SparseAutoencoder

GROUP = "bezoar.saes"
A = TypeVar("A", bound="type[SparseAutoencoder]")

_ARCHITECTURES: dict[str, type[SparseAutoencoder]] = {}


def register(cls: A) -> A:
    """Make an architecture findable by its name.

    Raises:
        ConfigError: if another class has that name.
    """
    known = _ARCHITECTURES.setdefault(cls.architecture, cls)
    if known is not cls:
        raise ConfigError(
            f"Two architectures are called {cls.architecture!r}: "
            f"{known.__module__}.{known.__qualname__} and {cls.__module__}.{cls.__qualname__}.",
            hint="Rename one of them, or uninstall the package that brings it.",
        )
    return cls


def architectures() -> dict[str, type[SparseAutoencoder]]:
    """All architectures by name: those of this room and of installed packages."""
    for entry in entry_points(group=GROUP):
        register(entry.load())
    return dict(sorted(_ARCHITECTURES.items()))


def get_architecture(name: str) -> type[SparseAutoencoder]:
    """The architecture of that name.

    Raises:
        ConfigError: if there is none; the nearest names are given.
    """
    if name in _ARCHITECTURES:  # looking through every installed package takes a while
        return _ARCHITECTURES[name]
    found = architectures()
    if name not in found:
        raise ConfigError(
            f"There is no architecture {name!r} of sparse autoencoders.",
            hint=did_you_mean(name, found),
        )
    return found[name]
