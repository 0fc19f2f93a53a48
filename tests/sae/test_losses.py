"""What each kind minimises, against its paper's formula written out with dense products."""

from __future__ import annotations

import pytest
import torch

from bezoar.sae import get_architecture
from bezoar.sae.spec import SAESpec
from tests.sae.material import random_rows, random_sae

D, N, ROWS = 16, 64, 50
NOBODY = torch.zeros(0, dtype=torch.int64)
DONE = 0.5  # of the training: penalties have reached their weight


def gradients_of(sae, loss):
    names, parameters = zip(*sae.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return dict(zip(names, found, strict=True))


def assert_alike(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        assert float(expected.norm()) > 0, name
        assert torch.allclose(ours[name], expected, rtol=1e-4, atol=1e-6), name


def test_relu_minimises_the_error_and_the_norm_weighted_penalty():
    sae, x = random_sae("relu:l1=0.3", D, N), random_rows(ROWS, D)
    with torch.no_grad():
        sae.W_dec.mul_(torch.linspace(0.5, 2, N)[:, None])
    step = sae.training_step(x, DONE, NOBODY)
    latents = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc).clamp_min(0)
    x_hat = latents @ sae.W_dec + sae.b_dec
    error = sum(torch.dot(r, r) for r in x - x_hat) / ROWS
    penalty = sum(latents[:, i].mean() * sae.W_dec[i].norm() for i in range(N))
    loss = error + 0.3 * D**0.5 * penalty
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert step.error.item() == pytest.approx(error.item(), rel=1e-5)
    assert_alike(gradients_of(sae, step.loss), gradients_of(sae, loss))


def test_a_penalty_grows_in_the_first_twentieth_and_then_stays():
    sae, x = random_sae("relu:l1=0.3", D, N), random_rows(ROWS, D)
    step = [sae.training_step(x, share, NOBODY) for share in (0.0, 0.025, 0.05, 0.9)]
    more = [float(s.loss.detach() - s.error) for s in step]
    assert more[0] == pytest.approx(0, abs=1e-5)
    assert more[1] == pytest.approx(more[2] / 2, rel=1e-4)
    assert more[3] == pytest.approx(more[2])


def test_gated_penalises_gates_and_teaches_them_by_a_decoder_that_is_held_fast():
    """Rajamanoharan et al. 2024a, equations 6 to 8."""
    sae, x = random_sae("gated:l1=0.3", D, N), random_rows(ROWS, D)
    step = sae.training_step(x, DONE, NOBODY)
    seen = (x - sae.b_dec) @ sae.W_enc
    gate = seen + sae.b_enc
    magnitude = (seen * sae.r_mag.exp() + sae.b_mag).clamp_min(0)
    open_ = (gate > 0).float()
    frozen = sae.W_dec.detach(), sae.b_dec.detach()
    error = (open_ * magnitude @ sae.W_dec + sae.b_dec - x).square().sum(1).mean()
    sparsity = gate.clamp_min(0).sum(1).mean()
    auxiliary = (gate.clamp_min(0) @ frozen[0] + frozen[1] - x).square().sum(1).mean()
    loss = error + 0.3 * D**0.5 * sparsity + auxiliary
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert torch.allclose(sae.encode(x), (open_ * magnitude).detach(), atol=1e-6)
    assert_alike(gradients_of(sae, step.loss), gradients_of(sae, loss))
    # Values are not shrunk: no gradient of the penalty reaches their scale or the decoder.
    only = gradients_of(sae, sparsity)
    assert all(only[name] is None for name in ("W_dec", "r_mag", "b_mag"))


@pytest.mark.parametrize("bandwidth", [0.1, 0.5, 2.0])
def test_jumprelu_moves_thresholds_by_what_lies_near_them(bandwidth):
    """Rajamanoharan et al. 2024b, equations 11 and 12, row by row and latent by latent."""
    spec = SAESpec.parse(f"jumprelu:l0=3,sparsity=0.2,bandwidth={bandwidth}")
    sae, x = random_sae(str(spec), D, N), random_rows(ROWS, D)
    step = sae.training_step(x, DONE, NOBODY)
    z = (x - sae.b_dec) @ sae.W_enc + sae.b_enc
    theta = sae.threshold.detach()
    active = (z > theta).float().detach()
    latents = z * active
    x_hat = latents @ sae.W_dec + sae.b_dec
    l0 = active.sum(1).mean()
    error = (x_hat - x).square().sum(1).mean()
    loss = error + 0.2 * D * (l0 / 3 - 1) ** 2
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-5)
    assert float(step.l0) == pytest.approx(float(l0))
    ours = gradients_of(sae, step.loss)
    theirs = gradients_of(sae, loss)  # a step has no gradient but that of its threshold
    by_latent = torch.autograd.grad(loss, latents)[0]
    expected = torch.zeros(N)
    by_step = 0.2 * D * 2 * (l0 / 3 - 1) / 3 / ROWS
    for i in range(N):
        for r in range(ROWS):
            if abs(float(z[r, i].detach() - theta[i])) < bandwidth / 2:
                expected[i] -= (theta[i] * by_latent[r, i] + by_step) / bandwidth
    assert theirs.pop("threshold") is None
    threshold = ours.pop("threshold")
    assert torch.allclose(threshold, expected, rtol=1e-3, atol=1e-5)
    assert_alike(ours, theirs)


def test_jumprelu_begins_where_the_sample_has_the_wanted_number_of_latents():
    sae = get_architecture("jumprelu")(D, N, SAESpec.parse("jumprelu:l0=5").own)
    sae.load_state_dict(random_sae("jumprelu", D, N).state_dict())
    x = random_rows(400, D)
    sae.prepare(x)
    assert len(sae.threshold.unique()) == 1
    assert float((sae.encode(x) > 0).sum(1).float().mean()) == pytest.approx(5, abs=0.05)
