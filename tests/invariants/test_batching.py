"""Invariant 8: batches under a token budget give exactly what each text gives alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import harvest, plan_batches
from tests.scoring.models import SENTENCES, TEXT

TEXTS = [*SENTENCES, TEXT[:200], *(sentence[::-1] for sentence in SENTENCES)]
BUDGET = 64


def test_each_text_is_in_one_batch_and_no_batch_is_over_the_budget(lm) -> None:
    lengths = [len(ids) for ids in lm.encode(TEXTS)]
    batches = [[int(row) for row in batch] for batch in plan_batches(lengths, BUDGET)]
    assert sorted(row for batch in batches for row in batch) == list(range(len(TEXTS)))
    assert any(len(batch) > 1 for batch in batches)
    for batch in batches:
        padded = len(batch) * max(lengths[row] for row in batch)
        assert sum(lengths[row] for row in batch) <= padded
        assert padded <= BUDGET or len(batch) == 1  # a text beyond the budget runs alone


@pytest.mark.parametrize("pooling", ["none", "mean"])
def test_batched_activations_are_those_of_each_text_alone_in_order(lm, pooling: str) -> None:
    sites = [lm.site("1.resid_post"), lm.site("-1.mlp_out")]
    store = harvest(lm, TEXTS, sites, pooling=pooling, budget_tokens=BUDGET)
    for site in sites:
        alone = []
        for ids in lm.encode(TEXTS):
            with torch.no_grad():
                rows = lm.capture(lm.batch([ids]), [site])[site][0].numpy()
            alone.append(rows if pooling == "none" else rows.mean(axis=0, keepdims=True))
        expected = np.concatenate(alone)
        found = np.asarray(store.rows(site))
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
        assert np.abs(expected[1:] - expected[:-1]).max() > 0.01  # another order would be seen
