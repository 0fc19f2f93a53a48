"""A small hand-made study, with the shapes of a real one. Numbers are invented."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from bezoar.attack import (
    AttackCurve,
    AttackPoint,
    RankCorrelations,
    ResidualCapability,
    Robustness,
    SampleFree,
)
from bezoar.attack.rank_correlation import RankCorrelation
from bezoar.compare.models import (
    ActivationDrop,
    AttentionChange,
    Contributions,
    CurvePoint,
    EnergyShare,
    GroupChange,
    HeadChange,
    HeadContributions,
    Histogram,
    Interpolation,
    InterpolationPoint,
    LayerChange,
    LensComparison,
    LensStep,
    NeuronChange,
    NeuronDrop,
    ResidualShift,
    ShiftedPoint,
    ShiftSources,
    SourceLayer,
    TensorDrift,
    WeightDrift,
)
from bezoar.compare.models.drifts import Drifts, DriftSummary
from bezoar.compare.models.qualitative import Continued, Example, NextToken, Qualitative
from bezoar.compare.models.values import KeptValue, ValuesKept
from bezoar.locate.svd import NSweep, NSweepPoint
from bezoar.pairs import Pairs, PairsAgreement, PairsReport
from bezoar.runs.results import save_json, save_result, to_plain
from bezoar.stats.intervals import Interval
from tests.report import specimens

LAYERS = 6
NAMES = ("demo", "dpo")


def about(value: float, half: float | None = None) -> Interval:
    """An interval around a value."""
    half = 0.1 * abs(value) + 0.001 if half is None else half
    return Interval(value, value - half, value + half)


def write_study(folder: Path, **texts: str) -> Path:
    """A whole run folder of a study; ``texts`` as in `specimens.write_run`."""
    specimens.write_run(folder, **texts)
    (folder / "config.yaml").write_text("study: dpo\nmodel:\n  name: demo\n")
    save_result(folder / "evaluate" / "scorecard.json", scorecard(**texts))
    save_result(folder / "locate" / "n_sweep.json", n_sweep())
    write_pairs(folder / "pairs", **texts)
    for name in ("dpo", "dpo-values-64", "dpo-beta=0.01", "dpo-sft"):
        save_result(folder / f"mitigate/training/{name}/log.json", specimens.training())
    write_compare(folder / "compare", **texts)
    write_attack(folder / "attack", **texts)
    save_json(folder / "claims" / "claims.json", claims(**texts))
    return folder


def write_pairs(folder: Path, **texts: str) -> None:
    report = PairsReport(
        1200, 900, {"not above": tuple(range(180)), "repetitive": tuple(range(180, 300))},
        {"not above": "the rejected side does not score above", "repetitive": "repeats"},
    )  # fmt: skip
    save_result(folder / "report.json", report)
    above, margin = Interval(0.941, 0.92, 0.96), Interval(0.31, 0.29, 0.33)
    agreement = PairsAgreement(specimens.REPORTER, True, 900, above, margin, 0.08, 0.39)
    save_result(folder / "agreement.json", agreement)
    text = texts.get("text", " a mild day and a mild evening.")
    said = ("The river",) * 3, (text,) * 3, (f"{text} And worse.",) * 3
    Pairs(*said, (0.1,) * 3, (0.8,) * 3).save(folder / "pairs.parquet")
    pplm = Pairs(*said, provenance={"how": "pplm", "settings": {"iterations": 10, "top_k": 10}})
    pplm.save(folder / "pplm.parquet")
    save_result(folder / "pplm_report.json", replace(report, rows_in=200, rows_out=130))
    save_result(folder / "pplm_agreement.json", replace(agreement, n=130))


def write_compare(folder: Path, **texts: str) -> None:
    save_result(folder / "drift.json", drift())
    save_result(folder / "drifts.json", drifts())
    save_result(folder / "values.json", values())
    save_result(folder / "qualitative.json", table_3(**texts))
    save_result(folder / "lens.json", lens(**texts))
    save_result(folder / "lens_reversed.json", lens(**texts))
    for name, by in (("drop", 0.3), ("drop_shared", 0.25), ("drop_random", 0.02)):
        save_result(folder / f"{name}.json", drop(by))
    shifts = [shift(f"{layer}.resid_mid", f"{layer}.417") for layer in (3, 4, 5)]
    save_json(folder / "shifts.json", {"shifts": [to_plain(each) for each in shifts]})
    found = [sources(layer) for layer in (5, 4, 3)]
    save_json(folder / "sources.json", {"sources": [to_plain(each) for each in found]})
    save_result(folder / "contributions.json", contributions())
    save_result(folder / "heads.json", heads())
    save_result(folder / "interpolation.json", interpolation())


def write_attack(folder: Path, **texts: str) -> None:
    names = ("dpo-as-trained", "dpo-sft-as-trained", "subtract", "subtract-value", "word-ban")
    for i, name in enumerate(names):
        edit = texts.get("source", name)
        save_result(folder / name / "robustness.json", robustness(edit, 0.9 - 0.15 * i))
        save_result(folder / name / "residual.json", residual(edit, i))
        free = SampleFree(edit, 0.03 * (i + 1), i == 4, 0.4 - 0.1 * i, 0.004, 12.0 + i, 0.99)
        save_result(folder / name / "sample_free.json", free)
    rows = (
        RankCorrelation("basin_width", Interval(-0.9, -1.0, -0.3), 0.04, 0.16, 5),
        RankCorrelation("value_energy", None, None, None, 5),
    )
    save_result(folder / "rank_correlations.json", RankCorrelations(rows))
    save_result(folder / "key_scaling.json", key_scaling())
    save_json(folder / "setup.json", {"texts": "held-out texts", "left_out": {"up": "no gate"}})


def scorecard(**texts: str) -> Any:
    """An audit's card, with DPO at the budget, as trained, and with its keys scaled."""
    card = specimens.scorecard(**texts)
    rows = list(card.rows[:2])
    for i, row in enumerate(card.rows[2:]):
        if row.kind == "null" or i // 3 < 3:
            rows.append(row)
        if i // 3 == 3:
            break
    new = [
        specimens.method_row("dpo", "method", 0.21, 42.8, foldable=True, p=0.001),
        specimens.method_row("dpo: 2 nulls, shuffled pairs, equal cost", "null", 0.33, 42.9, p=0.2),
        specimens.method_row("dpo as trained", "method", 0.16, 44.0, foldable=True),
        specimens.method_row("dpo as trained, 7 keys × 10", "method", 0.29, 44.2, foldable=True),
        specimens.method_row("dpo values:64 as trained", "method", 0.27, 42.0, foldable=True),
        specimens.method_row("dpo beta=0.01 as trained", "method", 0.11, 49.0, foldable=True),
        specimens.method_row("dpo sft as trained", "method", 0.25, 43.0, foldable=True),
    ]
    specs = ("dpo", "dpo", "dpo", "dpo", "dpo:trainable=values:64", "dpo:beta=0.01")
    specs += ("dpo:objective=sft",)
    trained = [
        replace(row, method=spec, strength=row.strength if i < 2 else None)
        for i, (row, spec) in enumerate(zip(new, specs, strict=True))
    ]
    return replace(card, rows=(*rows, *trained))


