"""A study of sparse autoencoders as its stages leave it, small and made up."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.corpus import Corpus
from bezoar.corpus.explore_doubts import Doubts, find_doubts
from bezoar.corpus.explore_lengths import describe_lengths
from bezoar.corpus.explore_noise import filter_noise
from bezoar.evaluate.contest_results import (
    Contest,
    ContestRow,
    CurvePoint,
    Difference,
    Family,
    SourceRow,
)
from bezoar.evaluate.detector_results import DetectorInfo, Tried
from bezoar.runs.results import save_json, save_result, to_plain
from bezoar.sae.curves import Curves, TrainingCurve
from bezoar.sae.feature_results import FeatureCard, FeaturePrompt, FeatureTable
from bezoar.sae.quality_results import (
    Histogram,
    KSparse,
    LossRecovered,
    QualityRow,
    QualityTable,
    SAEQuality,
)
from bezoar.stats.intervals import Interval
from tests.report import specimens as audit

CATEGORIES = ("ambiguous", "jailbreak", "privacy", "toxicity & hate", "violence")
SOURCES = ("BeaverTails", "SEAS", "SafeRLHF")
WORDS = (
    "how",
    "can",
    "I",
    "buy",
    "some",
    "milk",
    "at",
    "the",
    "shop",
    "near",
    "my",
    "place",
    "and",
)


def table(n: int = 96, *, probe: bool = True, seed: int = 0) -> FeatureTable:
    """Statistics of every third latent, so that a position is never a number."""
    rng = np.random.default_rng(seed)
    cosine = rng.uniform(-0.2, 1, n)
    density = 10 ** rng.uniform(-5.5, -0.2, n)
    density[:3] = 0.0
    contribution = rng.pareto(1.5, n)
    contribution[:3] = 0.0

    def column(values: object) -> tuple[float, ...]:
        return tuple(np.asarray(values, float).tolist())

    return FeatureTable(
        name="topk-3.resid_post",
        site="3.resid_post",
        id=tuple(range(7, 7 + 3 * n, 3)),
        density=column(density),
        bias=column(rng.normal(-0.3, 0.2, n)),
        dot=column(cosine * 0.9),
        cosine=column(cosine),
        energy=column(cosine**2),
        projection=column(cosine * 1.1),
        contribution=column(contribution / (contribution.sum() or 1)),
        interpretability=column(rng.uniform(0, 1, n)),
        probe_cosine=column(rng.normal(0, 0.1, n)) if probe else (),
        probe_correlation=column(rng.normal(0, 0.2, n)) if probe else (),
        mean_toxic=column(rng.exponential(0.2, n)),
        mean_rest=column(rng.exponential(0.2, n)),
        auroc=column(rng.beta(30, 30, n)),
        tokens=120_000,
        texts=3_000,
        explained_variance=0.7312,
        alpha=0.6,
        mu=-2.5,
        sigma=0.5,
    )


def prompt(seed: int, *, length: int = 30, text: str = "", category: str = "") -> FeaturePrompt:
    """A text whose tokens are words with their blank, some of them active."""
    rng = np.random.default_rng(seed)
    words = [str(rng.choice(WORDS)) for _ in range(length)]
    tokens = tuple(f" {word}" if i else word for i, word in enumerate(words))
    if text:
        tokens = (*tokens, f" {text}")
    active = np.maximum(0, rng.normal(-0.4, 1, len(tokens)))
    active[len(tokens) // 2] = 4.0
    return FeaturePrompt(
        text="".join(tokens),
        source=str(rng.choice(SOURCES)),
        category=category or str(rng.choice(CATEGORIES)),
        label=int(rng.integers(2)),
        score=float(active.mean()),
        tokens=tokens,
        activations=tuple(active.tolist()),
        first=0,
        length=len(tokens),
    )


def cards(of: FeatureTable, n: int = 24, *, prompts: int = 8, text: str = "") -> list[FeatureCard]:
    """Cards of the first latents that are active."""
    rng = np.random.default_rng(1)
    found = []
    for i in range(3, 3 + n):
        shares = np.sort(rng.uniform(0.2, 1, 10))[::-1]
        shares[0] = 1.0
        words = [*rng.permutation(WORDS)[:9].tolist(), text or "tail"]
        tokens = tuple(zip((f" {word}" for word in words), shares.tolist(), strict=True))
        found.append(
            FeatureCard(
                id=of.id[i],
                tokens={"mean": tokens, "tf-idf": tokens[::-1], "bm25": tokens[3:]},
                prompts=tuple(prompt(100 * i + j, text=text) for j in range(prompts)),
                ranking="mean",
                promoted=tuple(f" {word}" for word in rng.permutation(WORDS)[:8]),
                suppressed=(" tomato", text or " basil"),
                per_category={c: float(rng.exponential(0.3)) for c in CATEGORIES},
                per_source={s: float(rng.exponential(0.3)) for s in SOURCES},
                neighbours=((of.id[i + 1], 0.61), (of.id[2], 0.44)),
            )
        )
    return found


def interval(value: float, half: float = 0.02) -> Interval:
    return Interval(value, value - half, value + half)


def histogram(seed: int, *, n: int = 768, dead: int = 40) -> Histogram:
    rng = np.random.default_rng(seed)
    edges = np.linspace(-6, 0, 25)
    counts = np.histogram(np.clip(rng.normal(-2.5, 0.8, n - dead), -6, 0), edges)[0]
    return Histogram(tuple(edges.tolist()), tuple(counts.tolist()), dead)


def quality(layer: int, architecture: str, seed: int, variance: float) -> QualityRow:
    one = SAEQuality(
        l0=32.0 + layer,
        explained_variance=variance,
        cosine=0.93,
        mse=0.4,
        dead_share=0.02 * layer,
        density=histogram(10 * layer + seed),
        shrinkage=0.97,
        bias=0.99,
        tokens=40_000,
    )
    loss = LossRecovered(4.1, 4.3, 9.0, 7.5, 0.959, 0.941, 20_000)
    probing = tuple(
        KSparse(k, tuple(range(100, 100 + k)), interval(0.7 + 0.02 * k**0.5 + 0.01 * layer), 0.7)
        for k in (1, 2, 5, 16)
    )
    name = f"{architecture}-{layer}.resid_post" + (f"-seed{seed}" if seed else "")
    site = f"{layer}.resid_post"
    return QualityRow(name, architecture, site, seed, 768, {"k": 32}, one, one, loss, probing)


def quality_table() -> QualityTable:
    rows = [quality(layer, "topk", 0, 0.9 - 0.04 * layer) for layer in range(6)]
    rows += [quality(3, "topk", seed, 0.775 + 0.01 * seed) for seed in (1, 2)]
    others = ("relu", "batchtopk", "jumprelu", "gated", "matryoshka")
    rows += [quality(3, kind, 0, 0.7 + 0.02 * i) for i, kind in enumerate(others)]
    rule = "the least loss on held-out tokens among those with fewer than 20 % dead latents"
    return QualityTable(tuple(rows), "topk-3.resid_post", rule)


def contest_row(
    reader: str, family: Family, kind: str, auroc: float, *, chosen: bool = True, n: int = 100
) -> ContestRow:
    site = re.search(r"\d\.resid_post", reader)
    return ContestRow(
        reader=reader,
        family=family,
        kind=kind,
        site=site.group() if site else "",
        pooling="mean" if site else "",
        n_features=n,
        penalty=0.1,
        cv_auroc=auroc - 0.005,
        auroc=interval(auroc, 0.012),
        average_precision=interval(auroc - 0.03),
        f1=interval(auroc - 0.1),
        balanced_accuracy=interval(auroc - 0.08),
        tpr_at_1=interval(max(0.03, auroc - 0.5), 0.03),
        calibration_error=interval(0.03, 0.01),
        calibrated=0.018,
        features=tuple(range(7, 7 + n)) if kind.startswith("k=") else (),
        chosen=chosen,
    )


def contest(*, settled: bool = True) -> Contest:
    dense, words = "3.resid_post, mean", "bag of words"
    sae = "topk 3.resid_post, mean"
    rows = (
        contest_row(sae, "sae", "all", 0.902, n=640),
        contest_row(sae, "sae", "k=1", 0.74, n=1),
        contest_row(sae, "sae", "k=5", 0.81, n=5),
        contest_row(sae, "sae", "k=16", 0.86, n=16),
        contest_row("topk 2.resid_post, mean", "sae", "all", 0.89, chosen=False),
        contest_row("topk 3.resid_post, max", "sae", "all", 0.893, chosen=False),
        contest_row(dense, "dense", "all", 0.931, n=192),
        contest_row(dense, "dense", "mean difference", 0.87, n=192),
        contest_row("5.resid_post, mean", "dense", "all", 0.915, chosen=False, n=192),
        contest_row(words, "baseline", words, 0.917, n=9_000),
        contest_row("length", "baseline", "length", 0.63, n=1),
        contest_row("majority", "baseline", "majority", 0.5, n=0),
    )
    best, rival = f"{sae}: all", f"{dense}: all"
    gap = Interval(-0.029, -0.036, -0.022) if settled else Interval(-0.004, -0.012, 0.004)
    pairs = ((best, rival, gap), (f"{sae}: k=16", rival, Interval(-0.071, -0.08, -0.062)))
    pairs += ((rival, words, Interval(0.014, 0.004, 0.024)),)
    differences = tuple(
        Difference(a, b, metric, one, 0.0004 if one.excludes_zero else 0.3, 0.002)
        for metric in ("auroc", "average_precision", "tpr_at_1")
        for a, b, one in pairs
    )
    curves: list[tuple[str, Family, float]] = [(best, "sae", 0.9), (rival, "dense", 0.93)]
    curves += [(words, "baseline", 0.915)]
    efficiency = tuple(
        CurvePoint(name, family, n, 0.0, v := top - 2.2 / n**0.6, v - 0.02, v + 0.015, (v,) * 5)
        for name, family, top in curves
        for n in (50, 100, 200, 500, 1_000, 2_000, 5_000)
    )
    noise = tuple(
        CurvePoint(name, family, 5_000, s, v := top - s / 4, v - 0.01, v + 0.01, (v,) * 5)
        for name, family, top in curves
        for s in (0.0, 0.05, 0.1, 0.2)
    )
    sources = tuple(
        SourceRow(name, family, source, 900, 300, interval(top), interval(top - 0.06))
        for name, family, top in curves
        for source in SOURCES
    )
    return Contest(
        task="toxicity & hate against the rest",
        rows=rows,
        differences=differences,
        efficiency=efficiency,
        noise=noise,
        leave_one_out=sources,
        winner="dense" if settled else "",
        loser="sae" if settled else "",
        settled=settled,
        verdict=(
            "Dense activations win: AUROC 0.931 against 0.902."
            if settled
            else "Undecided: the interval of the difference holds zero."
        ),
        fewest={"sae": None, "dense": 16},
        train_n=9_000,
        train_positives=4_500,
        report_n=4_200,
        report_positives=1_600,
        balance="subsample",
        folds=5,
        grid="seven penalties from 1e-3 to 1e3",
    )


def claims(**texts: str) -> dict[str, Any]:
    """As the study saves them; this room reads no class of the study's."""
    rows = [
        ("latents-tell", "Latents tell the texts of the label from the rest.", "holds", 0.902),
        ("latents-beat-dense", "Latents are better than a linear probe.", "fails", -0.029),
        ("seeds", "Seeds agree.", "not measured", None),
    ]
    made = [
        {
            "key": key,
            "statement": statement,
            "source": "README",
            "verdict": verdict,
            "value": value and {"value": value, "low": value - 0.01, "high": value + 0.01},
            "measure": "AUROC",
            "null_p": None,
            "why": texts.get("text", "0.902 against 0.931."),
            "rule": "Holds if the interval lies above zero.",
        }
        for key, statement, verdict, value in rows
    ]
    return {"claims": made, "model": "demo", "task": "toxicity & hate", "source": "source"}


