"""Methods from text, ``name:option=value,option=value``, as commands and files name them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bezoar.errors import ConfigError, did_you_mean
from bezoar.mitigate.method import Method, get_method, plain


def parse_method(spec: str) -> Method:
    """Read ``"name"`` or ``"name:option=value,option=value"``; in a list, items part at ``/``.

    Raises:
        ConfigError: for an unknown name, option or value.
    """
    name, _, rest = spec.partition(":")
    cls = get_method(name.strip())
    options: dict[str, Any] = {}
    for part in filter(None, (p.strip() for p in rest.split(","))):
        key, equals, value = part.partition("=")
        if not equals:
            raise ConfigError(
                f"{part!r} in {spec!r} is no 'option=value'.",
                hint=f"Write it like {name.strip()}:alpha=2,layers=-1.",
            )
        options[key.strip()] = value.strip()
    return make_method(cls, options)


def parse_searched(spec: str) -> Method:
    """The same where the strength is searched: by a budget, or in a search.

    Raises:
        ConfigError: also if the spec writes the strength, or changes nothing at any.
    """
    method = parse_method(spec)
    low, high = (method.with_strength(f * method.strength_start) for f in (0.25, 0.5))
    written = {part.partition("=")[0].strip() for part in spec.partition(":")[2].split(",")}
    for field in dataclasses.fields(method):  # type: ignore[arg-type]
        name = field.name
        if name in written and getattr(low, name) != getattr(high, name):
            raise ConfigError(
                f"{spec!r} writes {name}, how strong the edit is, and the budget decides that.",
                hint=f"Leave {name} out, and allow more or less with --budget.",
            )
    if method.idle:
        raise ConfigError(
            f"{spec!r} changes nothing at any strength: {method.idle}.",
            hint=f"Leave {method.idle.partition('=')[0]} out, or choose some.",
        )
    return method


def make_method(cls: type[Method], options: Mapping[str, Any]) -> Method:
    """A method from plain options (YAML or a spec), which are converted and checked.

    Raises:
        ConfigError: naming the option and the value seen.
    """
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    for key in options:
        if key not in fields:
            raise ConfigError(
                f"The method {cls.name!r} has no option {key!r}.", hint=did_you_mean(key, fields)
            )
    values = {
        key: value.split("/")
        if isinstance(value, str) and "tuple" in str(fields[key].type)
        else value
        for key, value in options.items()
    }
    try:
        return TypeAdapter(cls).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:1])
        raise ConfigError(
            f"Option {key!r} of the method {cls.name!r} cannot be {options.get(key)!r}: "
            f"{first['msg'][:1].lower()}{first['msg'][1:]}.",
            hint=f"Leave it away for {plain(getattr(cls(), key))!r}." if key in fields else "",
        ) from error
