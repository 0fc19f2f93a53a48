"""A study's run folder → ``report.html``, ``features.html``, ``figures/`` and ``tables/``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bezoar.report.blocks import Section
from bezoar.report.numbers import plural
from bezoar.report.render import REPORT, render
from bezoar.report.sae.artefacts import Study, load_study
from bezoar.report.sae.features_page import FEATURES, write_features_page
from bezoar.report.sae.sections.claims import claims
from bezoar.report.sae.sections.contest import contest, harmless
from bezoar.report.sae.sections.detector import detector
from bezoar.report.sae.sections.features import features
from bezoar.report.sae.sections.limits import limits
from bezoar.report.sae.sections.quality import quality
from bezoar.report.sae.sections.texts import doubts, texts
from bezoar.report.sae.sections.training import training
from bezoar.report.sae.verdict import verdict
from bezoar.report.sections.audited import audited
from bezoar.report.sections.reproduce import reproduce
from bezoar.report.study.export import export
from bezoar.runs.results import atomic_write

SECTIONS: tuple[Callable[[Study], Section], ...] = (
    texts,
    doubts,
    training,
    quality,
    features,
    contest,
    harmless,
    detector,
    claims,
    lambda study: audited(study.audit),
    limits,
    lambda study: reproduce(study.audit),
)


def write_sae_report(run_folder: str | Path, *, unmask: bool = False) -> Path:
    """Write the page of a study of autoencoders, the page of latents, and figures and tables.

    Args:
        run_folder: the run; only its files are read.
        unmask: let the reader reveal the texts as they are, and write them into the files.

    Returns:
        Path of ``report.html`` in the run folder.

    Raises:
        RunError: if the folder holds nothing to report.
        CorruptArtefact: if a part of the run is damaged.
        StoreError: if a page would be too large.
    """
    folder = Path(run_folder)
    study = load_study(folder)
    sections = [section(study) for section in SECTIONS]
    asked = study.audit.options.get("report", {}).get("title")
    html = render(
        title=str(asked or f"Sparse autoencoders against dense probes in {study.audit.model}"),
        subtitle=_subtitle(study),
        verdict=verdict(study),
        sections=sections,
        unmask=unmask,
        brand="bezoar study sae",
    )
    _latents(folder, study, unmask)
    export(folder, sections, unmask=unmask)
    atomic_write(folder / REPORT, html.encode())
    return folder / REPORT


def _latents(folder: Path, study: Study, unmask: bool) -> None:
    """The second page; one that an earlier run left is removed if there is nothing to show."""
    table = study.features
    if table is None or not study.cards:
        (folder / FEATURES).unlink(missing_ok=True)
        return
    write_features_page(
        folder,
        study.cards,
        table,
        title=f"Latents of {table.name} in {study.audit.model}",
        subtitle=f"reads {table.site} · {table.tokens:,} tokens of {plural(table.texts, 'text')}",
        unmask=unmask,
    )


def _subtitle(study: Study) -> str:
    run = study.audit
    parts = [str(run.audit["created"])] if run.audit.get("created") else []
    if study.quality is not None:
        parts.append(plural(len(study.quality.rows), "autoencoder"))
    if study.contest is not None:
        parts.append(f"{plural(study.contest.report_n, 'text')} to report on")
    if run.audit.get("fingerprint"):
        parts.append(f"model {str(run.audit['fingerprint'])[:12]}")
    return " · ".join(parts)
