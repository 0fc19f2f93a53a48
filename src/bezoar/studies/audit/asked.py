"""Which methods an audit was asked for, and what follows from that."""

from __future__ import annotations

from bezoar.mitigate import DEFAULT_METHODS, Method, parse_method
from bezoar.runs import AuditConfig


def specs_of(names: tuple[str, ...]) -> list[str]:
    """The methods that are asked for, ``default`` spelt out."""
    return [s for name in names for s in (DEFAULT_METHODS if name == "default" else (name,))]


def learns_from_pairs(config: AuditConfig) -> bool:
    """Whether any method that is asked for needs preference pairs."""
    methods = map(parse_method, specs_of(config.mitigate.methods))
    return any("pairs" in method.requires for method in methods)


def null_draws(method: Method, config: AuditConfig) -> int:
    """How many null edits of each kind are made of a method."""
    most = method.null_draws_max
    return config.mitigate.null_draws if most is None else min(most, config.mitigate.null_draws)
