"""The unembedding taken apart: numpy's numbers, whatever the storage of the head."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from accelerate import cpu_offload
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, LlamaConfig

from bezoar.errors import (
    ConfigError,
    CorruptArtefact,
    DataError,
    ModelError,
    UnsupportedAnatomy,
)
from bezoar.locate import Unembedding, decompose, promoted_tokens, reconstruction, unembedding_of
from bezoar.models import LanguageModel
from tests.edits.kit import noise
from tests.families import tiny_hf_model, tiny_model, tiny_tokenizer
from tests.models.packed import Opaque, Packed, Telling


def matrix(spectrum, rows=900, seed=0):
    """Float64 with the given singular values."""
    d = len(spectrum)
    u = torch.linalg.qr(noise(rows, d, seed=seed).double()).Q
    v = torch.linalg.qr(noise(d, d, seed=seed + 1).double()).Q
    return u @ torch.diag(torch.as_tensor(spectrum).double()) @ v


def numpys(weight):
    return np.linalg.svd(weight.double().numpy(), full_matrices=False)


def check(parts, weight, rtol=1e-5):
    _, s, vt = numpys(weight)
    np.testing.assert_allclose(parts.singular_values, s, rtol=rtol, atol=0)
    cosines = np.abs((parts.directions.numpy() * vt).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-6)


def test_values_and_vectors_are_numpys(lm):
    parts = decompose(lm)
    check(parts, lm.W_U.detach())
    assert (parts.how, parts.rank, parts.d_vocab) == ("gram", lm.d_model, lm.d_vocab)
    assert parts.fingerprint == lm.fingerprint
    assert parts.norm == pytest.approx(float(lm.W_U.double().norm()), rel=1e-9)


@pytest.mark.parametrize("d", [1, 5, 256, 300])
@pytest.mark.parametrize("how", ["gram", "qr"])
def test_any_width_and_either_way(d, how):
    weight = noise(700, d, seed=d)
    parts = decompose(weight, how=how)
    check(parts, weight)
    assert parts.how == how
    if d > 1:
        check(decompose(weight.T.contiguous().T, how=how), weight)


@pytest.mark.parametrize(("decades", "how"), [(3, "gram"), (4.4, "gram"), (5, "qr"), (9, "qr")])
def test_small_values_go_through_qr_where_squares_lose_them(decades, how):
    weight = matrix(np.logspace(1, 1 - decades, 24))
    parts = decompose(weight)
    assert parts.how == how
    check(parts, weight)


def test_squares_alone_would_be_wrong_there():
    weight = matrix(np.logspace(1, -8, 24))
    _, s, _ = numpys(weight)
    squared = decompose(weight, how="gram").singular_values.numpy()
    assert np.abs(squared / s - 1).max() > 1e-2
    assert np.abs(decompose(weight).singular_values.numpy() / s - 1).max() < 1e-5


def test_a_matrix_of_low_rank_says_so_and_has_no_left_vectors_beyond():
    weight = matrix([5, 4, 3, 0, 0, 0])
    parts = decompose(weight)
    assert (parts.rank, parts.how) == (3, "qr")
    np.testing.assert_allclose(parts.singular_values[:3], [5, 4, 3], rtol=1e-9)
    assert reconstruction(weight, parts).relative < 1e-12
    with pytest.raises(DataError, match="rank 3"):
        parts.left(weight, 3)


def test_fewer_tokens_than_dimensions():
    weight = noise(6, 20)
    parts = decompose(weight)
    assert (len(parts), parts.rank) == (20, 6)
    np.testing.assert_allclose(parts.singular_values[:6], numpys(weight)[1], rtol=1e-6)
    assert reconstruction(weight, parts).relative < 1e-12


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_exactly(dtype):
    weight = noise(400, 48).to(dtype)
    check(decompose(weight), weight)


def test_signs_follow_a_rule(lm):
    parts = decompose(lm)
    largest = parts.directions.gather(1, parts.directions.abs().argmax(1, keepdim=True))
    assert (largest > 0).all()
    again = decompose(lm, how="qr").directions
    torch.testing.assert_close(again, parts.directions, atol=1e-6, rtol=0)


def test_left_vectors_are_numpys_and_are_what_a_direction_promotes(lm):
    parts, weight = decompose(lm), lm.W_U.detach()
    u, _, vt = numpys(weight)
    for i in (0, 7):
        sign = np.sign((parts.directions[i].numpy() * vt[i]).sum())
        np.testing.assert_allclose(parts.left(lm, i), sign * u[:, i], atol=1e-6)
        tokens = promoted_tokens(lm, parts.direction(i), 5)
        best = parts.left(lm, i).argsort(descending=True)[:5].tolist()
        assert [t.id for t in tokens.promoted] == best
    assert str(parts.direction(3).site) == "unembed_in"
    assert parts.direction(3).norm == pytest.approx(float(parts.singular_values[3]))
    with pytest.raises(ConfigError, match="no singular direction 99"):
        parts.direction(99)


def test_the_report_says_how_exact_it_is(gpt2):
    parts = decompose(gpt2)
    wide, single = reconstruction(gpt2, parts), reconstruction(gpt2, parts, dtype="float32")
    assert max(wide.relative, wide.orthonormality, wide.sigma) < 1e-12
    assert 1e-9 < single.relative < 1e-6  # float32's own rounding, not the factorisation's
    worse = Unembedding(parts.singular_values, parts.directions.roll(1, 0), parts.d_vocab)
    assert reconstruction(gpt2, worse).sigma > 0.01


# Where heads are kept


def test_tied_and_untied_heads_are_read_in_their_place(gpt2):
    assert gpt2.anatomy.tied
    before = gpt2.model.transformer.wte.weight.clone()
    check(decompose(gpt2), gpt2.model.transformer.wte.weight.detach())
    assert torch.equal(gpt2.model.transformer.wte.weight, before)
    untied = tiny_model("llama")
    assert not untied.anatomy.tied
    check(decompose(untied), untied.model.lm_head.weight.detach())


@pytest.mark.parametrize("kind", [Packed, Telling])
def test_a_packed_head_is_what_it_computes_with(kind):
    model, tokenizer = tiny_hf_model("llama")
    model.lm_head = packed = kind(model.lm_head)
    parts = decompose(LanguageModel(model, tokenizer))
    check(parts, packed.unpacked())


def test_a_head_that_acts_as_no_matrix_is_refused():
    model, tokenizer = tiny_hf_model("llama")
    model.lm_head = Opaque(model.lm_head)
    with pytest.raises(UnsupportedAnatomy, match="no matrix does what it does"):
        decompose(LanguageModel(model, tokenizer))


def test_an_offloaded_head_is_fetched_and_put_back():
    model, tokenizer = tiny_hf_model("llama")
    weight = model.lm_head.weight.detach().clone()
    lm = LanguageModel(model, tokenizer)
    cpu_offload(model.lm_head, execution_device=torch.device("cpu"))
    assert model.lm_head.weight.is_meta
    check(decompose(lm), weight)
    assert unembedding_of(lm) is unembedding_of(lm)
    assert model.lm_head.weight.is_meta


def test_a_sharded_head_is_gathered(tmp_path):
    from torch import distributed
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    model, tokenizer = tiny_hf_model("llama")
    weight = model.lm_head.weight.detach().clone()
    lm = LanguageModel(model, tokenizer)
    store = f"file://{tmp_path}/store"
    distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    try:
        mesh = init_device_mesh("cpu", (1,))
        model.lm_head.weight = nn.Parameter(distribute_tensor(weight, mesh, [Shard(0)]))
        check(decompose(lm), weight)
    finally:
        distributed.destroy_process_group()


def test_a_projection_before_the_head_belongs_to_it():
    from transformers import OPTConfig

    tokenizer = tiny_tokenizer()
    config = OPTConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        word_embed_proj_dim=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        ffn_dim=32,
        max_position_embeddings=64,
        do_layer_norm_before=False,
    )
    torch.manual_seed(0)
    lm = LanguageModel(AutoModelForCausalLM.from_config(config), tokenizer)
    parts = decompose(lm)
    assert (len(parts), parts.rank) == (24, 16)
    np.testing.assert_allclose(
        parts.singular_values[:16], numpys(lm.W_U.detach())[1][:16], rtol=1e-5
    )


# Refusals, memory, disk


def test_refusals(gpt2):
    config = LlamaConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
    )
    headless = LanguageModel(AutoModel.from_config(config), tiny_tokenizer(), name="headless")
    for refused in (decompose, unembedding_of):
        with pytest.raises(UnsupportedAnatomy, match="headless has no unembedding"):
            refused(headless)
    with pytest.raises(ConfigError, match="how='svd'"):
        decompose(gpt2, how="svd")
    with pytest.raises(ModelError, match="empty"):
        decompose(torch.zeros(0, 4))
    broken = noise(50, 4)
    broken[3, 1] = torch.nan
    for how in ("gram", "qr"):
        with pytest.raises(ModelError, match="infinite or NaN"):
            decompose(broken, how=how)


def test_a_model_is_taken_apart_once_until_its_weights_change():
    lm = tiny_model("llama")
    parts = unembedding_of(lm)
    assert unembedding_of(lm) is parts
    with torch.no_grad():
        lm.model.lm_head.weight.mul_(2)
    changed = unembedding_of(lm)
    torch.testing.assert_close(changed.singular_values, 2 * parts.singular_values)


def test_saved_and_read_back(gpt2, tmp_path):
    parts = decompose(gpt2)
    parts.save(tmp_path)
    back = Unembedding.load(tmp_path)
    assert torch.equal(back.singular_values, parts.singular_values)
    assert torch.equal(back.directions, parts.directions)
    assert (back.d_vocab, back.how, back.fingerprint) == (
        parts.d_vocab,
        parts.how,
        parts.fingerprint,
    )


@pytest.mark.parametrize("harm", ["tilted", "ascending", "single", "altered"])
def test_a_damaged_one_is_refused(gpt2, tmp_path, harm):
    parts = decompose(gpt2)
    sigma, v = parts.singular_values, parts.directions
    if harm == "tilted":
        v = v + 1e-3
    elif harm == "ascending":
        sigma = sigma.flip(0)
    elif harm == "single":
        sigma, v = sigma.float(), v.float()
    Unembedding(sigma, v, 9).save(tmp_path)
    if harm == "altered":
        path = tmp_path / "unembedding.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"sha256": "0"}))
    with pytest.raises(CorruptArtefact):
        Unembedding.load(tmp_path)
