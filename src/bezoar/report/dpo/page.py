"""A study's run folder → ``report.html``, ``figures/`` and ``tables/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bezoar.report.blocks import Section
from bezoar.report.dpo.artefacts import Study, load_study
from bezoar.report.dpo.paper import NAME, PAPER
from bezoar.report.dpo.sections.changed import changed
from bezoar.report.dpo.sections.claims import claims
from bezoar.report.dpo.sections.interventions import interventions
from bezoar.report.dpo.sections.limits import limits
from bezoar.report.dpo.sections.shift import shift
from bezoar.report.dpo.sections.sums import sums
from bezoar.report.dpo.sections.toxicity import toxicity
from bezoar.report.dpo.sections.training import training
from bezoar.report.dpo.sections.undone import undone
from bezoar.report.dpo.sections.variants import variants
from bezoar.report.dpo.verdict import verdict
from bezoar.report.render import REPORT, render
from bezoar.report.sections.audited import audited
from bezoar.report.sections.data import data
from bezoar.report.sections.reproduce import reproduce
from bezoar.report.study.export import export
from bezoar.report.study.title import subtitle
from bezoar.runs.results import atomic_write

SECTIONS: tuple[Callable[[Study], Section], ...] = (
    claims,
    toxicity,
    interventions,
    training,
    changed,
    shift,
    sums,
    undone,
    variants,
    lambda study: audited(study.audit),
    lambda study: data(study.audit),
    limits,
    lambda study: reproduce(study.audit),
)


def write_dpo_report(run_folder: str | Path, *, unmask: bool = False) -> Path:
    """Write one self-contained page of a study of DPO, and its tables and figures as files.

    Args:
        run_folder: the run; only its files are read.
        unmask: let the reader reveal the texts as they are, and write them into the files.

    Returns:
        Path of ``report.html`` in the run folder.

    Raises:
        RunError: if the folder holds nothing to report.
        CorruptArtefact: if a part of the run is damaged.
        StoreError: if the page would be larger than 8 MB.
    """
    folder = Path(run_folder)
    study = load_study(folder)
    sections = [section(study) for section in SECTIONS]
    html = render(
        title=str(study.audit.options.get("report", {}).get("title") or _title(study)),
        subtitle=subtitle(study.audit, NAME),
        verdict=verdict(study),
        sections=[_index(sections), *sections],
        unmask=unmask,
        brand="bezoar study dpo",
    )
    export(folder, sections, unmask=unmask)
    atomic_write(folder / REPORT, html.encode())
    return folder / REPORT


def _title(study: Study) -> str:
    return f"DPO and toxicity in {study.audit.model}"


def _index(sections: list[Section]) -> Section:
    intro = (
        f"Tables and figures under the numbers that they have in {NAME}. Each is also a file of "
        "the run folder: figures/figure_N_….html and .json, tables/table_N.csv."
    )
    return Section("exhibits", "Tables and figures by number", intro, (PAPER.index(sections),))
