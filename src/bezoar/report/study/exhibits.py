"""Blocks that carry a number of the paper: captions, keys, and the index of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from bezoar.report.blocks import Block, Fold, Index, Picture, Section, Table, TokenRows

Keyed = Picture | Table | TokenRows


@dataclass(frozen=True, slots=True)
class Paper:
    """A publication whose tables and figures are shown under the numbers that they have there.

    Attributes:
        name: as it is cited.
        figures, tables: what each shows, by its number (or its place: "main").
        drawings: keys of what has no data, so that it is missing here by its nature.
    """

    name: str
    figures: Mapping[int | str, str]
    tables: Mapping[int | str, str]
    drawings: frozenset[str] = field(default_factory=frozenset)

    def figure(
        self, n: int, name: str, drawn: Any, ours: str, description: str, *, also: str = ""
    ) -> Picture:
        """A picture under its number.

        Args:
            n: of the paper's figure.
            name: of its files, after the number.
            drawn: the plotly figure.
            ours: what it shows here, and what differs from the paper's.
            description: for who cannot see it.
            also: what tells a second picture of the same number from the first.
        """
        second = f" ({also})" if also else ""
        caption = f"Figure {n} of {self.name}{second}: {self.figures[n]}. {ours}"
        return Picture(drawn, caption, description, f"figure_{n}_{name}")

    def table_caption(self, n: int | str, ours: str) -> str:
        """The caption of a table under its number, or its place."""
        called = f"Table {n}" if isinstance(n, int) else f"The {n} table"
        return f"{called} of {self.name}: {self.tables[n]}. {ours}"

    def index(
        self, sections: Sequence[Section], why: Mapping[str, str] = MappingProxyType({})
    ) -> Index:
        """All tables and figures of the paper, those that are missing here without a link.

        Args:
            sections: of the page.
            why: a missing one is not in this run, by its key (``figure_9``), as far as it is known.
        """
        there = [block.key for block in keyed(sections)]
        items = [
            self._item(kind, n, what, there, why)
            for kind, listed in (("Figure", self.figures), ("Table", self.tables))
            for n, what in listed.items()
        ]
        return Index(tuple(items))

    def _item(
        self, kind: str, n: int | str, what: str, there: Sequence[str], why: Mapping[str, str]
    ) -> tuple[str, str, str]:
        name = f"{kind} {n}" if isinstance(n, int) else f"{n} {kind.lower()}".capitalize()
        prefix = f"{kind.lower()}_{str(n).replace(' ', '_')}"
        key = next((k for k in there if k == prefix or k.startswith(f"{prefix}_")), "")
        if key:
            return name, key, what
        if prefix in self.drawings:
            return name, "", f"{what} (a drawing, without data)"
        return name, "", f"{what} (not in this run{': ' * (prefix in why)}{why.get(prefix, '')})"


def keyed(sections: Sequence[Section]) -> list[Keyed]:
    """Every block with a key, in the order of the page, folded ones too."""
    found: list[Keyed] = []
    for section in sections:
        found += _keyed(section.blocks)
    return found


def _keyed(blocks: Sequence[Block]) -> list[Keyed]:
    found: list[Keyed] = []
    for block in blocks:
        if isinstance(block, Fold):
            found += _keyed(block.blocks)
        elif isinstance(block, (Picture, Table, TokenRows)) and block.key:
            found.append(block)
    return found
