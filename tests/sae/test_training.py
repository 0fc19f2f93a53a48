"""Training: resumed bit for bit, several in one pass, and errors that say what to do."""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from bezoar.activations.rows import InMemoryRows
from bezoar.errors import ConfigError, CorruptArtefact, SAEError
from bezoar.runs import Progress
from bezoar.sae import SAESpec, folder_name, load_sae, planted_dictionary, train_saes
from bezoar.sae.pupil import Plan, Pupil
from tests.sae.material import SPECS

SITE = "3.resid_post"
SMALL = {"tokens": 1_280, "batch": 64, "expansion": 4, "lr": 3e-3}


def rows(n=500, d=16, seed=0):
    return InMemoryRows(planted_dictionary(32, d, n, 3, seed)[0], SITE)


class PressCtrlC(Progress):
    """Stands for somebody who presses Ctrl-C when a number of tokens is done."""

    def __init__(self, after: int) -> None:
        super().__init__(quiet=True)
        self.left = after

    @contextmanager
    def task(self, label, total=None, unit="items"):
        def advance(n):
            self.left -= n
            if n and self.left <= 0:
                os.kill(os.getpid(), signal.SIGINT)

        yield advance


def same(a, b):
    one, two = a.sae.state_dict(), b.sae.state_dict()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert a.curve.loss == b.curve.loss
    assert a.curve.tokens == b.curve.tokens
    assert a.sae.info == b.sae.info


@pytest.mark.parametrize("done", [64, 9 * 64])  # in the first epoch of seven batches, and later
def test_ctrl_c_keeps_a_checkpoint_and_the_rest_is_the_same_bit_for_bit(done, tmp_path):
    specs = ("topk:k=4", "batch_topk:k=4", "jumprelu:l0=4", "gated:resample=2", "relu")
    whole = train_saes(specs, rows(), **SMALL)
    with pytest.raises(KeyboardInterrupt):
        train_saes(specs, rows(), **SMALL, out=tmp_path, progress=PressCtrlC(done))
    notes = json.loads((tmp_path / f".{SITE}.checkpoint" / "checkpoint.json").read_text())
    assert notes["step"] == done // 64
    resumed = train_saes(specs, rows(), **SMALL, out=tmp_path)
    for a, b in zip(whole, resumed, strict=True):
        same(a, b)
    assert not (tmp_path / f".{SITE}.checkpoint").exists()


def test_the_handler_of_ctrl_c_is_put_back():
    before = signal.getsignal(signal.SIGINT)
    train_saes(["topk:k=4"], rows(), **SMALL)
    assert signal.getsignal(signal.SIGINT) is before


def test_what_is_finished_is_read_and_not_trained_again(tmp_path):
    [first] = train_saes(["topk:k=4"], rows(), **SMALL, out=tmp_path)
    [again] = train_saes(["topk:k=4"], rows(), **SMALL, out=tmp_path, progress=PressCtrlC(1))
    assert again.curve == first.curve
    assert torch.equal(again.sae.W_dec, first.sae.W_dec)
    kept = load_sae(tmp_path / folder_name(SITE, "topk:k=4"))
    assert kept.info.site == SITE
    [other] = train_saes(["topk:k=4"], rows(seed=1), **SMALL, out=tmp_path)
    assert not torch.equal(other.sae.W_dec, first.sae.W_dec)