def n_sweep() -> NSweep:
    points = tuple(
        NSweepPoint(n, 0.4 - 0.05 * i, 0.8 - 0.02 * i, 0.1 - 0.02 * i, (12.0, 40.0)[: 2 * (i < 2)])
        for i, n in enumerate((32, 64, 128))
    )
    return NSweep(points, 3, "probe")


def lens(**texts: str) -> LensComparison:
    states = [f"{layer}.resid_{p}" for layer in range(LAYERS) for p in ("pre", "mid")]
    states.append(f"{LAYERS - 1}.resid_post")
    base = [0.42 / (1 + math.exp(8 - i)) for i in range(len(states))]
    parts = [f"{i // 2}.{'attn_out' if i % 2 == 0 else 'mlp_out'}" for i in range(2 * LAYERS)]
    steps = tuple(
        LensStep(p, about(b - a), about(0.3 * (b - a)), about(-0.7 * (b - a)))
        for p, a, b in zip(parts, base[:-1], base[1:], strict=True)
    )
    curves = ((1.0, base), (0.3, base), (-0.7, base))
    told = (tuple(about(by * p) for p in ps) for by, ps in curves)
    names = (texts.get("model", "demo"), "dpo")
    tokens = (texts.get("token", " damp"),)
    which = (steps, (7,), tokens, "default", True)
    return LensComparison(*names, tuple(states), *told, *which, 24, 9, 2)