def detector(**texts: str) -> dict[str, Any]:
    """As its artefact's JSON says."""
    info = DetectorInfo(
        site="3.resid_post",
        pooling="mean",
        reads="latents",
        reader=texts.get("name", "topk 3.resid_post, mean: k=16"),
        intercept=-0.4,
        threshold=2.31,
        asked=0.01,
        false_alarms=Interval(0.01, 0.004, 0.019),
        hits=interval(0.42),
        calibration=(700, 650),
        reported_false_alarms=Interval(0.012, 0.005, 0.022),
        reported_hits=interval(0.4),
        auroc=interval(0.93),
        model=texts.get("model", "demo"),
        fingerprint="0123456789abcdef",
        trained_on="9,000 texts of demo",
        licence_note=texts.get("text", "The texts it was made from are under MIT."),
        note="A bag of words does as well: -0.004 [-0.012, +0.004].",
        latents=tuple(range(100, 132)),
        autoencoder="topk-3.resid_post",
        tried=(
            Tried(texts.get("name", "xstest"), 0, 221, Interval(0.31, 0.25, 0.38)),
            Tried("violence", 0, 400, Interval(0.008, 0.002, 0.02)),
            Tried("toxicity & hate", 1, 300, Interval(0.42, 0.36, 0.48)),
        ),
    )
    return {"kind": "detector", "version": 1, "sha256": "", "about": to_plain(info)}


