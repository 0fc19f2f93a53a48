"""Padding never changes a result: left or right, a batch of one or of many."""

from __future__ import annotations

import pytest
import torch

from tests.models.helpers import TEXTS


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_site(lm, side):
    ids = lm.encode(TEXTS)
    sites = lm.sites((*lm.anatomy.points(), "embed", "unembed_in"))
    batch = lm.batch(ids, side=side)
    assert batch.padded
    together = lm.capture(batch, sites)
    for row, tokens in enumerate(ids):
        alone = lm.capture(lm.batch([tokens]), sites)
        for site in sites:
            assert torch.isfinite(together[site]).all(), site
            real = together[site][row][batch.mask[row]]
            torch.testing.assert_close(real, alone[site][0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_changes_no_logit(lm, side):
    ids = lm.encode(TEXTS)
    batch = lm.batch(ids, side=side)
    logits = lm.logits(batch)
    for row, tokens in enumerate(ids):
        with torch.no_grad():
            plain = lm.model(input_ids=torch.tensor([tokens])).logits[0]
        torch.testing.assert_close(logits[row][batch.mask[row]], plain, atol=1e-4, rtol=1e-4)


def test_more_padding_changes_nothing(lm):
    ids = lm.encode(TEXTS[:2])
    short, long = lm.batch(ids, side="left"), lm.batch(ids, side="left", length=40)
    assert long.input_ids.shape == (2, 40)
    torch.testing.assert_close(
        lm.logits(short)[:, -1], lm.logits(long)[:, -1], atol=1e-4, rtol=1e-4
    )


def test_the_parts_of_a_batch_agree(lm):
    ids = lm.encode(TEXTS)
    for side in ("left", "right"):
        batch = lm.batch(ids, side=side)
        assert batch.lengths.tolist() == [len(row) for row in ids]
        for row, tokens in enumerate(ids):
            assert batch.input_ids[row][batch.mask[row]].tolist() == tokens
            assert batch.position_ids[row][batch.mask[row]].tolist() == list(range(len(tokens)))
