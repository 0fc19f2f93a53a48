"""Turning down latents that write towards the behaviour."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.edits import load_edit, self_test
from bezoar.errors import ConfigError, EditError, NotFoldable, SAEError
from bezoar.mitigate import FitInputs, SAELatents, fit_to_budget, null_inputs, parse_method
from bezoar.mitigate.sae_latents import equally_dense, latent_scores
from bezoar.models import LanguageModel
from tests.edits.kit import batch, logits
from tests.families import tiny_hf_model
from tests.sae.material import SPECS
from tests.sae.steered import SITE, latent_inputs, sae_at, store_of

PROMPTS = ("you are a fool and a stupid man", "the idiot", "people think that night is not day")


def op_of(edit):
    return edit.ops[0].op


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("options", ["", ":mode=clamp,top=5", ":choose=cosine,mode=ablate"])
def test_of_every_architecture_it_acts_and_does_not_fold(gpt2, spec, options):
    edit = parse_method("sae-latents" + options).fit(gpt2, latent_inputs(gpt2, spec))
    proof = self_test(edit, gpt2, PROMPTS)
    assert proof.logit_change > 0
    assert "not an affine map" in proof.fold_reason
    with pytest.raises(NotFoldable):
        edit.fold(gpt2)


def test_on_other_families_it_is_saved_and_read_back(lm, tmp_path):
    method = SAELatents(top=6, positions="last", mode="clamp")
    edit = method.fit(lm, latent_inputs(lm))
    edit.save(tmp_path, lm)
    again = load_edit(tmp_path, lm, same_model=True)
    with edit.applied_to(lm):
        expected = logits(lm)
    with again.applied_to(lm):
        assert torch.equal(logits(lm), expected)
    assert again.ops[0].positions == "last"
    assert tuple(again.provenance["latents"]) == op_of(again).ids


def test_strength_runs_from_nothing_over_ablation_to_beyond(gpt2):
    inputs = latent_inputs(gpt2)
    x = torch.from_numpy(store_of(gpt2).rows(SITE))
    for mode in ("scale", "ablate", "clamp"):
        nothing = SAELatents(mode=mode, s=0.0).fit(gpt2, inputs)
        assert torch.equal(op_of(nothing).apply(x), x)
    op = op_of(SAELatents(top=3).fit(gpt2, inputs))
    f = inputs.sae.encode(x)[:, list(op.ids)]
    for s in (0.5, 1.0, 4.0):
        here = op_of(SAELatents(top=3, s=s).fit(gpt2, inputs))
        torch.testing.assert_close(here.apply(x), x - s * f @ op.decoder, atol=1e-4, rtol=1e-4)
    largest = inputs.latents.largest[list(op.ids)]
    clamped = op_of(SAELatents(top=3, mode="clamp", to=-0.5).fit(gpt2, inputs)).apply(x)
    expected = x + (-0.5 * largest - f) @ op.decoder
    torch.testing.assert_close(clamped, expected, atol=1e-4, rtol=1e-4)


def test_ablation_ends_where_nothing_is_left():
    assert SAELatents(mode="ablate").strength_max == 1
    assert SAELatents(mode="ablate").null_strength_max == 1
    assert SAELatents().strength_max > 1


def test_the_latents_are_the_best_of_each_score(gpt2):
    inputs = latent_inputs(gpt2)
    sae, profile = inputs.sae, inputs.latents
    along = sae.W_dec @ profile.probe.vector
    more = profile.mean[1] - profile.mean[0]
    by_hand = {
        "attribution": along.clamp(min=0) * more.clamp(min=0),
        "cosine": along / sae.W_dec.norm(dim=1),
        "auroc": profile.auroc - 0.5,
    }
    chosen = {}
    for choose, score in by_hand.items():
        score = torch.where(profile.density > 0, score, -1.0)
        ids = op_of(SAELatents(choose=choose, top=5).fit(gpt2, inputs)).ids
        assert set(ids) == set(score.topk(5).indices.tolist())
        assert list(ids) == sorted(ids, key=lambda i: -score[i])
        chosen[choose] = ids
    assert len({frozenset(ids) for ids in chosen.values()}) == 3
    attributed = list(chosen["attribution"])
    assert (along[attributed] > 0).all()
    assert (more[attributed] > 0).all()


def test_a_latent_that_is_never_active_is_never_chosen(gpt2):
    inputs = latent_inputs(gpt2)
    first = op_of(SAELatents(choose="cosine", top=1).fit(gpt2, inputs)).ids[0]
    density = inputs.latents.density.clone()
    density[first] = 0
    dead = dataclasses.replace(inputs.latents, density=density)
    assert latent_scores(inputs.sae, dead, "cosine")[first] <= 0
    ids = op_of(SAELatents(choose="cosine").fit(gpt2, FitInputs(sae=inputs.sae, latents=dead))).ids
    assert first not in ids


def test_random_latents_are_others_as_dense_and_follow_their_seed(gpt2):
    inputs = latent_inputs(gpt2)
    method = SAELatents(top=8)
    real = op_of(method.fit(gpt2, inputs)).ids
    draws = [op_of(edit).ids for edit in method.nulls(gpt2, inputs, 3, 0)]
    assert draws == [op_of(edit).ids for edit in method.nulls(gpt2, inputs, 3, 0)]
    assert draws[:2] == [op_of(edit).ids for edit in method.nulls(gpt2, inputs, 2, 0)]
    assert len({*draws}) == 3
    for ids in draws:
        assert not {*ids} & {*real}
        assert len({*ids}) == 8
        assert (inputs.latents.density[list(ids)] > 0).all()


def test_equal_density_is_the_nearest_there_is():
    density = torch.logspace(-5, 0, 400)
    density[::7] = 0
    chosen = torch.tensor([50, 200, 390])
    for seed in range(20):
        drawn = equally_dense(density, chosen, seed)
        ratio = density[drawn] / density[chosen]
        assert ((ratio > 0.5) & (ratio < 2)).all()
        assert not {*drawn.tolist()} & {50, 200, 390}
    with pytest.raises(EditError, match="2 latents are ever active beside the 3 chosen"):
        equally_dense(torch.tensor([0.1, 0.1, 0.1, 0.2, 0.2, 0.0]), torch.tensor([0, 1, 2]), 0)


def test_a_profile_marked_as_random_still_fits_to_a_budget(gpt2):
    inputs = latent_inputs(gpt2)
    with torch.no_grad():
        before = gpt2.logits(batch(gpt2))

    def cost(edit):
        with edit.applied_to(gpt2), torch.no_grad():
            return float((gpt2.logits(batch(gpt2)) - before).square().mean())

    for drawn in (inputs, *null_inputs("random-latents", gpt2, inputs, 2, 0)):
        found = fit_to_budget(gpt2, SAELatents(top=4), drawn, cost, 1e-3, strength_max=512.0)
        assert found.trace.cost == pytest.approx(1e-3, rel=0.2)
        assert found.trace.monotone


def test_what_does_not_belong_together_is_refused(gpt2):
    inputs = latent_inputs(gpt2)
    method = SAELatents()
    with pytest.raises(ConfigError, match="needs 'sae'"):
        method.fit(gpt2, FitInputs(latents=inputs.latents))
    with pytest.raises(ConfigError, match="needs 'latents'"):
        method.fit(gpt2, FitInputs(sae=inputs.sae))
    with pytest.raises(SAEError, match=r"bezoar\.sae\.profile_latents"):
        method.fit(gpt2, dataclasses.replace(inputs, sae=sae_at(gpt2, d_sae=64)))
    other = LanguageModel(*tiny_hf_model("gpt2", seed=1), name="other")
    with pytest.raises(SAEError, match="other weights than 'other'"):
        method.fit(other, inputs)


def test_where_no_latent_has_to_do_with_it_that_is_said(gpt2):
    inputs = latent_inputs(gpt2)
    even = dataclasses.replace(inputs.latents, mean=inputs.latents.mean[:1].expand(2, -1).clone())
    with pytest.raises(EditError, match="None of 96 latents"):
        SAELatents().fit(gpt2, FitInputs(sae=inputs.sae, latents=even))


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("sae-latents:choose=attributon", "choose"),
        ("sae-latents:mode=zero", "mode"),
        ("sae-latents:top=0", "top=0"),
        ("sae-latents:s=-1", "s=-1"),
        ("sae-latents:position=last", "positions"),
    ],
)
def test_wrong_options_are_named(spec, word):
    with pytest.raises(ConfigError, match=word):
        parse_method(spec)
