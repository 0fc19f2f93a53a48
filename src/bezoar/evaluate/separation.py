"""Nothing selects and reports on the same rows or by the same scorer."""

from __future__ import annotations

from collections.abc import Sequence

from bezoar.errors import ConfigError, DataError
from bezoar.scoring import Scorer, scorer_id
from bezoar.stats.splits import text_key


def check_separation(
    selection_prompts: Sequence[str],
    report_prompts: Sequence[str],
    selection_scorer: Scorer,
    report_scorer: Scorer,
) -> None:
    """Refuse a report on what strengths, layers or labels were chosen with.

    Args:
        selection_prompts, report_prompts: compared by hash (case, width and blanks folded).
        selection_scorer, report_scorer: compared by content hash and by lineage.

    Raises:
        DataError: if a prompt is on both sides.
        ConfigError: if the scorers are one, or of one lineage.
    """
    chosen = {text_key(text) for text in selection_prompts}
    shared = [row for row, text in enumerate(report_prompts) if text_key(text) in chosen]
    if shared:
        raise DataError(
            f"{len(shared)} of {len(report_prompts)} report prompts were also used for selection"
            f" (the first is prompt {shared[0]}).",
            hint="Split the prompts with bezoar.stats.hash_halves.",
        )
    if selection_scorer.hash == report_scorer.hash:
        raise ConfigError(
            f"Scorer {scorer_id(report_scorer)} both selects and reports.",
            hint="Report by another scorer: what was selected by its score is flattered by it.",
        )
    if selection_scorer.lineage == report_scorer.lineage != "":
        raise ConfigError(
            f"Scorers {scorer_id(selection_scorer)} and {scorer_id(report_scorer)} are of one"
            f" lineage ({report_scorer.lineage}).",
            hint="Report by a scorer of other data and features.",
        )
