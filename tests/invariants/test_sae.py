"""Theorems of sparse autoencoders: shapes, sparsity, invariance, explained variance, recovery."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.activations.rows import InMemoryRows
from bezoar.errors import DataError, SAEError
from bezoar.sae import (
    SAESpec,
    TopK,
    TopKOptions,
    explained_variance,
    geometric_median,
    get_architecture,
    planted_dictionary,
    recovered,
    train_saes,
)
from bezoar.sae.losses import norm_weighted_l1
from bezoar.sae.pupil import Plan, Pupil
from bezoar.sae.quality import measure_quality
from tests.sae.material import SPECS, random_rows, random_sae

D, N = 16, 64


@pytest.mark.parametrize("spec", SPECS)
def test_shapes_and_the_two_forms_of_latents(spec):
    sae, x = random_sae(spec, D, N), random_rows(50, D)
    latents, codes = sae.encode(x), sae.codes(x)
    assert latents.shape == (50, N)
    assert sae.encode(x.view(5, 10, D)).shape == (5, 10, N)
    assert sae.decode(latents).shape == sae(x).shape == x.shape
    dense = torch.zeros(50, N).scatter_add(1, codes.indices, codes.values)
    assert torch.allclose(dense, latents, atol=1e-6)
    assert torch.allclose(sae.decode_codes(codes), sae.decode(latents), atol=1e-5)
    unused = codes.values == 0
    assert not codes.indices[unused].any()
    assert sae.codes(x[:0]).values.shape[0] == 0


@pytest.mark.parametrize("spec", SPECS)
def test_zeros_decode_to_the_bias_and_decoding_is_linear(spec):
    sae = random_sae(spec, D, N)
    assert torch.equal(sae.decode(torch.zeros(3, N)), sae.b_dec.expand(3, D))
    f, g = torch.rand(4, N), torch.rand(4, N)
    mixed = sae.decode(2 * f + 3 * g) - sae.b_dec
    apart = 2 * (sae.decode(f) - sae.b_dec) + 3 * (sae.decode(g) - sae.b_dec)
    assert torch.allclose(mixed, apart, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
def test_the_centre_is_reconstructed_by_the_bias_where_no_encoder_bias_is_positive(spec):
    sae = random_sae(spec, D, N)
    with torch.no_grad():
        sae.b_enc.abs_().neg_()
        if hasattr(sae, "b_mag"):
            sae.b_mag.abs_().neg_()
    centre = sae.b_dec.detach()[None]
    assert not sae.encode(centre).any()
    assert torch.equal(sae(centre), centre)


@pytest.mark.parametrize("spec", SPECS)
def test_no_latent_is_negative(spec):
    assert float(random_sae(spec, D, N).encode(3 * random_rows(200, D)).min()) == 0


@pytest.mark.parametrize("spec", SPECS)
def test_latents_of_a_row_do_not_depend_on_what_it_is_read_with(spec):
    """BatchTopK too, which competes across a batch while it is trained and not afterwards."""
    sae, x = random_sae(spec, D, N), random_rows(30, D)
    among_louder = sae.encode(torch.cat([100 * x, x]))[30:]
    alone = torch.cat([sae.encode(row) for row in x[:, None]])
    assert float(alone.norm()) > 0
    assert torch.allclose(among_louder, alone, atol=1e-5)


@given(k=st.integers(1, N), seed=st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_topk_has_k_latents_at_most_and_those_are_the_largest(k, seed):
    sae, x = random_sae(f"topk:k={k}", D, N, seed), random_rows(20, D, seed + 1)
    latents = sae.encode(x)
    counts = (latents > 0).sum(1)
    assert int(counts.max()) <= k
    pre = sae.pre_activations(x).detach().relu()
    assert torch.equal(counts, (pre > 0).sum(1).clamp_max(k))
    missed = torch.where(latents > 0, 0, pre).amax(1)
    least = torch.where(latents > 0, latents, torch.inf).amin(1)
    assert (missed <= least).all()


def test_batch_topk_has_k_latents_a_row_on_average():
    sae, x = random_sae("batch_topk:k=4", D, N), random_rows(50, D)
    assert int((sae.select(x - sae.b_dec.detach()).values > 0).sum()) == 4 * 50


@pytest.mark.parametrize("spec", [s for s in SPECS if s != "relu"])
def test_decoder_rows_stay_at_norm_one_and_gradients_orthogonal_to_them(spec):
    parsed = SAESpec.parse(spec)
    pupil = Pupil(parsed, D, N, Plan(20, 32, 1e-2, 0.1, 0.1, 64, 0))
    x = random_rows(32 * 20, D)
    pupil.begin(x, x.mean(0))
    for number in range(20):
        rows = x[32 * number : 32 * number + 32]
        loss = pupil.sae.training_step(rows, 0.5, pupil.dead()).loss
        torch.autograd.backward(loss)
        raw = torch.linalg.vecdot(pupil.sae.W_dec.grad, pupil.sae.W_dec).abs().max().item()
        pupil.sae.project_gradients()
        along = torch.linalg.vecdot(pupil.sae.W_dec.grad, pupil.sae.W_dec).abs().max().item()
        assert along < 1e-5 * max(1.0, raw)
        pupil.optimiser.zero_grad()
        pupil.step(number, rows)
        norms = pupil.sae.W_dec.norm(dim=1)
        assert torch.allclose(norms, torch.ones(N), atol=1e-6)
    assert raw > 1e-3  # there was something to take away


@given(seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_norm_weighted_penalty_and_its_loss_do_not_see_scales(seed):
    sae, x = random_sae("relu", D, N, seed), random_rows(30, D, seed + 1)
    dead = torch.zeros(0, dtype=torch.int64)
    before, out = sae.training_step(x, 0.5, dead), sae(x)
    penalty = norm_weighted_l1(sae.encode(x), sae.W_dec.detach())
    generator = torch.Generator().manual_seed(seed)
    c = 0.1 + 5 * torch.rand(N, generator=generator)
    with torch.no_grad():
        sae.W_enc.mul_(c)
        sae.b_enc.mul_(c)
        sae.W_dec.div_(c[:, None])
    after = sae.training_step(x, 0.5, dead)
    assert float(after.loss.detach()) == pytest.approx(float(before.loss.detach()), rel=1e-4)
    assert float(norm_weighted_l1(sae.encode(x), sae.W_dec.detach())) == pytest.approx(
        float(penalty), rel=1e-4
    )
    assert torch.allclose(sae(x), out, atol=1e-4)
    sae.finish()
    assert torch.allclose(sae.W_dec.norm(dim=1), torch.ones(N), atol=1e-5)
    assert torch.allclose(sae(x), out, atol=1e-4)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("factor", [0.01, 1.0, 37.0])
def test_every_architecture_is_homogeneous(spec, factor):
    """What makes it right to fold the scale of the inputs into biases and thresholds."""
    sae, x = random_sae(spec, D, N), random_rows(50, D)
    before, latents = sae(x), sae.encode(x)
    sae.set_scale(factor)
    assert torch.allclose(sae.encode(factor * x), factor * latents, rtol=1e-3, atol=1e-4 * factor)
    assert torch.allclose(sae(factor * x), factor * before, rtol=1e-3, atol=1e-4 * factor)


def test_explained_variance_of_the_mean_is_zero_and_of_the_identity_one():
    x = random_rows(400, 8)
    mean, identity = (TopK(8, 16, TopKOptions(k=16)) for _ in range(2))
    with torch.no_grad():
        mean.b_dec.copy_(x.mean(0))
        eye = torch.eye(8)
        identity.W_enc.copy_(torch.cat([eye, -eye], 1))
        identity.W_dec.copy_(torch.cat([eye, -eye]))
    rows = InMemoryRows(x, "0.resid_post")
    assert measure_quality(mean, rows).explained_variance == pytest.approx(0, abs=1e-6)
    assert measure_quality(identity, rows).explained_variance == pytest.approx(1, abs=1e-6)
    assert explained_variance(x, x.mean(0).expand_as(x)) == pytest.approx(0, abs=1e-6)
    assert explained_variance(x, x) == 1
    for seed in range(3):
        sae = random_sae("relu", 8, 20, seed)
        found = measure_quality(sae, rows).explained_variance
        assert found <= 1
        assert explained_variance(x, sae(x)) == pytest.approx(found, rel=1e-5)
    for wrong in (x[:1], x[:0], torch.ones(5, 8)):
        with pytest.raises(DataError, match="no variance to explain"):
            explained_variance(wrong, wrong)


@pytest.mark.parametrize(
    ("spec", "mean", "share"),
    [
        ("topk:k=3", 0.95, 0.95),
        ("batch_topk:k=3", 0.9, 0.85),
        ("matryoshka:k=3,levels=2", 0.9, 0.65),
        ("jumprelu:l0=3", 0.9, 0.8),
        ("relu:l1=0.4", 0.95, 0.95),
        ("gated:l1=0.8", 0.9, 0.8),
    ],
)
def test_a_planted_dictionary_is_recovered(spec, mean, share):
    """Mean greatest cosine over 0.9: 48 directions in 24 dimensions, three in each row."""
    x, dictionary = planted_dictionary(48, 24, 12_000, 3, seed=0)
    rows = InMemoryRows(7 * x + 1, "0.resid_post")
    [trained] = train_saes([spec], rows, tokens=150_000, batch=128, lr=4e-3, expansion=4)
    cosines = recovered(trained.sae.W_dec, dictionary)
    assert float(cosines.mean()) > mean
    assert float((cosines > 0.9).float().mean()) >= share
    untrained = get_architecture(trained.sae.architecture)(24, 96, SAESpec.parse(spec).own)
    with torch.no_grad():
        untrained.W_dec.normal_(generator=torch.Generator().manual_seed(0))
    assert float(recovered(untrained.W_dec, dictionary).mean()) < 0.7  # it was not easy


@given(seed=st.integers(0, 99), n=st.integers(2, 40))
@settings(max_examples=30, deadline=None)
def test_no_step_from_a_geometric_median_lowers_the_sum_of_distances(seed, n):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=generator, dtype=torch.float64)
    median = geometric_median(x)
    least = (x - median).norm(dim=1).sum()
    for size in (1e-3, 1e-2, 1e-1, 1.0):
        step = torch.randn(64, 5, generator=generator, dtype=torch.float64)
        step = size * step / step.norm(dim=1, keepdim=True)
        sums = (x[None] - (median + step)[:, None]).norm(dim=2).sum(1)
        assert float((least - sums).max()) < 1e-5 * float(least)


def test_the_geometric_median_of_one_row_is_the_row():
    row = random_rows(1, 5)
    assert torch.allclose(geometric_median(row)[None], row)
    same = row.expand(7, 5)
    assert torch.allclose(geometric_median(same)[None], row)
    with pytest.raises(SAEError, match="no rows"):
        geometric_median(row[:0])


def test_the_geometric_median_may_be_one_of_the_rows():
    x = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])
    assert torch.allclose(geometric_median(x), torch.zeros(2), atol=1e-5)
    # The mean of these is a row that is not their median: the iteration must leave it.
    line = torch.tensor([[-1.0], [-1.0], [-1.0], [0.0], [3.0]])
    assert float(line.mean()) == 0
    assert torch.allclose(geometric_median(line), torch.tensor([-1.0]), atol=1e-3)


def test_one_far_row_hardly_moves_a_geometric_median():
    x = random_rows(101, 5)
    before = geometric_median(x)
    x[0] = 1e6
    assert float((geometric_median(x) - before).norm()) < 0.1
    assert float((x.mean(0) - before).norm()) > 1e3
