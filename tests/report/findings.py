"""What a hand-made run found inside its model: probes, values, the lens. Invented numbers."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

from bezoar.locate import LogitAttribution, LogitPart, ValueEntry, ValueRanking, Writer, Writers
from bezoar.locate.attribution import EVERY_TOKEN
from bezoar.locate.lens_results import LensIncrement, LensMap, LensResult
from bezoar.locate.sweep_results import KindScore, ProbeScore, ProbeSweep, RivalScore, SourceScore
from bezoar.locate.vocabulary import TokenList, TokenScore
from bezoar.stats.intervals import Interval


def sweep(layers: int = 6, **texts: str) -> ProbeSweep:
    def spread(value: float, half: float = 0.02) -> Interval:
        return Interval(value, value - half, min(1.0, value + half))

    sites = ["embed", *(f"{i}.{p}" for i in range(layers) for p in ("resid_post", "mlp_out"))]
    scores = []
    for i, site in enumerate(sites):
        height = 0.86 + 0.11 * math.sin(math.pi * i / (1.4 * len(sites)))
        null = tuple(0.5 + 0.03 * math.sin(i + 7 * j) for j in range(10))
        three = (spread(height - 0.01), spread(height - 0.06), spread(height - 0.4, 0.06))
        scores.append(
            ProbeScore(site, spread(height), *three, height - 0.05, height, 0.01, null, 1 / 11)
        )
    kinds = tuple(
        KindScore(kind, s.site, s.auroc, *three, s.cv_auroc - by, (0.5,) * 10, 1 / 11)
        for s in scores
        for kind, by in (("mean difference", 0.02), ("LDA", 0.01))
    )
    rivals = tuple(
        RivalScore(name, spread(v), spread(v), spread(v - 0.05), spread(v - 0.4, 0.05), v)
        for name, v in (("length", 0.56), ("bag of words", 0.91))
    )
    sources = (
        SourceScore(texts.get("source", "templates"), 150, 70, spread(0.98), spread(0.92)),
        SourceScore("samples", 238, 122, spread(0.93), None),
    )
    return ProbeSweep(
        scores=tuple(scores),
        rivals=rivals,
        over_words=Interval(0.058, 0.031, 0.085),
        best_null_p=1 / 11,
        sources=sources,
        majority_rate=0.505,
        train_n=1164,
        test_n=388,
        test_positives=192,
        pooling="mean",
        model=texts.get("model", "demo"),
        corpus="demo",
        kinds=kinds,
    )


def lens(layers: int = 6, **texts: str) -> LensResult:
    states = [f"{layer}.resid_{point}" for layer in range(layers) for point in ("pre", "mid")]
    states.append(f"{layers - 1}.resid_post")
    n = len(states)
    mean = [0.42 / (1 + math.exp(-(i - 0.66 * n))) for i in range(n)]
    steps = [
        LensIncrement(
            f"{i // 2}.{'attn_out' if i % 2 == 0 else 'mlp_out'}",
            Interval(b - a, b - a - 0.01, b - a + 0.01),
        )
        for i, (a, b) in enumerate(itertools.pairwise(mean))
    ]
    words = [texts.get("token", " and"), " the", " damp", ",", " of", " a"]
    prompt = ("So", " if", " you", " grab", " your", " own", " old", " bag", " of")
    cells = [[words[(i * j) % len(words)] for j in range(len(prompt))] for i in range(n)]
    probability = [
        [min(1.0, mean[i] * (1 + 0.1 * j)) for j in range(len(prompt))] for i in range(n)
    ]
    return LensResult(
        states=tuple(states),
        probability=tuple(Interval(p, 0.8 * p, 1.2 * p) for p in mean),
        rank=tuple(float(2000 // (1 + i) ** 2 + 1) for i in range(n)),
        increments=tuple(steps),
        token_ids=(262, 1107),
        tokens=(texts.get("token", " damp"), " moss"),
        mode="default",
        include_bias=True,
        prompts_n=12,
        example=LensMap(prompt, tuple(map(tuple, cells)), tuple(map(tuple, probability))),
    )


def frozen_lens(**texts: str) -> LensResult:
    seen = lens(**texts)
    low = tuple(Interval(0.8 * p.value, 0.6 * p.value, p.value) for p in seen.probability)
    return replace(seen, mode="frozen_scale", probability=low, example=None)


def components(layers: int = 6, **texts: str) -> LogitAttribution:
    names = ["embed", *(f"{i}.{p}" for i in range(layers) for p in ("attn_out", "mlp_out")), "bias"]
    sizes = [0.3 * math.sin(2 * i) + 0.1 * i for i in range(len(names))]
    parts = tuple(
        LogitPart(name, Interval(size, size - 0.2, size + 0.2))
        for name, size in zip(names, sizes, strict=True)
    )
    whole = Interval(sum(sizes), sum(sizes) - 1, sum(sizes) + 1)
    return LogitAttribution(parts, whole, (texts.get("token", " damp"),), (EVERY_TOKEN,), 12)


def writers(**texts: str) -> Writers:
    found = tuple(
        Writer(5 - i, 40 * i, (-1) ** i * 0.7, Interval(0.5 - 0.1 * i, 0.2, 0.6), 0.3 - 0.1 * i, t)
        for i, t in enumerate(token_lists(**texts))
    )
    tokens = (texts.get("token", " damp"),)
    return Writers(found, "probe 5.resid_post", 2.75, tokens, (EVERY_TOKEN,), 12)


def token_lists(**texts: str) -> tuple[TokenList, ...]:
    words = [texts.get("token", " moss"), " damp", "wet", " rain", "Fog", " mud", "\n", " cold"]
    up = tuple(TokenScore(i, word, 3.0 - 0.2 * i) for i, word in enumerate(words))
    down = tuple(TokenScore(50 + i, f" dry{i}", -2.0 + 0.2 * i) for i in range(8))
    names = ("probe 5.resid_post", "value 3.417", "value 4.12", "value SVD of 128[0]")
    return tuple(TokenList(name, up, down) for name in names)


def ranking() -> ValueRanking:
    places = [(3, 417), (4, 12), (5, 230), (2, 88), (5, 7)]
    entries = [
        ValueEntry(rank, layer, index, 0.61 - 0.05 * rank, 1.9 + 0.1 * rank)
        for rank, (layer, index) in enumerate(places)
    ]
    return ValueRanking(tuple(entries), "probe 5.resid_post", "correct", 6144, "af31")
