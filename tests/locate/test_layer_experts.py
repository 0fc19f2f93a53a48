"""Layers as experts: what is planted is found, what matching gains is said, rivals see the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.errors import BezoarError, ConfigError, DataError, SiteError, StoreError
from bezoar.locate.layer_experts import layer_experts
from bezoar.locate.layer_results import LayerExperts, LayersReport
from bezoar.models import LanguageModel
from bezoar.runs import load_result, save_result
from tests.families import tiny_model
from tests.locate.kit import corpus
from tests.models import zoo

QUICK = {"resamples": 200, "null_draws": 99}
TRAIN, TEST = corpus(80, 1), corpus(60, 2)


@pytest.fixture(scope="module")
def lm() -> LanguageModel:
    return tiny_model("gpt2")


@pytest.fixture(scope="module")
def found(lm: LanguageModel) -> LayerExperts:
    return layer_experts(lm, TRAIN, TEST, **QUICK)


class Planted:
    """A store whose rows are given: one site a layer, as harvested from a model."""

    def __init__(self, real, rows) -> None:
        self._real, self._given = real, rows
        self.lengths, self.manifest = real.lengths, real.manifest

    def __len__(self) -> int:
        return len(self._real)

    def require(self, **what) -> None:
        self._real.require(**what)

    def rows(self, site, index=None) -> np.ndarray:
        return self._given[site.layer][index if index is not None else slice(None)]


def planted(lm: LanguageModel, make) -> LayerExperts:
    """Layer experts of rows [n d] that ``make(layer, labels, rng)`` gives."""
    stores = []
    for number, texts in enumerate((TRAIN, TEST)):
        real = harvest(lm, texts.texts, lm.sites(["resid_post"]), pooling="mean")
        rng = np.random.default_rng(number)
        rows = {layer: make(layer, texts.labels, rng) for layer in range(lm.n_layers)}
        stores.append(Planted(real, {k: v.astype(np.float32) for k, v in rows.items()}))
    given = {"stores": tuple(stores), "neurons": "resid_post"}
    return layer_experts(lm, TRAIN, TEST, **given, **QUICK)


def noise(labels, rng) -> np.ndarray:
    return rng.standard_normal((len(labels), 6))


@pytest.mark.usefixtures("_unhooked")
def test_separable_planted_clusters_are_perfect_and_the_rest_is_chance(lm) -> None:
    def make(layer, labels, rng):
        return noise(labels, rng) + (8 * labels[:, None] if layer == 1 else 0)

    got = planted(lm, make)
    assert [one.kmeans.auroc.value for one in got.layers][1] == 1
    assert got.layers[1].hierarchical.auroc.value == 1
    assert got.layers[1].kmeans.null_p == pytest.approx(0.01)
    assert got.best_null_p == pytest.approx(0.01)
    assert all(abs(got.layers[i].kmeans.auroc.value - 0.5) < 0.25 for i in (0, 2))
    assert got.ranked_by("k-means").observed[1] == 1
    assert got.ranked_by("silhouette").observed[1] == 1
    best = {one.rival: one for one in got.contests if one.layers == "best layer"}
    assert best["linear probe"].clusters.value == 1


@pytest.mark.usefixtures("_unhooked")
def test_a_single_telling_neuron_is_no_layer_and_is_found(lm) -> None:
    def make(_, labels, rng):
        rows = 5 * noise(labels, rng)
        rows[:, 3] = -labels + 0.1 * rng.standard_normal(len(labels))
        return rows

    got = planted(lm, make)
    for one in got.layers:
        assert one.best_neuron.unit == 3
        assert one.best_neuron.auroc.value == 1
        assert one.best_neuron.balanced_accuracy.value == 1
        assert one.kmeans.auroc.value < 0.8
        # It falls silent on the behaviour: as published it counts 0, and with its sign 1.
        assert one.mean_neuron.signed.value - one.mean_neuron.plain.value > 0.1
    fights = {one.rival: one for one in got.contests}
    alike = fights["best neuron, cut in two without labels"]
    assert alike.like_for_like
    assert alike.rival_auroc.value == 1
    assert alike.difference.high < 0
    assert fights["mean neuron, as published"].like_for_like is False


def test_clusters_that_are_text_length_are_no_better_than_it(lm) -> None:
    def cut(some: Corpus) -> Corpus:
        """Texts of label 1 end early, and all say the same."""
        texts = tuple(
            " the" * (3 + i % 3 + 12 * (label == 0) + 5 * (i % 7 == 0)) + f" {some.name[-1]}{i}"
            for i, label in enumerate(some.labels)
        )
        return replace(some, texts=texts)

    got = layer_experts(lm, cut(TRAIN), cut(TEST), **QUICK)
    fight = next(one for one in got.contests if one.rival.startswith("text length"))
    assert fight.like_for_like
    assert fight.rival_auroc.value > 0.8
    assert fight.difference.low <= 0
    assert max(one.kmeans.length_auroc for one in got.layers) > 0.8


def test_on_texts_of_equal_length_clusters_of_length_tell_nothing(lm) -> None:
    def some(n: int, seed: int) -> Corpus:
        """Texts of label 1 are short, and those of label 0 long, in four cases of five."""
        rng = np.random.default_rng(seed)
        labels = np.arange(n) % 2
        short = np.where(rng.random(n) < 0.8, labels, 1 - labels)
        texts = tuple(" the" * (4 if s else 16) + f" {seed}{i}" for i, s in enumerate(short))
        return Corpus(texts, labels, name="lengths")

    got = layer_experts(lm, some(160, 1), some(200, 2), **QUICK)
    best = max((one.kmeans for one in got.layers), key=lambda score: score.auroc.value)
    assert best.auroc.value > 0.7
    assert best.equal_length.low < 0.5 < best.equal_length.high + 0.02
    assert 40 < got.equal_n < 160
    assert got.equal_n % 2 == 0


@pytest.mark.usefixtures("_unhooked")
def test_matching_alone_gains_and_the_null_says_how_much(lm) -> None:
    got = planted(lm, lambda _, labels, rng: noise(labels, rng))
    for one in got.layers:
        score = one.kmeans
        assert score.matched.value >= max(0.5, score.auroc.value)
        assert score.matched.value in (
            pytest.approx(score.auroc.value),
            pytest.approx(1 - score.auroc.value),
        )
        assert 0.52 < score.null_mean < 0.58  # E|A − ½| of 30 against 30 texts is about .05
        assert score.null_mean < score.null_high
        assert score.matched.low >= 0.5


def test_what_is_found_is_read_from_the_model(lm, found) -> None:
    assert [one.site for one in found.layers] == [f"{i}.resid_post" for i in range(3)]
    assert [one.depth for one in found.layers] == pytest.approx([1 / 3, 2 / 3, 1])
    assert found.neurons == "mlp_post"
    assert found.layers[0].mean_neuron.units == lm.d_mlp
    assert found.layers[0].probe.auroc.value > 0.65  # the telling words can be read
    assert found.kind == "decoder"
    assert found.caveat == ""
    for ranks in found.ranks:
        assert sorted(ranks.observed)[-1] <= 1
        assert np.mean(ranks.observed) == pytest.approx(0.5)
        assert all(np.mean(draw) == pytest.approx(0.5) for draw in ranks.draws)


def test_stores_that_were_harvested_before_give_the_same(lm, found, tmp_path) -> None:
    sites = lm.sites(["resid_post", "mlp_post"])
    stores = tuple(
        harvest(lm, texts.texts, sites, out=tmp_path / str(i), dtype="float32")
        for i, texts in enumerate((TRAIN, TEST))
    )
    again = layer_experts(lm, TRAIN, TEST, stores=stores, **QUICK)
    for one, other in zip(found.layers, again.layers, strict=True):
        assert one.kmeans.auroc.value == other.kmeans.auroc.value
        assert one.probe.auroc.value == pytest.approx(other.probe.auroc.value)
    with pytest.raises(StoreError, match="mlp_out"):
        layer_experts(lm, TRAIN, TEST, stores=stores, neurons="mlp_out", **QUICK)


def test_equal_seeds_give_equal_results_and_they_are_kept(lm, found, tmp_path) -> None:
    report = LayersReport((found, layer_experts(lm, TRAIN, TEST, **QUICK)))
    assert report.experts[0] == report.experts[1]
    save_result(tmp_path / "layers.json", report)
    assert load_result(tmp_path / "layers.json", LayersReport) == report
    assert found.__rich__().row_count == 3


@pytest.mark.parametrize("family", zoo.ENCODERS)
def test_encoders_are_read_alike_and_called_so(family) -> None:
    encoder = zoo.family_model(family)
    got = layer_experts(encoder, TRAIN, TEST, **QUICK)
    assert got.kind == "encoder"
    assert len(got.layers) == encoder.n_layers


def test_a_masked_language_model_with_its_head_is_an_encoder(tmp_path) -> None:
    model, tokenizer = zoo.hf_model("BERT", "AutoModelForMaskedLM")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    twin = LanguageModel.from_pretrained(tmp_path)
    assert layer_experts(twin, TRAIN, TEST, **QUICK).kind == "encoder"


def test_a_model_of_one_layer_ranks_it_in_the_middle() -> None:
    from transformers import AutoModelForCausalLM, GPT2Config

    from tests.families import tiny_tokenizer

    tokenizer = tiny_tokenizer()
    config = GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=64, vocab_size=len(tokenizer))
    alone = LanguageModel(AutoModelForCausalLM.from_config(config).eval(), tokenizer, name="one")
    got = layer_experts(alone, TRAIN, TEST, **QUICK)
    assert all(ranks.observed == (0.5,) for ranks in got.ranks)
    assert got.layers[0].depth == 1


@pytest.mark.usefixtures("_unhooked")
def test_constant_activations_are_chance_without_a_silhouette(lm) -> None:
    got = planted(lm, lambda _, labels, __: np.ones((len(labels), 6)))
    for one in got.layers:
        assert one.kmeans.auroc.value == one.probe.auroc.value == one.mean_neuron.plain.value == 0.5
        assert one.kmeans.silhouette is None
        assert one.kmeans.null_p == 1
    assert got.ranked_by("silhouette") is None


def test_a_language_that_is_spelt_in_bytes_is_a_test_of_the_pipeline(lm) -> None:
    def chinese(some: Corpus, name: str) -> Corpus:
        signs = dict(
            zip(
                "abcdefghijklmnopqrstuvwxyz",
                "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏余成",
                strict=False,
            )
        )
        texts = tuple("".join(signs.get(c, "，") for c in text) for text in some.texts)
        return replace(some, texts=texts, name=name)

    got = layer_experts(lm, chinese(TRAIN, "一"), chinese(TEST, "二"), **QUICK)
    assert got.tokens_per_character > 2.5
    assert got.caveat.startswith("a test of the pipeline, no claim")


def test_few_texts_and_one_class_and_shared_texts_are_refused(lm) -> None:
    with pytest.raises(DataError, match="label 0"):
        layer_experts(lm, corpus(16, 3), TEST, **QUICK)
    with pytest.raises(DataError, match="All 30 texts"):
        layer_experts(lm, TRAIN, TEST.take(np.flatnonzero(TEST.labels)), **QUICK)
    with pytest.raises(DataError, match="both"):
        layer_experts(lm, TRAIN, TRAIN, **QUICK)


def test_points_and_poolings_that_cannot_be_had_are_refused(lm) -> None:
    with pytest.raises(ConfigError, match="one row a text"):
        layer_experts(lm, TRAIN, TEST, pooling="none", **QUICK)
    with pytest.raises(SiteError):
        layer_experts(lm, TRAIN, TEST, neurons="mlp_gate", **QUICK)
    with pytest.raises(BezoarError):
        layer_experts(lm, TRAIN, TEST, point="residpost", **QUICK)
