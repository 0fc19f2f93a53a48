"""Results with the numbers that a test of claims wants, and everything else plain."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bezoar.attack import AttackCurve, AttackPoint, ResidualCapability, Robustness
from bezoar.compare.models import (
    ActivationDrop,
    Contributions,
    Histogram,
    Interpolation,
    InterpolationPoint,
    KeptValue,
    LensComparison,
    LensStep,
    NeuronDrop,
    ResidualShift,
    ShiftedPoint,
    ShiftSources,
    SourceLayer,
    TensorDrift,
    ValuesKept,
    WeightDrift,
)
from bezoar.evaluate import Measurement, MethodRow, Metric, Scorecard
from bezoar.locate import LexiconShare, ProbeScore, ProbeSweep, RivalScore
from bezoar.mitigate.preference.log import TrainingLog, Validation
from bezoar.scoring import PerplexityResult
from bezoar.stats import Interval

LN2 = math.log(2)
DOWN, UP, UNSURE = (Interval(*v) for v in ((-0.2, -0.3, -0.1), (0.2, 0.1, 0.3), (0.1, -0.1, 0.3)))
HIGH, EVEN, LOW = (Interval(*v) for v in ((0.9, 0.8, 1.0), (0.5, 0.4, 0.6), (0.1, 0.05, 0.2)))


def sweep(auroc: Interval = HIGH, words: Interval = UP, p: float | None = 0.02) -> ProbeSweep:
    def score(site: str, value: Interval, cv: float) -> ProbeScore:
        return ProbeScore(site, value, value, value, value, 0.8, cv, 0.1)

    rivals = tuple(
        RivalScore(name, value, value, value, value, 0.6)
        for name, value in (("bag of words", EVEN), ("untrained twin", EVEN))
    )
    scores = score("embed", EVEN, 0.5), score("2.resid_post", auroc, 0.9)
    return ProbeSweep(scores, rivals, words, p, (), 0.6, 90, 90, 36, "mean", "demo", "jigsaw")


def share(p: float) -> LexiconShare:
    return LexiconShare(0.3, 0.1, 0.2, p, 16, 10)


def metric(name: str, value: Interval) -> Metric:
    return Metric(name, value.value, value.low, value.high, "LEE@8")


def row(
    label: str,
    change: Mapping[str, Interval],
    p: float | None = None,
    *,
    kind: str = "method",
    spec: str = "dpo",
    draws: int = 20,
    null_cost: float | None = None,
) -> MethodRow:
    return MethodRow(
        method=spec,
        label=label,
        kind=kind,  # type: ignore[arg-type]
        metrics={"toxicity": metric("toxicity", EVEN)},
        change={name: metric(name, value) for name, value in change.items()},
        null_p=p,
        holm_p=None if p is None else min(1.0, 2 * p),
        n_draws=0 if p is None else draws,
        null_cost=null_cost,
    )


def card(*rows: MethodRow) -> Scorecard:
    return Scorecard("LEE@8", (row("no-op", {}, kind="no-op"), *rows), 8, "a", "b")


def measured(toxicity: Sequence[float], nll: float = 3.0) -> Measurement:
    cost = PerplexityResult(20.0, 40, "ppl-windows-1024", (nll * 10,) * 4, (10,) * 4, 0, 0.25)
    return Measurement("x", "LEE@8", "key", {"toxicity": tuple(toxicity)}, perplexity=cost)


def drift(*cosines: float) -> WeightDrift:
    tensors = tuple(
        TensorDrift(f"w{i}", "mlp_out", i, cosine, 1.0, 0.1, 0.1, 1e-4, 3, 2.0)
        for i, cosine in enumerate(cosines)
    )
    return WeightDrift("demo", "dpo", tensors, (), 0.999, 0.01)


def values(*cosines: float, tokens: Interval = HIGH, identity: bool = False) -> ValuesKept:
    kept = tuple(KeptValue(1, i, i, i, c, 0.1, 0.5, 0.5, 0.9) for i, c in enumerate(cosines))
    more = tokens, 1.0, (0.999,), (0.9,), 0.3, 10, identity
    return ValuesKept("demo", "dpo", "probe", kept, HIGH, *more)


def lens(last: Interval, *steps: tuple[str, float, Interval]) -> LensComparison:
    made = tuple(LensStep(c, Interval(b, b, b), EVEN, change) for c, b, change in steps)
    states = "0.resid_pre", "0.resid_post"
    seen = (EVEN, EVEN), (LOW, LOW), (UNSURE, last)
    return LensComparison(
        "demo", "dpo", states, *seen, made, (7,), ("x",), "default", True, 9, 9, 1
    )


def drop(change: Interval, p: float | None) -> ActivationDrop:
    neuron = NeuronDrop(1, 2, EVEN, LOW, change)
    return ActivationDrop(
        "demo", "dpo", (neuron,), EVEN, LOW, change, 1.0, 0.0, (-0.01, 0.01), p, "own", 9, 20
    )


def shift(consistency: float, n: int) -> ResidualShift:
    points = (ShiftedPoint(0.0, 0.0, 1.0, 0.0, None, None),) * n
    axes = HIGH, (0.5,), 0.9, None, None
    where = "1.resid_mid", "correct", "1.2"
    return ResidualShift("demo", "dpo", *where, points, 1.0, 0.1, consistency, *axes)


def sources(
    *layers: tuple[float, float, float], site: str = "3.resid_mid", half: float | None = 0.03
) -> ShiftSources:
    """(opposing, negative, along) a layer, and half of the width of their intervals."""
    bars = Histogram(-1.0, 1.0, (1.0,))
    made = tuple(
        SourceLayer(i, 10, -0.1, opposing, bars, -0.01, negative, bars, along)
        for i, (opposing, negative, along) in enumerate(tuple(map(float, one)) for one in layers)
    )
    norm = 2.0
    opposing, negative, along = (sum(column) for column in zip(*layers, strict=True))
    whole = opposing / len(layers), negative / len(layers), along / norm
    own = () if half is None else (Interval(value, value - half, value + half) for value in whole)
    return ShiftSources("demo", "dpo", site, "correct", norm, made, 9, 90, *own)


def contributions(toxic: Interval | None) -> Contributions:
    return Contributions(
        "demo", "dpo", "probe", DOWN, (), (), (), 768, 64, -0.1, toxic, (), 0.01, (), "own", 9, 20
    )


def line(back: Interval) -> Interpolation:
    points = tuple(InterpolationPoint(t, EVEN, change) for t, change in ((-1.0, back), (1.0, DOWN)))
    return Interpolation("demo", "dpo", "toxicity", points)


def point(
    factor: int, count: int, left: Interval, cost: float = 0.0, *, valid: bool = True, **more: int
) -> AttackPoint:
    """So much perplexity above the edited model's; toxicity as the share that is left says."""
    label, toxic = f"×{factor}, {count} keys", 0.5 - 0.3 * left.value
    ppl = 21.0 * (1 + cost)
    return AttackPoint(float(factor * count), label, toxic, ppl, left, valid, tried=3, **more)  # type: ignore[arg-type]


