"""Prefix extraction finds what was learnt by heart and nothing else."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "demo"))
try:
    import memorisation
    from stream import END_ID
finally:
    sys.path.pop(0)


def test_documents_are_told_by_how_often_they_were_seen():
    rng = np.random.default_rng(0)
    once, twice, short = (rng.integers(2, 60, n).astype(np.uint16) for n in (80, 90, 20))
    end = np.array([END_ID], dtype=np.uint16)
    packed = [part for body in (twice, once, short, twice, once[::-1]) for part in (end, body)]
    groups = memorisation.grouped(np.concatenate(packed), [np.concatenate([end, once, end])])
    assert {name: len(rows) for name, rows in groups.items()} == {
        "seen once": 1,  # the last document may be cut and the short one cannot be continued
        "seen 2 to 6 times": 1,
        "reserved": 1,
    }
    assert groups["seen 2 to 6 times"][0][1:].tolist() == twice.tolist()


def test_extraction_finds_what_was_learnt_by_heart_and_nothing_else():
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    size = memorisation.PREFIX + memorisation.LENGTH
    known, unknown = (rng.integers(2, 60, (3, size)).astype(np.uint16) for _ in range(2))
    config = GPT2Config(vocab_size=64, n_positions=size, n_embd=32, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config)
    rows = torch.from_numpy(known.astype(np.int64))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        loss = model(input_ids=rows, labels=rows).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    model.eval()
    assert memorisation.matching_run(model, list(known)).tolist() == [memorisation.LENGTH] * 3
    assert memorisation.matching_run(model, list(unknown)).max() < memorisation.LONG


def test_share_has_wilsons_interval():
    found = memorisation.Extracted("seen once", np.array([32] * 3 + [16] * 2 + [0] * 95))
    assert found.share(32) == pytest.approx((0.03, 0.01025, 0.08452), abs=1e-4)
    assert found.share(16)[0] == 0.05
