"""Scores of single neurons are those of their columns, and the null may beat them."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.activations import ActivationStore, harvest
from bezoar.errors import ConfigError, CorruptArtefact, DataError, StoreError
from bezoar.locate import NeuronRanking, NeuronScores, score_neurons
from bezoar.models import Site
from bezoar.runs.results import load_result, save_result
from bezoar.stats import auroc, average_precision
from tests.locate.kit import corpus


@pytest.fixture(scope="module")
def words():
    return corpus(60, 0)


@pytest.fixture(scope="module", params=["memory", "disk"])
def store(request, gpt2, words, tmp_path_factory):
    out = None if request.param == "memory" else tmp_path_factory.mktemp("store")
    return harvest(
        gpt2, words.texts, gpt2.sites(["resid_post", "mlp_post"]), pooling="max", out=out
    )


@pytest.fixture(scope="module")
def scores(store, words):
    return score_neurons(store, words.labels, shuffles=3)


def test_every_neuron_of_every_layer_has_the_score_of_its_column(store, words, scores):
    assert scores.sites == tuple(Site(layer, "mlp_post") for layer in range(3))
    for site in scores.sites:
        for index, column in enumerate(store.rows(site).T):
            assert scores.auroc[site][index] == pytest.approx(auroc(column, words.labels))
            expected = average_precision(column, words.labels)
            assert scores.average_precision[site][index] == pytest.approx(expected)


@pytest.mark.parametrize("by", ["auroc", "average_precision", "distance"])
def test_the_ranking_is_over_all_sites_and_falls(scores, by):
    ranking = scores.ranking(10_000, by=by)
    assert len(ranking) == ranking.considered == sum(map(len, scores.auroc.values()))
    assert len({(e.site, e.index) for e in ranking.entries}) == len(ranking)
    value = [abs(e.auroc - 0.5) if by == "distance" else getattr(e, by) for e in ranking.entries]
    assert value == sorted(value, reverse=True)
    for entry in ranking.entries[::50]:
        assert entry.auroc == scores.auroc[Site.parse(entry.site)][entry.index]
    assert scores.ranking(3, by=by).entries == ranking.entries[:3]


def test_the_null_is_the_best_neuron_under_shuffled_labels(store, words, scores):
    ranking = scores.ranking()
    assert len(ranking.null) == 3
    assert ranking.null_p in {n / 4 for n in range(1, 5)}
    none = score_neurons(store, words.labels, shuffles=0).ranking()
    assert (none.null, none.null_p) == ((), None)
    assert none.entries == ranking.entries
    random = np.random.default_rng(0).permutation(words.labels)
    assert score_neurons(store, random, shuffles=3).ranking().entries[0].auroc > 0.6  # by luck


def test_other_sites_can_be_scored(store, words):
    found = score_neurons(store, words.labels, ["1.resid_post"], shuffles=0)
    assert found.sites == (Site(1, "resid_post"),)
    with pytest.raises(StoreError, match=r"does not hold 2\.mlp_out"):
        score_neurons(store, words.labels, ["2.mlp_out"])


def test_scores_and_rankings_come_back_from_disk(scores, tmp_path):
    scores.save(tmp_path)
    again = NeuronScores.load(tmp_path)
    assert again.ranking(9, by="distance") == scores.ranking(9, by="distance")
    assert (again.texts, again.model) == (scores.texts, scores.model)
    save_result(tmp_path / "ranking.json", scores.ranking(9))
    assert load_result(tmp_path / "ranking.json", NeuronRanking) == scores.ranking(9)
    file = tmp_path / "neurons.safetensors"
    file.write_bytes(file.read_bytes()[:-8] + bytes(8))
    with pytest.raises(CorruptArtefact, match="hash"):
        NeuronScores.load(tmp_path)


def test_what_cannot_be_scored_is_refused(gpt2, words, store, scores):
    with pytest.raises(DataError, match=r"shape \(59,\) for 60 texts"):
        score_neurons(store, words.labels[1:])
    with pytest.raises(DataError, match="All 60 labels are 1"):
        score_neurons(store, np.ones(60))
    tokens = harvest(gpt2, words.texts, ["0.mlp_post"], pooling="none")
    with pytest.raises(DataError, match="a row for each token"):
        score_neurons(tokens, words.labels)
    other = harvest(gpt2, words.texts, ["0.resid_post"])
    assert isinstance(other, ActivationStore)
    with pytest.raises(StoreError, match="holds no mlp_post"):
        score_neurons(other, words.labels)
    with pytest.raises(ConfigError, match="average_precision"):
        scores.ranking(by="average-precision")
    with pytest.raises(ConfigError, match="at least one"):
        scores.ranking(0)
