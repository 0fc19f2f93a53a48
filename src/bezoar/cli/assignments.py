"""Lists of methods and ``KEY=VALUE`` on the command line, as values of a configuration."""

from __future__ import annotations

import re
from typing import Any


def split_methods(text: str) -> list[str]:
    """`"word-ban, subtract:direction=svd,layers=-1"` has two methods: options stay with theirs.

    `/` parts methods too, save before a number, where it parts the items of a list: `layers=3/4`.
    """
    methods: list[str] = []
    for item in re.split(r"/(?!\s*-?\d)", text):
        new = True
        for part in filter(None, (part.strip() for part in item.split(","))):
            name = part.partition("=")[0]
            if "=" in part and ":" not in name and not new:
                methods[-1] += f",{part}"
            else:
                methods.append(part)
            new = False
    return methods


def assigned(assignments: list[str]) -> dict[str, Any]:
    """What `KEY=VALUE` texts set, with values read as YAML.

    Raises:
        ConfigError: for one that assigns nothing.
    """
    import yaml

    from bezoar.errors import ConfigError

    values: dict[str, Any] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        try:
            read = yaml.safe_load(value)
        except yaml.YAMLError:
            read = value
        if not equals or not all(key.strip().split(".")):
            raise ConfigError(
                f"--set {text!r} assigns nothing.", hint="Write it like --set data.limit=500."
            )
        put(values, key.strip(), read)
    return values


def put(values: dict[str, Any], key: str, value: Any) -> None:
    """`put(values, "data.limit", 5)` is `values["data"]["limit"] = 5`."""
    *sections, last = key.split(".")
    for section in sections:
        inner = values.get(section)
        values[section] = inner if isinstance(inner, dict) else {}
        values = values[section]
    values[last] = value