def attacked(
    random_keys: Interval,
    *others: AttackPoint,
    toxic: Sequence[AttackPoint] = (),
    valid: bool = True,
    broken: int = 0,
) -> Robustness:
    """Seven random keys × 10, and other points of random keys."""
    nulls = point(10, 7, random_keys, valid=valid, broken=broken), *others
    curve = AttackCurve("key scaling", "factor × keys", tuple(toxic), nulls)
    return Robustness(
        "dpo", (curve,), None, None, "", "", 0.5, 0.2, UP, 20.0, 21.0, 1.2, 8, "LEE@8"
    )


def residual(verdict: str, recovered: Interval | None = HIGH) -> ResidualCapability:
    return ResidualCapability(
        "dpo", "2.resid_post", HIGH, HIGH, LOW, 0.4, recovered, 0.1, "c", verdict, "So."  # type: ignore[arg-type]
    )  # fmt: skip


def log(relative: float, stopped: str = "patience", loss: float = 0.2) -> TrainingLog:
    counts = 9, 3, 0, 0, 0, 99
    seen = tuple(
        Validation(step, at, 0.5, 0.0, 0.0, 0.0, 0.0) for step, at in ((0, LN2), (9, loss))
    )
    return TrainingLog("dpo", "small", "all", (), seen, 9, stopped, *counts, 1.0, relative)
