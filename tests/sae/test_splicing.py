"""Loss recovered: what nothing, everything and half of a site does to the model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bezoar.activations import tokenise
from bezoar.errors import DataError, SAEError, SiteError
from bezoar.sae.splicing import recovered_loss
from bezoar.scoring.likelihood import token_nll
from tests.sae.material import random_sae
from tests.sae.reading_kit import at_site

TEXTS = ["the good man is a fool and you know it", "that tree by the river", "I"]


def identity(d: int = 32):
    """An autoencoder that reconstructs everything: a latent for either end of every axis."""
    sae = at_site(random_sae(f"topk:k={d}", d=d, n=2 * d))
    with torch.no_grad():
        both = torch.cat([torch.eye(d), -torch.eye(d)])
        sae.W_enc.copy_(both.T)
        sae.W_dec.copy_(both)
        sae.b_enc.zero_()
        sae.b_dec.zero_()
    return sae


@pytest.mark.parametrize("point", ["resid_post", "mlp_out", "resid_pre"])
def test_perfect_reconstructions_recover_everything(lm, point):
    found = recovered_loss(lm, at_site(identity(), f"1.{point}"), TEXTS)
    assert found.recovered == pytest.approx(1, abs=1e-3)
    assert found.recovered_of_mean == pytest.approx(1, abs=1e-2)
    assert found.spliced == pytest.approx(found.base, abs=1e-4)
    assert found.base == pytest.approx(
        float(np.concatenate(token_nll(lm, lm.encode(TEXTS))).mean()), abs=1e-6
    )
    assert found.tokens == sum(len(ids) - 1 for ids in lm.encode(TEXTS))


def test_zeros_recover_nothing_and_the_mean_nothing_of_its_own(gpt2):
    zeros = identity()
    with torch.no_grad():
        zeros.W_dec.zero_()
    assert recovered_loss(gpt2, zeros, TEXTS).recovered == pytest.approx(0, abs=1e-4)
    mean = identity()
    centre = torch.linspace(-1, 1, 32)
    with torch.no_grad():
        mean.W_dec.zero_()
        mean.b_dec.copy_(centre)
    found = recovered_loss(gpt2, mean, TEXTS, mean=centre)
    assert found.recovered_of_mean == pytest.approx(0, abs=1e-4)
    assert found.spliced == pytest.approx(found.mean, abs=1e-5)


def test_the_mean_is_that_of_the_sites_rows(gpt2):
    ids = gpt2.encode(TEXTS)
    site = gpt2.site("1.resid_post")
    rows = torch.cat([gpt2.capture(gpt2.batch([row]), [site])[site][0] for row in ids])
    sae = identity()
    own, given = (
        recovered_loss(gpt2, sae, TEXTS),
        recovered_loss(gpt2, sae, TEXTS, mean=rows.mean(0)),
    )
    assert own.mean == pytest.approx(given.mean, abs=1e-5)


def test_what_another_autoencoder_of_the_site_found_is_taken_over(gpt2):
    one = recovered_loss(gpt2, identity(), TEXTS)
    other = at_site(random_sae(d=32))
    assert recovered_loss(gpt2, other, TEXTS, beside=one) == recovered_loss(gpt2, other, TEXTS)


def test_no_hook_stays(gpt2):
    before = gpt2.logits(gpt2.batch(gpt2.encode(TEXTS[:1])))
    recovered_loss(gpt2, identity(), TEXTS)
    assert torch.equal(before, gpt2.logits(gpt2.batch(gpt2.encode(TEXTS[:1]))))


def test_other_models_sites_and_texts_are_refused(gpt2):
    with pytest.raises(SAEError, match="other weights"):
        sae = identity()
        sae.info = replace(sae.info, fingerprint="another")
        recovered_loss(gpt2, sae, TEXTS)
    with pytest.raises(SiteError, match="cannot be edited"):
        recovered_loss(gpt2, at_site(identity(), "1.resid_delta"), TEXTS)
    with pytest.raises(DataError, match="two tokens"):
        recovered_loss(gpt2, identity(), ["I"[:1]] if len(gpt2.encode(["I"])[0]) == 1 else [" I"])


def test_of_what_the_model_wrote_no_prompt_is_replaced_or_predicted(gpt2):
    """By hand: the states of the continuation alone are zero, and its tokens alone count."""
    table = tokenise(gpt2, TEXTS[:2])
    starts = np.array([5, 3])
    meant = replace(table, starts=starts)
    found = recovered_loss(gpt2, identity(), meant)
    assert found.spliced == pytest.approx(found.base, abs=1e-4)
    assert found.tokens == sum(table.lengths - starts - 1)
    site = gpt2.site("1.resid_post")
    module = gpt2.anatomy.hook_point(site).module
    plain, zeroed = [], []
    for row, start in zip(table.rows([0, 1]), starts.tolist(), strict=True):
        plain.append(token_nll(gpt2, [row])[0][start:])

        def blank(_module, _inputs, output, start=start):
            x = (output[0] if isinstance(output, tuple) else output).clone()
            x[:, start:] = 0
            return (x, *output[1:]) if isinstance(output, tuple) else x

        handle = module.register_forward_hook(blank)
        zeroed.append(token_nll(gpt2, [row])[0][start:])
        handle.remove()
    assert found.base == pytest.approx(np.concatenate(plain).mean(), abs=1e-5)
    assert found.zero == pytest.approx(np.concatenate(zeroed).mean(), abs=1e-5)
    whole = recovered_loss(gpt2, identity(), table)
    assert found.zero != pytest.approx(whole.zero, abs=1e-3)
    with pytest.raises(DataError, match="two tokens"):
        recovered_loss(gpt2, identity(), replace(table, starts=table.lengths - 1))