def write_audit(folder: Path, **texts: str) -> Path:
    """A run that is marked as this study and has only looked at its texts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("study: sae\nmodel:\n  name: demo\n")
    told = {"model": texts.get("model", "demo"), "fingerprint": "0123456789abcdef", "seed": 0}
    save_json(folder / "audit.json", told | {"texts": {"train": 900, "report": 400}})
    save_result(folder / "explore" / "exploration.json", audit.exploration(**texts))
    return folder


def write_study(folder: Path, **texts: str) -> Path:
    """A whole run folder; ``texts`` as in `bezoar`'s other specimens, and ``name`` of readers."""
    write_audit(folder, **texts)
    held, of = contest(), table()
    if "name" in texts:
        rows = tuple(replace(row, reader=f"{row.reader} {texts['name']}") for row in held.rows)
        held = replace(held, task=texts["name"], rows=rows)
    save_result(folder / "contest" / "contest.json", held)
    save_result(
        folder / "contest" / "harmless_1.json", replace(held, task="harmful against XSTest")
    )
    save_result(folder / "quality" / "quality.json", quality_table())
    save_result(folder / "features" / "features.json", of)
    specs = ("topk:k=32", "relu:l1=5", f"gated:{texts.get('name', 'l1=2')}")
    save_result(folder / "saes" / "curves.json", Curves(tuple(map(curve, specs))))
    lines = [json.dumps(to_plain(card)) for card in cards(of, text=texts.get("token", ""))]
    (folder / "features" / "cards.jsonl").write_text("\n".join(lines) + "\n")
    save_json(folder / "claims" / "claims.json", claims(**texts))
    save_json(folder / "detector" / "detector.json", detector(**texts))
    lengths = describe_lengths([20 + i * i % 97 for i in range(200)])
    save_result(folder / "explore" / "lengths.json", lengths)
    save_result(folder / "explore" / "doubts.json", doubts())
    return folder


def doubts() -> Doubts:
    """Of three texts that are noise, and of others, two of which nearly repeat one another."""
    said = [f"How do I find the {word} that was here in my shop?" for word in WORDS]
    said += [f"{said[0]} Please", "a b", "well", "where do they keep the"]
    whole = Corpus(tuple(said), np.arange(len(said)) % 2)
    kept, noise = filter_noise(whole)
    return find_doubts(kept, noise)


def curve(spec: str, site: str = "3.resid_post", n: int = 60) -> TrainingCurve:
    """A training that goes well."""
    seen = np.linspace(1, 0, n)
    return TrainingCurve(
        spec=spec,
        site=site,
        tokens=tuple(range(4096, 4096 * (n + 1), 4096)),
        loss=tuple((1 + 5 * seen**3).tolist()),
        explained=tuple((0.85 - 1.5 * seen**4).tolist()),
        l0=(32.0,) * n,
        dead=tuple((0.1 * (1 - seen)).tolist()),
        lr=(4e-4,) * n,
        dead_after=100_000,
        seconds=30.0,
    )
