"""The configuration page, made from the configuration: ``python -m tests.docs.configuration``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bezoar.runs import AuditConfig
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """# Configuration

What `config.yaml` holds, with the defaults. On the command line: `--set locate.top_values=64`.
An unknown key is refused, with the nearest named.

<!-- Made by: python -m tests.docs.configuration -->
"""


def page() -> str:
    """The whole page."""
    fields = AuditConfig.model_fields
    sections = {
        name: field.default
        for name, field in fields.items()
        if isinstance(field.default, BaseModel)
    }
    parts = [_HEAD, _table(AuditConfig, "", skip=set(sections))]
    for name, section in sections.items():
        story = (type(section).__doc__ or "").strip()
        parts += [f"\n## {name}\n\n{story}\n", _table(type(section), f"{name}.", skip=set())]
    return "\n".join(parts)


def _table(kind: type[BaseModel], prefix: str, skip: set[str]) -> str:
    rows = []
    for name, field in _flat(kind, prefix, skip):
        rows.append(f"| `{name}` | `{_plain(field.default)}` | {field.description} |")
    return "\n".join(["| key | default | |", "|---|---|---|", *rows, ""])


def _flat(kind: type[BaseModel], prefix: str, skip: set[str]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in kind.model_fields.items():
        if isinstance(field.default, BaseModel) and name not in skip:
            yield from _flat(type(field.default), f"{prefix}{name}.", set())
        elif name not in skip:
            yield f"{prefix}{name}", field


def _plain(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
