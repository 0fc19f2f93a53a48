"""A model beside its edited or fine-tuned self: what moved, what fell, and what it is due to.

Every function takes ``base`` and ``edited``, the latter an `Edit` of the base or a second
`LanguageModel`. `weight_drift` says how little the weights moved, `lens_comparison` at which layer
the outputs part, `activation_drop` whether toxic neurons fire less, `residual_shift` and
`shift_sources` how many small steps add up, `contributions` and `head_contributions` who made the
change, as sums that are exact, and `interpolation` what lies between and beyond the two.
"""

from bezoar.compare.models.activations import ActivationDrop, NeuronDrop, activation_drop
from bezoar.compare.models.contribution_results import (
    Contributions,
    CurvePoint,
    GroupChange,
    LayerChange,
    NeuronChange,
)
from bezoar.compare.models.contributions import contributions
from bezoar.compare.models.drift import EnergyShare, TensorDrift, WeightDrift, weight_drift
from bezoar.compare.models.heads import (
    AttentionChange,
    HeadChange,
    HeadContributions,
    head_contributions,
)
from bezoar.compare.models.interpolation import (
    Interpolation,
    InterpolationPoint,
    interpolation,
)
from bezoar.compare.models.lens import (
    LensComparison,
    LensStep,
    eliciting_prompts,
    lens_comparison,
)
from bezoar.compare.models.parameters import parameter_pairs, scaled_edit, weight_differences
from bezoar.compare.models.shift import ResidualShift, ShiftedPoint, residual_shift
from bezoar.compare.models.side import Side, check_comparable, sides_of
from bezoar.compare.models.sources import Histogram, ShiftSources, SourceLayer, shift_sources

__all__ = [
    "ActivationDrop",
    "AttentionChange",
    "Contributions",
    "CurvePoint",
    "EnergyShare",
    "GroupChange",
    "HeadChange",
    "HeadContributions",
    "Histogram",
    "Interpolation",
    "InterpolationPoint",
    "LayerChange",
    "LensComparison",
    "LensStep",
    "NeuronChange",
    "NeuronDrop",
    "ResidualShift",
    "ShiftSources",
    "ShiftedPoint",
    "Side",
    "SourceLayer",
    "TensorDrift",
    "WeightDrift",
    "activation_drop",
    "check_comparable",
    "contributions",
    "eliciting_prompts",
    "head_contributions",
    "interpolation",
    "lens_comparison",
    "parameter_pairs",
    "residual_shift",
    "scaled_edit",
    "shift_sources",
    "sides_of",
    "weight_differences",
    "weight_drift",
]
