"""One token of PPLM: the gradient is the gradient, and the step is as long as it should be."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.activations.pooling import pool
from bezoar.pairs import PPLM
from bezoar.pairs.pplm_attribute import Attribute
from bezoar.pairs.pplm_cache import Place, Reader, cache_of
from tests.families import FAMILIES
from tests.models import zoo
from tests.pairs.pplm_kit import PROMPTS, at_end, direction, double
from tests.pairs.test_pplm import HYBRIDS, WINDOWS

PLAIN = [name for name in zoo.DECODERS if name not in WINDOWS + HYBRIDS]
EXACT = {"rtol": 1e-9, "atol": 1e-9}


def noise(past, seed, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in past]


def moved_by(past, steps, t):
    return [tensor + t * step for tensor, step in zip(past, steps, strict=True)]


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
@pytest.mark.parametrize("horizon", [0, 1, 2])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_gradient_is_that_of_finite_differences(family, horizon, pooling):
    settings = PPLM(horizon=horizon, kl_scale=0.7)
    moment, past = at_end(double(family), settings, pooling=pooling)
    past = moved_by(past, noise(past, 0), 0.1)  # away from the minimum of the divergence
    along = noise(past, 1)
    slope = sum((g * v).sum() for g, v in zip(moment.gradient(past), along, strict=True))

    def loss(t):
        with torch.no_grad():
            measured = moment.measure(moved_by(past, along, t))
        return (settings.kl_scale * measured.kl - measured.log_p).sum()

    # Llama's norm computes in single precision whatever the model's: wider steps, less exact
    h, rtol = (1e-5, 1e-5) if family == "gpt2" else (1e-3, 1e-3)
    torch.testing.assert_close(slope, (loss(h) - loss(-h)) / (2 * h), rtol=rtol, atol=1e-6)


@pytest.mark.parametrize("site", ["1.mlp_out", "1.mlp_post", "1.resid_delta", "unembed_in", "1.z"])
def test_the_gradient_reaches_any_site(site):
    moment, past = at_end(double(), PPLM(kl_scale=0.0), site=site)
    along, h = noise(past, 1), 1e-5
    slope = sum((g * v).sum() for g, v in zip(moment.gradient(past), along, strict=True))
    with torch.no_grad():
        up, down = (moment.measure(moved_by(past, along, t)).log_p.sum() for t in (h, -h))
    torch.testing.assert_close(slope, (down - up) / (2 * h), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_untouched_past_diverges_from_nothing(family):
    moment, past = at_end(double(family), PPLM())
    with torch.no_grad():
        assert moment.measure(past).kl.abs().max() < 1e-12
        moved = moment.measure(moved_by(past, noise(past, 0), 1.0)).kl
    assert (moved > 0)[moment.place.mask.sum(1) > 1].all()


@pytest.mark.parametrize("gamma", [0.0, 1.0, 1.5])
def test_an_iteration_moves_each_layer_of_each_text_by_the_step(gamma):
    settings = PPLM(iterations=1, gamma=gamma, step_size=0.3)
    moment, past = at_end(double(), settings)
    with torch.no_grad():
        gradients, after = moment.gradient(past), moment.perturb(past)
    for layer in range(0, len(past), 2):
        length, norm = (
            sum(t.square().sum((1, 2, 3)) for t in tensors).sqrt()
            for tensors in (
                [a - b for a, b in zip(after[layer : layer + 2], past[layer:], strict=False)],
                gradients[layer : layer + 2],
            )
        )
        has_past = moment.place.mask.sum(1) > 1
        torch.testing.assert_close(
            length[has_past], 0.3 * norm[has_past] ** (1 - gamma), rtol=1e-6, atol=0.0
        )
        assert not length[~has_past].any()  # "you" is one token


@pytest.mark.parametrize("family", FAMILIES)
def test_a_perturbed_past_is_more_toxic_and_by_the_whole_gradient_most(family):
    settings = PPLM(iterations=10, step_size=0.05)
    moment, past = at_end(double(family), settings)
    released = dataclasses.replace(moment, settings=dataclasses.replace(settings, mode="code"))
    with torch.no_grad():
        before, after = moment.measure(past), moment.measure(moment.perturb(past))
        partly = moment.measure(released.perturb(past))
    has_past = moment.place.mask.sum(1) > 1
    assert (after.log_p > before.log_p)[has_past].all()
    assert (after.log_p > partly.log_p)[has_past].all()
    assert (after.kl > 0)[has_past].all()


def test_the_divergence_pulls_back():
    found = []
    for kl_scale in (0.0, 1.0, 100.0):
        moment, past = at_end(double(), PPLM(iterations=20, step_size=0.2, kl_scale=kl_scale))
        with torch.no_grad():
            found.append(float(moment.measure(moment.perturb(past)).kl.mean()))
    assert found[0] > found[1] > found[2]


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_company_change_no_perturbation(family):
    lm, settings = double(family), PPLM(iterations=3)
    moment, past = at_end(lm, settings)
    together = moment.perturb(past)
    for row, prompt in enumerate(PROMPTS):
        one, own = at_end(lm, settings, [prompt])
        for a, b in zip(one.perturb(own), together, strict=True):
            torch.testing.assert_close(a[0], b[row][:, b.shape[2] - a.shape[2] :], **EXACT)


def test_only_the_window_moves_and_less_with_age():
    for decay, mode, share in [
        (False, "correct", [0, 0, 0, 1, 1]),
        (True, "correct", [0, 0, 0, 0.5, 1]),
        (False, "code", [1, 1, 0, 0, 0]),
        (True, "code", [0.5, 1, 0, 0, 0]),
    ]:
        settings = PPLM(window=2, decay=decay, mode=mode)
        moment, past = at_end(double(), settings, [" you" * 6, " you" * 3])
        weights = moment._weights(past[0])[:, 0, :, 0]
        assert weights[0].tolist() == share
        assert weights[1].tolist() == [0, 0, 0, *share[-2:]] if mode == "correct" else True
        assert weights.shape == (2, 5)
        after = moment.perturb(past)
        still = (after[2] == past[2]).all(-1).all(1)
        assert torch.equal(still, weights == 0)


def test_the_released_program_passes_no_gradient_through_the_present():
    for horizon, moves in ((0, False), (1, True)):
        settings = PPLM(kl_scale=0.0, horizon=horizon, mode="code")
        moment, past = at_end(double(), settings)
        assert any(g.any() for g in moment.gradient(past)) == moves
        correct = dataclasses.replace(moment, settings=PPLM(kl_scale=0.0, horizon=horizon))
        assert any(g.any() for g in correct.gradient(past))


@pytest.mark.parametrize("name", PLAIN)
def test_a_certain_expectation_reads_as_its_token(name):
    lm = zoo.family_model(name)
    batch = lm.batch(lm.encode(list(PROMPTS)), side="left")
    reader = Reader(lm, lm.site("1.resid_post"))
    ids = torch.tensor([3, 5, 7, 11])
    certain = torch.nn.functional.one_hot(ids, lm.d_vocab).float()
    with torch.no_grad():
        _, past = reader.prompts(batch, 64)
        place = Place.end_of(batch).next()
        token = reader.tokens(ids, cache_of(past), place)
        expected = reader.expected(certain, cache_of(past), place, more=True)
        again = reader.expected(certain, cache_of(past), place, more=False)
    torch.testing.assert_close(expected.value, token.value, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(again.value, token.value, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(expected.logits, token.logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_the_running_pool_is_the_pool_of_all_tokens(pooling):
    lm = double()
    attribute = Attribute.of(lm, direction(lm, pooling=pooling))
    values = torch.randn(3, 6, lm.d_model, dtype=torch.float64)
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 0, 0, 1, 1, 1]])
    for first in (3, 5):
        running = attribute.pool(values[:, :first], mask[:, :first])
        for at in range(first, 6):
            running = running.add(values[:, at])
        expected = pool(values, mask.bool(), pooling).double()
        torch.testing.assert_close(running.pooled, expected, rtol=1e-6, atol=1e-6)
