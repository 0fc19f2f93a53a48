"""Stages contest and detector: what they leave, and that both read the same texts."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.corpus import Corpus
from bezoar.evaluate.contest_results import Contest
from bezoar.evaluate.contest_rows import pooled_rows
from bezoar.evaluate.detector import Detector
from bezoar.runs import Run, load_result
from bezoar.studies.sae.contest import contest_stage, readers_of
from bezoar.studies.sae.detector import detector_stage
from bezoar.studies.sae.quality import quality_stage, token_rows
from bezoar.studies.sae.untrained import drawn
from tests.mitigate.remedies import texts_and_labels
from tests.studies.sae.bench_kit import bench_of, study_config

SMALL = {
    "folds": 3,
    "penalties": 2,
    "sparse": [1, 3],
    "sizes": [30],
    "noise": [0.1],
    "draws": 2,
    "resamples": 100,
}


@pytest.fixture(scope="module")
def study(gpt2, tmp_path_factory):
    """A run with a set of harmless texts, whose two stages are done."""
    out = tmp_path_factory.mktemp("study") / "run"
    config = study_config(out, contest=SMALL | {"harmless": ["mild.csv"]})
    with Run.open(config.out, config) as run:
        bench = bench_of(run, config, gpt2)
        texts = [f"{text} and then some" for text in texts_and_labels(120)[0][90:]] * 2
        texts = tuple(f"{text} {i}" for i, text in enumerate(texts))
        split = tuple("report" if i % 3 == 0 else "train" for i in range(len(texts)))
        mild = Corpus(texts, np.zeros(len(texts), int), split=split, name="mild")
        mild.save(run.folder("explore") / "harmless-1.parquet")
        quality_stage(bench)
        contest_stage(bench)
        detector_stage(bench)
        yield bench


def test_everybody_takes_part(study):
    found = load_result(study.run.folder("contest") / "contest.json", Contest)
    names = {row.reader for row in found.rows}
    assert {f"{name}, {pooling}" for name in study.names for pooling in ("mean", "max")} < names
    assert {f"{site}, mean" for site in study.sites} < names
    assert {"words", "characters", "length", "source", "majority"} < names
    assert found.report_n == len(study.corpora["report"])
    assert {row.source for row in found.leave_one_out} == {"one", "two"}


def test_an_untrained_dictionary_takes_part_in_every_contest(study):
    for name in ("contest", "harmless-1"):
        found = load_result(study.run.folder("contest") / f"{name}.json", Contest)
        best = found.best("sae")
        folder = best.reader.removesuffix(f", {best.pooling}")
        rows = [row for row in found.rows if row.family == "untrained"]
        assert {row.reader for row in rows} == {f"{folder} untrained, {best.pooling}"}
        assert {row.site for row in rows} == {best.site}
        assert found.training.a == best.label
    made = drawn(study, folder)
    trained = study.sae(folder)
    assert made.W_dec.shape == trained.W_dec.shape
    tokens = next(iter(token_rows(study, trained.site).blocks([3]))).rows
    active = (trained.encode(tokens) > 0).sum(1).float().mean()
    assert float((made.encode(tokens) > 0).sum(1).float().mean()) == pytest.approx(
        float(active), rel=0.3
    )


def test_each_harmless_set_is_reported_apart_with_as_many_texts_of_either(study):
    found = load_result(study.run.folder("contest") / "harmless-1.json", Contest)
    assert found.task.endswith("against mild")
    assert found.train_positives * 2 == found.train_n
    assert found.report_positives * 2 == found.report_n
    matched = study.run.folder("contest") / "harmless-1-matched.json"
    if matched.exists():
        assert load_result(matched, Contest).row("length").auroc.low < 0.7


def test_pooled_states_are_those_of_the_store(study):
    site = study.sites[0]
    chosen = np.array([5, 2, 80])
    found = pooled_rows(token_rows(study, site), ("mean", "max", "last"), chosen)
    for row, text in enumerate(chosen):
        tokens = study.store.of_text(site, int(text))
        assert found["mean"][row] == pytest.approx(tokens.mean(0), abs=1e-5)
        assert found["max"][row] == pytest.approx(tokens.max(0))
        assert found["last"][row] == pytest.approx(tokens[-1])


def test_the_detector_says_of_texts_what_it_was_measured_to_say(study):
    made = Detector.load(study.run.folder("detector"))
    report = study.corpora["report"]
    verdicts = made.score(study.lm, report.texts)
    flagged = verdicts.flagged[report.labels == 0].mean()
    assert flagged == pytest.approx(made.info.reported_false_alarms.value, abs=1e-9)
    hits = verdicts.flagged[report.labels == 1].mean()
    assert hits == pytest.approx(made.info.reported_hits.value, abs=1e-9)
    assert made.info.fingerprint == study.lm.fingerprint
    mild, *kinds = made.info.tried
    texts = Corpus.load(study.run.folder("explore") / "harmless-1.parquet")
    assert (mild.texts, mild.label, mild.n) == ("mild", 0, len(texts))
    assert mild.flagged.value == pytest.approx(made.score(study.lm, texts.texts).flagged.mean())
    assert sum(one.n for one in kinds) == len(report)
    seen = sum(one.n * one.flagged.value for one in kinds)
    assert seen == pytest.approx(verdicts.flagged.sum())
    assert "Do not pass it on" in made.info.licence_note or "under" in made.info.licence_note


def test_readers_of_states_share_a_pass(study, monkeypatch):
    from bezoar.studies.sae import contest

    calls = []
    monkeypatch.setattr(
        contest, "pooled_rows", lambda *given: calls.append(1) or pooled_rows(*given)
    )
    for reader in readers_of(study):
        if reader.family == "dense":
            reader.load()
    assert len(calls) == len(study.sites)