def test_a_checkpoint_of_another_training_is_not_used(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_saes(["topk:k=4"], rows(), **SMALL, out=tmp_path, progress=PressCtrlC(64))
    [here] = train_saes(["topk:k=4"], rows(seed=1), **SMALL, out=tmp_path)
    same(train_saes(["topk:k=4"], rows(seed=1), **SMALL)[0], here)


@pytest.mark.parametrize("name", ["checkpoint.json", "step-1.safetensors"])
def test_a_damaged_checkpoint_is_named(name, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_saes(["topk:k=4"], rows(), **SMALL, out=tmp_path, progress=PressCtrlC(64))
    file = tmp_path / f".{SITE}.checkpoint" / name
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(CorruptArtefact, match="cannot be read as a checkpoint"):
        train_saes(["topk:k=4"], rows(), **SMALL, out=tmp_path)


def test_an_autoencoder_does_not_depend_on_what_is_trained_beside_it():
    together = train_saes(["topk:k=4", "relu", "topk:k=4,seed=5"], rows(), **SMALL)
    for trained, spec in zip(together, ("topk:k=4", "relu", "topk:k=4,seed=5"), strict=True):
        same(train_saes([spec], rows(), **SMALL)[0], trained)
    assert not torch.equal(together[0].sae.W_dec, together[2].sae.W_dec)


def test_rows_are_read_once_for_all():
    source, passes = rows(), []
    batches = source.batches
    source.batches = lambda *args: passes.append(args) or batches(*args)
    train_saes(["topk:k=4", "relu", "gated"], source, **SMALL)
    assert len(passes) == 1 + 3  # a sample, and three epochs of seven batches


@pytest.mark.parametrize("spec", SPECS)
def test_the_scale_of_the_inputs_is_folded_in(spec):
    x = planted_dictionary(32, 16, 500, 3)[0]
    [small] = train_saes([spec], InMemoryRows(x, SITE), **SMALL)
    [large] = train_saes([spec], InMemoryRows(64 * x, SITE), **SMALL)  # a power of 2: exact
    assert large.sae.info.scale == pytest.approx(small.sae.info.scale / 64)
    assert torch.allclose(large.sae(64 * x), 64 * small.sae(x), rtol=1e-3, atol=1e-3)
    assert torch.allclose(small.sae.W_dec.norm(dim=1), torch.ones(64), atol=1e-5)
    assert large.curve.loss[-1] == pytest.approx(small.curve.loss[-1], rel=1e-3)


def test_what_is_known_of_it_is_written_down(tmp_path):
    words = {"trained_on": "planted", "licence_note": "not to be passed on"}
    [trained] = train_saes(
        ["topk:k=4,latents=40,lr=0.01,seed=3"], rows(), **SMALL, lm_info=("m", "f"), **words
    )
    info = trained.sae.info
    assert (info.site, info.model, info.fingerprint) == (SITE, "m", "f")
    assert (info.d_model, info.d_sae, info.tokens, info.seed) == (16, 40, 1_280, 3)
    assert (info.trained_on, info.licence_note) == ("planted", "not to be passed on")
    assert info.options["k"] == 4
    assert info.options["lr"] == 0.01
    assert trained.curve.tokens[-1] == 1_280
    assert max(trained.curve.lr) <= 0.01


def test_the_rate_rises_and_falls():
    plan = Plan(100, 1, 1.0, 0.1, 0.2, 1, 0)
    rates = [plan.rate(step, 2.0) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[10] == rates[79] == 2.0
    assert rates[99] == pytest.approx(0.1)
    assert rates == sorted(rates[:50]) + sorted(rates[50:], reverse=True)


def test_dead_latents_begin_anew_where_reconstruction_is_bad():
    pupil = Pupil(SAESpec.parse("relu:resample=0"), 8, 16, Plan(10, 32, 1e-3, 0.1, 0.1, 32, 0))
    x = torch.randn(32, 8, generator=torch.Generator().manual_seed(0))
    x[5] *= 100  # is drawn, whatever else is
    pupil.begin(x, torch.zeros(8))
    with torch.no_grad():
        pupil.sae.b_enc[4:] = -1e6
    pupil.step(0, x)
    assert pupil.dead().tolist() == list(range(4, 16))
    living = pupil.sae.W_enc[:, :4].clone()
    moment = pupil.optimiser.state[pupil.sae.W_enc]["exp_avg"]
    moment.fill_(1)
    pupil.resample(1, x)
    assert not len(pupil.dead())
    directions = torch.nn.functional.normalize(x - pupil.sae.b_dec, dim=1)
    cosines = pupil.sae.W_dec[4:] @ directions.T
    assert torch.allclose(cosines.amax(1), torch.ones(12), atol=1e-5)
    drawn = cosines.argmax(1).tolist()
    assert 5 in drawn
    assert len(set(drawn)) == 12  # no two begin alike: they would stay alike
    assert torch.equal(pupil.sae.W_enc[:, :4], living)
    assert not pupil.sae.b_enc[4:].any()
    assert moment[:, :4].all()
    assert not moment[:, 4:].any()
    assert (pupil.sae.encode(x)[:, 4:] > 0).any(0).all()


def test_where_rows_are_fewer_than_dead_latents_the_rest_wait():
    plan = Plan(10, 4, 1e-3, 0.1, 0.1, 4, 0)
    pupil = Pupil(SAESpec.parse("gated:resample=0"), 8, 16, plan)
    x = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    pupil.begin(x, torch.zeros(8))
    with torch.no_grad():
        pupil.sae.b_enc[4:] = -1e6
        pupil.sae.b_mag[4:] = -7.0
        pupil.sae.r_mag[4:] = 3.0
    pupil.step(0, x)
    pupil.resample(1, torch.cat([x, x]))  # equal rows are one
    assert pupil.dead().tolist() == list(range(8, 16))
    for name in ("b_enc", "b_mag", "r_mag"):
        assert not getattr(pupil.sae, name)[4:8].any(), name
    assert (pupil.sae.encode(x)[:, 4:8] > 0).any(0).all()


def test_the_auxiliary_loss_brings_dead_latents_back():
    x = planted_dictionary(32, 16, 4_000, 3)[0] * 2
    explained, dead = {}, {}
    for aux in (0, 1 / 32):
        plan = Plan(300, 64, 1e-2, 0.1, 0.1, 256, 0)
        pupil = Pupil(SAESpec.parse(f"topk:k=3,aux={aux}"), 16, 64, plan)
        pupil.begin(x, x.mean(0))
        with torch.no_grad():
            pupil.sae.W_enc[:, 6:] *= 1e-3  # never among the three largest
        for number in range(300):
            pupil.step(number, x[64 * (number % 62) :][:64])
        explained[aux], dead[aux] = pupil.points[-1][2], pupil.points[-1][4]
    assert dead[0] > 0.6
    assert dead[1 / 32] < 0.5
    assert explained[1 / 32] > explained[0] + 0.05


def test_batch_topk_learns_the_threshold_that_gives_k_latents():
    x = planted_dictionary(32, 16, 4_000, 3)[0]
    options = {"tokens": 40_000, "batch": 256, "expansion": 4, "lr": 3e-3}
    [trained] = train_saes(["batch_topk:k=4"], InMemoryRows(x, SITE), **options)
    assert float(trained.sae.threshold) > 0
    assert float((trained.sae.encode(x) > 0).sum(1).float().mean()) == pytest.approx(4, rel=0.15)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"expansion": 32}, SAEError, "512 latents, and 3.resid_post has 500 rows"),
        ({"tokens": 0}, ConfigError, "Training on 0 tokens"),
        ({"lr": -1.0}, ConfigError, "rate of -1"),
        ({"warmup": 2.0}, ConfigError, "shares 2"),
        ({"lr": 1e30}, SAEError, "loss of 'topk:k=4' became .* at step"),
    ],
)
def test_a_training_that_cannot_be_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        train_saes(["topk:k=4"], rows(), **SMALL | change)


