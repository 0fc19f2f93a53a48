"""The stage of an autoencoder: for whom it runs, on what it trains, and which it takes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bezoar.corpus import Corpus, NeutralText
from bezoar.errors import ConfigError, CorruptArtefact, SAEError, SiteError
from bezoar.evaluate import Scorecard
from bezoar.mitigate import FitInputs, SAELatents
from bezoar.runs import AuditConfig, Run, load_result
from bezoar.sae import load_sae, measure_quality
from bezoar.studies.audit import about, run_audit
from bezoar.studies.audit import sae as stage_sae
from bezoar.studies.audit.asked import made_for
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.audit.sae import (
    AuditSAE,
    autoencoder,
    check_sae,
    latent_profile,
    sae_stage,
)
from tests.families import tiny_model
from tests.mitigate.remedies import texts_and_labels
from tests.sae.steered import sae_at, store_of
from tests.studies.tiny import save_tiny_model, tiny

SMALL = {"tokens": 2_000, "batch": 64, "expansion": 2, "saes": ["topk:k=4"]}


def bench_of(run, config, lm):
    """A run of which the texts are there."""
    train, report = texts_and_labels(60), texts_and_labels(20, seed=1)
    with run.stage("explore", key=1) as stage:
        if not stage.done:
            Corpus(tuple(train[0]), train[1]).save(stage.folder / "train.parquet")
            Corpus(tuple(report[0]), report[1]).save(stage.folder / "report.parquet")
            neutral = NeutralText(tuple(texts_and_labels(10, seed=2)[0]), name="neutral")
            neutral.save(stage.folder / "neutral-select.parquet")
    bench = Bench(run, config)
    bench.__dict__["lm"] = lm
    return bench


def config_of(tmp_path, methods=("sae-latents",), **sae):
    return AuditConfig.model_validate(
        {
            "out": str(tmp_path / "run"),
            "mitigate": {"methods": methods, "null_draws": 3},
            "sae": SMALL | sae,
        }
    )


def staged(tmp_path, lm, **sae):
    """A bench whose stage is done."""
    config = config_of(tmp_path, **sae)
    with Run.open(tmp_path / "run", config) as run:
        bench = bench_of(run, config, lm)
        sae_stage(bench)
    return bench


def test_only_for_methods_that_steer_by_latents(gpt2, tmp_path):
    config = config_of(tmp_path, ("subtract",))
    assert made_for(config) == []
    with Run.open(tmp_path / "run", config) as run:
        sae_stage(bench_of(run, config, gpt2))
        assert run.finished() == ["explore"]


def test_one_is_trained_on_training_and_neutral_texts_and_profiled(gpt2, tmp_path, monkeypatch):
    named = ("prompts", "labelled texts", "neutral text")
    monkeypatch.setattr(about, "licences", lambda _: dict.fromkeys(named, "told"))
    bench = staged(tmp_path, gpt2)
    sae, latents = autoencoder(bench), latent_profile(bench)
    assert sae.info.site == "1.resid_post"  # the middle one of three layers
    assert (sae.d_sae, sae.info.fingerprint) == (64, gpt2.fingerprint)
    assert (latents.texts, latents.trained_on) == (60, bench.corpus("train").hash)
    latents.require(sae)
    assert sae.info.licence_note == "labelled texts: told; neutral text: told"
    report = load_result(bench.run.folder("sae") / "report.json", AuditSAE)
    assert (report.architecture, report.origin, report.texts) == ("topk", "trained here", 70)
    assert report.tokens == 2_000 // 64 * 64
    held_out = texts_and_labels(20, seed=1)[0]
    from bezoar.activations import harvest

    apart = harvest(gpt2, held_out, ["1.resid_post"], pooling="none")
    again = measure_quality(sae, apart)
    assert report.quality.tokens == again.tokens
    assert report.quality.explained_variance == pytest.approx(again.explained_variance, abs=1e-2)
    assert report.quality.l0 <= 4
    left = {path.name for path in bench.run.folder("sae").iterdir()}
    assert left == {"trained", "latents", "report.json", "stage.json"}
    inputs = FitInputs(sae=sae, latents=latents)
    assert len(list(SAELatents(top=4).nulls(gpt2, inputs, 2, 0))) == 2
    monkeypatch.setattr(stage_sae, "harvest", None)  # a finished stage reads nothing
    staged(tmp_path, gpt2)


def test_the_same_run_again_gives_the_same_autoencoder_and_no_other_texts(gpt2, tmp_path):
    first = autoencoder(staged(tmp_path / "a", gpt2))
    second = autoencoder(staged(tmp_path / "b", gpt2))
    assert torch.equal(first.W_dec, second.W_dec)
    without = load_result(
        staged(tmp_path / "c", gpt2, train_on="non_target").run.folder("sae") / "report.json",
        AuditSAE,
    )
    assert without.texts == 30 + 10


def test_one_that_was_trained_before_is_taken_as_it_is(gpt2, tmp_path):
    given = sae_at(gpt2, "jumprelu", "2.mlp_out")
    given.save(tmp_path / "given")
    bench = staged(tmp_path, gpt2, path=str(tmp_path / "given"))
    taken = autoencoder(bench)
    assert torch.equal(taken.W_enc, load_sae(tmp_path / "given").W_enc)
    assert str(latent_profile(bench).probe.site) == "2.mlp_out"
    report = load_result(bench.run.folder("sae") / "report.json", AuditSAE)
    assert (report.origin, report.texts, report.rows) == (str(tmp_path / "given"), 0, 0)


def test_one_that_names_no_site_is_taken_for_the_configured_one(gpt2, tmp_path):
    given = sae_at(gpt2)
    given.info = dataclasses.replace(given.info, site="", fingerprint="")
    given.save(tmp_path / "given")
    bench = staged(tmp_path, gpt2, path=str(tmp_path / "given"), sites=["0.resid_post"])
    assert autoencoder(bench).info.site == "0.resid_post"


def saved(sae, tmp_path, **changed):
    sae.info = dataclasses.replace(sae.info, **changed)
    sae.save(tmp_path / "given")
    return {"path": str(tmp_path / "given")}


def refusal(tmp_path, lm, error, word, **sae):
    config = config_of(tmp_path, **sae)
    with Run.open(tmp_path / "run", config) as run, pytest.raises(error, match=word):
        check_sae(bench_of(run, config, lm))


def test_one_of_another_width_site_or_model_is_refused(gpt2, tmp_path):
    wide = sae_at(gpt2, site="1.mlp_post")
    path = saved(wide, tmp_path / "a", site="1.resid_post")
    refusal(tmp_path / "a", gpt2, SAEError, r"sae\.path=.*128 dimensions.* has 32", **path)
    path = saved(sae_at(gpt2), tmp_path / "b", site="9.resid_post", fingerprint="")
    refusal(tmp_path / "b", gpt2, SiteError, "9", **path)
    path = saved(sae_at(gpt2), tmp_path / "c")
    there = path | {"sites": ["0.resid_post"]}
    refusal(tmp_path / "c", gpt2, SAEError, r"1\.resid_post, and sae\.sites asks for 0", **there)
    other = tiny_model("gpt2", seed=1)
    refusal(tmp_path / "d", other, SAEError, "other weights than 'tiny-gpt2'", **path)
    refusal(tmp_path / "e", gpt2, CorruptArtefact, "nowhere", path=str(tmp_path / "nowhere"))


def test_several_and_generated_tokens_are_for_the_study(gpt2, tmp_path):
    two = {"saes": ["topk:k=4", "relu"]}
    refusal(tmp_path / "a", gpt2, ConfigError, r"sae\.saes names topk:k=4, relu", **two)
    sites = {"sites": ["every.resid_post"]}
    refusal(tmp_path / "b", gpt2, ConfigError, r"sae\.sites names 0\.resid_post, 1", **sites)
    generated = {"tokens_of": "generated"}
    refusal(tmp_path / "c", gpt2, ConfigError, "tokens_of=generated", **generated)


def test_more_latents_than_tokens_are_refused(gpt2, tmp_path):
    with pytest.raises(SAEError, match="latents"):
        staged(tmp_path, gpt2, expansion=200)
    assert len(store_of(gpt2, n=60)) < 200 * 32


def test_a_whole_audit_compares_it_and_a_wrong_path_stops_it_before_any_work(tmp_path):
    model = save_tiny_model(tmp_path / "model")
    out = tmp_path / "run"
    methods = ["sae-latents:top=4", "subtract"]
    asked = {"mitigate": {"methods": methods}, "sae": SMALL}
    wrong = {**SMALL, "path": str(tmp_path / "nothing")}
    with pytest.raises(CorruptArtefact, match="nothing"):
        run_audit(tiny(tmp_path / "wrong", model, asked, {"sae": wrong}))
    assert not (tmp_path / "wrong" / "explore").exists()
    run_audit(tiny(out, model, asked))
    fits = load_result(out / "mitigate" / "methods.json", Fits)
    assert not fits.failed
    found = {m.name: m for m in fits.methods}
    assert {null.kind for null in found["sae-latents-top=4"].nulls} == {"random-latents"}
    assert not found["sae-latents-top=4"].foldable
    card = load_result(out / "evaluate" / "scorecard.json", Scorecard)
    rows = {row.method: row for row in card.rows if row.kind == "method"}
    assert list(rows) == methods
    assert any(row.null_of == methods[0] for row in card.rows)
    assert np.isfinite(rows[methods[0]].metrics["perplexity"].value)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "sae latents top=4" in page
    assert "topk, 64 latents at 1.resid_post, trained on 1,984 tokens; of other texts 4 " in page


def test_the_forecast_counts_its_training_and_not_one_that_is_there(gpt2, tmp_path):
    from bezoar.studies.audit.forecast import _autoencoder

    small = _autoencoder(config_of(tmp_path), gpt2)
    parameters = sum(p.numel() for p in gpt2.model.parameters())
    assert small == pytest.approx(2_000 * 6 * 64 * 32 / parameters)
    assert _autoencoder(config_of(tmp_path, tokens=4_000), gpt2) == pytest.approx(2 * small)
    assert _autoencoder(config_of(tmp_path, path="there"), gpt2) == 0
