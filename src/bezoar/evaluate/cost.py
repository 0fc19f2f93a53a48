"""The price of an edit, and how it is taken for edits that act at the last position only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bezoar.edits import ActivationEdit, At, Composed, Edit
from bezoar.models import LanguageModel
from bezoar.scoring import perplexity, plan_windows


class PerplexityCost:
    """The price of an edit for a budget: perplexity edited / base − 1 (0.05 is "+5 %").

    Give it neutral text of the *selection* half: what is reported is measured on the other.
    """

    def __init__(
        self, lm: LanguageModel, neutral: Sequence[str], protocol: str = "ppl-windows-1024"
    ) -> None:
        self._lm = lm
        self._windows = plan_windows(lm, neutral, protocol)
        self.base = perplexity(lm, self._windows)

    def __call__(self, edit: Edit) -> float:
        with everywhere(edit).applied_to(self._lm):
            return perplexity(self._lm, self._windows).value / self.base.value - 1


def everywhere(edit: Edit) -> Edit:
    """The same edit with "last position" operations at all positions.

    A teacher-forced pass over a text has one last position, and nothing that it predicts is scored
    there: measured as it is, such an edit would cost nothing by construction. Lee et al. measure it
    at all positions, and so do we; in the last layer the two are one and the same while generating.
    """
    if isinstance(edit, ActivationEdit):
        return replace(edit, ops=tuple(At(at.site, at.op, "all") for at in edit.ops))
    if isinstance(edit, Composed):
        return replace(edit, edits=tuple(everywhere(part) for part in edit.edits))
    return edit
