"""Stages quality and features: what they leave, from which texts, and how one is chosen."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.errors import ConfigError
from bezoar.runs import Run, load_result
from bezoar.sae import (
    FeatureTable,
    QualityTable,
    load_cards,
    measure_quality,
    pool_latents,
    recovered_loss,
)
from bezoar.stats import Interval
from bezoar.studies.sae.features import features_stage
from bezoar.studies.sae.quality import choose, pooled_of, quality_stage, token_rows
from tests.studies.sae.bench_kit import bench_of, study_config


@pytest.fixture(scope="module")
def study(gpt2, tmp_path_factory):
    """A run whose two stages are done."""
    config = study_config(tmp_path_factory.mktemp("study") / "run")
    with Run.open(config.out, config) as run:
        bench = bench_of(run, config, gpt2)
        quality_stage(bench)
        features_stage(bench)
        yield bench, load_result(run.folder("quality") / "quality.json", QualityTable)


def test_every_autoencoder_is_measured_on_texts_of_either_part(study):
    bench, table = study
    assert [row.name for row in table.rows] == list(bench.names)
    for row in table.rows:
        sae, tokens = bench.sae(row.name), token_rows(bench, bench.names[row.name][0])
        for part, found in (("train", row.trained), ("report", row.held_out)):
            alone = measure_quality(sae, tokens, texts=np.array(bench.rows_of(part)))
            assert found.tokens == int(bench.tokens.lengths[bench.rows_of(part)].sum())
            assert found.explained_variance == pytest.approx(alone.explained_variance, rel=1e-6)
        report = bench.corpora["report"]
        loss = recovered_loss(bench.lm, sae, report.texts)  # so few texts are all taken
        assert row.loss.base == pytest.approx(loss.base, rel=1e-5)
        assert row.loss.spliced == pytest.approx(loss.spliced, rel=1e-5)
        assert [one.k for one in row.probing] == [1, 2, 5, 16]
        assert isinstance(row.probing[0].auroc, Interval)


def test_latents_of_every_text_are_left_for_who_reads_them(study):
    bench, table = study
    name = table.rows[1].name
    tokens = token_rows(bench, bench.names[name][0])
    for part in ("train", "report"):
        alone = pool_latents(bench.sae(name), tokens, np.array(bench.rows_of(part)))
        left = pooled_of(bench, name, part)
        for kind in ("mean", "max"):
            assert left.by(kind).toarray() == pytest.approx(alone.by(kind).toarray(), abs=1e-6)


def test_one_is_chosen_by_training_texts_alone(study):
    _, table = study
    told = {r.name: r.probing[-1].cv_auroc for r in table.rows if r.trained.l0 <= 16}
    assert 0 < len(told) < 4, "some are sparse, some are not"
    assert table.chosen == max(told, key=told.get)
    assert f"16 latents, of 4 autoencoders; {4 - len(told)} not sparse" in table.rule
    here = choose(table.rows, "2.resid_post")
    assert here.row(here.chosen).site == "2.resid_post"
    assert "of 2 autoencoders at 2.resid_post" in here.rule
    with pytest.raises(ConfigError, match=r"trained at 0\.mlp_out"):
        choose(table.rows, "0.mlp_out")


def test_where_none_is_sparse_all_may_be_chosen(study):
    _, table = study
    dense = [row for row in table.rows if row.trained.l0 > 16]
    told = {row.name: row.probing[-1].cv_auroc for row in dense}
    found = choose(dense)
    assert found.chosen == max(told, key=told.get)
    assert "not sparse" not in found.rule


def test_the_table_is_of_all_latents_and_the_cards_of_the_foremost(study):
    bench, quality = study
    folder = bench.run.folder("features")
    table = load_result(folder / "features.json", FeatureTable)
    cards = load_cards(folder / "cards.jsonl")
    assert (table.name, len(table)) == (quality.chosen, 96)
    assert len(table.probe_cosine) == len(table.probe_correlation) == 96
    assert max(table.probe_cosine) <= 1 + 1e-9
    train = bench.corpora["train"]
    assert (table.texts, table.tokens) == (60, quality.row(quality.chosen).trained.tokens)
    assert 1 <= len(cards) <= 10
    for card in cards:
        assert set(card.per_source) == {"one", "two"}
        assert set(card.per_category) == {"x", "y", "z"}
        assert len(card.promoted) == 3
        assert all(prompt.text in train.texts for prompt in card.prompts)
        assert card.ranking == "max"


def test_rows_that_were_not_kept_are_computed_again_with_the_same_result(study, gpt2, tmp_path):
    _, table = study
    config = study_config(tmp_path / "run")
    with Run.open(config.out, config) as run:
        bench = bench_of(run, config, gpt2, stored=False)
        quality_stage(bench)
        again = load_result(run.folder("quality") / "quality.json", QualityTable)
    for a, b in zip(again.rows, table.rows, strict=True):
        assert a.held_out.mse == pytest.approx(b.held_out.mse, rel=1e-4)
        assert a.probing[0].latents == b.probing[0].latents


def test_a_finished_stage_reads_nothing_and_another_choice_reads_again(study, monkeypatch):
    bench, _ = study
    from bezoar.studies.sae import quality

    monkeypatch.setattr(quality, "read_codes", None)
    quality_stage(bench)
    features_stage(bench)
