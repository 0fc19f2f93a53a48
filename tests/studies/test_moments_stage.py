"""The stage of moments: for whom it runs, from which texts, and what methods find of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.corpus import Corpus
from bezoar.errors import SiteError
from bezoar.locate import UnitMoments, collect_moments
from bezoar.mitigate import FitInputs
from bezoar.mitigate.transport import Transport
from bezoar.runs import AuditConfig, Run
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.moments import moments_stage
from tests.mitigate.remedies import texts_and_labels


def bench_of(run, config, lm):
    """A run of which the texts are there."""
    texts, labels = texts_and_labels(60)
    with run.stage("explore", key=1) as stage:
        if not stage.done:
            Corpus(tuple(texts), labels).save(stage.folder / "train.parquet")
    bench = Bench(run, config)
    bench.__dict__["lm"] = lm
    return bench


def config_of(tmp_path, methods=("transport",), **moments):
    return AuditConfig.model_validate(
        {
            "out": str(tmp_path / "run"),
            "mitigate": {"methods": methods, "null_draws": 3},
            "moments": moments,
        }
    )


def test_only_for_methods_that_are_fitted_from_them(gpt2, tmp_path):
    config = config_of(tmp_path, ("subtract",))
    with Run.open(tmp_path / "run", config) as run:
        moments_stage(bench_of(run, config, gpt2))
        assert run.finished() == ["explore"]


def test_moments_of_the_training_texts_with_as_many_draws_as_nulls(gpt2, tmp_path, monkeypatch):
    config = config_of(tmp_path, texts=40, points=("mlp_out", "attn_out"), pooling="max")
    with Run.open(tmp_path / "run", config) as run:
        bench = bench_of(run, config, gpt2)
        moments_stage(bench)
        found = UnitMoments.load(run.folder("moments") / "units")
        assert (found.draws, found.pooling, sum(found.counts)) == (3, "max", 40)
        assert found.sites == tuple(gpt2.sites(["mlp_out", "attn_out"]))
        inputs = FitInputs(moments=found)
        assert len(list(Transport().nulls(gpt2, inputs, 3, 0, "shuffled-moments"))) == 3
        from bezoar.studies.audit import moments

        monkeypatch.setattr(moments, "collect_moments", None)  # a finished stage reads nothing
        moments_stage(bench)


def test_all_texts_where_they_are_few(gpt2, tmp_path):
    config = config_of(tmp_path, points=("mlp_out",))
    with Run.open(tmp_path / "run", config) as run:
        bench = bench_of(run, config, gpt2)
        moments_stage(bench)
        found = UnitMoments.load(run.folder("moments") / "units")
        corpus = bench.corpus("train")
        assert found.trained_on == corpus.hash
        whole = collect_moments(gpt2, corpus.texts, corpus.labels, points=("mlp_out",))
        site = gpt2.site("1.mlp_out")
        torch.testing.assert_close(found.mean[site], whole.mean[site])
        np.testing.assert_array_equal(found.counts, whole.counts)


def test_a_point_that_is_nowhere_is_named(gpt2, tmp_path):
    config = config_of(tmp_path, points=("mlp_gate",))
    with Run.open(tmp_path / "run", config) as run, pytest.raises(SiteError, match="gate"):
        moments_stage(bench_of(run, config, gpt2))