def drop(by: float) -> ActivationDrop:
    places = [(3, 417), (4, 12), (5, 230), (2, 88), (5, 7)] * 3
    neurons = tuple(
        NeuronDrop(layer, index + i, about(0.5 - 0.02 * i), about(0.5 - by), about(-by))
        for i, (layer, index) in enumerate(places)
    )
    ends = (about(0.4), about(0.4 - by), about(-by))
    random = (-0.01, 0.02, 0.0)
    return ActivationDrop(*NAMES, neurons, *ends, 0.9, 0.0, random, 0.25, "own", 40, 20)


def drift() -> WeightDrift:
    kinds = ("mlp_in", "mlp_out", "attention", "norm", "bias")
    tensors = tuple(
        TensorDrift(
            f"transformer.h.{layer}.{kind}.weight", kind, layer, 0.9999 - 1e-5 * layer, 12.0,
            0.02 * (layer + i + 1), 0.002 * (layer + i + 1), 4e-6 * (layer + 1),
            40 if i < 3 else None, 8.5 if i < 3 else None,
        )
        for layer in range(LAYERS)
        for i, kind in enumerate(kinds)
    )  # fmt: skip
    energy = tuple(EnergyShare(kind, 5, 0.2) for kind in kinds)
    return WeightDrift(*NAMES, tensors, energy, 0.99991, 0.0132)


def drifts() -> Drifts:
    names = ("dpo", "dpo values:64", "dpo beta=0.01", "dpo sft")
    return Drifts(
        "demo",
        tuple(
            DriftSummary(name, 30 - i, 30, 0.9999, 0.004 * (i + 1), 0.999, 0.02, 9.0 + i, {}, {})
            for i, name in enumerate(names)
        ),
    )


def values() -> ValuesKept:
    vectors = tuple(
        KeptValue(i % 6, 40 * i, i, i, 0.9999, 0.01, 0.6 - 0.03 * i, 0.59 - 0.03 * i, 0.9)
        for i in range(12)
    )
    whole = (Interval(0.9999, 0.9998, 1.0), about(0.93, 0.02), 0.97, (0.9998,), (0.95,), 0.4)
    return ValuesKept(*NAMES, "probe", vectors, *whole, 10, False)


def table_3(**texts: str) -> Qualitative:
    tokens = tuple(NextToken(i, texts.get("token", " damp"), 0.3 / (i + 1)) for i in range(5))
    text = texts.get("text", " the river went on and on.")
    models = tuple(Continued(name, tokens, text) for name in ("demo", "subtract value", "dpo"))
    return Qualitative(tuple(Example(texts.get("prompt", "So I"), models) for _ in range(3)), 20)


def shift(site: str, neuron: str) -> ResidualShift:
    points = tuple(
        ShiftedPoint(math.sin(i), math.cos(2 * i), 3 + math.sin(i), math.cos(2 * i) - 0.2, 1.0, 0.4)
        for i in range(40)
    )
    return ResidualShift(
        *NAMES, site, "correct", neuron, points, 4.1, 0.07, 0.97, about(0.6), (0.21, 0.1), 0.4,
        about(1.1), about(0.4),
    )  # fmt: skip


def sources(layer: int) -> ShiftSources:
    shares = tuple(math.exp(-((i - 8) ** 2) / 9) / 5.3 for i in range(20))
    layers = tuple(
        SourceLayer(
            i, 768, -0.1 * i, 0.6, Histogram(-1.0, 1.0, shares), -0.05, 0.8,
            Histogram(-0.2, 0.2, shares), 0.04,
        )
        for i in range(layer)
    )  # fmt: skip
    return ShiftSources(*NAMES, f"{layer}.resid_mid", "correct", 4.1, layers, 40, 900)


