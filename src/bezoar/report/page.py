"""A run folder → ``report.html``, whatever kind of run it is."""

from __future__ import annotations

from pathlib import Path

from bezoar.report.artefacts import load_artefacts
from bezoar.report.numbers import plural
from bezoar.report.render import REPORT, render
from bezoar.report.sections import SECTIONS
from bezoar.report.verdict import verdict
from bezoar.runs.results import atomic_write


def write_report(run_folder: str | Path, *, unmask: bool = False) -> Path:
    """Write one self-contained HTML page of what a run found; of a study, its figures as files too.

    Args:
        run_folder: the run; only its files are read.
        unmask: let the reader reveal the texts as they are. Otherwise they are not in the page.

    Returns:
        Path of ``report.html`` in the run folder.

    Raises:
        RunError: if the folder holds nothing to report.
        CorruptArtefact: if a part of the run is damaged.
        StoreError: if the page would be larger than 8 MB.
    """
    run = load_artefacts(Path(run_folder))
    if run.options.get("study") == "dpo":
        # Only such a run needs the rooms of comparing and attacking models.
        from bezoar.report.dpo import write_dpo_report

        return write_dpo_report(run_folder, unmask=unmask)
    if run.options.get("study") == "experts":
        from bezoar.report.experts import write_experts_report

        return write_experts_report(run_folder, unmask=unmask)
    if run.options.get("study") == "tune":
        from bezoar.report.tune import write_tune_report

        return write_tune_report(run_folder, unmask=unmask)
    if run.options.get("study") == "sae":
        from bezoar.report.sae import write_sae_report

        return write_sae_report(run_folder, unmask=unmask)
    title = run.options.get("report", {}).get("title") or f"Toxicity audit of {run.model}"
    card = run.scorecard
    parts = [str(run.audit["created"])] if run.audit.get("created") else []
    if card is not None:
        parts += [card.measured, plural(card.prompts_n, "prompt")]
    if run.audit.get("fingerprint"):
        parts.append(f"model {str(run.audit['fingerprint'])[:12]}")
    html = render(
        title=str(title),
        subtitle=" · ".join(parts),
        verdict=verdict(run),
        sections=[section(run) for section in SECTIONS],
        unmask=unmask,
    )
    path = Path(run_folder) / REPORT
    atomic_write(path, html.encode())
    return path
