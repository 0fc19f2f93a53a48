"""The run folder of a search → ``report.html``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from bezoar.evaluate import Scorecard
from bezoar.report.artefacts import Artefacts, load_artefacts
from bezoar.report.numbers import plural
from bezoar.report.render import REPORT, render
from bezoar.report.sections.audited import audited
from bezoar.report.sections.data import data
from bezoar.report.sections.examples import examples
from bezoar.report.sections.helps import helps
from bezoar.report.sections.limits import limits
from bezoar.report.sections.reproduce import reproduce
from bezoar.report.sections.side_effects import side_effects
from bezoar.report.tune.sections import again, found, tried
from bezoar.report.tune.verdict import verdict
from bezoar.runs.reading import RunFiles
from bezoar.runs.results import atomic_write
from bezoar.search import Finals, Found


@dataclass(frozen=True, slots=True)
class Tuned:
    """A search, as far as it got: what it has in common with an audit, and its own."""

    run: Artefacts
    search: Found | None
    finals: Finals | None


def write_tune_report(run_folder: str | Path, *, unmask: bool = False) -> Path:
    """Write one self-contained page of a search.

    Args:
        run_folder: the run; only its files are read.
        unmask: let the reader reveal the texts as they are.

    Returns:
        Path of ``report.html`` in the run folder.

    Raises:
        RunError: if the folder holds nothing to report.
        CorruptArtefact: if a part of the run is damaged.
        StoreError: if the page would be larger than 8 MB.
    """
    folder = Path(run_folder)
    tuned = load_tuned(folder)
    run = tuned.run
    title = run.options.get("report", {}).get("title") or f"Search for a less toxic {run.model}"
    sections = []
    if tuned.search is not None:
        sections.append(found(tuned.search, tuned.finals))
        if tuned.finals is not None:
            sections.append(again(tuned.finals))
    if run.scorecard is not None:
        sections += [helps(run), side_effects(run), examples(run)]
    if tuned.search is not None:
        sections.append(tried(tuned.search))
    sections += [audited(run), data(run), limits(run), reproduce(run)]
    html = render(
        title=str(title),
        subtitle=_subtitle(tuned),
        verdict=verdict(run, tuned.search, tuned.finals),
        sections=sections,
        unmask=unmask,
        brand="bezoar tune",
    )
    atomic_write(folder / REPORT, html.encode())
    return folder / REPORT


def load_tuned(folder: Path) -> Tuned:
    """Read a run folder; errors as `bezoar.report.artefacts.load_artefacts`."""
    files = RunFiles(folder)
    card = files.result("finalists/scorecard.json", Scorecard)
    search = files.result("finalists/front.json", Found)
    return Tuned(
        run=replace(load_artefacts(folder), scorecard=card),
        search=search or files.result("search/found.json", Found),
        finals=files.result("finalists/finals.json", Finals),
    )


def _subtitle(tuned: Tuned) -> str:
    run, search = tuned.run, tuned.search
    parts = [str(run.audit["created"])] if run.audit.get("created") else []
    if search is not None:
        parts += [plural(len(search.trials), "edit") + " tried", f"budget {search.budget}"]
    if run.scorecard is not None:
        parts.append(run.scorecard.measured)
    if run.audit.get("fingerprint"):
        parts.append(f"model {str(run.audit['fingerprint'])[:12]}")
    return " · ".join(parts)
