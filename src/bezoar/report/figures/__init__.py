"""The pictures, one a file: each a pure function from a saved result to a plotly figure.

``figure_of`` finds the picture of a result by its class's name, so that a result can be drawn from
an earlier room without that room knowing this one. It masks what it draws; the functions themselves
draw texts as they are, and the page masks them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from bezoar.errors import NoFigure, did_you_mean

_PICTURES = {
    "ActivationDrop": "figure_2_activation_drop",
    "BudgetTrace": "budget_trace",
    "Contest": "contest",
    "Contributions": "neuron_groups",
    "Detection": "detection",
    "Drifts": "weight_drifts",
    "ExpertsReport": "experts_figure_3_neurons",
    "EigenChoices": "eigen_choices",
    "EigenGrid": "eigen_grid",
    "EigenSpectrum": "eigen_spectrum",
    "Exploration": "text_lengths",
    "FeatureTable": "sae_interpretability",
    "Found": "search_front",
    "HeadContributions": "head_changes",
    "Interpolation": "interpolation_curve",
    "LayerExperts": "layer_experts",
    "LayersReport": "experts_figure_5_layer_ranks",
    "LengthDistribution": "length_distribution",
    "LensComparison": "figure_1_lens_comparison",
    "LensResult": "lens_curve",
    "LogitAttribution": "logit_parts",
    "ProbeSweep": "probe_map",
    "QualityTable": "sae_quality",
    "ResidualShift": "figure_4_residual_shift",
    "Robustness": "robustness",
    "Scorecard": "comparison",
    "ShiftSources": "figure_5_shift_sources",
    "StatesReport": "toxic_states",
    "Survey": "survey_counts",
    "TokenList": "promoted_tokens",
    "TrainingCurve": "sae_training",
    "TrainingLog": "training_curve",
    "ValueRanking": "value_ranking",
    "ValuesKept": "values_kept",
    "WeightDrift": "weight_change",
}
"""Class name of a result -> module and function of its first picture."""


def figure_of(result: object, *, unmask: bool = False) -> Any:
    """The plotly figure of a result, in the light theme.

    Args:
        result: what a stage returned or saved.
        unmask: draw profanity and slurs in full.

    Raises:
        NoFigure: if no picture is drawn of this kind of result, with those of which one is.
    """
    from plotly.graph_objects import Figure

    from bezoar.report.render import figure_json
    from bezoar.report.theme import template

    kinds = [kind.__name__ for kind in type(result).__mro__]
    name = next((_PICTURES[kind] for kind in kinds if kind in _PICTURES), None)
    if name is None:
        every = f"Pictures are drawn of: {', '.join(sorted(_PICTURES))}."
        near = did_you_mean(kinds[0], _PICTURES) or every
        hint = f"{near} Its numbers are its fields; rich.print shows them as a table."
        raise NoFigure(f"No picture is drawn of a {kinds[0]}.", hint=hint)
    drawn = getattr(import_module(f"{__name__}.{name}"), name)(result)
    return Figure(figure_json(drawn, unmask=unmask)).update_layout(template=template())


__all__ = ["figure_of"]
