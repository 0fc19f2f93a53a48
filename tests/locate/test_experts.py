"""Units are scored as columns are, and what makes them look like experts is told beside it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, CorruptArtefact, DataError, UnsupportedAnatomy
from bezoar.locate import score_neurons
from bezoar.locate.expert_evidence import draw
from bezoar.locate.expert_results import BINS, ExpertsReport
from bezoar.locate.expert_search import find_experts
from bezoar.locate.experts import NeuronExperts, expert_sites, paper_sites
from bezoar.models import Site
from bezoar.runs.results import load_result, save_result
from bezoar.stats import shuffled_labels
from tests.families import tiny_model
from tests.locate.kit import corpus
from tests.models import zoo

SMALL = {"shuffles": 39, "kept": 4, "halves": 3, "top": 20}


@pytest.fixture(scope="module")
def words():
    return corpus(120, 0)


@pytest.fixture(scope="module")
def found(gpt2, words):
    return find_experts(gpt2, words, **SMALL)


@pytest.fixture(scope="module")
def experts(found):
    return found[0]


@pytest.fixture(scope="module")
def report(found):
    return found[1]


@pytest.mark.parametrize(
    ("family", "points"),
    [
        ("gpt2", {"mlp_pre", "mlp_raw"}),
        ("gpt_neox", {"mlp_pre", "mlp_raw"}),
        ("llama", {"mlp_gate", "mlp_up", "mlp_raw"}),
    ],
)
def test_the_units_of_the_paper_are_outputs_of_the_linear_maps(family, points):
    lm = tiny_model(family)
    sites = paper_sites(lm)
    assert {site.point for site in sites} == points
    assert len(sites) == lm.n_layers * len(points)
    assert set(expert_sites(lm)) == {*sites, *lm.sites(["mlp_post"])}


def test_a_mixture_of_experts_has_none_and_says_so():
    with pytest.raises(UnsupportedAnatomy, match="no one set of linear maps"):
        paper_sites(zoo.family_model("Mixtral"))


def test_scores_are_those_of_the_columns_on_all_texts_and_on_matched_ones(gpt2, words, experts):
    store = harvest(gpt2, words.texts, experts.sites, pooling="max", max_tokens=128)
    plain = score_neurons(store, words.labels, experts.sites, shuffles=0)
    drawn = draw(words.labels, store.lengths, shuffles=39, kept=4, halves=3, seed=0)
    lengths = store.lengths[drawn.matched]
    positive = words.labels[drawn.matched] == 1
    assert abs(lengths[positive].mean() / lengths[~positive].mean() - 1) < 0.05
    matched = harvest(gpt2, [words.texts[i] for i in drawn.matched], experts.sites, pooling="max")
    again = score_neurons(matched, words.labels[drawn.matched], experts.sites, shuffles=0)
    for site in experts.sites:  # on disk in 16 bits, here in 32
        np.testing.assert_allclose(experts.auroc(site), plain.auroc[site], atol=2e-3)
        precision = experts.scores.average_precision[site]
        np.testing.assert_allclose(precision, plain.average_precision[site], atol=5e-3)
        np.testing.assert_allclose(experts.auroc(site, "matched"), again.auroc[site], atol=5e-3)


def test_shuffled_scores_are_those_of_shuffled_labels(gpt2, words, experts):
    shuffled = shuffled_labels(words.labels, 39, 0)
    for i in (0, 3):
        other = dataclasses.replace(words, labels=shuffled[i])
        again = find_experts(gpt2, other, **SMALL)[0]
        drawn = experts.under_shuffle(i)
        for site in experts.sites:
            np.testing.assert_allclose(drawn.auroc(site), again.auroc(site), atol=1e-6)
    with pytest.raises(ConfigError, match=r"Shuffle 5 .* 4 were kept"):
        experts.under_shuffle(4)


def test_the_report_counts_what_the_scores_say(gpt2, experts, report):
    assert [group.name for group in report.groups] == ["paper", "mlp_post"]
    for group in report.groups:
        sites = expert_sites(gpt2, [group.name])
        values = np.concatenate([experts.auroc(site) for site in sites])
        spread = group.all_texts
        assert (spread.units, sum(spread.counts)) == (len(values), len(values))
        for share in spread.shares:
            assert share.share == pytest.approx((values > share.threshold).mean())
            assert share.null_low <= share.null_mean <= share.null_high
        edges = np.arange(BINS + 1) / BINS
        np.testing.assert_allclose(spread.above, [(values > edge).mean() for edge in edges])
        assert spread.best == values.max()
        assert experts.auroc(Site.parse(spread.best_site))[spread.best_index] == values.max()
        assert spread.median == pytest.approx(np.median(values))
        assert len(spread.best_null) == 39


def test_units_that_know_are_more_than_labels_that_mean_nothing_give(gpt2, words, report):
    for group in report.groups:
        assert group.all_texts.best > max(group.all_texts.best_null)
        assert group.all_texts.best_p == 1 / 40
    mean = find_experts(gpt2, words, pooling="mean", **SMALL)[1].groups[0].all_texts.shares[-1]
    assert mean.share > mean.null_high
    assert mean.p == 1 / 40


def test_random_labels_stay_inside_the_band(gpt2, words):
    inside = []
    for seed in range(8):
        labels = np.random.default_rng(1_000 + seed).permutation(words.labels)
        other = dataclasses.replace(words, labels=labels)
        (group,) = find_experts(gpt2, other, ["mlp_post"], shuffles=99, halves=0)[1].groups
        for spread in (group.all_texts, group.matched):
            inside += [s.null_low <= s.share <= s.null_high for s in spread.shares]
    assert np.mean(inside) >= 0.8


def test_shorter_texts_push_the_maximum_down_and_equal_lengths_do_not(gpt2):
    """Labels that know nothing but the length, as toxic comments are short."""
    rng = np.random.default_rng(0)
    words = ["house", "tree", "river", "day", "night", "people", "think", "will"]
    labels = np.arange(200) % 2
    sizes = rng.integers(4, 20, 200) + 6 * (1 - labels)
    texts = tuple(" " + " ".join(rng.choice(words, n)) for n in sizes)
    report = find_experts(gpt2, Corpus(texts, labels), ["paper"], **SMALL)[1]
    (group,) = report.groups
    assert report.lengths.auroc < 0.3
    assert group.rising_with_length > 0.9
    assert group.all_texts.shares[0].share < group.all_texts.shares[0].null_low
    assert report.lengths.matched_auroc == pytest.approx(0.5, abs=0.01)
    matched = group.matched.shares[0]
    assert matched.null_low <= matched.share <= matched.null_high


def test_halves_agree_on_what_is_there_and_corpora_are_compared(gpt2, words, report):
    halves = report.groups[0].halves
    assert halves.draws == 3
    assert halves.rank_low <= halves.rank_correlation <= halves.rank_high
    assert halves.overlap > 2 * halves.chance
    both = find_experts(gpt2, words, ["paper"], other=corpus(120, 1), **SMALL)[1]
    assert both.groups[0].corpora.rank_correlation > 0.2
    assert both.groups[0].corpora.overlap > 3 * both.groups[0].corpora.chance
    (group,) = find_experts(gpt2, words, ["paper"], other=words, **SMALL)[1].groups
    for itself in (group.corpora, group.corpora_matched):
        assert (itself.rank_correlation, itself.overlap) == (pytest.approx(1), 1)
    assert group.other_halves == group.halves
    assert report.groups[0].corpora is report.groups[0].corpora_matched is None


def test_a_permutation_moves_scores_inside_their_site(experts):
    drawn = experts.permuted(0, 1)
    for site in experts.sites:
        assert sorted(drawn.auroc(site)) == sorted(experts.auroc(site))
        np.testing.assert_array_equal(drawn.auroc(site), experts.permuted(0, 1).auroc(site))
    assert any((drawn.auroc(s) != experts.auroc(s)).any() for s in experts.sites)


def test_scores_and_report_come_back_from_disk(experts, report, tmp_path):
    experts.save(tmp_path)
    again = NeuronExperts.load(tmp_path)
    assert again.sites == experts.sites
    assert (again.trained_on, again.max_tokens) == (experts.trained_on, experts.max_tokens)
    assert (again.scores.texts, again.draws) == (120, 4)
    for site in experts.sites:
        np.testing.assert_array_equal(again.auroc(site), experts.auroc(site))
        np.testing.assert_array_equal(again.auroc(site, "matched"), experts.auroc(site, "matched"))
        one, other = again.under_shuffle(2), experts.under_shuffle(2)
        np.testing.assert_array_equal(one.auroc(site), other.auroc(site))
    save_result(tmp_path / "report.json", report)
    assert load_result(tmp_path / "report.json", ExpertsReport) == report
    (tmp_path / "experts.safetensors").write_bytes(b"")
    with pytest.raises(CorruptArtefact):
        NeuronExperts.load(tmp_path)


def test_a_folder_that_is_given_is_used_again(gpt2, words, experts, tmp_path):
    first = find_experts(gpt2, words, out=tmp_path, **SMALL)
    marks = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.safetensors")}
    assert marks
    again = find_experts(gpt2, words, out=tmp_path, **SMALL)
    assert {path: path.stat().st_mtime_ns for path in marks} == marks
    assert first[1] == again[1]


def test_what_cannot_be_scored_is_refused(gpt2, words, experts):
    one = words.take(words.labels == 1)
    with pytest.raises(DataError, match="have label 1, and both labels are needed"):
        find_experts(gpt2, one, **SMALL)
    with pytest.raises(DataError, match="both labels"):
        find_experts(gpt2, words, other=one, **SMALL)
    with pytest.raises(ConfigError, match="one a token"):
        find_experts(gpt2, words, pooling="none")
    with pytest.raises(ConfigError, match="shuffles=0"):
        find_experts(gpt2, words, shuffles=0)
    with pytest.raises(ConfigError, match=r"0\.attn_out were not scored"):
        experts.auroc(Site(0, "attn_out"))


def test_too_few_texts_of_equal_length_leave_the_control_out(gpt2):
    short = [" you are a fool"] * 30
    long = [" the night is so kind and the river is so lovely that people think"] * 30
    words = Corpus((*short, *long), np.repeat([1, 0], 30))
    experts, report = find_experts(gpt2, words, ["mlp_post"], **SMALL)
    assert report.groups[0].matched is None
    assert (report.lengths.matched_texts, report.lengths.matched_auroc) == (0, None)
    with pytest.raises(DataError, match="equal lengths"):
        experts.auroc(experts.sites[0], "matched")
    experts.under_shuffle(0)
