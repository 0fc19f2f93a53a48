"""The configuration page, made from the configuration: ``python -m tests.docs.configuration``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from bezoar.runs import AuditConfig, DPOStudyConfig, ExpertsStudyConfig, SAEStudyConfig, TuneConfig
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "configuration.md"

_HEAD = """# Configuration

What `config.yaml` holds, with the defaults. On the command line: `--set locate.top_values=64`.
An unknown key is refused, with the nearest named.

<!-- Made by: python -m tests.docs.configuration -->
"""


_STUDY = """
# In {place}

`{command}` takes all of the above, with `study: {study}` and other defaults:
"""

STUDIES: tuple[tuple[str, str, type[AuditConfig]], ...] = (
    ("the study of DPO", "bezoar study dpo", DPOStudyConfig),
    ("the study of experts", "bezoar study experts", ExpertsStudyConfig),
    ("the study of sparse autoencoders", "bezoar study sae", SAEStudyConfig),
    ("a search", "bezoar tune", TuneConfig),
)


def page() -> str:
    """The whole page."""
    sections = _sections(AuditConfig)
    parts = [_HEAD, _table(AuditConfig, "", skip=set(sections))]
    for name, section in sections.items():
        parts += _section(name, section)
    for place, command, kind in STUDIES:
        parts += _study(place, command, kind, sections)
    return "\n".join(parts)


def _sections(kind: type[BaseModel]) -> dict[str, BaseModel]:
    fields = kind.model_fields.items()
    return {name: field.default for name, field in fields if isinstance(field.default, BaseModel)}


def _section(name: str, section: BaseModel) -> list[str]:
    story = (type(section).__doc__ or "").strip()
    return [f"\n## {name}\n\n{story}\n", _table(type(section), f"{name}.", skip=set())]


def _study(
    place: str, command: str, kind: type[AuditConfig], known: dict[str, BaseModel]
) -> Iterator[str]:
    """What a command has beside an audit, and defaults that differ."""
    sections = _sections(kind)
    study = kind.model_fields["study"].default
    yield _STUDY.format(place=place, command=command, study=study)
    rows = [
        f"| `{name}.{key}` | `{_plain(value)}` |"
        for name, section in sections.items()
        if name in known
        for key, value in section
        if value != getattr(known[name], key)
    ]
    yield "\n".join(["| key | default |", "|---|---|", *rows, ""])
    for name, section in sections.items():
        if name not in known:
            yield from _section(name, section)


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
        return f"[{', '.join(map(str, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
