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
