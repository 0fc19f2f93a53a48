from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.errors import CorruptArtefact, DataError, ModelError
from bezoar.evaluate.contest import Sizes, contest
from bezoar.evaluate.contest_fit import Task
from bezoar.evaluate.contest_readers import Reader
from bezoar.evaluate.detector import Detector
from bezoar.evaluate.detector_fit import fit_detector, one_of_each, share, threshold_at
from bezoar.evaluate.detector_results import DetectorInfo
from bezoar.models import LanguageModel
from bezoar.sae import TopK, pool_latents
from bezoar.sae.steering import steer_latents
from bezoar.stats import Interval
from tests.evaluate.contests import LATENT, TRAIN, N, labels_of, latents, noise
from tests.families import tiny_hf_model
from tests.scoring.models import SENTENCES

SITE = "1.resid_post"
POOLINGS = ("mean", "max", "last")
ANY = Interval(0.01, 0.0, 0.05)


def info(lm, **more) -> DetectorInfo:
    given = {
        "site": SITE,
        "pooling": "mean",
        "reads": "states",
        "reader": "1.resid_post, mean: all",
        "intercept": -0.25,
        "threshold": 0.0,
        "asked": 0.01,
        "false_alarms": ANY,
        "hits": ANY,
        "calibration": (100, 100),
        "reported_false_alarms": ANY,
        "reported_hits": ANY,
        "auroc": ANY,
        "model": lm.name,
        "fingerprint": lm.fingerprint,
    }
    return DetectorInfo(**given | more)


def weights(n):
    return torch.randn(n, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def sae(gpt2):
    torch.manual_seed(0)
    sae = TopK(gpt2.d_model, 40)
    for parameter in sae.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return sae


@pytest.mark.parametrize("pooling", POOLINGS)
def test_the_decision_is_that_of_the_pooled_states_and_the_sum_of_its_tokens(gpt2, pooling):
    rows = harvest(gpt2, SENTENCES, [SITE], pooling=pooling).rows(SITE)
    w = weights(gpt2.d_model)
    made = Detector(info(gpt2, pooling=pooling), w)
    found = made.score(gpt2, SENTENCES)
    expected = rows @ w.numpy() - 0.25
    assert [v.log_odds for v in found.texts] == pytest.approx(expected.tolist(), abs=1e-4)
    for verdict, text in zip(found.texts, SENTENCES, strict=True):
        assert sum(verdict.contributions) + made.info.intercept == pytest.approx(verdict.log_odds)
        assert "".join(verdict.tokens).strip() == text.strip()
        assert verdict.flagged == (verdict.log_odds > 0)
        assert verdict.probability == pytest.approx(1 / (1 + np.exp(-verdict.log_odds)))


@pytest.mark.parametrize("pooling", ["mean", "max"])
@pytest.mark.parametrize("chosen", [[3, 17, 5], list(range(40))])
def test_latents_are_those_of_the_autoencoder_without_it(gpt2, sae, pooling, chosen):
    store = harvest(gpt2, SENTENCES, [SITE], pooling="none")
    sae.info = dataclasses.replace(sae.info, site=SITE)
    pooled = pool_latents(sae, store).by(pooling).toarray()
    w = weights(len(chosen))
    encoder = steer_latents(sae, torch.tensor(chosen))
    about = info(
        gpt2, pooling=pooling, reads="latents", latents=tuple(chosen), active=encoder.active
    )
    found = Detector(about, w, encoder).score(gpt2, SENTENCES)
    expected = pooled[:, chosen] @ w.numpy() - 0.25
    assert [v.log_odds for v in found.texts] == pytest.approx(expected.tolist(), abs=1e-4)


def test_batching_and_neighbours_change_nothing(gpt2):
    made = Detector(info(gpt2), weights(gpt2.d_model))
    together = made.score(gpt2, SENTENCES).scores
    alone = [made.score(gpt2, [text]).scores[0] for text in SENTENCES]
    assert together == pytest.approx(alone, abs=1e-5)


def test_it_comes_back_from_disk_as_it_was(gpt2, sae, tmp_path):
    encoder = steer_latents(sae, torch.tensor([1, 2]))
    about = info(gpt2, reads="latents", latents=(1, 2), active=encoder.active)
    for name, made in (
        ("states", Detector(info(gpt2), weights(gpt2.d_model))),
        ("latents", Detector(about, weights(2), encoder)),
    ):
        made.save(tmp_path / name)
        again = Detector.load(tmp_path / name)
        assert again.info == made.info
        assert again.score(gpt2, SENTENCES) == made.score(gpt2, SENTENCES)


def test_another_model_is_refused(gpt2):
    hf, tokenizer = tiny_hf_model("gpt2")
    with torch.no_grad():
        next(hf.parameters()).add_(1e-3)
    other = LanguageModel(hf, tokenizer, name="other")
    made = Detector(info(gpt2), weights(gpt2.d_model))
    with pytest.raises(ModelError, match="this is 'other'"):
        made.score(other, ["a"])


def test_empty_texts_are_named_and_long_ones_are_said_to_be_cut(gpt2):
    made = Detector(info(gpt2, max_tokens=4), weights(gpt2.d_model))
    with pytest.raises(DataError, match=r"1 of 3 texts are empty \(number 2\)"):
        made.score(gpt2, ["a", "  ", "b"])
    short, long = made.score(gpt2, ["a", " ".join(SENTENCES)]).texts
    assert (short.cut, long.cut) == (False, True)
    assert len(long.tokens) == 4


def test_damage_is_seen(gpt2, tmp_path):
    made = Detector(info(gpt2), weights(gpt2.d_model))
    made.save(tmp_path)
    file = tmp_path / "detector.json"
    told = json.loads(file.read_text())
    told["about"]["reads"] = "latents"
    file.write_text(json.dumps(told))
    with pytest.raises(CorruptArtefact, match="holds weights"):
        Detector.load(tmp_path)
    with pytest.raises(CorruptArtefact):
        Detector.load(tmp_path / "nowhere")
    with pytest.raises(DataError, match="pool by 'none'"):
        Detector(info(gpt2, pooling="none"), weights(4))


# The threshold


def test_the_rate_of_false_alarms_is_what_it_is_said_to_be():
    """Over many calibrations: the mean is kept, and the interval covers 95 % of true rates."""
    rng = np.random.default_rng(0)
    true, inside = [], []
    for _ in range(400):
        threshold, told = threshold_at(rng.exponential(size=300), 0.05)
        rate = float(np.exp(-threshold))
        true.append(rate)
        inside.append(told.low <= rate <= told.high)
    assert told.value <= 0.05
    assert np.mean(true) == pytest.approx(told.value, rel=0.07)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.035)


