"""Harvest and saes: what is read, by which way, what is trained on it, and going on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bezoar.activations import ActivationStore, RecomputedRows, StoredRows, row_choice
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, DataError, SAEError, StoreError
from bezoar.models import Generations
from bezoar.runs import Run, load_result
from bezoar.runs.sae_sections import QUICK_SAE, SAEStudySAEConfig
from bezoar.sae import RecomputedTokens, StoredTokens, load_sae, save_sae
from bezoar.sae.curves import Curves
from bezoar.studies.sae import check_bench, check_study
from bezoar.studies.sae import forecast as forecasting
from bezoar.studies.sae import harvest as harvesting
from bezoar.studies.sae.bench import WRITTEN, SAEBench
from bezoar.studies.sae.contest import _Harmless, _lengths
from bezoar.studies.sae.detector import detector_stage
from bezoar.studies.sae.forecast import forecast_saes
from bezoar.studies.sae.harvest import Harvested, harvest_stage, rows_of, trained_on
from bezoar.studies.sae.saes import saes_stage
from tests.families import tiny_model
from tests.sae.material import random_sae
from tests.studies.sae.bench_kit import SITES, explored, study_config

SMALL = {
    "saes": ["topk:k=4", "topk:k=4,seed=1"],
    "sites": SITES,
    "max_tokens": 24,
    "expansion": 2,
    "tokens": 2_000,
    "batch": 32,
}


@pytest.fixture(scope="module")
def lm():
    return tiny_model("gpt2")


def bench_of(out, lm, **sae) -> SAEBench:
    config = study_config(out, sae=SMALL | sae)
    run = Run.open(out, config)
    return explored(run, config, lm)


def harvested(bench) -> Harvested:
    harvest_stage(bench)
    return load_result(bench.run.folder("harvest") / "texts.json", Harvested)


def test_all_tokens_are_stored_in_the_order_of_the_texts(lm, tmp_path):
    bench = bench_of(tmp_path / "run", lm, store="disk")
    said = harvested(bench)
    store = bench.store
    assert [str(site) for site in store.sites] == list(SITES) == list(said.sites)
    np.testing.assert_array_equal(store.token_ids, bench.tokens.ids)
    assert said.rows == "disk"
    assert sum(said.tokens.values()) == len(store)
    assert said.texts == {"train": 60, "report": 30}
    row = bench.tokens.rows([70])
    alone = lm.capture(lm.batch(row), [store.sites[1]])[store.sites[1]][0]
    mine = store.of_text(SITES[1], 70)
    np.testing.assert_allclose(mine, alone.numpy(), atol=2e-3)  # of a float16


@pytest.mark.parametrize(("disk", "way"), [(1e12, "disk"), (1.0, "recompute")])
def test_the_cheaper_way_to_rows_is_taken(lm, tmp_path, monkeypatch, disk, way):
    monkeypatch.setattr(row_choice, "disk_rates", lambda _: (disk, disk))
    bench = bench_of(tmp_path / "run", lm, store="auto")
    assert harvested(bench).rows == way
    assert (bench.run.folder("harvest") / "tokens").exists() == (way == "disk")
    kind = StoredRows if way == "disk" else RecomputedRows
    assert isinstance(rows_of(bench, bench.sites[0], np.arange(60)), kind)


@pytest.mark.parametrize("skip", [0, 1])
def test_both_ways_give_the_same_rows(lm, tmp_path, skip):
    sums = []
    for way in ("disk", "recompute"):
        bench = bench_of(tmp_path / way, lm, store=way, skip_first=skip)
        harvest_stage(bench)
        source = rows_of(bench, bench.sites[1], np.arange(60))
        assert source.n_rows == int(bench.tokens.kept[:60].sum()) - skip * 60
        sums.append(torch.cat(list(source.batches(1))).sum(0).numpy())
    np.testing.assert_allclose(*sums, rtol=1e-3, atol=0.05)


def test_a_store_of_another_model_is_refused(lm, tmp_path):
    bench = bench_of(tmp_path / "run", lm, store="disk")
    harvest_stage(bench)
    bench.__dict__["lm"] = tiny_model("gpt2", seed=1)
    with pytest.raises(StoreError, match="a model with other weights"):
        rows_of(bench, bench.sites[0], np.arange(60))


def test_only_training_texts_are_trained_on(lm, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(
        harvesting,
        "StoredRows",
        lambda store, site, texts, **more: (
            seen.append(set(texts.tolist())) or StoredRows(store, site, texts, **more)
        ),
    )
    bench = bench_of(tmp_path / "run", lm, store="disk", train_on="non_target")
    harvest_stage(bench)
    saes_stage(bench)
    toxic = set(np.flatnonzero(bench.corpora["train"].labels == 1).tolist())
    assert toxic
    assert seen == [set(range(60)) - toxic] * len(SITES)
    bench.corpora["train"] = replace(bench.corpora["train"], labels=np.ones(60, np.int8))
    with pytest.raises(DataError, match="No training text is left"):
        trained_on(bench)


def test_every_site_has_every_autoencoder_and_a_curve(lm, tmp_path):
    bench = bench_of(tmp_path / "run", lm, store="disk")
    harvest_stage(bench)
    saes_stage(bench)
    curves = load_result(bench.run.folder("saes") / "curves.json", Curves).curves
    assert len(curves) == len(bench.names) == 4
    for curve, (name, (site, spec)) in zip(curves, bench.names.items(), strict=True):
        sae = bench.sae(name)
        sae.require(lm, site)
        assert (curve.site, curve.spec) == (str(site), spec)
        assert sae.d_sae == 2 * sae.d_model
        assert sae.info.tokens == 2_000 // 32 * 32
        assert "60 training texts" in sae.info.trained_on
    assert not list(bench.run.folder("saes").glob("*checkpoint*"))
    seeds = [bench.sae(name).W_dec for name, (site, _) in bench.names.items() if "1." in str(site)]
    assert not torch.equal(*seeds)


def test_a_killed_stage_goes_on_and_gives_the_same_bytes(lm, tmp_path, monkeypatch):
    whole = bench_of(tmp_path / "whole", lm, store="disk")
    harvest_stage(whole)
    saes_stage(whole)
    bench = bench_of(tmp_path / "killed", lm, store="disk")
    harvest_stage(bench)
    read = StoredRows.batches

    def killed(self, *args, **more):
        for number, batch in enumerate(read(self, *args, **more)):
            if str(self.site) == SITES[1] and number == 3:
                raise KeyboardInterrupt
            yield batch

    with monkeypatch.context() as patch:
        patch.setattr(StoredRows, "batches", killed)
        with pytest.raises(KeyboardInterrupt):
            saes_stage(bench)
    done = bench.run.folder("saes") / next(iter(bench.names)) / "sae_weights.safetensors"
    before = done.stat().st_mtime_ns
    saes_stage(bench)
    assert done.stat().st_mtime_ns == before  # the site that was done is not trained again
    for name in bench.names:
        files = [b.sae_folder(name) / "sae_weights.safetensors" for b in (whole, bench)]
        assert files[0].read_bytes() == files[1].read_bytes()


def given(lm, tmp_path, **about):
    sae = random_sae("topk:k=4", d=32, n=96, seed=0)
    facts = {"site": SITES[1], "fingerprint": lm.fingerprint, "model": lm.name} | about
    sae.info = replace(sae.info, **facts)
    save_sae(sae, tmp_path / "given")
    return str(tmp_path / "given")


def test_an_autoencoder_that_is_given_is_taken(lm, tmp_path):
    path = given(lm, tmp_path)
    bench = bench_of(tmp_path / "run", lm, store="disk", path=path)
    assert [str(site) for site in bench.sites] == [SITES[1]]
    harvest_stage(bench)
    assert [str(site) for site in bench.store.sites] == [SITES[1]]
    saes_stage(bench)
    [name] = bench.names
    assert torch.equal(bench.sae(name).W_dec, load_sae(path).W_dec)
    assert load_result(bench.run.folder("saes") / "curves.json", Curves).curves == ()


def test_one_that_is_given_and_sites_that_are_asked_for_may_not_disagree(lm, tmp_path):
    path = given(lm, tmp_path)
    quick = tuple(QUICK_SAE["sae"]["sites"])
    for number, sites in enumerate([SAEStudySAEConfig().sites, quick, ["-1.resid_post"]]):
        bench = bench_of(tmp_path / str(number), lm, path=path, sites=sites)
        assert [str(site) for site in bench.sites] == [SITES[1]]
    bench = bench_of(tmp_path / "other", lm, path=path, sites=[SITES[0]])
    with pytest.raises(
        SAEError, match=r"reads 2\.resid_post, and sae\.sites asks for 1\.resid_post"
    ):
        check_bench(bench, "report")


@pytest.mark.parametrize(
    ("about", "says"),
    [
        ({"fingerprint": "0" * 64}, "other weights"),
        ({"site": "1.mlp_post"}, "reads 32 dimensions"),
        ({"site": ""}, "does not say which site"),
    ],
)
def test_one_that_does_not_fit_is_refused(lm, tmp_path, about, says):
    bench = bench_of(tmp_path / "run", lm, path=given(lm, tmp_path, **about))
    with pytest.raises(SAEError, match=says):
        harvest_stage(bench)


def test_more_latents_than_tokens_are_refused(lm, tmp_path):
    bench = bench_of(tmp_path / "run", lm, store="disk", expansion=1000)
    harvest_stage(bench)
    with pytest.raises(SAEError, match="latents"):
        saes_stage(bench)
    assert isinstance(bench.store, ActivationStore)


def test_what_the_model_writes_can_be_read_instead(lm, tmp_path, monkeypatch):
    bench = bench_of(tmp_path / "run", lm, store="disk", tokens_of="generated", max_new_tokens=7)
    said = harvested(bench)
    written = Generations.load(bench.run.folder("harvest") / WRITTEN)
    assert max(map(len, written.tokens)) == 7
    assert written.prompts == (*bench.prompts("train"), *bench.prompts("report"))
    tokens = [token for row in written.tokens for token in list(row) or lm.end_ids[:1]]
    assert bench.store.token_ids.tolist() == tokens
    assert sum(said.tokens.values()) == len(tokens)
    ways = StoredTokens(bench.store, SITES[1]), RecomputedTokens(lm, bench.tokens, SITES[1])
    some = np.array([3, 70])
    blocks = [
        {int(b.texts[i]): (b, i) for b in way.blocks(some) for i in range(len(b.texts))}
        for way in ways
    ]
    for text in some.tolist():
        rows = []
        for found in blocks:
            block, place = found[text]
            own = torch.from_numpy(block.of_row == place)
            assert block.ids[own.numpy()].tolist() == list(written.tokens[text])
            rows.append(block.rows[own].numpy())
        np.testing.assert_allclose(*rows, atol=2e-3)
    monkeypatch.setattr("bezoar.studies.sae.bench.generate", lambda *_, **__: pytest.fail("again"))
    later = SAEBench(bench.run, bench.config)
    later.__dict__["lm"] = lm
    assert later.tokens.digest == bench.tokens.digest


def test_harmless_texts_are_read_as_the_others_are_and_no_detector_is_made(
    lm, tmp_path, monkeypatch
):
    bench = bench_of(tmp_path / "run", lm, store="disk", tokens_of="generated")
    harvested(bench)
    mild = Corpus(("a quiet day", "tea"), np.zeros(2, int), split=("train", "report"), name="mild")
    task = _Harmless(bench, mild, tmp_path, 1)
    assert Generations.load(tmp_path / "written-1.parquet").prompts == mild.texts
    with monkeypatch.context() as patch:
        refuse = lambda *_, **__: pytest.fail("again")  # noqa: E731
        patch.setattr("bezoar.studies.sae.bench.generate", refuse)
        assert _Harmless(bench, mild, tmp_path, 1)._table.digest == task._table.digest
    assert task._table.starts is not None  # what is meant is what the model wrote
    lengths = _lengths(task._table)
    assert lengths.tolist() == [len(ids) for ids in lm.encode(mild.texts)]
    for name in ("quality", "contest"):
        with bench.run.stage(name, key=1):
            pass
    detector_stage(bench)
    assert not (bench.run.folder("detector") / "detector.json").exists()


@pytest.mark.parametrize(
    ("sections", "says"),
    [
        ({"sae": {"saes": ["topk:k=4", "topk:k=4"]}}, "twice"),
        ({"contest": {"poolings": ["last"]}}, "no contest"),
        ({"contest": {"poolings": ["mean", "mean"]}}, "no contest"),
        ({"contest": {"sparse": [0, 1]}}, "sizes of a probe"),
        ({"contest": {"sparse": []}}, "sizes of a probe"),
        ({"contest": {"sizes": [2]}}, "contest.sizes"),
        ({"contest": {"noise": [1.5]}}, "contest.noise"),
    ],
)
def test_what_nobody_could_do_is_refused_before_any_work(tmp_path, sections, says):
    with pytest.raises(ConfigError, match=says):
        check_study(study_config(tmp_path / "run", **sections))


@pytest.mark.parametrize(("asked", "trained"), [("-1.resid_post", 2), ("middle.resid_post", 1)])
def test_the_site_to_read_may_be_named_as_those_to_train_at(lm, tmp_path, asked, trained):
    config = study_config(tmp_path / "run", features={"site": asked})
    with Run.open(config.out, config) as run:
        assert str(explored(run, config, lm).read_at) == SITES[trained - 1]


@pytest.mark.parametrize("asked", ["2.mlp_out", "every.resid_post"])
def test_the_site_to_read_must_have_an_autoencoder(lm, tmp_path, asked):
    config = study_config(tmp_path / "run", features={"site": asked})
    with (
        Run.open(config.out, config) as run,
        pytest.raises(ConfigError, match="autoencoders are trained at"),
    ):
        check_bench(explored(run, config, lm), "report")


def test_a_model_that_would_have_no_room_for_a_text_does_not_write(lm, tmp_path):
    asked = {"tokens_of": "generated", "max_new_tokens": lm.context}
    with pytest.raises(ConfigError, match="leaves no room for a text"):
        check_bench(bench_of(tmp_path / "run", lm, **asked), "report")


@pytest.mark.parametrize("way", ["disk", "recompute"])
def test_harmless_texts_lie_on_disk_only_where_the_others_do(lm, tmp_path, way):
    bench = bench_of(tmp_path / "run", lm, store=way)
    harvested(bench)
    mild = Corpus(("a quiet day", "tea"), np.zeros(2, int), split=("train", "report"), name="mild")
    task = _Harmless(bench, mild, tmp_path, 1)
    rows = {
        int(text): block.rows[block.of_row == place].numpy()
        for block in task._tokens(bench.sites[1]).blocks()
        for place, text in enumerate(block.texts)
    }
    assert (tmp_path / "states-1").exists() == (way == "disk")
    for text, ids in enumerate(lm.encode(mild.texts)):
        alone = lm.capture(lm.batch([ids]), [bench.sites[1]])[bench.sites[1]][0]
        np.testing.assert_allclose(rows[text], alone.numpy(), atol=2e-3)


def test_the_forecast_counts_every_time_that_the_model_runs(lm, tmp_path, monkeypatch):
    monkeypatch.setattr(forecasting, "_products_a_second", lambda *_: float("inf"))
    told = replace(forecasting.forecast(lm, ["a tree"], SITES, "none"), seconds=7.0, rows=500)
    monkeypatch.setattr(forecasting, "forecast", lambda *_, **__: told)
    seconds = {
        way: forecast_saes(bench_of(tmp_path / way, lm, store=way)).seconds
        for way in ("disk", "recompute")
    }
    # 2,000 tokens are four epochs; then the latents of two autoencoders, and states: at two sites
    assert seconds == {"disk": 7.0, "recompute": 7.0 * 2 * (4 + 2 + 1)}


@pytest.mark.parametrize("tokens_of", ["prompts", "generated"])
def test_the_forecast_counts_harmless_texts_and_what_is_to_be_written(lm, tmp_path, tokens_of):
    sae = SMALL | {"tokens_of": tokens_of, "max_new_tokens": 5}
    config = study_config(tmp_path / "run", sae=sae, contest={"harmless": ["mild"]})
    with Run.open(config.out, config) as run:
        bench = explored(run, config, lm)
        mild = Corpus(("a quiet day", "tea"), np.zeros(2, int), split=("train", "report"))
        mild.save(run.folder("explore") / "harmless-1.parquet")
        said = forecast_saes(bench)
    texts = [*bench.corpora["train"].texts, *bench.corpora["report"].texts, *mild.texts]
    read = sum(min(len(ids), 24) for ids in lm.encode(texts))
    new = 5 * len(texts) if tokens_of == "generated" else 0
    assert said.tokens == read + new
    rows = new or read
    assert said.bytes == rows * 2 * sum(lm.site_width(site) for site in bench.sites)
