"""Rows computed when they are read are those of a harvest, in an order of their own."""

from __future__ import annotations

import shutil
from collections import namedtuple

import numpy as np
import pytest
import torch

from bezoar.activations import (
    RecomputedRows,
    RowSource,
    batches_an_epoch,
    choose_rows,
    harvest,
    recompute,
    row_choice,
    rows,
    tokenise,
)
from bezoar.errors import ConfigError, DataError, SiteError
from tests.activations.corpora import texts
from tests.activations.test_rows import drawn, in_order

SITE = "1.resid_post"
TEXTS = texts(40)


@pytest.fixture
def table(gpt2):
    return tokenise(gpt2, TEXTS)


@pytest.fixture(params=[2**28, 4000], ids=["one group", "groups"])
def source(request, gpt2, table, monkeypatch):
    monkeypatch.setattr(rows, "GROUP_BYTES", request.param)
    return RecomputedRows(gpt2, table, SITE)


@pytest.mark.parametrize("chosen", [None, range(0, 40, 3)])
def test_the_first_positions_are_left_out_as_of_a_store(chosen, gpt2, table):
    store = harvest(gpt2, TEXTS, [SITE], pooling="none", dtype="float32")
    stored = drawn(rows.StoredRows(store, SITE, chosen, skip_first=2))
    source = RecomputedRows(gpt2, table, SITE, chosen, skip_first=2)
    np.testing.assert_allclose(in_order(drawn(source)), in_order(stored), atol=1e-4)
    assert source.digest != RecomputedRows(gpt2, table, SITE, chosen).digest
    with pytest.raises(DataError, match=r"There is no row of 1\.resid_post"):
        RecomputedRows(gpt2, table, SITE, chosen, skip_first=10_000)


def test_an_epoch_has_the_rows_of_a_harvest(source, gpt2):
    stored = harvest(gpt2, TEXTS, [SITE], pooling="none").rows(SITE)
    assert isinstance(source, RowSource)
    assert (source.n_rows, source.d) == stored.shape
    mine = drawn(source, 1, epoch=2)
    # Batches of other texts round otherwise, so near values may stand in another order.
    near = np.abs(mine[:, None] - stored[None]).max(-1) < 1e-4
    assert (near.sum(0) == near.sum(1)[near.argmax(0)]).all()
    assert near.any(0).all()
    assert near.any(1).all()
    np.testing.assert_allclose(mine.sum(0), stored.sum(0), atol=1e-2)


def test_the_order_is_of_seed_and_epoch(source):
    first = drawn(source, 7, epoch=1, seed=2)
    np.testing.assert_array_equal(first, drawn(source, 7, epoch=1, seed=2))
    for other in (drawn(source, 7, epoch=2, seed=2), drawn(source, 7, epoch=1, seed=3)):
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("batch", [7, 64])
def test_starting_later_passes_over_what_came_before(source, batch):
    whole = list(source.batches(batch))
    assert len(whole) == batches_an_epoch(source.n_rows, batch)
    for start in (1, len(whole) // 2, len(whole)):
        rest = list(source.batches(batch, start=start))
        for one, other in zip(rest, whole[start:], strict=True):
            assert torch.equal(one, other)


def test_groups_that_are_passed_over_are_not_computed(gpt2, table, monkeypatch):
    monkeypatch.setattr(rows, "GROUP_BYTES", 4000)
    seen = []
    passes = recompute.forward_passes
    monkeypatch.setattr(
        recompute,
        "forward_passes",
        lambda lm, some, *rest: seen.append(len(some.ids)) or passes(lm, some, *rest),
    )
    source = RecomputedRows(gpt2, table, SITE)
    list(source.batches(8))
    assert len(seen) > 4
    assert sum(seen) == source.n_rows
    seen.clear()
    list(source.batches(8, start=source.n_rows // 16))
    assert sum(seen) < 0.75 * source.n_rows


def test_only_the_chosen_texts_are_read(gpt2, table):
    source = RecomputedRows(gpt2, table, SITE, [3, 5])
    stored = harvest(gpt2, [TEXTS[3], TEXTS[5]], [SITE], pooling="none").rows(SITE)
    mine = drawn(source, 1)
    np.testing.assert_allclose(in_order(mine.round(3)), in_order(stored.round(3)), atol=2e-3)
    assert source.digest != RecomputedRows(gpt2, table, SITE, [3, 6]).digest


def test_what_cannot_be_read_is_refused(gpt2, table):
    with pytest.raises(SiteError):
        RecomputedRows(gpt2, table, "99.resid_post")
    with pytest.raises(DataError):
        RecomputedRows(gpt2, [""], SITE)
    with pytest.raises(ConfigError, match="Batches of 0 rows"):
        RecomputedRows(gpt2, table, SITE).batches(0)


def choice(gpt2, table, tmp_path, monkeypatch, *, disk=1e12, free=10**12, **more):
    """A choice between a disk of this speed and size and the model."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(row_choice, "disk_rates", lambda _: (disk, disk))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free, 0, free))
    return choose_rows(gpt2, table, [SITE], folder=tmp_path, **{"readings": 10.0} | more)


def test_the_cheaper_way_is_chosen_and_both_are_told(gpt2, table, tmp_path, monkeypatch):
    fast = choice(gpt2, table, tmp_path, monkeypatch)
    assert fast.cheaper == "disk"
    assert fast.stored_seconds < fast.recomputed_seconds
    assert fast.bytes == len(table.ids) * 2 * gpt2.d_model
    slow = choice(gpt2, table, tmp_path, monkeypatch, disk=10.0)
    assert slow.cheaper == "recompute"
    assert slow.stored_seconds > slow.recomputed_seconds
    assert "stored" in str(slow)
    assert "computed again" in str(slow)


def test_a_full_disk_leaves_no_choice(gpt2, table, tmp_path, monkeypatch):
    full = choice(gpt2, table, tmp_path, monkeypatch, free=1000)
    assert full.cheaper == "recompute"
    assert full.stored_seconds < full.recomputed_seconds
    assert "no room" in str(full)


def test_the_disk_is_measured_where_nothing_is_yet(gpt2, table, tmp_path):
    measured = choose_rows(gpt2, table, [SITE], readings=1.0, folder=tmp_path / "not" / "yet")
    assert measured.rows_per_second > 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="Rows are read 0 times"):
        choose_rows(gpt2, table, [SITE], readings=0.0, folder=tmp_path)