def test_few_texts_promise_no_small_rate():
    threshold, told = threshold_at(np.arange(20.0), 0.01)
    assert threshold == 19
    assert told.value == pytest.approx(1 / 21)
    assert told.high > 0.15


def test_a_share_has_its_exact_interval():
    assert share(np.zeros(10, bool)).high == pytest.approx(0.3085, abs=1e-4)
    assert share(np.ones(10, bool)).low == pytest.approx(0.6915, abs=1e-4)


def test_repeats_of_a_text_are_one_draw_of_a_share():
    hits = np.random.default_rng(0).random(60) < 0.2
    text, again = np.arange(60), np.repeat(np.arange(60), 7)
    once, seven = share(hits, text), share(hits[again], again)
    for a, b in ((once, share(hits)), (seven, once)):
        assert (a.value, a.low, a.high) == pytest.approx((b.value, b.low, b.high))
    assert share(hits[again]).low > once.low + 0.03
    none = share(np.zeros(70, bool), np.arange(70) // 7)
    assert none.high == pytest.approx(share(np.zeros(10, bool)).high)


def test_families_of_negatives_promise_no_more_than_one_text_of_each():
    """Each of 300 texts is there up to twelve times: one of each keeps the rate and its interval;
    taken as they come, the interval is too narrow."""
    rng = np.random.default_rng(0)
    true, inside, torn = [], [], []
    for seed in range(300):
        group = np.repeat(np.arange(300), rng.integers(1, 13, 300))
        decisions = rng.exponential(size=300)[group]
        chosen = one_of_each(group, len(group), seed)
        assert sorted(group[chosen]) == list(range(300))
        for rows, found in ((chosen, inside), (np.arange(len(group)), torn)):
            threshold, told = threshold_at(decisions[rows], 0.05)
            rate = float(np.exp(-threshold))
            found.append(told.low <= rate <= told.high)
            true += [rate] if rows is chosen else []
    assert np.mean(true) == pytest.approx(15 / 301, rel=0.08)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.04)
    assert np.mean(torn) < 0.8


@pytest.mark.parametrize("kind", ["all", "k=3"])
def test_a_detector_of_a_row_keeps_its_threshold_on_new_texts(kind):
    y = labels_of()
    rows = latents(y, strength=0.95)
    readers = [Reader("a", "sae", lambda: rows), Reader("b", "dense", noise)]
    train, report = np.arange(TRAIN), np.arange(TRAIN, N)
    sizes = Sizes(sparse=(3,), folds=3, penalties=2, resamples=100)
    found = contest(readers, y, None, train, report, sizes=sizes, curves=False)
    task = Task.of(y, None, train, report, None, "none", 3, 0)
    made = fit_detector(task, readers[0], found.row(f"a: {kind}"), sparse=(3,), false_alarms=0.1)
    assert LATENT in made.features
    decisions = rows[report][:, made.features] @ made.weights + made.intercept
    flagged = decisions > made.threshold
    assert flagged[y[report] == 0].mean() == pytest.approx(made.reported_false_alarms.value)
    assert flagged[y[report] == 1].mean() == pytest.approx(made.reported_hits.value)
    assert made.reported_false_alarms.low <= 0.1
    assert made.auroc.value > 0.9
