"""Folders: what is written is what is read, and what was altered is named."""

from __future__ import annotations

import json

import pytest
import safetensors.torch
import torch

from bezoar.errors import CorruptArtefact, SAEError
from bezoar.sae import get_architecture, load_sae
from tests.sae.material import SPECS, random_rows, random_sae


@pytest.mark.parametrize("spec", SPECS)
def test_reading_gives_the_same_function_and_the_same_kind(spec, tmp_path):
    sae, x = random_sae(spec), random_rows()
    sae.save(tmp_path)
    again = load_sae(tmp_path)
    assert type(again) is type(sae)
    assert again.options == sae.options
    assert again.info == sae.info
    assert torch.equal(again.encode(x), sae.encode(x))
    assert torch.equal(again(x), sae(x))
    assert not any(p.requires_grad for p in again.parameters())


@pytest.mark.parametrize("spec", SPECS)
def test_without_our_own_file_the_function_is_the_same(spec, tmp_path):
    sae, x = random_sae(spec), random_rows()
    sae.save(tmp_path)
    (tmp_path / "bezoar.json").unlink()
    again = load_sae(tmp_path)
    assert torch.allclose(again.encode(x), sae.encode(x), atol=1e-6)
    assert torch.allclose(again(x), sae(x), atol=1e-6)


def test_an_encoder_without_subtracted_bias_is_the_same_function(tmp_path):
    x = random_rows()
    tensors = {
        "W_enc": torch.randn(16, 64),
        "b_enc": torch.randn(64),
        "W_dec": torch.randn(64, 16),
        "b_dec": torch.randn(16),
    }
    config = {"architecture": "standard", "d_in": 16, "d_sae": 64, "apply_b_dec_to_input": False}
    config["metadata"] = {"hook_name": "blocks.3.hook_resid_post", "model_name": "gpt2"}
    _write(tmp_path, config, tensors)
    sae = load_sae(tmp_path)
    latents = torch.relu(x @ tensors["W_enc"] + tensors["b_enc"])
    assert torch.allclose(sae.encode(x), latents, atol=1e-4)
    assert torch.allclose(sae(x), latents @ tensors["W_dec"] + tensors["b_dec"], atol=1e-3)
    assert (sae.info.site, sae.info.model) == ("3.resid_post", "gpt2")


def test_latents_that_are_rescaled_by_decoder_norms_are_the_same_function(tmp_path):
    x = random_rows()
    tensors = {
        "W_enc": torch.randn(16, 64),
        "b_enc": torch.zeros(64),
        "W_dec": torch.randn(64, 16),
        "b_dec": torch.zeros(16),
    }
    config = {"architecture": "topk", "k": 4, "rescale_acts_by_decoder_norm": True}
    _write(tmp_path, config, tensors)
    norms = tensors["W_dec"].norm(dim=1)
    pre = (x @ tensors["W_enc"]) * norms
    best = pre.topk(4, dim=1)
    latents = torch.zeros_like(pre).scatter(1, best.indices, best.values.relu())
    expected = (latents / norms) @ tensors["W_dec"]
    assert torch.allclose(load_sae(tmp_path)(x), expected, atol=1e-4)


def test_half_precision_weights_are_read_as_float32(tmp_path):
    sae = random_sae()
    sae.save(tmp_path)
    (tmp_path / "bezoar.json").unlink()
    tensors = safetensors.torch.load_file(tmp_path / "sae_weights.safetensors")
    half = {name: tensor.to(torch.bfloat16) for name, tensor in tensors.items()}
    safetensors.torch.save_file(half, tmp_path / "sae_weights.safetensors")
    again = load_sae(tmp_path)
    assert again.W_dec.dtype == torch.float32
    assert torch.equal(again.W_dec, half["W_dec"].float())


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sae_weights.safetensors", lambda data: data[:-4]),
        ("sae_weights.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("cfg.json", lambda data: b"{"),
        ("cfg.json", lambda data: b"[1]"),
        ("bezoar.json", lambda data: b'{"version": 1}'),
        ("bezoar.json", lambda data: data.replace(b'"version": 1', b'"version": 7')),
    ],
)
def test_a_damaged_folder_is_named(name, change, tmp_path):
    random_sae().save(tmp_path)
    file = tmp_path / name
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(CorruptArtefact, match=str(tmp_path)):
        load_sae(tmp_path)


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    sae = random_sae()
    with torch.no_grad():
        sae.W_dec[3, 2] = torch.nan
    sae.save(tmp_path)
    with pytest.raises(CorruptArtefact, match=r"W_dec.*not finite"):
        load_sae(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(CorruptArtefact, match="no folder"):
        load_sae(tmp_path / "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "temporal"}, "'temporal', which cannot be read"),
        ({"normalize_activations": "layer_norm"}, "normalize_activations='layer_norm'"),
        ({"k": None}, "k=None"),
        ({"architecture": "jumprelu"}, "without threshold"),
    ],
)
def test_what_we_cannot_do_is_said(change, message, tmp_path):
    random_sae().save(tmp_path)
    (tmp_path / "bezoar.json").unlink()
    config = json.loads((tmp_path / "cfg.json").read_text()) | change
    (tmp_path / "cfg.json").write_text(json.dumps(config))
    with pytest.raises(SAEError, match=message):
        load_sae(tmp_path)


def test_an_autoencoder_of_another_width_model_or_site_is_refused(gpt2):
    from dataclasses import replace

    sae = random_sae(d=32, n=64)
    sae.info = replace(sae.info, site="1.resid_post", fingerprint=gpt2.fingerprint)
    sae.require(gpt2)
    sae.require(gpt2, "1.resid_post")
    with pytest.raises(SAEError, match=r"reads 1.resid_post, and 2.resid_post"):
        sae.require(gpt2, "2.resid_post")
    sae.info = replace(sae.info, fingerprint="of another")
    with pytest.raises(SAEError, match="other weights"):
        sae.require(gpt2)
    narrow = random_sae(d=16)
    with pytest.raises(SAEError, match=r"16 dimensions, and 1.resid_post of .* has 32"):
        narrow.require(gpt2, "1.resid_post")
    with pytest.raises(SAEError, match="names no site"):
        narrow.require(gpt2)
    with pytest.raises(SAEError, match="Rows of 7"):
        narrow.encode(torch.zeros(3, 7))


def test_a_jump_with_one_threshold_is_the_batch_topk_it_was(tmp_path):
    sae = random_sae("batch_topk:k=4")
    sae.save(tmp_path)
    config = json.loads((tmp_path / "cfg.json").read_text())
    assert config["architecture"] == "jumprelu"
    assert get_architecture("batch_topk") is type(load_sae(tmp_path))


def _write(folder, config, tensors):
    (folder / "cfg.json").write_text(json.dumps(config))
    safetensors.torch.save_file(tensors, folder / "sae_weights.safetensors")
