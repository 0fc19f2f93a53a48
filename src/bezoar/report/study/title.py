"""The line under the heading of a study's page."""

from __future__ import annotations

from bezoar.report.artefacts import Artefacts
from bezoar.report.numbers import plural


def subtitle(run: Artefacts, paper: str) -> str:
    """Whose experiments, when, by which protocol, of which model."""
    card = run.scorecard
    parts = [f"the experiments of {paper}"]
    parts += [str(run.audit["created"])] if run.audit.get("created") else []
    if card is not None:
        parts += [card.measured, plural(card.prompts_n, "prompt")]
    if run.audit.get("fingerprint"):
        parts.append(f"model {str(run.audit['fingerprint'])[:12]}")
    return " · ".join(parts)
