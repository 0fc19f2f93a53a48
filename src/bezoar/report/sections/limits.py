"""9. Methods and limits, in plain words."""

from __future__ import annotations

from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Section, Text

_LIMITS = (
    "Toxicity here is what the scorers call toxicity. They are classifiers with errors and "
    "biases of their own, above all on dialect, reclaimed words and mentions of identities. A "
    "low score does not make a model safe, and implicit hate is scored least well.",
    "The prompts are a sample. The intervals say how far other prompts of the same kind could move "
    "the numbers; they say nothing about other kinds of prompts, longer texts, other decoding, "
    "or someone who tries to bring the behaviour back.",
    "A probe finds where the behaviour can be read, which need not be where it is made. Its rivals "
    "(the embedding layer, the length of the text, a bag of words) and the shuffled labels are "
    "beside it for that reason.",
    "The logit lens and promoted tokens describe directions in the model's vocabulary. They are "
    "aids for reading, not proofs of cause; only an edit, beside its nulls, intervenes.",
    "An edit that folds is stored as ordinary weights and acts wherever the checkpoint is "
    "loaded. A patch acts only where it is applied at run time.",
    "p-values compare a method with null edits of the same norm or cost. With few draws they "
    "cannot be small by rank alone; draws and prompts are then pooled, which speaks of these "
    "draws on other prompts.",
)


def limits(run: Artefacts) -> Section:
    """What the numbers do not say."""
    return Section("limits", "Methods and limits", "", tuple(Text(text) for text in _LIMITS))
