"""Training: what the loss counts, when it stops, and how PPLM takes its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
from recipes.modes.bench import Bench, Numbers
from recipes.modes.measuring import by_window
from recipes.modes.rows import computed, row, sampled

from bezoar.mitigate.preference import Trained, TrainingLog
from bezoar.pairs import PPLM, fit_attribute, pplm
from bezoar.scoring import score_texts

GROUP = "Making pairs and training"
PPLM_PROMPTS = 32
RECIPE: dict[str, Any] = {
    "lr": 1e-4,
    "optimiser": "adamw",
    "batch_pairs": 16,
    "warmup": 20,
    "epochs": 4,
    "eval_every": 48,
    "patience": 30,
}
"""Hard on a small model, and long: so that a difference in the loss has room to show, and patience
to matter. What `dpo` does by default is far milder."""


def training(bench: Bench, ours: Trained) -> list[Numbers]:
    """The rows of this group.

    Args:
        bench: at work.
        ours: DPO in mode "correct", by `RECIPE`.
    """
    return [*mask(bench, ours), *patience(ours.log), *gradients(bench)]


def mask(bench: Bench, ours: Trained) -> list[Numbers]:
    """What fills up the shorter side (`TokenPairs.filler`) counts in the released code's loss."""
    theirs = bench.trained(mode="code", **RECIPE)
    differs = "a token that fills up the shorter side counts in DPO's loss"
    edits = ours.edit, theirs.edit
    moved = ours.log.relative, theirs.log.relative
    return [
        row("mask-toxicity", GROUP, differs, "toxicity after DPO",
            sampled(*(bench.toxicity(edit) for edit in edits))),
        row("mask-perplexity", GROUP, differs, "perplexity after DPO",
            by_window(*(bench.perplexity(edit) for edit in edits))),
        row("mask-weights", GROUP, differs, "‖ΔW‖ / ‖W‖", computed(*moved)),
    ]  # fmt: skip


def patience(log: TrainingLog) -> list[Numbers]:
    """One training with the larger patience tells what the smaller one would have kept."""
    (first, at), (second, later) = (kept(log, n) for n in (10, 30))
    differs = "30 validations without progress are waited for, not 10"
    measures = "validation loss of the kept state", "steps until training stops"
    return [
        row("patience-loss", GROUP, differs, measures[0], computed(first, second)),
        row("patience-steps", GROUP, differs, measures[1], computed(at, later)),
    ]


def kept(log: TrainingLog, patience: int) -> tuple[float, float]:
    """The lowest validation loss before patience is lost, and the step at which that is."""
    best, waited = log.validation[0].loss, 0
    for point in log.validation[1:]:
        waited = 0 if point.loss < best else waited + 1
        best = min(best, point.loss)
        if waited == patience:
            return best, float(point.step)
    return best, float(log.validation[-1].step)


def gradients(bench: Bench) -> list[Numbers]:
    """PPLM by the gradient of its formula, and by that of the released program."""
    prompts = bench.pairs.prompts[: bench.n(PPLM_PROMPTS)]
    probe = fit_attribute(bench.lm, bench.corpus)
    written = [pplm(bench.lm, prompts, probe, PPLM(mode=m)).text for m in ("correct", "code")]
    columns = (np.asarray(score_texts(bench.report, list(texts))["toxicity"]) for texts in written)
    differs = "the state ahead stands on the unperturbed past, the present passes no gradient"
    return [row("pplm", GROUP, differs, "toxicity of the rejected side", sampled(*columns))]
