"""What the study does not say."""

from __future__ import annotations

from bezoar.report.blocks import Section, Text
from bezoar.report.sae.artefacts import Study
from bezoar.report.sections.limits import limits as audit_limits

_LIMITS = (
    "A contest is lost by readers, not by ideas: better autoencoders, of more tokens or latents, "
    "may read more. What is compared is what a text's latents and a text's activations tell after "
    "the same pooling and the same kind of classifier.",
    "All texts of a red-team corpus are attacks. A reader that tells one category from the others "
    "knows categories; whether it knows harm is asked only against harmless texts, which differ in "
    "style as well.",
    "Sources and lengths differ by class, so that part of every number may be style. The bars by "
    "source, the readers of length and words, and the sources left out say how much; none of them "
    "removes it. With a source left out of a reader's training, the autoencoder that it reads has "
    "still seen the texts of that source.",
    "Top tokens and top texts are the extremes of a latent. They show what drives it most, not "
    "what it does on the rest, and a card can look convincing for a random direction.",
    "The interpretability score is made of geometry and density alone. Nobody was asked whether a "
    "latent can be understood.",
)


def limits(study: Study) -> Section:
    """The study's own limits, then those of every audit."""
    texts = tuple(Text(text) for text in _LIMITS)
    return Section("limits", "Limits", "", (*texts, *audit_limits(study.audit).blocks))
