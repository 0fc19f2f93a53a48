"""The page's tables and figures as files: CSV, plotly JSON, and HTML that works offline.

``figures/figure_1_logit_lens.json`` and ``.html`` beside one ``plotly.min.js`` and the small script
that all of them share; ``tables/table_2.csv``. Equal runs give equal bytes. Texts are masked as on
the page, and no cell of a table begins what a spreadsheet would calculate.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from bezoar.masking import for_display
from bezoar.report import theme
from bezoar.report.blocks import Cell, Picture, Section, Table, TokenRows
from bezoar.report.render import figure_json, figure_page, plotly_script, template_file
from bezoar.report.study.exhibits import keyed
from bezoar.runs.plain import inside
from bezoar.runs.results import atomic_write, save_json
from bezoar.runs.stale import LISTED, drop_listed

FIGURES, TABLES = "figures", "tables"
PLOTLY, SCRIPT = "plotly.min.js", "figure.js"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(folder: Path, sections: Sequence[Section], *, unmask: bool = False) -> None:
    """Write every block that has a key as a file; what an earlier page wrote is removed.

    Args:
        folder: of the run; ``figures`` and ``tables`` are made in it.
        sections: of the page.
        unmask: write texts as they are.

    Raises:
        CorruptArtefact: if one of these folders is a link out of the run.
    """
    drawn: dict[str, bytes] = {}
    written: dict[str, bytes] = {}
    for block in keyed(sections):
        if isinstance(block, Picture):
            drawn |= _files(block, unmask)
        else:
            written[f"{block.key}.csv"] = _csv(block, unmask).encode()
    if drawn:
        drawn |= {PLOTLY: plotly_script().encode(), SCRIPT: template_file(SCRIPT).encode()}
    for name, files in ((FIGURES, drawn), (TABLES, written)):
        target = inside(folder, name)
        drop_listed(target)
        for file, data in files.items():
            atomic_write(target / file, data)
        if files:
            save_json(target / LISTED, sorted(files))


def _files(picture: Picture, unmask: bool) -> dict[str, bytes]:
    """A picture as plotly reads it, and as a page."""
    figure = figure_json(picture.figure, unmask=unmask)
    figure["layout"]["template"] = theme.template().to_plotly_json()
    text = json.dumps(figure, indent=1, sort_keys=True, ensure_ascii=True, allow_nan=False)
    html = figure_page(picture, version=version("bezoar"), unmask=unmask)
    return {f"{picture.key}.json": text.encode() + b"\n", f"{picture.key}.html": html.encode()}


def _csv(block: Table | TokenRows, unmask: bool) -> str:
    lines = _table(block) if isinstance(block, Table) else _tokens(block)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for line in lines:
        writer.writerow([_safe(cell, unmask) for cell in line])
    return out.getvalue()


def _safe(cell: str | float, unmask: bool) -> str:
    """A text fit for a cell; numbers are written as numbers."""
    if not isinstance(cell, str):
        return f"{cell:.10g}"
    shown = for_display(cell, unmask=unmask)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _table(table: Table) -> Iterator[list[str | float]]:
    """A column of numbers with bounds becomes three; a note of words becomes a column."""
    columns = [[row[i] for row in table.rows] for i in range(len(table.columns))]
    cells = [[cell for cell in column if isinstance(cell, Cell)] for column in columns]
    widths = [max((len(cell.numbers) for cell in column), default=0) for column in cells]
    noted = [any(cell.note and not cell.numbers for cell in column) for column in cells]
    head: list[str | float] = []
    for name, width, note in zip(table.columns, widths, noted, strict=True):
        head += [name, f"{name}, low", f"{name}, high"] if width == 3 else [name]
        head += [f"{name}, note"] if note else []
    yield head
    for row in table.rows:
        line: list[str | float] = []
        for cell, width, note in zip(row, widths, noted, strict=True):
            line += _cells(cell if isinstance(cell, Cell) else Cell(cell), width, note)
        yield line


def _cells(cell: Cell, width: int, note: bool) -> list[str | float]:
    told: list[str | float] = [cell.note if not cell.numbers else ""] if note else []
    if not width:
        return [cell.text, *told]
    blank = "" if cell.text == "–" else cell.text
    numbers: list[str | float] = list(cell.numbers) or [blank]
    return [*numbers, *[""] * (width - len(numbers)), *told]


def _tokens(block: TokenRows) -> Iterator[list[str | float]]:
    yield ["direction", "note", *block.ends]
    for name, note, up, down in block.rows:
        yield [name, note, " ".join(up), " ".join(down)]
