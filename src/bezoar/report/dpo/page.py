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
from bezoar.report.dpo.sections.shift import SOURCES, shift
from bezoar.report.dpo.sections.sums import sums
from bezoar.report.dpo.sections.toxicity import toxicity
from bezoar.report.dpo.sections.training import training
from bezoar.report.dpo.sections.undone import undone
from bezoar.report.dpo.sections.variants import variants
from bezoar.report.dpo.verdict import verdict
from bezoar.report.sections.audited import audited
from bezoar.report.sections.data import data
from bezoar.report.sections.reproduce import reproduce
from bezoar.report.study.page import write_study_page

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
    study = load_study(Path(run_folder))
    sections = [section(study) for section in SECTIONS]
    return write_study_page(
        study.audit,
        sections,
        index=_index(study, sections),
        verdict=verdict(study),
        title=f"DPO and toxicity in {study.audit.model}",
        paper=NAME,
        brand="bezoar study dpo",
        unmask=unmask,
    )


def _index(study: Study, sections: list[Section]) -> Section:
    intro = (
        f"Tables and figures under the numbers that they have in {NAME}. Each is also a file of "
        "the run folder: figures/figure_N_….html and .json, tables/table_N.csv."
    )
    return Section(
        "exhibits", "Tables and figures by number", intro, (PAPER.index(sections, _why(study)),)
    )


def _why(study: Study) -> dict[str, str]:
    """Why figures of further layers are not there: fewer layers were asked for, or there are."""
    asked = study.audit.options.get("compare", {}).get("layers")
    if not isinstance(asked, int):
        return {}
    shifts = len(study.shifts.shifts) if study.shifts else 0
    sources = len(study.sources.sources) if study.sources else 0
    why: dict[str, str] = {}
    if 0 < sources < len(SOURCES):
        short = sources == asked + 1
        told = f"compare.layers: {asked}" if short else "the model has no more layers to look at"
        why |= {f"figure_{n}": told for n in SOURCES[sources:]}
    if shifts == 1:
        why["figure_6"] = "compare.layers: 1" if asked == 1 else "no other layer to look at"
    return why
