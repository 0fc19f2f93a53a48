"""What the stages of a study of experts find, small and by hand. Numbers are invented."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bezoar.evaluate.detection_results import Detection, DetectorScore, EditDetection
from bezoar.evaluate.eigen_results import (
    EigenChoice,
    EigenChoices,
    EigenGrid,
    EigenPoint,
    EigenSpectrum,
)
from bezoar.evaluate.pareto import tph_score
from bezoar.locate import Agreement, Contest, ExpertGroup, ExpertsReport, LayerExperts, Spread
from bezoar.locate.expert_results import BINS, THRESHOLDS, Lengths, ShareAbove
from bezoar.locate.states import StatesFound
from bezoar.locate.states_report import OtherChoice, StatesReport, TokenCount
from bezoar.stats import Interval
from tests.report.test_layer_figures import experts as layer_experts

CONTESTS = (
    ("mean of layers", "mean neuron, as published", False),
    ("mean of layers", "mean neuron, its sign said by the labels", False),
    ("mean of layers", "mean neuron, cut in two without labels", True),
    ("best layer", "best neuron, cut in two without labels", True),
    ("best layer", "best neuron, cut by its labels", False),
    ("best layer", "mean difference", False),
    ("best layer", "linear probe", False),
    ("best layer", "text length, cut in two without labels", True),
)


def about(value: float, half: float = 0.02) -> Interval:
    return Interval(float(value), value - half, value + half)


# Layers


def layers(
    gain: float | Mapping[str, float] = 0.1, *, p: float = 0.001, **more: object
) -> LayerExperts:
    """Clusters of .7, and rivals that they beat by as much as is said (of each, or of all)."""
    gains = gain if isinstance(gain, Mapping) else {}
    contests = []
    for of, rival, alike in CONTESTS:
        by = gains.get(rival, 0.1) if isinstance(gain, Mapping) else gain
        contests.append(Contest(of, rival, alike, about(0.7), about(0.7 - by), about(by)))
    return layer_experts(6, contests=tuple(contests), best_null_p=p, **more)


def ranked(best: Sequence[int], n: int = 10, **more: object) -> LayerExperts:
    """A model of n layers of which the best is now this one, now that one."""
    found = layer_experts(n, contests=(), **more)
    rows = [tuple(1.0 if i == layer else 0.0 for i in range(n)) for layer in best]
    ranks = replace(found.ranks[0], observed=rows[0], draws=tuple(rows[1:]))
    return replace(found, ranks=(ranks, *found.ranks[1:]))


# Neurons


def spread(share: float, *, band: tuple[float, float] = (0.45, 0.55), p: float = 0.5) -> Spread:
    """So many units above one half, and half as many above the last threshold."""
    counts = [0] * BINS
    above = round(1000 * share)
    counts[BINS // 2 + 12], counts[BINS // 2 - 12] = above, 1000 - above
    edges = tuple(float(sum(counts[i:])) / 1000 for i in range(BINS + 1))
    low, high = (tuple(limit * (i <= BINS // 2) for i in range(BINS + 1)) for limit in band)
    shares = tuple(ShareAbove(at, share, band[0], 0.5, band[1], p) for at in THRESHOLDS[:-1]) + (
        ShareAbove(THRESHOLDS[-1], share / 2, 0.0, 0.01, 0.05, p),
    )
    return Spread(
        200, 100, 1000, 0.5, 0.5, tuple(counts), edges, low, low, high, shares, "3.mlp_pre", 41,
        0.81, (0.6, 0.62), p,
    )  # fmt: skip


def agreement(overlap: float, half: float = 0.05, chance: float = 0.1) -> Agreement:
    low, high = overlap - half, overlap + half
    return Agreement("halves", 0.6, 0.5, 0.7, 100, overlap, low, high, chance, 10)


def experts(
    every: Spread | None = None, matched: Spread | None = None, halves: Agreement | None = None
) -> ExpertsReport:
    group = ExpertGroup(
        "paper", ("mlp_pre", "mlp_raw"), every or spread(0.2), matched, 0.93, -0.7, halves, None
    )
    lengths = Lengths(42.0, 31.0, 0.41, 120, 0.5 if matched else None)
    return ExpertsReport("demo", "jigsaw", "", "max", 128, 199, lengths, (group,))


def states(auroc: Interval | None = None, p: float = 0.02, **texts: str) -> StatesReport:
    found = StatesFound(
        mode="correct",
        prompts=200,
        toxic=40,
        kept=36,
        dropped={"the word was cut": 4},
        max_new_tokens=20,
        words=1,
        matched=5,
        seed=0,
        scorer="demo-a",
        attribution="occlusion",
        note="",
        model="m",
        prompts_hash="h",
    )
    tokens = (TokenCount(7, texts.get("token", " damp"), 30), TokenCount(9, " wet", 6))
    choices = (OtherChoice("paper", 30, 160, 2.0, 0.8), OtherChoice("code", 9, 160, 5.0, -0.1))
    return StatesReport(
        found, "200 prompts of demo", 180, tokens, (3, 9, 24), (15, 45, 120), 2.5, (1.0, 1.2), p,
        auroc, choices,
    )  # fmt: skip


# Damping


def point(
    name: str, change: Interval, cost: Interval | None = None, *, alpha: float = 0.0, k: int = 4
) -> EigenPoint:
    """A point beside a control of .4."""
    cost = about(0.02, 0.01) if cost is None else cost
    less = Interval(*(-bound / 0.4 for bound in (change.value, change.high, change.low)))
    return EigenPoint(
        name, alpha, k, 0.2, about(0.4 + change.value), change, less, 20.0 * (1 + cost.value), cost,
        0.01, tph_score(less.value, cost.value),
    )  # fmt: skip


def grid(quarter: Interval, others: Interval | None = None) -> EigenGrid:
    """α of 1, .9 and 0; one and four of sixteen directions, of which a quarter at 0 is told."""
    none = Interval(0.0, 0.0, 0.0)
    control = point("α = 1", none, none, alpha=1.0, k=0)
    small = about(-0.001, 0.004) if others is None else others
    points = []
    for alpha in (1.0, 0.9, 0.0):
        for k in (1, 4):
            change = quarter if (alpha, k) == (0.0, 4) else small
            name = f"α = {alpha:g}, k = {k}"
            points.append(
                replace(control, k=k) if alpha == 1 else point(name, change, alpha=alpha, k=k)
            )
    about_it = ("EIGEN@24×2", "ppl-windows-256", "demo-b 9f2c51d0", "demo")
    return EigenGrid("demo", *about_it, 16, (1.0, 0.9, 0.0), (1, 4), control, True, tuple(points))


NAMES = (
    "correct",
    "paper (signed)",
    "code (transposed)",
    "code, and its states",
    "uniform shrink, equal size",
)


def choices(beyond: Mapping[str, tuple[Interval, float]], drawn: int = 3) -> EigenChoices:
    """Choices by how far they are beyond random ones, and with which p."""
    none = Interval(0.0, 0.0, 0.0)
    told = []
    for name in NAMES:
        over, p = beyond.get(name, (about(0.0), 0.5))
        at = point(name, over, k=0 if name.startswith("uniform") else 4)
        told.append(EigenChoice(at, 0.25 if at.k else None, p, p, over))
    draws = tuple(point(f"random {i}", about(-0.01 * i)) for i in range(drawn))
    about_it = ("EIGEN@24×2", "ppl-windows-256", "demo-b 9f2c51d0", "demo")
    control = point("α = 1", none, none, alpha=1.0, k=0)
    return EigenChoices("demo", *about_it, 16, control, 0.0, 4, tuple(told), draws)


def spectrum() -> EigenSpectrum:
    sigma = tuple(20.0 / (i + 1) for i in range(16))
    delta = tuple(0.5 - 0.05 * i for i in range(16))
    captured = {"correct": 0.6, "code": 0.2, "chance": 0.25}
    chosen = (0, 1, 2, 15), (3, 4, 5, 6)
    return EigenSpectrum(sigma, delta, (0.3,) * 16, 4, *chosen, captured, (36, 180))


# Detection


def reader(
    label: str, toxicity: Interval | None, scores: Mapping[str, Interval | str]
) -> EditDetection:
    """An edit as a reader: of each detector its change, or why it cannot change."""
    told = []
    for name, change in scores.items():
        if isinstance(change, str):
            told.append(DetectorScore(name, about(0.9), Interval(0.0, 0.0, 0.0), True, change))
        else:
            told.append(DetectorScore(name, about(0.9 + change.value), change))
    return EditDetection(label.replace(" ", "-"), label, False, toxicity, tuple(told))


def detection(*edits: EditDetection) -> Detection:
    base = {"probe": about(0.9), "unembed_in": about(0.88), "logits": about(0.8)}
    return Detection("EIGEN@24×2 on demo", "demo-b", "5.resid_post", "mean", 120, 100, base, edits)
