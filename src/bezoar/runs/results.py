"""What every result is: a frozen dataclass, saved as JSON, shown as a table or a figure."""

from __future__ import annotations

import dataclasses
import io
import json
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from bezoar.errors import CorruptArtefact, NoFigure
from bezoar.interrupts import check
from bezoar.masking import for_display

if TYPE_CHECKING:
    from rich.console import RenderableType

T = TypeVar("T")


class Result:
    """Base of results: frozen, slotted dataclasses whose fields can be written as JSON."""

    __slots__ = ()

    def __repr__(self) -> str:  # of the large ones, which say repr=False
        return one_line(self)

    def figure(self) -> Any:
        """The plotly figure of this result.

        Raises:
            NoFigure: if no figure is drawn for this kind of result.
        """
        # By name: a result lives in an earlier room than the report, which it must not import.
        return import_module("bezoar.report.figures").figure_of(self)

    def __rich__(self) -> RenderableType:
        """A two-column table of the fields; results with rows of their own override it."""
        from rich.table import Table

        table = Table("field", "value", title=type(self).__name__)
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            table.add_row(field.name, _short(getattr(self, field.name)))
        return table

    def _repr_html_(self) -> str:
        try:
            return str(self.figure().to_html(full_html=False, include_plotlyjs="cdn"))
        except NoFigure:
            return f"<pre>{_escape(for_display(_printed(self)))}</pre>"


def one_line(noun: Any) -> str:
    """``Name(field=value, …)`` of a dataclass on one line, for a ``__repr__``.

    Texts are masked and cut, tensors and arrays give their shape, long columns their length, and
    what is empty is left out, so that a large noun at a prompt is neither a flood nor an insult.
    """
    values = ((f.name, getattr(noun, f.name)) for f in dataclasses.fields(noun) if f.repr)
    told = (f"{name}={_brief(value)}" for name, value in values if not _is_empty(value))
    return f"{type(noun).__name__}({', '.join(told)})"


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, (str, tuple, list, Mapping)) and not value)


def _brief(value: Any) -> str:
    if isinstance(value, str):
        return repr(_short(for_display(value), 40))
    if isinstance(value, (bool, int, float)):
        return _short(value)
    if (shape := getattr(value, "shape", None)) is not None:
        return str(list(shape))
    if isinstance(value, (tuple, list, Mapping)):
        plain = not isinstance(value, Mapping) and len(value) <= 4
        if plain and all(isinstance(item, (str, int, float)) for item in value):
            return f"({', '.join(map(_brief, value))})"
        return f"<{len(value)}>"
    text = str(value)
    fits = len(text) <= 40 and "\n" not in text
    return for_display(text) if fits else f"{type(value).__name__}(…)"


def _printed(result: Result) -> str:
    """What a terminal of a hundred columns would show, without colours."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, record=True, markup=False, emoji=False)
    console.print(result)
    return console.export_text()


def _escape(text: str) -> str:
    import html

    return html.escape(text)


def _short(value: Any, width: int = 80) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= width else text[: width - 1] + "…"


def to_plain(result: object) -> Any:
    """A result as dicts, lists, strings and numbers."""
    return TypeAdapter(type(result)).dump_python(result, mode="json")


def draft_of(path: Path) -> Path:
    """Where a file or folder is made before it takes its name; a kill leaves it there."""
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def atomic_write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = draft_of(path)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_json(path: Path, value: Any) -> None:
    """Write plain data as indented, key-ordered JSON (equal data, equal bytes); NaN is refused."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False)
    atomic_write(path, text.encode() + b"\n")


def save_result(path: str | Path, result: object) -> None:
    """Write a result as JSON, whole or not at all."""
    save_json(Path(path), to_plain(result))


def load_result(path: str | Path, kind: type[T]) -> T:
    """Read a result of a known kind back.

    Raises:
        CorruptArtefact: if the file is not the JSON of such a result.
    """
    path = Path(path)
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except (ValidationError, ValueError, OSError) as error:
        raise CorruptArtefact(
            f"{path} cannot be read as {kind.__name__}: {str(error).splitlines()[0]}.",
            hint="Remove the stage's folder and run it again.",
        ) from error


def kept(path: Path, kind: type[T], make: Callable[[], T]) -> T:
    """A result from its file, or made and kept there: an interrupted stage loses only one.

    For files inside a stage's folder: it is emptied when the stage's key, which hashes all that
    the results depend on, changes.
    """
    if path.exists():
        return load_result(path, kind)
    result = make()
    check()
    save_result(path, result)
    return result
