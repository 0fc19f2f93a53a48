"""The price of an edit, and how it is taken for edits that act at the last position only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.edits import ActivationEdit, Add, At, Composed, Edit, Op, stream_site
from bezoar.models import LanguageModel, Site
from bezoar.scoring import PerplexityResult, Windows, perplexity, plan_windows
from bezoar.scoring.likelihood import FinalStates
from bezoar.scoring.perplexity import summarise

UNEMBED_IN = Site(None, "unembed_in")
_KEPT_BYTES = 512 * 2**20


class PerplexityMeter:
    """Perplexity of one text under many edits.

    An edit that only shifts the last residual (a subtraction at the last layer), or acts on what
    the unembedding reads, leaves everything before it alone: the last residuals are read once, and
    only the unembedding is run again.

    Args:
        lm: the model; make the meter outside of any edit.
        windows: neutral text, as `plan_windows` cuts it.
    """

    def __init__(self, lm: LanguageModel, windows: Windows) -> None:
        self._lm, self._windows = lm, windows
        self._states: FinalStates | None = None
        tokens = sum(map(len, windows.ids))
        self._keeps = lm.has_unembedding and 4 * tokens * lm.d_model <= _KEPT_BYTES

    def measure(self, edit: Edit | None) -> PerplexityResult:
        """Perplexity of the edited (None: bare) model; see `everywhere` for positions."""
        if edit is None:
            return perplexity(self._lm, self._windows)
        end = at_the_end(self._lm, edit) if self._keeps else None
        if end is None:
            with everywhere(edit).applied_to(self._lm):
                return perplexity(self._lm, self._windows)
        if self._states is None:
            self._states = FinalStates(self._lm, self._windows.ids)
        return summarise(self._windows, self._states.token_nll(*end))


def at_the_end(
    lm: LanguageModel, edit: Edit
) -> tuple[Float[Tensor, " d_model"], Callable[[Tensor], Tensor]] | None:
    """The constant that an edit adds to the last residual and what it does to the unembedding's
    input, if that is all it does."""
    if not isinstance(edit, ActivationEdit):
        return None
    last = Site(lm.n_layers - 1, "resid_post")
    total = torch.zeros(lm.d_model)
    ops: list[Op] = []
    for at in edit.resolved(lm):
        if at.site == UNEMBED_IN:
            ops.append(at.op)
        elif isinstance(at.op, Add) and stream_site(lm, at.site) == last:
            total += at.op.vector
        else:
            return None

    def read(states: Tensor) -> Tensor:
        for op in ops:
            states = op.to(states.device, states.dtype).apply(states)
        return states

    return total, read


class PerplexityCost:
    """The price of an edit for a budget: perplexity edited / base − 1 (0.05 is "+5 %").

    Give it neutral text of the *selection* half: what is reported is measured on the other.
    """

    def __init__(
        self, lm: LanguageModel, neutral: Sequence[str], protocol: str = "ppl-windows-1024"
    ) -> None:
        self._meter = PerplexityMeter(lm, plan_windows(lm, neutral, protocol))
        self.base = self._meter.measure(None)

    def __call__(self, edit: Edit) -> float:
        return self._meter.measure(edit).value / self.base.value - 1


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
