"""Rows to train on: each once an epoch, in an order that only seed and epoch decide."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import (
    ActivationStore,
    InMemoryRows,
    RowSource,
    StoredRows,
    batches_an_epoch,
    harvest,
    rows,
    writer,
)
from bezoar.errors import ConfigError, DataError, ModelError, StoreError
from tests.activations.corpora import texts
from tests.families import tiny_model

SITE = "1.resid_post"
TEXTS = texts(60)


@pytest.fixture(scope="module")
def store(gpt2, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "SHARD_TOKENS", 64)
        folder = tmp_path_factory.mktemp("rows")
        return harvest(gpt2, TEXTS, ["0.mlp_out", SITE], pooling="none", out=folder)


@pytest.fixture(params=["stored", "in small groups", "chosen", "memory"])
def source(request, store, monkeypatch):
    """A way to the rows; those of the model itself are in `test_recompute`."""
    if request.param == "in small groups":
        monkeypatch.setattr(rows, "BLOCK_BYTES", 3 * 2 * store.manifest.widths[1])
        monkeypatch.setattr(rows, "GROUP_BYTES", 50 * 2 * store.manifest.widths[1])
    if request.param == "memory":
        return InMemoryRows(store.rows(SITE), SITE)
    return StoredRows(store, SITE, range(0, 60, 3) if request.param == "chosen" else None)


def drawn(source, batch=1, **more):
    return torch.cat(list(source.batches(batch, **more))).numpy()


def in_order(values):
    return values[np.lexsort(values.T)]


def wanted(source, store):
    """All rows that the source should have."""
    if isinstance(source, InMemoryRows) or source.n_rows == len(store):
        return store.rows(SITE)
    return np.concatenate([store.of_text(SITE, text) for text in range(0, 60, 3)])


def test_an_epoch_has_every_row_once(source, store):
    assert isinstance(source, RowSource)
    expected = wanted(source, store)
    assert (source.n_rows, source.d) == expected.shape
    assert str(source.site) == SITE
    np.testing.assert_array_equal(in_order(drawn(source, epoch=3)), in_order(expected))


def test_the_order_is_of_seed_and_epoch(source):
    first = drawn(source, 7, epoch=1, seed=2)
    np.testing.assert_array_equal(first, drawn(source, 7, epoch=1, seed=2))
    for other in (drawn(source, 7, epoch=2, seed=2), drawn(source, 7, epoch=1, seed=3)):
        assert first.shape == other.shape
        assert not np.array_equal(first, other)


@pytest.mark.parametrize("batch", [7, 64, 100])
def test_starting_later_passes_over_what_came_before(source, batch):
    whole = list(source.batches(batch, epoch=1))
    assert len(whole) == batches_an_epoch(source.n_rows, batch) == max(1, source.n_rows // batch)
    for start in (1, 2, len(whole)):
        rest = list(source.batches(batch, epoch=1, start=start))
        assert len(rest) == max(0, len(whole) - start)
        for one, other in zip(rest, whole[start:], strict=True):
            assert torch.equal(one, other)


def test_a_batch_is_of_float32_and_of_its_size(source):
    for one in source.batches(8):
        assert one.dtype == torch.float32
        assert one.shape == (8, source.d)


def test_too_few_rows_for_a_batch_are_one_short_batch(source):
    (only,) = source.batches(source.n_rows + 5)
    assert only.shape == (source.n_rows, source.d)


def test_starting_later_reads_nothing_of_what_came_before(store, monkeypatch):
    read = []
    monkeypatch.setattr(
        ActivationStore,
        "as_stored",
        lambda self, site, places: read.append(len(places)) or np.zeros((len(places), 1), "f4"),
    )
    list(StoredRows(store, SITE).batches(10, start=3))
    assert sum(read) == (len(store) // 10 - 3) * 10


def test_rows_of_a_batch_come_from_all_over_the_store(store, monkeypatch):
    """Neighbours in the store are of one text, or of texts of one length."""
    monkeypatch.setattr(rows, "BLOCK_BYTES", 4 * 2 * store.manifest.widths[1])
    monkeypatch.setattr(rows, "GROUP_BYTES", 150 * 2 * store.manifest.widths[1])
    seen = []
    monkeypatch.setattr(
        ActivationStore,
        "as_stored",
        lambda self, site, places: seen.append(places) or np.zeros((len(places), 1), "f4"),
    )
    list(StoredRows(store, SITE).batches(50))
    spread = [batch.std() / np.arange(len(store)).std() for batch in seen]
    assert min(spread) > 0.5
    steps = np.concatenate([np.diff(batch) for batch in seen])
    assert np.mean(steps == 1) < 0.1


@pytest.mark.parametrize("chosen", [None, range(0, 60, 3)])
def test_the_first_rows_of_each_text_can_be_left_out(store, chosen):
    source = StoredRows(store, SITE, chosen, skip_first=2)
    left = [store.of_text(SITE, text)[2:] for text in (range(60) if chosen is None else chosen)]
    assert any(len(rows) == 0 for rows in left)  # a text that has no others
    np.testing.assert_array_equal(in_order(drawn(source)), in_order(np.concatenate(left)))
    assert source.digest != StoredRows(store, SITE, chosen).digest


def test_what_cannot_be_left_out_is_refused(store, gpt2):
    with pytest.raises(DataError, match=r"There is no row of 1\.resid_post"):
        StoredRows(store, SITE, skip_first=10_000)
    pooled = harvest(gpt2, TEXTS, [SITE], pooling="mean")
    with pytest.raises(StoreError, match="is pooled by 'mean'"):
        StoredRows(pooled, SITE, skip_first=1)


def test_a_digest_tells_sources_apart(store):
    sources = [
        StoredRows(store, SITE),
        StoredRows(store, "0.mlp_out"),
        StoredRows(store, SITE, [0, 1]),
        StoredRows(store, SITE, [0, 2]),
        InMemoryRows(store.rows(SITE), SITE),
        InMemoryRows(store.rows(SITE) + 1, SITE),
    ]
    assert len({source.digest for source in sources}) == len(sources)
    assert StoredRows(store, SITE).digest == sources[0].digest


def test_a_store_of_another_site_or_model_is_refused(store):
    with pytest.raises(StoreError, match=r"does not hold 0\.resid_post"):
        StoredRows(store, "0.resid_post")
    with pytest.raises(StoreError, match="a model with other weights"):
        store.require(lm=tiny_model("gpt2", seed=1), site=SITE, pooling="none")


def test_what_cannot_be_read_is_refused(store):
    with pytest.raises(DataError, match=r"There is no row of 1\.resid_post"):
        StoredRows(store, SITE, [])
    with pytest.raises(DataError, match="Rows 60 to 60 of a store of 60 rows"):
        StoredRows(store, SITE, [60])
    with pytest.raises(ConfigError, match="Batches of 0 rows"):
        StoredRows(store, SITE).batches(0)
    with pytest.raises(ConfigError, match="epoch -1"):
        StoredRows(store, SITE).batches(1, epoch=-1)


def test_rows_that_are_not_finite_are_refused():
    for bad in (np.nan, np.inf, -np.inf):
        values = np.ones((4, 2), np.float32)
        values[2, 1] = bad
        with pytest.raises(ModelError, match="NaN or infinite"):
            list(InMemoryRows(values, SITE).batches(4))
    large = np.full((4, 2), 3e38, np.float32)  # finite, though the sum of it is not
    assert len(list(InMemoryRows(large, SITE).batches(4))) == 1
