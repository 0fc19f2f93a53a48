"""Folders against SAELens itself, where it is installed."""

from __future__ import annotations

import pytest
import torch

from bezoar.sae import load_sae
from tests.sae.material import SPECS, random_rows, random_sae

sae_lens = pytest.importorskip("sae_lens")


@pytest.mark.parametrize("spec", SPECS)
def test_saelens_opens_what_we_write_and_computes_the_same(spec, tmp_path):
    sae, x = random_sae(spec), random_rows()
    sae.save(tmp_path)
    theirs = sae_lens.SAE.load_from_disk(tmp_path, device="cpu")
    with torch.no_grad():
        assert torch.allclose(theirs.encode(x), sae.encode(x), atol=1e-5)
        assert torch.allclose(theirs(x), sae(x), atol=1e-5)


@pytest.mark.parametrize("spec", SPECS)
def test_we_open_what_saelens_writes_and_compute_the_same(spec, tmp_path):
    random_sae(spec).save(tmp_path / "ours")
    theirs, x = sae_lens.SAE.load_from_disk(tmp_path / "ours", device="cpu"), random_rows()
    theirs.save_model(tmp_path / "theirs")
    sae = load_sae(tmp_path / "theirs")
    with torch.no_grad():
        assert torch.allclose(theirs.encode(x), sae.encode(x), atol=1e-5)
        assert torch.allclose(theirs(x), sae(x), atol=1e-5)
