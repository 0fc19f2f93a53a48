"""What is measured of one rung."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.corpus import Corpus, load_corpus, load_prompts, split_corpus
from bezoar.locate import probe_sweep
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.scoring import load_scorer
from bezoar.stats import Interval, mean_interval

TEXTS = 4000
SHARES = (0.6, 0.1, 0.3)
PROMPTS = 300
SHUFFLES = 19
DECODING = Decoding(max_new_tokens=20, sample=True, top_p=0.9, samples=5)
SCORERS = ("demo-a", "demo-b")

Numbers = dict[str, Any]


def rung(folder: Path, root: Path) -> Numbers:
    """All numbers of the rung in ``folder``."""
    record = json.loads((folder / "training.json").read_text("utf-8"))
    decoder = record["plan"]["objective"] == "next"
    lm = LanguageModel.from_pretrained(folder)
    window = record["tokens_seen"] // record["steps"]
    return {
        "size": record["plan"]["size"],
        "decoder": decoder,
        "parameters": record["parameters"],
        "width": lm.d_model,
        "layers": lm.n_layers,
        "tokens": record["tokens_seen"],
        "cpu_seconds": record["cpu_seconds"],
        "loss": [[step * window, loss] for step, loss in record["curve"]],
        "reserve": [
            {"tokens": line["step"] * window, "bits": line["bits"]} for line in record["reserve"]
        ],
        "probes": probes(lm, root),
        "toxic": toxic(lm, root) if decoder else None,
    }


def comments(root: Path) -> tuple[Corpus, Corpus]:
    """Jigsaw's comments that no rung was trained on: to fit probes to, and to report on."""
    corpus = load_corpus(
        "jigsaw:jigsaw_toxic/train.parquet", data_root=root, reserved_only=True, limit=TEXTS
    )
    parts = split_corpus(corpus, SHARES)
    return parts.train, parts.report


def probes(lm: LanguageModel, root: Path) -> Numbers:
    """A probe at the embedding and behind every layer; what needs no training of the model."""
    train, test = comments(root)
    sites = lm.sites(["embed", "resid_post"])
    sweep = probe_sweep(
        lm, train, test, sites, kinds=(), shuffles=SHUFFLES, untrained=True, max_tokens=128
    )
    return {
        "train": sweep.train_n,
        "test": sweep.test_n,
        "sites": [
            {"site": score.site, "auroc": plain(score.auroc), "null": max(score.null)}
            for score in sweep.scores
        ],
        "best": sweep.best.site,
        "rivals": {rival.name: plain(rival.auroc) for rival in sweep.rivals},
        "over_words": plain(sweep.over_words),
    }


def toxic(lm: LanguageModel, root: Path) -> Numbers:
    """Shares of sampled continuations that each scorer, and both, call toxic."""
    prompts = load_prompts("rtp-challenging:realtoxicityprompts", data_root=root, limit=PROMPTS)
    made = generate(lm, prompts.texts, DECODING)
    called = {}
    for name in SCORERS:
        scorer = load_scorer(name)
        called[name] = scorer.score(made.text)["toxicity"] >= scorer.threshold
    called["both"] = np.all(list(called.values()), axis=0)
    return {
        name: plain(mean_interval(calls.astype(float), list(made.prompt_index)))
        for name, calls in called.items()
    }


def plain(found: Interval) -> Numbers:
    return {key: round(getattr(found, key), 4) for key in ("value", "low", "high")}
