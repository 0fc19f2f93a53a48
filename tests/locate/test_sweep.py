"""The sweep finds what was planted, and its rivals and nulls are live."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bezoar.activations import harvest
from bezoar.errors import ConfigError, DataError, StoreError
from bezoar.locate import (
    ProbeSweep,
    default_sites,
    has_twin,
    load_probe,
    probe_sweep,
    untrained_twin,
)
from bezoar.runs import load_result, save_result
from tests.families import tiny_model
from tests.locate.kit import corpus

TRAIN, TEST = corpus(160, 1), corpus(80, 2)
SITES = ("embed", "0.mlp_out", "2.resid_post")
FAST = {"shuffles": 4, "resamples": 100}


@pytest.fixture(scope="module")
def sweep(request):
    return probe_sweep(tiny_model("gpt2"), TRAIN, TEST, SITES, **FAST)


def test_every_layer_and_site_is_swept(lm):
    sites = [str(site) for site in default_sites(lm)]
    assert sites[0] == "embed"
    per_layer = 3 if lm.anatomy.parallel else 4
    assert len(sites) == 1 + per_layer * lm.n_layers
    found = probe_sweep(lm, TRAIN, TEST, shuffles=0, resamples=50)
    assert [score.site for score in found.scores] == sites
    assert found.best_null_p is None
    assert found.best.auroc.value > 0.8


def test_the_best_site_is_chosen_on_training_texts(sweep):
    assert sweep.best.cv_auroc == max(score.cv_auroc for score in sweep.scores)
    assert sweep.at("2.resid_post").layer == 2
    assert sweep.at("embed").layer is None
    assert sweep.at("1.resid_post") is None


def test_planted_words_are_read_better_than_shuffled_ones(sweep):
    assert sweep.best.auroc.low > 0.75
    nulls = np.array([score.null for score in sweep.scores])
    assert nulls.shape == (3, 4)
    assert abs(nulls.mean() - 0.5) < 0.1
    assert sweep.best.null_p == pytest.approx(1 / 5)  # 4 draws can say no more
    assert sweep.best_null_p == pytest.approx(1 / 5)


def test_other_kinds_of_probe_are_swept_too(sweep):
    assert [(k.kind, k.site) for k in sweep.kinds] == [
        (kind, site) for site in SITES for kind in ("mean difference", "LDA")
    ]
    for best in sweep.best_by_kind():
        of_kind = [k for k in sweep.kinds if k.kind == best.kind]
        assert best.cv_auroc == max(k.cv_auroc for k in of_kind)
        assert best.auroc.low > 0.75
        assert best.null_p == pytest.approx(1 / 5)
    nulls = np.array([k.null for k in sweep.kinds])
    assert nulls.shape == (6, 4)
    assert abs(nulls.mean() - 0.5) < 0.1


def test_only_known_kinds_are_swept():
    with pytest.raises(ConfigError, match="LDA"):
        probe_sweep(tiny_model("gpt2"), TRAIN, TEST, SITES, kinds=("lda",), **FAST)


def test_rivals_see_words_and_no_length(sweep):
    rivals = {rival.name: rival for rival in sweep.rivals}
    assert rivals["bag of words"].auroc.value > 0.85
    assert rivals["length"].auroc.low < 0.5 < rivals["length"].auroc.high
    expected = sweep.best.auroc.value - rivals["bag of words"].auroc.value
    assert sweep.over_words.value == pytest.approx(expected, abs=1e-9)
    assert sweep.majority_rate == 0.5


def test_the_length_rival_sees_length(gpt2):
    def longer(c):
        texts = tuple(
            text * 3 if label else text for text, label in zip(c.texts, c.labels, strict=True)
        )
        return dataclasses.replace(c, texts=texts)

    found = probe_sweep(gpt2, longer(TRAIN), longer(TEST), ["embed"], **FAST)
    assert next(r for r in found.rivals if r.name == "length").auroc.value > 0.99


def test_sources_are_scored_apart_and_left_out(sweep):
    assert [s.source for s in sweep.sources] == ["a", "b"]
    assert sum(s.n for s in sweep.sources) == len(TEST)
    for s in sweep.sources:
        assert s.left_out.value > 0.6  # the words are the same in both
    assert any(s.left_out != s.auroc for s in sweep.sources)


def test_a_cue_of_one_source_does_not_survive_leaving_it_out(gpt2):
    """Source a is told by its words, source b by others: what a teaches is nothing for b."""
    a, b = corpus(120, 3), corpus(120, 4, telling=("good", "lovely"))
    both = [
        type(a)(
            a.texts[part] + b.texts[part],
            np.concatenate([a.labels[part], b.labels[part]]),
            source=("a",) * 60 + ("b",) * 60,
        )
        for part in (slice(60), slice(60, 120))
    ]
    found = probe_sweep(gpt2, *both, ["embed"], **FAST)
    for s in found.sources:
        assert s.auroc.value > s.left_out.value + 0.15


def test_harvested_stores_give_the_same_sweep(gpt2, sweep, tmp_path):
    stores = tuple(
        harvest(gpt2, part.texts, SITES, out=tmp_path / part.name, dtype="float32")
        for part in (TRAIN, TEST)
    )
    found = probe_sweep(gpt2, TRAIN, TEST, SITES, stores=stores, **FAST)
    for here, there in zip(found.scores, sweep.scores, strict=True):
        assert here.site == there.site
        assert here.auroc.value == pytest.approx(there.auroc.value, abs=1e-3)
    with pytest.raises(DataError, match="rows"):
        probe_sweep(gpt2, TEST, TRAIN, SITES, stores=stores, **FAST)
    with pytest.raises(StoreError, match="does not hold"):
        probe_sweep(gpt2, TRAIN, TEST, ["1.attn_out"], stores=stores, **FAST)


def test_probes_are_kept_and_decide_as_reported(gpt2, tmp_path):
    from bezoar.stats import auroc

    found = probe_sweep(gpt2, TRAIN, TEST, SITES, probes=tmp_path, **FAST)
    rows = harvest(gpt2, TEST.texts, SITES).rows("2.resid_post")
    probe = load_probe(tmp_path / "2.resid_post")
    assert str(probe.direction().site) == "2.resid_post"
    expected = found.at("2.resid_post").auroc.value
    assert auroc(probe.decision_function(rows), TEST.labels) == pytest.approx(expected, abs=1e-3)


def test_the_untrained_twin_has_other_weights_and_the_same_shape(gpt2):
    twin = untrained_twin(gpt2, seed=1)
    assert twin.fingerprint != gpt2.fingerprint
    assert twin.fingerprint == untrained_twin(gpt2, seed=1).fingerprint
    assert (twin.n_layers, twin.d_model, twin.d_vocab) == (3, 32, gpt2.d_vocab)


def test_the_untrained_twin_is_a_rival_read_like_the_best_site(gpt2, sweep):
    found = probe_sweep(gpt2, TRAIN, TEST, SITES, untrained=True, **FAST)
    assert found.scores == sweep.scores
    *others, rival = found.rivals
    assert tuple(others) == sweep.rivals
    assert rival.name == "untrained twin"
    twin = untrained_twin(gpt2, seed=FAST.get("seed", 0))
    own = probe_sweep(twin, TRAIN, TEST, [found.best.site], **FAST).best
    assert rival.auroc == own.auroc
    assert rival.cv_auroc == own.cv_auroc


def test_a_twin_is_made_of_plain_models_of_a_size_to_hold_beside_them(gpt2, monkeypatch):
    assert has_twin(gpt2)
    monkeypatch.setattr("bezoar.locate.rivals.TWIN_PARAMETERS", 10)
    assert not has_twin(gpt2)


def test_sweeps_are_saved_and_repeatable(gpt2, sweep, tmp_path):
    save_result(tmp_path / "sweep.json", sweep)
    assert load_result(tmp_path / "sweep.json", ProbeSweep) == sweep
    assert probe_sweep(gpt2, TRAIN, TEST, SITES, **FAST) == sweep


def test_wrong_requests(gpt2):
    with pytest.raises(DataError, match="both the training and the test"):
        probe_sweep(gpt2, TRAIN, TRAIN.take(range(40)), SITES)
    with pytest.raises(DataError, match="one class"):
        probe_sweep(gpt2, TRAIN, TEST.take(range(0, 40, 2)), SITES)
    with pytest.raises(ConfigError, match="none"):
        probe_sweep(gpt2, TRAIN, TEST, SITES, pooling="none")
    with pytest.raises(ConfigError, match="0 sites"):
        probe_sweep(gpt2, TRAIN, TEST, [])
