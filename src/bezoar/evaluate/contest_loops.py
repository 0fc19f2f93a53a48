"""The compiled loop behind `resampled`. Imported where first needed: numba starts slowly."""

from __future__ import annotations

from typing import Any, no_type_check

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
@no_type_check  # numba compiles the function, not a checked wrapper
def measure(
    counts: Any,
    order: Any,
    last: Any,
    y: Any,
    flagged: Any,
    p: Any,
    bins: Any,
    max_fpr: Any,
    out: Any,
) -> None:
    """Six metrics of each resample, one pass over the rows by falling score.

    Args:
        counts: [resamples n] how often a row is drawn.
        order: [n] rows by falling score.
        last: [n] by place in that order: whether the next score is another.
        y: [n] 0/1 by row.
        flagged: [n] whether the score is at the threshold or above, by row.
        p: [n] probabilities by row.
        bins: of the calibration error.
        max_fpr: of the true positive rate.
        out: [resamples 6] AUROC, average precision, F1, balanced accuracy, TPR, calibration error.
    """
    n = len(order)
    gap = np.zeros(bins)
    for r in range(len(counts)):
        positives = 0.0
        negatives = 0.0
        hit = 0.0
        alarm = 0.0
        gap[:] = 0.0
        for i in range(n):
            c = counts[r, i]
            if c == 0:
                continue
            if y[i]:
                positives += c
                if flagged[i]:
                    hit += c
            else:
                negatives += c
                if flagged[i]:
                    alarm += c
            gap[min(int(p[i] * bins), bins - 1)] += c * (p[i] - y[i])
        if positives == 0 or negatives == 0:
            out[r, :] = np.nan
            continue
        tp = 0.0
        fp = 0.0
        old_tp = 0.0
        old_fp = 0.0
        area = 0.0
        precision = 0.0
        best = 0.0
        allowed = max_fpr * negatives + 1e-12 * negatives
        for place in range(n):
            i = order[place]
            if y[i]:
                tp += counts[r, i]
            else:
                fp += counts[r, i]
            if last[place]:
                area += (fp - old_fp) * (tp + old_tp) / 2
                if tp > old_tp:
                    precision += (tp - old_tp) * tp / (tp + fp)
                if fp <= allowed:
                    best = tp
                old_tp = tp
                old_fp = fp
        out[r, 0] = area / (positives * negatives)
        out[r, 1] = precision / positives
        out[r, 2] = 2 * hit / (hit + alarm + positives)
        out[r, 3] = (hit / positives + 1 - alarm / negatives) / 2
        out[r, 4] = best / positives
        out[r, 5] = np.abs(gap).sum() / (positives + negatives)
