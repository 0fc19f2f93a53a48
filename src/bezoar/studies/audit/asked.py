"""Which methods an audit was asked for, and what follows from that."""

from __future__ import annotations

from bezoar.mitigate import DEFAULT_METHODS, Method, parse_method
from bezoar.runs import AuditConfig

INPUT_STAGES = ("pairs", "states", "experts", "moments", "sae")
"""Stages that an audit has only if a method needs them, each named as the field of `FitInputs`."""


def specs_of(names: tuple[str, ...]) -> list[str]:
    """The methods that are asked for, ``default`` spelt out."""
    return [s for name in names for s in (DEFAULT_METHODS if name == "default" else (name,))]


def needs(config: AuditConfig) -> frozenset[str]:
    """The fields of `bezoar.mitigate.FitInputs` that the methods asked for are fitted from, and
    those that a study reports on in any case: a model that writes nothing toxic has neurons too."""
    methods = map(parse_method, specs_of(config.mitigate.methods))
    own = {"experts"} if config.study == "experts" else ()
    return frozenset[str](own).union(*(method.requires for method in methods))


def made_for(config: AuditConfig) -> list[str]:
    """Stages that run because a method is fitted from what they leave, in their order."""
    asked = needs(config)
    return [name for name in INPUT_STAGES if name in asked]


def learns_from_pairs(config: AuditConfig) -> bool:
    """Whether any method that is asked for needs preference pairs."""
    return "pairs" in needs(config)


def null_draws(method: Method, config: AuditConfig) -> int:
    """How many null edits of each kind are made of a method."""
    asked = config.mitigate
    return min(asked.trained_nulls, asked.null_draws) if method.trains else asked.null_draws
