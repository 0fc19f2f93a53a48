"""What a page is made of. Texts are plain: the template masks and escapes every one of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Tone = Literal["", "good", "bad", "muted", "strong"]


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell: the text, a smaller note under it, and a tone.

    Attributes:
        numbers: what the text says, for a file: a value, or a value with its bounds.
        href: of a file beside the page, or a place in one, that the text leads to; "" for none.
    """

    text: str
    note: str = ""
    tone: Tone = ""
    numbers: tuple[float, ...] = ()
    href: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a caption; the first cell of a row names it.

    Attributes:
        numeric: are all columns but the first numbers, set to the right?
        folded: shown only when opened.
        wordy: is the last column text that may wrap?
        key: anchor on the page, and name of its file (``table_2``); "" for neither.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell | str, ...], ...]
    numeric: bool = True
    folded: bool = False
    wordy: bool = False
    key: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values."""

    items: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A plotly figure with what it shows in words, for the caption and for who cannot see it.

    Attributes:
        key: anchor on the page, and name of its files (``figure_1_logit_lens``); "" for neither.
    """

    figure: Any
    caption: str
    description: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted lines."""

    text: str
    caption: str = ""


@dataclass(frozen=True, slots=True)
class TokenRows:
    """Directions in words: per row a name, a note, and the tokens at its two ends."""

    caption: str
    rows: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...]
    ends: tuple[str, str] = ("raises", "lowers")
    key: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what each variant of the model writes after it (label, text, score note)."""

    prompt: str
    continuations: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Index:
    """Where things are: name, the anchor of what is on the page (or ""), and what it shows."""

    items: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """The way to another file beside the page: its name, what it is called, and what it shows."""

    href: str
    text: str
    what: str


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that are shown when opened."""

    caption: str
    blocks: tuple[Block, ...]


Block = Text | Table | Facts | Picture | Code | TokenRows | Example | Index | Link | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """A numbered part of the page."""

    key: str
    title: str
    intro: str
    blocks: tuple[Block, ...] = ()


@dataclass(frozen=True, slots=True)
class Tile:
    """A headline number."""

    label: str
    value: str
    note: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The top of the page: what was found, in plain words."""

    sentences: tuple[str, ...]
    tiles: tuple[Tile, ...] = field(default=())
    tone: Tone = ""
