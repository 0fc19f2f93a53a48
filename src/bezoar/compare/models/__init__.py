"""A model beside its edited or fine-tuned self: what moved, what fell, and what it is due to.

Every function takes ``base`` and ``edited``, the latter an `Edit` of the base or a second
`LanguageModel`. `weight_drift` says how little the weights moved, `lens_comparison` at which layer
the outputs part, `activation_drop` whether toxic neurons fire less, `residual_shift` and
`shift_sources` how many small steps add up, `contributions` and `head_contributions` who made the
change, as sums that are exact, `values_kept` that toxic value vectors remain, `interpolation` what
lies between and beyond the two, and `qualitative` what either writes. `compare_all` does it all,
and `verdict` says a sentence of each part.
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
from bezoar.compare.models.drifts import Drifts, DriftSummary, drift_summary
from bezoar.compare.models.everything import PARTS, Skipped, compare_all, load_compared
from bezoar.compare.models.heads import (
    AttentionChange,
    HeadChange,
    HeadContributions,
    head_contributions,
)
from bezoar.compare.models.inputs import CompareInputs, CompareSizes
from bezoar.compare.models.interpolation import (
    Interpolation,
    InterpolationPoint,
    interpolation,
    protocol_measure,
)
from bezoar.compare.models.lens import (
    LensComparison,
    LensStep,
    eliciting_prompts,
    lens_comparison,
    telling_prompts,
)
from bezoar.compare.models.parameters import parameter_pairs, scaled_edit, weight_differences
from bezoar.compare.models.qualitative import (
    Continued,
    Example,
    NextToken,
    Qualitative,
    qualitative,
)
from bezoar.compare.models.shift import (
    ResidualShift,
    ResidualShifts,
    ShiftedPoint,
    residual_shift,
)
from bezoar.compare.models.side import Side, check_comparable, sides_of
from bezoar.compare.models.sources import (
    Histogram,
    ShiftSources,
    SourceLayer,
    SourcesByLayer,
    shift_sources,
)
from bezoar.compare.models.values import KeptValue, ValuesKept, values_kept
from bezoar.compare.models.verdicts import verdict

__all__ = [
    "PARTS",
    "ActivationDrop",
    "AttentionChange",
    "CompareInputs",
    "CompareSizes",
    "Continued",
    "Contributions",
    "CurvePoint",
    "DriftSummary",
    "Drifts",
    "EnergyShare",
    "Example",
    "GroupChange",
    "HeadChange",
    "HeadContributions",
    "Histogram",
    "Interpolation",
    "InterpolationPoint",
    "KeptValue",
    "LayerChange",
    "LensComparison",
    "LensStep",
    "NeuronChange",
    "NeuronDrop",
    "NextToken",
    "Qualitative",
    "ResidualShift",
    "ResidualShifts",
    "ShiftSources",
    "ShiftedPoint",
    "Side",
    "Skipped",
    "SourceLayer",
    "SourcesByLayer",
    "TensorDrift",
    "ValuesKept",
    "WeightDrift",
    "activation_drop",
    "check_comparable",
    "compare_all",
    "contributions",
    "drift_summary",
    "eliciting_prompts",
    "head_contributions",
    "interpolation",
    "lens_comparison",
    "load_compared",
    "parameter_pairs",
    "protocol_measure",
    "qualitative",
    "residual_shift",
    "scaled_edit",
    "shift_sources",
    "sides_of",
    "telling_prompts",
    "values_kept",
    "verdict",
    "weight_differences",
    "weight_drift",
]
