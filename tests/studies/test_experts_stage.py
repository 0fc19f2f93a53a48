"""Units of an audit: scored on its training texts once, kept if killed, used by what gates them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bezoar.activations import writer
from bezoar.corpus import Corpus
from bezoar.errors import DataError
from bezoar.locate import ExpertsReport, NeuronExperts, find_experts
from bezoar.mitigate import FitInputs, parse_method
from bezoar.models import LanguageModel
from bezoar.runs import Run, load_result
from bezoar.studies.audit import Bench, run_stages
from bezoar.studies.audit.asked import made_for
from bezoar.studies.audit.experts import balanced, experts_stage, units
from tests.models import zoo
from tests.studies.tiny import save_tiny_model, tiny

FEW: dict[str, Any] = {
    "experts": {"texts": 24, "max_tokens": 16, "shuffles": 9, "kept": 3, "halves": 1, "top": 20},
    "mitigate": {"methods": ["aura:points=mlp_post"], "max_evaluations": 2, "null_draws": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run whose texts are set aside, and its model."""
    folder = tmp_path_factory.mktemp("experts")
    run_stages(tiny(folder / "run", save_tiny_model(folder / "model"), FEW), "explore")
    return folder


def bench_of(place: Path, *more: dict[str, Any]) -> Bench:
    config = tiny(place / "run", str(place / "model"), FEW, *more)
    return Bench(Run.open(place / "run", config, update=True), config)


@pytest.fixture
def bench(place: Path):
    made = bench_of(place)
    with made.run:
        yield made


def test_units_are_scored_on_training_texts_alone_and_nothing_else_is_left(bench):
    experts_stage(bench)
    folder = bench.run.folder("experts")
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"report.json", "stage.json", "units/experts.json", "units/experts.safetensors"}
    found = units(bench)
    report = load_result(folder / "report.json", ExpertsReport)
    texts = balanced(bench.corpus("train"), 24, bench.run.seed("experts"))
    assert set(texts.texts) <= set(bench.corpus("train").texts)
    assert found.trained_on == texts.hash
    again, told = find_experts(
        bench.lm,
        texts,
        max_tokens=16,
        shuffles=9,
        kept=3,
        halves=1,
        top=20,
        seed=bench.run.seed("experts"),
    )
    assert told == report
    for site in again.sites:
        np.testing.assert_array_equal(again.auroc(site), found.auroc(site))
    edit = parse_method("aura").fit(bench.lm, FitInputs(experts=found))
    assert edit.provenance["units"] > 0


def test_a_stage_that_was_done_is_not_done_again(bench):
    experts_stage(bench)
    mark = (bench.run.folder("experts") / "report.json").stat().st_mtime_ns
    experts_stage(bench)
    assert (bench.run.folder("experts") / "report.json").stat().st_mtime_ns == mark


def test_a_killed_stage_goes_on_with_what_it_had_read(place, tmp_path, monkeypatch):
    run_stages(tiny(tmp_path / "run", str(place / "model"), FEW), "explore")
    config = tiny(tmp_path / "run", str(place / "model"), FEW, {"harvest": {"budget_tokens": 64}})
    original, calls = writer.Writer.commit, []

    def killed(self, done):
        calls.append(done.number)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, done)

    monkeypatch.setattr(writer.Writer, "commit", killed)
    for _ in range(2):
        with Run.open(tmp_path / "run", config, update=True) as run:
            bench = Bench(run, config)
            if not calls:
                with pytest.raises(KeyboardInterrupt):
                    experts_stage(bench)
                assert (run.path / "experts" / "pooled").exists()
                continue
            experts_stage(bench)
            assert not (run.path / "experts" / "pooled").exists()
    assert calls[:4] == [0, 1, 2, 2]  # the batches that were read are not read again
    kept = NeuronExperts.load(tmp_path / "run" / "experts" / "units")
    whole = find_experts(
        bench.lm,
        balanced(bench.corpus("train"), 24, bench.run.seed("experts")),
        max_tokens=16,
        shuffles=9,
        halves=1,
    )[0]
    for site in kept.sites:
        np.testing.assert_allclose(kept.auroc(site), whole.auroc(site), atol=1e-6)


def test_a_second_corpus_is_compared_and_must_have_both_labels(place, tmp_path):
    rows = [f"you are a {'rotten fool' if i % 2 else 'kind man'} {i},{i % 2}" for i in range(30)]
    (tmp_path / "other.csv").write_text("\n".join(["text,label", *rows]))
    bench = bench_of(place, {"experts": FEW["experts"] | {"other": str(tmp_path / "other.csv")}})
    with bench.run:
        experts_stage(bench)
        report = load_result(bench.run.folder("experts") / "report.json", ExpertsReport)
        assert report.other
        assert report.groups[0].corpora.draws == 1
    (tmp_path / "one.csv").write_text("\n".join(["text,label", *rows[1::2]]))
    bench = bench_of(place, {"experts": FEW["experts"] | {"other": str(tmp_path / "one.csv")}})
    with bench.run, pytest.raises(DataError, match="both labels"):
        experts_stage(bench)


def test_a_mixture_of_experts_has_no_units_and_the_rest_goes_on(place, monkeypatch):
    bench = bench_of(place, {"seed": 1})
    lm = zoo.family_model("Mixtral")
    monkeypatch.setattr(Bench, "lm", lm)
    assert isinstance(bench.lm, LanguageModel)
    with bench.run:
        bench.run.path.joinpath("explore").exists()
        experts_stage(bench)
        assert units(bench) is None


def test_an_audit_fits_what_gates_units_with_its_nulls_and_only_then_scores_them(place):
    config = tiny(place / "run", str(place / "model"), FEW)
    Run.open(place / "run", config, update=True).close()
    fits = run_stages(config, "mitigate")
    assert not fits.failed
    assert [fit.spec for fit in fits.methods] == ["aura:points=mlp_post"]
    for fit in fits.methods:
        assert fit.foldable
        assert {null.kind for null in fit.nulls} == {"permuted-gates", "shuffled-experts"}
    assert made_for(config) == ["experts"]
    assert made_for(tiny(place / "plain", str(place / "model"))) == []


def test_texts_are_taken_of_both_labels_as_far_as_they_go():
    labels = np.array([1] * 5 + [0] * 35)
    corpus = Corpus(tuple(f"text {i}" for i in range(40)), labels)
    for most, ones in ((8, 4), (20, 5), (100, 5)):
        some = balanced(corpus, most, 0)
        assert (len(some), int(some.labels.sum())) == (min(most, 40), ones)
        assert some.hash == balanced(corpus, most, 0).hash
    assert balanced(dataclasses.replace(corpus, labels=1 - labels), 20, 0).labels.sum() == 15