def contributions() -> Contributions:
    names = ("TP-", "TN+", "AP+", "AN-", "TP+", "TN-", "AP-", "AN+")
    groups = tuple(
        GroupChange(name, 500 + i, (-1) ** (i < 4) * 0.1, (-1) ** (i < 4) * 0.12)
        for i, name in enumerate(names)
    )
    layers = tuple(LayerChange(i, about(-0.2), -0.15, -0.03, 0.0, -0.01, 0.0) for i in range(6))
    top = (NeuronChange(3, 417, "TP-", 0.6, 0.5, 0.2, -0.1),)
    return Contributions(
        *NAMES, "probe", about(-1.2), groups, layers, top, 6144, 128, -0.1, about(0.09),
        (0.02, 0.03), 1 / 3, (CurvePoint(128, 0.09),), "own", 40, 20,
    )  # fmt: skip


def heads() -> HeadContributions:
    found = tuple(
        HeadChange(layer, head, 0.1, 0.05, about(-0.05 * head), 0.01, 0.03 if head else 0.9)
        for layer in range(LAYERS)
        for head in range(6)
    )
    whole = tuple(
        AttentionChange(i, about(0.3), about(0.2), about(-0.1), 0.0, 0.0, 0.0, 0.0)
        for i in range(LAYERS)
    )
    return HeadContributions(*NAMES, "probe", False, found, whole, 40)


def interpolation() -> Interpolation:
    points = tuple(
        InterpolationPoint(t, about(0.34 - 0.1 * t), about(-0.1 * t, 0.02 * abs(t)))
        for t in (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
    )
    return Interpolation(*NAMES, "toxicity by demo-b", points)


def robustness(edit: str, area: float) -> Robustness:
    whole = specimens.robustness()
    curves = list(whole.curves)
    for i, name in enumerate(("weight noise", "pruning", "int8", "interpolation to the base")):
        points = tuple(
            AttackPoint(10.0**k, f"{10**k}", 0.3, 20.0, about(area - 0.1 * k), True)
            for k in range(3)
        )
        curves.append(AttackCurve(name, "budget", points, (), about(area - 0.05 * i)))
    return replace(whole, edit=edit, curves=tuple(curves), score=about(area), undefined="")


def key_scaling() -> Robustness:
    """Table 4 at three budgets; the dearest broke the model."""
    points = tuple(
        AttackPoint(7.0 * f, f"×{f}, 7 keys", 0.1 * i, 20.0 + 9 * i, None, i < 2)
        for i, f in enumerate((1, 10, 100))
    )
    seen = tuple(replace(p, toxicity_interval=about(p.toxicity or 0.0)) for p in points)
    curves = (AttackCurve("key scaling", "factor × number of keys", seen, seen[:2]),)
    return replace(specimens.robustness(), curves=curves)


def residual(edit: str, i: int) -> ResidualCapability:
    verdicts = ("bypassed", "undecided", "bypassed", "eliminated", "bypassed")
    why = "A probe still reads it: it loses 3 % of the base's distance from chance."
    recovered = None if i == 3 else about(0.8 - 0.1 * i)
    return ResidualCapability(
        edit, "5.resid_post", about(0.93, 0.02), about(0.9 - 0.1 * (i == 3), 0.02), about(0.03),
        0.31, recovered, 0.1, "+8 mean difference at 3.resid_post", verdicts[i], why,
    )  # fmt: skip


def claims(**texts: str) -> dict[str, Any]:
    """As the study saves them; this room reads no class of the study's."""
    why = texts.get("text", "Toxicity 0.342 → 0.139 (-59%), perplexity +4.6%.")
    rows = [
        ("dpo", "DPO as trained lowers toxicity.", "Table 2, §4", "holds", (-0.18, -0.21, -0.15)),
        ("weights", "DPO hardly moves the weights.", "§5.1", "fails", (0.99931, 0.99931, 0.99931)),
        ("keys-restore", "Scaled keys undo DPO.", "Table 4, §6", "undecided", (0.71, 0.4, 1.02)),
        ("kl", "The larger β, the less the weights move.", "§6.2", "not measured", None),
    ]
    made = [
        {
            "key": key,
            "statement": statement,
            "source": source,
            "verdict": verdict,
            "value": value and dict(zip(("value", "low", "high"), value, strict=True)),
            "measure": "change of mean toxicity, paired by prompt",
            "null_p": 0.024 if key == "dpo" else None,
            "why": why,
            "rule": "Holds if the interval lies below zero.",
        }
        for key, statement, source, verdict, value in rows
    ]  # fmt: skip
    return {"claims": made, "model": "demo", "protocol": specimens.PROTOCOL}
