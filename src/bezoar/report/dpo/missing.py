"""What a page says in the place of a part that is not there."""

from __future__ import annotations

from bezoar.report.blocks import Text
from bezoar.report.dpo.artefacts import Study


def missing(study: Study, part: str, words: str) -> Text:
    """That a part of the comparison is not there, and why, if the run knows."""
    why = study.skipped.get(part, "")
    return Text(f"{words} {why}".strip(), "muted")
