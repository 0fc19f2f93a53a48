"""A study's run folder → ``report.html``, ``figures/`` and ``tables/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bezoar.report.blocks import Section
from bezoar.report.experts.artefacts import Study, load_study
from bezoar.report.experts.paper import NAME, PAPER
from bezoar.report.experts.sections.choices import choices
from bezoar.report.experts.sections.claims import claims
from bezoar.report.experts.sections.detection import detection
from bezoar.report.experts.sections.grid import grid
from bezoar.report.experts.sections.layers import layers
from bezoar.report.experts.sections.limits import limits
from bezoar.report.experts.sections.methods import methods
from bezoar.report.experts.sections.neurons import neurons
from bezoar.report.experts.sections.states import states
from bezoar.report.experts.verdict import verdict
from bezoar.report.sections.audited import audited
from bezoar.report.sections.data import data
from bezoar.report.sections.reproduce import reproduce
from bezoar.report.study.page import write_study_page

SECTIONS: tuple[Callable[[Study], Section], ...] = (
    claims,
    methods,
    grid,
    choices,
    neurons,
    layers,
    detection,
    states,
    lambda study: audited(study.audit),
    lambda study: data(study.audit),
    limits,
    lambda study: reproduce(study.audit),
)


def write_experts_report(run_folder: str | Path, *, unmask: bool = False) -> Path:
    """Write one self-contained page of a study of experts, and its tables and figures as files.

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
        index=_index(sections),
        verdict=verdict(study),
        title=f"Neurons, layers and EigenShift in {study.audit.model}",
        paper=NAME,
        brand="bezoar study experts",
        unmask=unmask,
    )


def _index(sections: list[Section]) -> Section:
    intro = (
        f"Tables and figures of {NAME}, under their numbers where they have one. Each is also a "
        "file of the run folder: figures/figure_N_….html and .json, tables/table_….csv, beside "
        "those that the paper does not have."
    )
    return Section("exhibits", "Tables and figures of the paper", intro, (PAPER.index(sections),))
