"""A run of the study of which texts, tokens and autoencoders of random weights are there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from bezoar.activations import harvest
from bezoar.corpus import Corpus
from bezoar.runs import Run, SAEStudyConfig
from bezoar.sae import save_sae
from bezoar.studies.sae.bench import SAEBench
from tests.mitigate.remedies import texts_and_labels
from tests.sae.material import random_sae

SITES = ("1.resid_post", "2.resid_post")


def study_config(out: Path, **sections) -> SAEStudyConfig:
    """A study of two sites, two autoencoders each."""
    asked = {
        "out": str(out),
        "sae": {"saes": ["topk:k=4", "relu"], "sites": SITES, "max_tokens": 24},
        "features": {"top": 10, "tokens": 3, "prompts": 2, "promoted": 3},
        "contest": {"folds": 3},
    }
    return SAEStudyConfig.model_validate(asked | sections)


def explored(run: Run, config: SAEStudyConfig, lm) -> SAEBench:
    """The bench after the stage explore."""
    texts, labels = texts_and_labels(90)
    parts = {"train": slice(0, 60), "report": slice(60, 90)}
    with run.stage("explore", key=1) as stage:
        if not stage.done:
            for part, rows in parts.items():
                source = tuple("one" if i % 2 else "two" for i in range(90))[rows]
                kind = tuple("xyz"[i % 3] for i in range(90))[rows]
                Corpus(tuple(texts[rows]), np.array(labels)[rows], source, kind).save(
                    stage.folder / f"{part}.parquet"
                )
    bench = SAEBench(run, config)
    bench.__dict__["lm"] = lm
    return bench


def bench_of(run: Run, config: SAEStudyConfig, lm, *, stored: bool = True) -> SAEBench:
    """The bench after the stages explore, harvest and saes."""
    bench = explored(run, config, lm)
    with run.stage("harvest", key=1, after=["explore"]) as stage:
        if not stage.done and stored:
            out = stage.folder / "tokens"
            harvest(lm, bench.tokens, SITES, pooling="none", out=out, dtype="float32")
    with run.stage("saes", key=1, after=["harvest"]) as stage:
        if not stage.done:
            for seed, (name, (site, spec)) in enumerate(bench.names.items()):
                sae = random_sae(spec, d=32, n=96, seed=seed)
                about = {"site": str(site), "fingerprint": lm.fingerprint, "model": lm.name}
                sae.info = replace(sae.info, seed=seed, **about)
                save_sae(sae, stage.folder / name)
    return bench
