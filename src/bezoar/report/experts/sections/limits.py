"""What the study does not say."""

from __future__ import annotations

from bezoar.report.blocks import Section, Text
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import NAME
from bezoar.report.sections.limits import limits as audit_limits

_LIMITS = (
    f"{NAME} studies models of seven billion parameters and more, on 5,000 prompts, with a "
    "classifier of their own. A small model writes and hides toxicity in other ways; signs and "
    "orders can be compared, levels cannot, and a claim that fails here is not refuted there.",
    "Toxic states come from greedy continuations that scorer A calls toxic. Where a model writes "
    "few of these, directions are chosen from few states, and a method that is built on them is "
    "held against nulls at its weakest.",
    "A random choice of directions is a null for which directions are chosen, not for how many: "
    "deleting a quarter of all of them changes any model. Only the contest at equal cost, and "
    "against shrinking everything, says whether toxicity is what was deleted.",
    "Det-0, Damp and AurA are run here as their publications run them in this comparison: on every "
    "unit above one half. Their own authors tune how many; the option top_n does so here, and the "
    "rows at the budget do it by strength.",
    "Clusters are judged by labels that they have not seen, on pooled rows of one kind. Another "
    "pooling, more than two clusters, or another point of the layer may part the texts better.",
    "A detector that is fitted anew says what can be read, not what the model uses. Where an edit "
    "acts behind the last state, most detectors cannot change by construction: for those edits "
    "“detection is kept” is close to a statement about where the edit sits.",
    "TPH adds up two shares with equal weights and punishes a perplexity that falls. It is shown "
    "because the paper ranks by it; nothing here is chosen by it.",
)


def limits(study: Study) -> Section:
    """The study's own limits, then those of every audit."""
    texts = tuple(Text(text) for text in _LIMITS)
    return Section("limits", "Limits", "", (*texts, *audit_limits(study.audit).blocks))
