"""Latents of texts, against a loop over texts."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.errors import ConfigError, CorruptArtefact, SAEError
from bezoar.sae.pooled import (
    PooledLatents,
    check_latent_pooling,
    pool_latents,
    pooled_latents,
)
from bezoar.sae.reading import RowMeans, read_codes
from tests.sae.material import SPECS, random_sae
from tests.sae.reading_kit import MemoryTokens, latents_of


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("texts", [None, [6, 0, 3]])
def test_mean_and_max_over_tokens_are_those_of_a_loop(spec, texts):
    sae, tokens = random_sae(spec), MemoryTokens()
    dense = latents_of(sae, tokens)
    chosen = range(len(tokens.lengths)) if texts is None else texts
    rows = [dense[tokens.offsets[i] : tokens.offsets[i + 1]] for i in chosen]
    pooled = pool_latents(sae, tokens, texts)
    assert pooled.mean.toarray() == pytest.approx(np.stack([r.mean(0) for r in rows]), abs=1e-6)
    assert pooled.max.toarray() == pytest.approx(np.stack([r.max(0) for r in rows]), abs=1e-6)
    assert (pooled.mean.indices == pooled.max.indices).all()
    only = pooled_latents(sae, tokens, "max", texts)
    assert (only.toarray() == pooled.max.toarray()).all()
    assert only.dtype == np.float32


def test_what_is_saved_is_what_is_loaded(tmp_path):
    pooled = pool_latents(random_sae(), MemoryTokens())
    pooled.save(tmp_path / "pooled.safetensors")
    back = PooledLatents.load(tmp_path / "pooled.safetensors")
    for kind in ("mean", "max"):
        assert (back.by(kind).toarray() == pooled.by(kind).toarray()).all()
    some = back.take(np.array([3, 1]))
    assert (some.mean.toarray() == pooled.mean.toarray()[[3, 1]]).all()


def test_a_damaged_file_and_an_unknown_pooling_are_refused(tmp_path):
    pooled = pool_latents(random_sae(), MemoryTokens())
    path = tmp_path / "pooled.safetensors"
    pooled.save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CorruptArtefact, match="no pooled latents"):
        PooledLatents.load(path)
    with pytest.raises(CorruptArtefact, match="no pooled latents"):
        PooledLatents.load(tmp_path / "none.safetensors")
    with pytest.raises(ConfigError, match="'median'"):
        check_latent_pooling("median")


def test_rows_of_another_width_are_refused():
    with pytest.raises(SAEError, match="16 dimensions"):
        pool_latents(random_sae(d=8), MemoryTokens())


def test_mean_rows_are_those_of_a_loop():
    tokens = MemoryTokens()
    means = RowMeans(len(tokens.lengths), tokens.d)
    read_codes(random_sae(), tokens, [means], texts=[5, 2])
    for text in (5, 2):
        expected = tokens.of_text(text).numpy().mean(0)
        assert means.means[text] == pytest.approx(expected, abs=1e-6)
    assert not means.means[[0, 1, 3, 4, 6, 7]].any()
