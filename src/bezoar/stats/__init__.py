"""How sure may one be? Intervals, nulls, corrections and splits; no model is needed here.

Numbers come with an :class:`Interval` (bootstrap by prompt, or DeLong for AUROC), are measured
against nulls that could have won, and are taken on rows that nothing was fitted to (splits by
hash, near duplicates found).
"""

from bezoar.stats.bootstrap import (
    bootstrap_samples,
    mean_interval,
    paired_difference,
    paired_ratio,
    pooled_null_difference,
)
from bezoar.stats.classification import (
    auroc,
    auroc_interval,
    average_precision,
    balanced_accuracy,
    brier,
    calibration_error,
    classification_intervals,
    majority_rate,
    paired_auroc_difference,
    tpr_at_fpr,
)
from bezoar.stats.columns import Separation, separate_columns
from bezoar.stats.comparisons import benjamini_hochberg, holm
from bezoar.stats.duplicates import NearDuplicates, near_duplicates, near_groups, shared_runs
from bezoar.stats.intervals import Interval
from bezoar.stats.matching import bands, matched_rows
from bezoar.stats.nulls import (
    FEWEST_DRAWS,
    null_p_value,
    random_directions,
    shuffled_labels,
    sign_flip_p_value,
    sign_flip_p_values,
)
from bezoar.stats.placements import Placements, auroc_samples
from bezoar.stats.ranks import auroc_of_ranks, doubled_ranks, sortable_columns
from bezoar.stats.splits import (
    grouped_folds,
    hash_halves,
    hash_split,
    is_reserved,
    joint_groups,
    normalise,
    text_key,
    unit_hash,
)

__all__ = [
    "FEWEST_DRAWS",
    "Interval",
    "NearDuplicates",
    "Placements",
    "Separation",
    "auroc",
    "auroc_interval",
    "auroc_of_ranks",
    "auroc_samples",
    "average_precision",
    "balanced_accuracy",
    "bands",
    "benjamini_hochberg",
    "bootstrap_samples",
    "brier",
    "calibration_error",
    "classification_intervals",
    "doubled_ranks",
    "grouped_folds",
    "hash_halves",
    "hash_split",
    "holm",
    "is_reserved",
    "joint_groups",
    "majority_rate",
    "matched_rows",
    "mean_interval",
    "near_duplicates",
    "near_groups",
    "normalise",
    "null_p_value",
    "paired_auroc_difference",
    "paired_difference",
    "paired_ratio",
    "pooled_null_difference",
    "random_directions",
    "separate_columns",
    "shared_runs",
    "shuffled_labels",
    "sign_flip_p_value",
    "sign_flip_p_values",
    "sortable_columns",
    "text_key",
    "tpr_at_fpr",
    "unit_hash",
]
