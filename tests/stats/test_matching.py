"""Matched rows differ in their label and not in what they are matched on."""

from __future__ import annotations

import numpy as np

from bezoar.stats import auroc
from bezoar.stats.matching import bands, matched_rows


def test_matching_takes_away_what_the_length_tells():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 4_000)
    lengths = np.clip(rng.lognormal(3.5 - 0.6 * labels, 0.7), 1, 128).astype(int)
    assert auroc(lengths, labels) < 0.35
    strata = bands(lengths)
    rows = matched_rows(strata, labels)
    assert abs(auroc(lengths[rows], labels[rows]) - 0.5) < 0.005
    assert (np.diff(rows) > 0).all()
    for stratum in np.unique(strata):
        counts = np.bincount(labels[strata == stratum], minlength=2)
        kept = np.bincount(labels[rows][strata[rows] == stratum], minlength=2)
        assert kept.tolist() == [counts.min()] * 2  # as many as can be


def test_a_band_is_as_wide_as_it_is_said_to_be():
    lengths = np.arange(1, 2_000)
    found = bands(lengths)
    assert (np.diff(found) >= 0).all()
    assert len(np.unique(found[:20])) == 20  # short lengths stay apart
    for band in np.unique(found):
        some = lengths[found == band]
        assert some.max() / some.min() < 1.06


def test_nothing_matches_nothing():
    assert matched_rows(np.array([1, 1, 2, 2]), [0, 0, 1, 1]).tolist() == []
