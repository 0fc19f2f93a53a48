"""What the pages of studies have in common: a heading, an index of exhibits, and files beside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Section, Verdict
from bezoar.report.render import REPORT, render
from bezoar.report.study.export import export
from bezoar.report.study.title import subtitle
from bezoar.runs.results import atomic_write


def write_study_page(
    run: Artefacts,
    sections: Sequence[Section],
    *,
    index: Section,
    verdict: Verdict,
    title: str,
    paper: str,
    brand: str,
    unmask: bool,
) -> Path:
    """Write ``report.html`` and the files of its tables and figures into the run folder.

    Args:
        run: what the study has in common with an audit.
        sections: of the page, in order.
        index: of their tables and figures; stands before them and is no file.
        verdict: the top box.
        title: the heading, unless the run was given one.
        paper: whose experiments these are.
        brand: the command, above the heading.
        unmask: let the reader reveal the texts as they are, and write them into the files.

    Raises:
        StoreError: if the page would be larger than 8 MB.
    """
    html = render(
        title=str(run.options.get("report", {}).get("title") or title),
        subtitle=subtitle(run, paper),
        verdict=verdict,
        sections=[index, *sections],
        unmask=unmask,
        brand=brand,
    )
    export(run.folder, sections, unmask=unmask)
    atomic_write(run.folder / REPORT, html.encode())
    return run.folder / REPORT