@pytest.mark.parametrize("specs", [[], ["topk", "topk"], ["topk:seed=1,k=4", "topk:k=4,seed=1"]])
def test_no_spec_and_the_same_spec_twice_are_refused(specs):
    with pytest.raises(ConfigError):
        train_saes(specs, rows(), **SMALL)


def test_constant_rows_and_rows_that_are_no_numbers_are_refused():
    with pytest.raises(SAEError, match="all the same"):
        train_saes(["topk:k=4"], InMemoryRows(np.ones((500, 16), np.float32), SITE), **SMALL)

    class Unchecked(InMemoryRows):
        def batches(self, *args):
            for x in super().batches(*args):
                yield x.clone().index_fill(0, torch.tensor([3]), torch.nan)

    with pytest.raises(SAEError, match=r"rows of 3.resid_post are not finite"):
        train_saes(["topk:k=4"], Unchecked(rows()._rows, SITE), **SMALL)


def test_rows_that_stop_being_numbers_are_not_blamed_on_the_rate():
    class Spoiled(InMemoryRows):
        def batches(self, batch, epoch=0, start=0, seed=0):
            for x in super().batches(batch, epoch, start, seed):
                yield x.clone().index_fill(0, torch.tensor([3]), torch.nan) if epoch else x

    with pytest.raises(SAEError, match=r"The batch of step 7 of 20 has rows .* not finite"):
        train_saes(["topk:k=4"], Spoiled(rows()._rows, SITE), **SMALL)


def test_rows_of_another_model_are_refused():
    source = rows()
    source.fingerprint = "of one"
    train_saes(["topk:k=4"], source, **SMALL, lm_info=("m", "of one"))
    with pytest.raises(SAEError, match=r"rows of 3.resid_post are of a model with other .* 'm'"):
        train_saes(["topk:k=4"], source, **SMALL, lm_info=("m", "of another"))
