"""Sparse products against dense ones: the same values, the same gradients."""

from __future__ import annotations

import pytest
import torch

from bezoar.sae.kernels import active_pairs, largest, selected_values, sparse_decode, split_bags
from bezoar.sae.losses import dead_latent_loss
from tests.sae.material import random_rows, random_sae

NAMES = ("W_enc", "b_enc", "W_dec", "b_dec")


def dense_topk(sae, x, k):
    """Pre-activations, latents and reconstruction, by autograd and dense products alone."""
    pre = (x - sae.b_dec) @ sae.W_enc + sae.b_enc
    best = pre.topk(k, dim=1)
    latents = torch.zeros_like(pre).scatter(1, best.indices, best.values.relu())
    return pre, latents, latents @ sae.W_dec + sae.b_dec


def gradients(sae, loss):
    return dict(
        zip(NAMES, torch.autograd.grad(loss, [getattr(sae, n) for n in NAMES]), strict=True)
    )


def assert_alike(ours, theirs, bound=1e-6):
    for name in NAMES:
        scale = float(theirs[name].norm())
        assert scale > 0, name
        assert float((ours[name] - theirs[name]).norm()) <= bound * scale, name


@pytest.mark.parametrize(
    ("d", "n", "k", "rows"), [(16, 64, 4, 50), (24, 100, 1, 7), (8, 40, 40, 9)]
)
def test_gradients_of_topk_equal_dense_autograd(d, n, k, rows):
    sae, x = random_sae(f"topk:k={k}", d, n), random_rows(rows, d)
    step = sae.training_step(x, 0.5, torch.zeros(0, dtype=torch.int64))
    _, latents, x_hat = dense_topk(sae, x, k)
    loss = (x_hat - x).square().sum(1).mean()
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert_alike(gradients(sae, step.loss), gradients(sae, loss))
    assert torch.equal(step.fired, (latents > 0).any(0))
    assert float(step.l0) == pytest.approx(float((latents > 0).sum(1).float().mean()))


def test_gradients_with_dead_latents_equal_dense_autograd():
    sae, x = random_sae("topk:k=4", 16, 64), random_rows(50, 16)
    dead = torch.arange(40, 64)
    step = sae.training_step(x, 0.5, dead)
    _, _, x_hat = dense_topk(sae, x, 4)
    residual = (x - x_hat).detach()
    # The dead see rows through a bias that is held fast.
    seen = (x - sae.b_dec.detach()) @ sae.W_enc[:, dead] + sae.b_enc[dead]
    best = seen.topk(8, dim=1)
    revived = torch.zeros_like(seen).scatter(1, best.indices, best.values.relu())
    aux = (revived @ sae.W_dec[dead] - residual).square().sum(1).mean()
    loss = (x_hat - x).square().sum(1).mean() + aux / 32
    assert_alike(gradients(sae, step.loss), gradients(sae, loss))


def test_gradients_of_batch_topk_equal_dense_autograd():
    sae, x = random_sae("batch_topk:k=4", 16, 64), random_rows(50, 16)
    step = sae.training_step(x, 0.5, torch.zeros(0, dtype=torch.int64))
    pre = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc).relu()
    least = pre.flatten().topk(4 * len(x)).values[-1]
    x_hat = torch.where(pre >= least, pre, 0) @ sae.W_dec + sae.b_dec
    loss = (x_hat - x).square().sum(1).mean()
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert_alike(gradients(sae, step.loss), gradients(sae, loss))


def test_gradients_of_matryoshka_equal_dense_autograd():
    sae, x = random_sae("matryoshka:k=4,levels=3", 16, 64), random_rows(50, 16)
    step = sae.training_step(x, 0.5, torch.zeros(0, dtype=torch.int64))
    pre = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc).relu()
    least = pre.flatten().topk(4 * len(x)).values[-1]
    latents = torch.where(pre >= least, pre, 0)
    losses = [
        (latents[:, :m] @ sae.W_dec[:m] + sae.b_dec - x).square().sum(1).mean()
        for m in (16, 32, 64)
    ]
    loss = sum(losses) / 3
    assert step.loss.item() == pytest.approx(loss.item(), rel=1e-6)
    assert_alike(gradients(sae, step.loss), gradients(sae, loss))


