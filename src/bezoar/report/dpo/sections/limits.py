"""What the study does not say."""

from __future__ import annotations

from bezoar.report.blocks import Section, Text
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.paper import NAME
from bezoar.report.sections.limits import limits as audit_limits

_LIMITS = (
    f"{NAME} study GPT-2 medium, trained on 24,576 PPLM pairs, scored by Perspective. Another "
    "model, other pairs and other scorers are another experiment: signs and orders can be "
    "compared, levels cannot, and a claim that fails here is not refuted there.",
    "One training is one draw. Intervals resample prompts and say nothing about another seed of "
    "the training; run the study with several seeds before a difference between trainings counts.",
    "Pairs are filtered by scorer A, and the model is judged by scorer B. They share no training "
    "rows, but both are classifiers of the same kind of text: what fools both is not seen.",
    "Cosines, lenses and sums describe; the scaled keys, the interpolation and the attacks "
    "intervene. Where they disagree, believe the interventions.",
    "An attack that was not tried has no number here. Robustness is against this grid, at these "
    "budgets.",
)


def limits(study: Study) -> Section:
    """The study's own limits, then those of every audit."""
    texts = tuple(Text(text) for text in _LIMITS)
    return Section("limits", "Limits", "", (*texts, *audit_limits(study.audit).blocks))
