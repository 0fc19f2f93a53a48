"""Detection is not generation: does what stops a model from writing it also blind the model to it?

Each edit is held against the unedited model as a *reader* of labelled texts. Detectors look at the
states of the residual stream, at what the unembedding reads, and, through the logits, at what comes
out of the model; those that are fitted are fitted anew on every edited model, for what counts is
what can still be read, not whether an old probe reads it. A detector whose features do not change
with the edit, or are only shifted and scaled alike in all texts, cannot lose anything: it is marked
as an identity, and says nothing for the edit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.activations import plan_batches
from bezoar.activations.pooling import Pooling, pool
from bezoar.corpus import Corpus
from bezoar.edits import Edit, NoOp
from bezoar.evaluate.cost import everywhere
from bezoar.evaluate.detection_results import DetectorScore
from bezoar.locate import LinearProbe
from bezoar.models import Batch, LanguageModel, Site
from bezoar.models.capture import Recorder
from bezoar.models.trace import first_tensor
from bezoar.runs.progress import SILENT, Progress
from bezoar.stats import Interval, auroc_interval, paired_auroc_difference

UNMOVED = "what it reads does not change"
SHIFTED = "what it reads is shifted and scaled alike in all texts, and AUROC does not see that"

_STEADY = 1e-4  # of a feature's spread: a smaller change is rounding,
_ROUNDING = 1e-6  # or of its size, where it hardly varies
_FLOOR = -30.0  # of a log-probability; a banned word has none
_LOGITS = 2**26  # numbers held at once


class DetectionMeter:
    """Measures edits as readers of the same texts.

    Args:
        lm: the unedited model, with an unembedding.
        train: labelled texts that probes are fitted on.
        test: labelled texts that AUROC is taken on.
        site: where the probe reads.
        telling: tokens of the words that give the behaviour away ("says").
        tokens: tokens whose log-probabilities a probe reads ("logits").
        pooling: over the tokens of a text.
        max_tokens: texts are cut there.
        progress: where to show it.

    Raises:
        ModelError: if the model has no unembedding.
        DataError: if one of the corpora lacks a label.
    """

    def __init__(
        self,
        lm: LanguageModel,
        train: Corpus,
        test: Corpus,
        *,
        site: str | Site,
        telling: Sequence[int],
        tokens: Sequence[int],
        pooling: Pooling = "mean",
        max_tokens: int = 128,
        progress: Progress | None = None,
    ) -> None:
        lm.require_unembedding()
        train.need_both_labels()
        test.need_both_labels()
        self._lm, self._pooling, self._progress = lm, pooling, progress
        self._ids = lm.encode([*train.texts, *test.texts], max_tokens)
        self._n, self._y, self._test = len(train), train.labels, test.labels
        self.site = lm.site(site)
        self._unembed_in = lm.site(Site(None, "unembed_in"))
        self._telling = torch.tensor(list(telling), device=lm.device)
        self._tokens = torch.tensor(list(tokens), device=lm.device)
        self._rows = self._features(NoOp())
        self._probe = self._fitted(self._rows["probe"])
        self._scores = {name: self._score(name, rows) for name, rows in self._rows.items()}

    def base(self) -> dict[str, Interval]:
        """AUROC of every detector on the unedited model."""
        return {
            name: auroc_interval(scores, self._test)
            for name, scores in self._scores.items()
            if name != "unembed_edited"
        }

    def measure(self, edit: Edit) -> tuple[DetectorScore, ...]:
        """Every detector on the edited model; "unembed_edited" only where the edit acts there."""
        rows = self._features(everywhere(edit))
        if _still(rows["unembed_edited"] - rows["unembed_in"], rows["unembed_in"]):
            del rows["unembed_edited"]
        return tuple(self._held(name, found) for name, found in rows.items())

    def _held(self, name: str, rows: Float[np.ndarray, "n d"]) -> DetectorScore:
        scores, base = self._score(name, rows), self._scores[name]
        why = unmoved(self._rows[name], rows)
        return DetectorScore(
            detector=name,
            auroc=auroc_interval(scores, self._test),
            change=paired_auroc_difference(scores, base, self._test),
            identity=bool(why),
            why=why,
        )

    def _score(self, name: str, rows: Float[np.ndarray, "n d"]) -> np.ndarray:
        if name == "says":
            return _rounded(rows[self._n :, 0], self._rows[name])
        probe = self._probe if name == "frozen" else self._fitted(rows)
        decisions = probe.decision_function(rows[self._n :])
        return _rounded(decisions, probe.decision_function(self._rows[name]))

    def _fitted(self, rows: Float[np.ndarray, "n d"]) -> LinearProbe:
        probe = LinearProbe(site=str(self.site), pooling=self._pooling)
        probe.fit(rows[: self._n], self._y)
        return probe

    # Reading

    def _features(self, edit: Edit) -> dict[str, Float[np.ndarray, "n d"]]:
        """What each detector reads of each text, training texts first."""
        parts: dict[str, list[Tensor]] = {}
        budget = max(256, min(4096, _LOGITS // self._lm.d_vocab))
        plan = plan_batches([max(len(ids), 1) for ids in self._ids], budget)
        task = (self._progress or SILENT).task("Reading texts", len(self._ids), unit="texts")
        with edit.applied_to(self._lm), task as advance:
            for chosen in plan:
                batch = self._lm.batch([self._ids[i] or [self._lm.start_id] for i in chosen])
                for name, pooled in self._read(batch).items():
                    parts.setdefault(name, []).append(pooled.cpu())
                advance(len(chosen))
        back = np.argsort(plan.order)
        rows = {name: torch.cat(found).numpy()[back] for name, found in parts.items()}
        return rows | {"frozen": rows["probe"]}

    @torch.no_grad()
    def _read(self, batch: Batch) -> dict[str, Float[Tensor, "batch d"]]:
        """One forward pass, read at all places."""
        mask = batch.attention_mask.bool()
        sites = list(dict.fromkeys((self.site, self._unembed_in)))
        shape = (mask.shape[0], mask.shape[1])
        recorder = Recorder(self._lm.anatomy, sites, stop=False)
        with _before(self._lm, self._unembed_in) as entered, recorder.listening(shape) as seen:
            logits = self._lm.logits(batch)
        total = logits.logsumexp(-1, keepdim=True).float()
        said = logits[..., self._telling].float()
        values = {
            "probe": seen[self.site],
            "unembed_in": entered[0].reshape(*shape, -1),
            "unembed_edited": seen[self._unembed_in],
            "logits": (logits[..., self._tokens] - total).clamp_min(_FLOOR),
            "says": (said.logsumexp(-1, keepdim=True) - total).clamp_min(_FLOOR),
        }
        return {name: pool(value, mask, self._pooling) for name, value in values.items()}


def unmoved(base: Float[np.ndarray, "n d"], edited: Float[np.ndarray, "n d"]) -> str:
    """Why a linear detector of these features, fitted anew or not, cannot change; "" if it can."""
    if _still(edited - base, base):
        return UNMOVED
    x, y = base - base.mean(0), edited - edited.mean(0)
    scale = float((x * y).sum() / max(float((x * x).sum()), 1e-30))
    return SHIFTED if scale > 0 and _still(y - scale * x, base, edited) else ""


def _rounded(scores: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Scores to a little of their usual spread and of their size: where an edit leaves nothing of
    what a detector reads, the rounding errors that are left must not rank the texts."""
    step = 1e-5 * float(np.std(like)) + 3e-6 * float(np.abs(scores).max()) or 1.0
    return np.round(np.asarray(scores, dtype=np.float64) / step) * step


def _still(moved: Float[np.ndarray, "n d"], *of: Float[np.ndarray, "n d"]) -> bool:
    """Whether no column moved by more than a little of its own spread, and its own rounding.

    Columns differ in size by orders of magnitude: beside the few that are large in every language
    model, the rest could change at will.
    """
    rounding = _ROUNDING * np.max([np.abs(rows).max(0) for rows in of], axis=0)
    return bool((np.abs(moved).max(0) <= _STEADY * of[0].std(0) + rounding).all())


@contextmanager
def _before(lm: LanguageModel, site: Site) -> Iterator[list[Tensor]]:
    """What enters a module, before any hook of an edit changes it."""
    seen: list[Tensor] = []

    def keep(_: Any, args: Any, kwargs: Any) -> None:
        value = first_tensor((args, kwargs))
        if value is not None:
            seen.append(value.detach().clone())

    module = lm.anatomy.hook_point(site).module
    handle = module.register_forward_pre_hook(keep, with_kwargs=True, prepend=True)
    try:
        yield seen
    finally:
        handle.remove()