def test_a_batch_of_one_row_that_takes_all_is_still_exact():
    """One row outshines the others: it must get more than four times k latents."""
    sae, x = random_sae("batch_topk:k=2", 16, 64), random_rows(12, 16)
    x[3] *= 1_000
    codes = sae.select(x - sae.b_dec)
    pre = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc).relu().detach()
    expected = pre.flatten().topk(24).values.sort().values
    assert torch.allclose(codes.values[codes.values > 0].sort().values, expected)
    assert int((codes.values[3] > 0).sum()) > 8


@pytest.mark.parametrize(("n", "k"), [(64, 3), (1024, 8), (1024, 40), (1000, 5), (4096, 32)])
def test_the_largest_are_the_largest(n, k):
    scores = torch.randn(33, n, generator=torch.Generator().manual_seed(n + k))
    values, indices = largest(scores, k)
    expected = scores.topk(k, dim=1).values
    assert torch.equal(values.sort(dim=1, descending=True).values, expected)
    assert torch.equal(scores.gather(1, indices), values)
    assert all(len(set(row.tolist())) == k for row in indices)


def test_no_tensor_of_rows_times_latents_is_kept_or_made_backwards():
    """Beside the pre-activations of a part of the rows, nothing is [rows d_sae]."""
    seen: list[int] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, (tuple, list)) else (out,):
                if isinstance(tensor, torch.Tensor):
                    seen.append(tensor.numel())
            return out

    rows, d, n = 300, 8, 2_048
    sae, x = random_sae("topk:k=2", d, n), random_rows(rows, d)
    step = sae.training_step(x, 0.5, torch.zeros(0, dtype=torch.int64))
    with Watch():
        torch.autograd.backward(step.loss)
    assert max(seen) == n * d < rows * n


def test_bags_can_be_split_by_latent():
    indices = torch.tensor([[0, 3, 5], [5, 1, 0]])
    values = torch.tensor([[1.0, 2.0, 0.0], [4.0, 5.0, 6.0]])
    table = torch.randn(6, 4)
    pairs, found = active_pairs(indices, values, 6)
    apart, moved = split_bags(pairs, torch.tensor([0, 0, 0, 1, 1, 1]), 2)
    parts = sparse_decode(found[moved], table, apart).view(2, 2, 4)
    assert torch.allclose(parts[0, 0], table[0])
    assert torch.allclose(parts[0, 1], 2 * table[3])
    assert torch.allclose(parts[1, 1], 4 * table[5])
    assert torch.allclose(parts.sum(1), sparse_decode(found, table, pairs))


def test_rows_without_an_active_latent_are_zero():
    pairs, found = active_pairs(torch.zeros(3, 2, dtype=torch.int64), torch.zeros(3, 2), 5)
    table = torch.randn(5, 4, requires_grad=True)
    decoded = sparse_decode(found, table, pairs)
    assert torch.equal(decoded, torch.zeros(3, 4))
    decoded.sum().backward()
    assert torch.equal(table.grad, torch.zeros(5, 4))
    weights = [torch.randn(shape, requires_grad=True) for shape in ((4, 5), (5,), (4,))]
    selected_values(found, torch.randn(3, 4), *weights, pairs).sum().backward()
    assert all(torch.equal(w.grad, torch.zeros_like(w)) for w in weights)


def test_the_loss_of_dead_latents_leaves_the_living_alone():
    sae, x = random_sae("topk:k=4", 16, 64), random_rows(50, 16)
    dead = torch.tensor([5, 9, 60])
    loss = dead_latent_loss(x, x, sae.W_enc, sae.b_enc, sae.W_dec, dead)
    for gradient in torch.autograd.grad(loss, [sae.W_enc, sae.b_enc, sae.W_dec]):
        by_latent = gradient.T if gradient.shape == (16, 64) else gradient
        touched = by_latent.reshape(64, -1).abs().sum(1).nonzero().flatten()
        assert set(touched.tolist()) <= {5, 9, 60}
        assert len(touched)
