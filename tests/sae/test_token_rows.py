"""Rows of whole texts: from a store and from the model they are the same, and aligned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bezoar.activations import harvest, tokenise
from bezoar.errors import DataError, ModelError, SAEError, StoreError
from bezoar.sae.reading import read_codes
from bezoar.sae.token_rows import RecomputedTokens, StoredTokens, TokenRows, subtable, tokens_of
from tests.sae.material import random_sae
from tests.sae.reading_kit import MemoryTokens, at_site

TEXTS = [
    "the good man is a fool",
    "you",
    "I know this house and that tree by the river very well, so it is " * 3,
    "night and day",
    "a stupid rotten idiot!",
]


@pytest.fixture(scope="module")
def both(gpt2):
    table = tokenise(gpt2, TEXTS, 24)
    store = harvest(gpt2, table, ["1.resid_post", "0.mlp_out"], pooling="none")
    site = gpt2.site("1.resid_post")
    return table, store, StoredTokens(store, site), RecomputedTokens(gpt2, table, site)


def whole(source, texts=None, rows=8192):
    found = {}
    for block in source.blocks(texts, rows):
        assert block.lengths.sum() == len(block.ids) == len(block.rows)
        ends = np.cumsum(block.lengths)
        for text, end, length in zip(block.texts, ends, block.lengths, strict=True):
            found[int(text)] = block.ids[end - length : end], block.rows[end - length : end]
    return found


@pytest.mark.parametrize("texts", [None, [4, 0, 2]])
@pytest.mark.parametrize("rows", [5, 8192])
def test_store_and_model_give_the_same_rows_of_the_same_tokens(both, texts, rows):
    table, _, stored, recomputed = both
    a, b = whole(stored, texts, rows), whole(recomputed, texts, rows)
    assert sorted(a) == sorted(b) == sorted(range(5) if texts is None else texts)
    for text, (ids, values) in a.items():
        assert ids.tolist() == b[text][0].tolist() == table.rows([text])[0]
        torch.testing.assert_close(values, b[text][1], rtol=1e-4, atol=1e-5)


def test_a_long_text_is_cut_for_rows_and_tokens_alike(both):
    table, _, stored, _ = both
    ids, rows = whole(stored)[2]
    assert len(ids) == len(rows) == 24 == table.lengths[2]


def test_blocks_hold_whole_texts_of_no_more_rows_than_asked(both):
    stored = both[2]
    sizes = [len(block.ids) for block in stored.blocks(None, 12)]
    assert sum(sizes) == len(stored.ids)
    assert all(size <= 12 or size == 24 for size in sizes)


def test_a_subtable_has_its_texts_tokens(both):
    table = both[0]
    some = subtable(table, np.array([3, 1]))
    assert some.rows([0, 1]) == table.rows([3, 1])


def test_pooled_stores_other_sites_and_unknown_texts_are_refused(gpt2, both):
    _, store, stored, _ = both
    assert isinstance(stored, TokenRows)
    assert isinstance(MemoryTokens(), TokenRows)
    with pytest.raises(StoreError, match="pooled by 'mean'"):
        StoredTokens(harvest(gpt2, TEXTS, ["1.resid_post"]), "1.resid_post")
    with pytest.raises(StoreError, match=r"does not hold 2\.resid_post"):
        StoredTokens(store, "2.resid_post")
    for wrong, told in (([5], "5 to 5 of 5"), ([], "none of 5"), ([1, 1], "named twice")):
        with pytest.raises(DataError, match=told):
            next(stored.blocks(wrong))


def test_an_autoencoder_reads_its_own_site_of_its_own_model(gpt2, tmp_path):
    kept = harvest(gpt2, TEXTS, ["1.resid_post"], pooling="none", out=tmp_path / "kept")
    sae = at_site(random_sae(d=32))
    assert tokens_of(sae, kept).site == gpt2.site("1.resid_post")
    for told, wrong in (
        ("names no site", {"site": "somewhere"}),
        ("is of another model, and the store is of tiny-gpt2", {"fingerprint": "other"}),
    ):
        other = at_site(random_sae(d=32))
        other.info = replace(other.info, **wrong)
        with pytest.raises(SAEError, match=told):
            tokens_of(other, kept)
    sae.info = replace(sae.info, fingerprint=gpt2.fingerprint)
    assert tokens_of(sae, kept).d == 32
    memory = MemoryTokens()
    assert tokens_of(sae, memory) is memory


def test_rows_that_are_not_finite_are_refused():
    tokens = MemoryTokens()
    tokens.rows[3, 2] = torch.nan
    with pytest.raises(ModelError, match="NaN or infinite"):
        read_codes(random_sae(), tokens, [])
