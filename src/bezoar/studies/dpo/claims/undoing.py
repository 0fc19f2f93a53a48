"""Section 6: whether the behaviour is gone or passed by, and what the training needed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from math import exp, isclose, sqrt
from math import log as ln
from statistics import stdev

from scipy.stats import t as student

from bezoar.compare.models.shown import signed
from bezoar.mitigate import parse_method
from bezoar.mitigate.dpo import DPO
from bezoar.mitigate.preference import LOW_ENOUGH, Trainable, TrainingLog
from bezoar.report.dpo.paper import SECTIONS
from bezoar.stats import Interval
from bezoar.studies.audit.fitting import slug
from bezoar.studies.claims.results import Claim, Verdict, number
from bezoar.studies.claims.rules import (
    HALF,
    Finding,
    Rule,
    above,
    all_of,
    below,
    claim,
    exactly,
    not_measured,
)
from bezoar.studies.dpo.claims.found import NO_OP, Found
from bezoar.studies.dpo.claims.shares import nothing_lowered, share_of_way
from bezoar.studies.dpo.evaluate import AS_TRAINED

AS_MUCH = 0.9
"""Of the main training's fall of the loss: what counts as having learnt as much."""
_PARTS = {
    "values": "the value vectors of the most toxic neurons ({})",
    "random-values": "the value vectors of random neurons ({})",
    "biases": "the biases",
    "late": "the late layers ({})",
    "lora": "low-rank adapters ({})",
    "layer": "one added layer ({})",
}


@claim(
    "bypassed",
    "DPO does not remove toxicity from the model: it is still there, and bypassed.",
    f"title, {SECTIONS['mechanism']}, {SECTIONS['undoing']}",
    "AUROC that a probe fitted to the trained model loses, paired by text",
)
def bypassed(found: Found) -> Finding:
    """Holds if a probe on the trained model still reads toxicity (it loses less than half of its
    distance from chance, interval and all), or steering brings back at least half of the reduction;
    fails if the probe loses more than half and steering brings back less; else undecided, as it is
    if DPO as trained does not lower toxicity beyond chance: then there is nothing to bypass."""
    left = found.residual
    if left is None:
        return not_measured("What the trained model is still capable of was not measured.")
    verdicts: dict[str, Verdict] = {"bypassed": "holds", "eliminated": "fails"}
    if without := nothing_lowered(found):
        return Finding("undecided", left.loss, f"{without} AUROC {left.base} → {left.edited}.")
    why = f"AUROC {left.base} → {left.edited}. {left.why}"
    if left.recovered is not None:
        why += f" Steering ({left.steering}) brings back {number(left.recovered)}"
        chance = left.null_recovered
        why += "." if chance is None else f"; random directions at most {chance:.2f}."
    return Finding(verdicts.get(left.verdict, "undecided"), left.loss, why)


@claim(
    "dial",
    "The difference of the weights is a dial: taken away from the base, it makes it more toxic.",
    "not in the paper",
    "change of toxicity at base − ΔW, paired by prompt",
)
def dial(found: Found) -> Finding:
    """Holds if the interval at t = −1 lies above zero; fails if it lies below."""
    line = found.interpolation
    back = None if line is None else next((p for p in line.points if p.t == -1), None)
    if line is None or back is None:
        return not_measured("No weights between or beyond the two were measured.")
    told = ", ".join(f"t = {point.t:g}: {signed(point.change)}" for point in line.points if point.t)
    n = f", {len(found.shifts[0].points)} prompts" if found.shifts else ""
    return Finding(above(back.change), back.change, f"Against the base{n}: {told}.")


@claim(
    "kl",
    "The pull towards the base keeps DPO close to it: the larger β, the less the weights move.",
    SECTIONS["undoing"],
    "‖ΔW‖ / ‖W‖ of what was free, at the largest β over that at the smallest",
)
def pull(found: Found) -> Finding:
    """Holds if ‖ΔW‖ / ‖W‖ falls from each β to the next larger one, interval and all; fails if it
    rises from the smallest to the largest, interval and all. Undecided if a training ended because
    its loss was low enough: the smaller β is, the further weights must then move by that rule. The
    trainings differ from the main one in β alone. One training each: the interval is as wide as
    seeds of the main training end apart (Student's t of their logarithms); without a second seed,
    or where these stop at a loss, it is undecided."""
    logs = {method.beta: log for method, log in _alike(found, "beta") if method.objective == "dpo"}
    if len(logs) < 2 or not all(log.relative for log in logs.values()):
        return not_measured("DPO was not trained with two values of β.")
    sizes = [logs[beta].relative for beta in sorted(logs)]
    told = ", ".join(f"β = {beta:g}: {logs[beta].relative:.2%}" for beta in sorted(logs)) + "."
    found_apart, apart = _seeds_apart(found)
    whole = _ratio(sizes[-1], sizes[0], apart)
    steps = [_ratio(later, earlier, apart) for earlier, later in pairwise(sizes)]
    verdict: Verdict = all_of(*(below(step, 1.0) for step in steps))
    verdict = "holds" if verdict == "holds" else "fails" if whole.low > 1 else "undecided"
    if apart is None:
        verdict = "undecided"
    finding = Finding(verdict, whole, f"{told} {found_apart}")
    return _unless_stopped(finding, list(logs.values()))


@claim(
    "kl-sft",
    "Fine-tuning on the harmless sides alone, without that pull, moves the weights further.",
    SECTIONS["undoing"],
    "‖ΔW‖ / ‖W‖ of what was free, of DPO over that of fine-tuning",
)
def fine_tuning(found: Found) -> Finding:
    """Holds if the ratio lies below one, interval and all; fails if it lies above. Undecided if a
    training ended because its loss was low enough, which says how far DPO moves whatever pulls. The
    two differ in what they minimise alone. One training each, of the same pairs: the interval is as
    wide as seeds of the main training end apart (Student's t of their logarithms); without a second
    seed, or where these stop at a loss, it is undecided."""
    logs = {method.objective: log for method, log in _alike(found, "objective")}
    if "dpo" not in logs or "sft" not in logs or not logs["sft"].relative:
        return not_measured("The chosen sides were not fine-tuned on.")
    main, without = logs["dpo"].relative, logs["sft"].relative
    found_apart, apart = _seeds_apart(found)
    ratio = _ratio(main, without, apart)
    verdict: Verdict = "undecided" if apart is None else below(ratio, 1.0)
    told = Finding(verdict, ratio, f"{main:.2%} against {without:.2%}. {found_apart}")
    return _unless_stopped(told, [logs["dpo"], logs["sft"]])


def _ratio(a: float, b: float, apart: float | None) -> Interval:
    """``a / b`` of two trainings of one seed each, if logarithms of such are so far apart."""
    ratio = a / b
    return (
        exactly(ratio) if apart is None else Interval(ratio, ratio / exp(apart), ratio * exp(apart))
    )


def _seeds_apart(found: Found) -> tuple[str, float | None]:
    """How far apart the logarithms of ‖ΔW‖ of two trainings are that differ in their seed alone, at
    most in 95 %, in words and as a number: ``t · s · √2`` over the seeds of the main training."""
    trained = _trained(found)
    alike = [_like(trained, first, "seed") for first in _firsts(trained)]
    logs = [log for _, log in max(alike, key=len, default=[])]
    sizes = [log.relative for log in logs]
    if len(sizes) < 2 or not all(sizes):
        return (
            "One training each, and no other seed: nothing says how far such a one would go.",
            None,
        )
    told = ", ".join(f"{size:.3%}" for size in sizes)
    told = f"One training each; {len(sizes)} seeds of the main one end at {told}"
    if any(log.stop_reason == LOW_ENOUGH for log in logs):
        return f"{told}, all at one loss, and so nearer to each other than seeds are.", None
    spread = stdev(ln(size) for size in sizes)
    return f"{told}.", float(student.ppf(0.975, len(sizes) - 1)) * spread * sqrt(2)


def _alike(found: Found, option: str) -> list[tuple[DPO, TrainingLog]]:
    """The main training, and those that differ from it in one option alone; of trainings with a
    given number of steps, if there are such, the first of these and those that differ from it.

    How far along ΔW an edit goes (t) is no part of a training.
    """
    trained = _trained(found)
    return _like(trained, _firsts(trained)[0], option) if trained else []


def _trained(found: Found) -> list[tuple[DPO, TrainingLog]]:
    methods = [(parse_method(spec), log) for spec, log in found.logs.items()]
    return [(method, log) for method, log in methods if isinstance(method, DPO)]


def _firsts(trained: list[tuple[DPO, TrainingLog]]) -> list[DPO]:
    """The first with a given number of steps, if there is one, and the main training."""
    timed = [method for method, _ in trained if method.steps is not None]
    return [*timed[:1], *(method for method, _ in trained[:1])]


def _like(
    trained: list[tuple[DPO, TrainingLog]], first: DPO, option: str
) -> list[tuple[DPO, TrainingLog]]:
    own = {option: getattr(first, option), "t": first.t}
    return [(m, log) for m, log in trained if replace(m, **own) == first]


def _unless_stopped(told: Finding, logs: list[TrainingLog]) -> Finding:
    """Undecided if one of the trainings ended at a loss, which says how far weights move."""
    if not any(log.stop_reason == LOW_ENOUGH for log in logs):
        return told
    why = "A training stopped at a loss that is low enough, which says how far the weights move."
    return replace(told, verdict="undecided", why=f"{told.why} {why}")


CLAIMS = (bypassed, dial, pull, fine_tuning)


def masks(found: Found) -> tuple[Claim, ...]:
    """Of each training of a part of the weights, whether it suffices.

    Random value vectors stand beside the toxic ones of a training that is like theirs otherwise.
    """
    rows = [row for row in found.rows if row.label.endswith(f" {AS_TRAINED}")]
    trained = {
        row.label: method
        for row in rows
        if isinstance(method := parse_method(row.method), DPO)
        and method.trainable != "all"
        and row.label != found.trained
    }
    parts = Counter(method.trainable for method in trained.values())
    claims = []
    for label, method in trained.items():
        part = method.trainable
        random = next((name for name, other in trained.items() if _chance(other, method)), None)
        rule = _mask(label, part, random, "" if parts[part] == 1 else method.spec)
        claims.append(rule(found))
    return tuple(claims)


def _chance(other: DPO, method: DPO) -> bool:
    """Whether a training is that of as many random value vectors as another's toxic ones."""
    drawn, ranked = Trainable.parse(other.trainable), Trainable.parse(method.trainable)
    kinds = drawn.kind, ranked.kind
    alike = replace(other, trainable=method.trainable) == method and drawn.count == ranked.count
    return alike and kinds == ("random-values", "values")


def _mask(label: str, part: str, random: str | None, spec: str) -> Rule:
    """Of one training; ``spec`` tells it from others of the same part, if there are any."""

    @claim(
        f"only-{slug(spec) if spec else part}",
        f"Training {_PARTS[part.partition(':')[0]].format(part)} alone does at least half of what "
        f"training all weights does{f' ({spec})' if spec else ''}.",
        f"{SECTIONS['undoing']} (open question)",
        "its reduction of toxicity as a share of that of all weights, paired by prompt",
    )
    def rule(found: Found) -> Finding:
        """Holds if the interval lies above one half; fails if it lies below and the training of the
        part learnt about as much as that of all weights: its loss on kept-out pairs ended as low
        enough by its recipe, or fell at least nine tenths as far from where both began. A part that
        hardly learnt may do well nonetheless, but what it does not do says nothing of the part."""
        share = share_of_way(found, label, NO_OP)
        if isinstance(share, Finding):
            return share
        base, own, whole = (
            float(found.toxicity(name).mean()) for name in (NO_OP, label, found.trained)
        )
        why = f"Toxicity {base:.3f} → {own:.3f}, with all weights {whole:.3f}."
        if random is not None:
            chance = share_of_way(found, random, NO_OP)
            if isinstance(chance, Interval):
                why += f" Random value vectors do {number(chance)}."
        verdict = above(share, HALF)
        if verdict == "fails" and (short := _learnt_less(found, label)):
            return Finding("undecided", share, f"{why} {short}")
        return Finding(verdict, share, why)

    return rule


def _learnt_less(found: Found, label: str) -> str:
    """Why a training cannot be said to have learnt as much as the main one, or ""."""
    own, main = _log(found, label), _log(found, found.trained)
    if own is None or main is None:
        return "How much it learnt was not kept."
    if own.stop_reason == LOW_ENOUGH:
        return ""
    start, least = main.validation[0].loss, main.best.loss
    if not isclose(own.validation[0].loss, start, rel_tol=1e-3):
        return "It minimised another loss, so that it cannot be said to have learnt as much."
    if start - own.best.loss >= AS_MUCH * (start - least):
        return ""
    return (
        f"It had not learnt as much: loss {own.best.loss:.3f} on kept-out pairs, with all weights "
        f"{least:.3f}, of {start:.3f} untrained."
    )


def _log(found: Found, label: str) -> TrainingLog | None:
    """Of the training that ended as the row of that label."""
    row = found.row(label)
    return None if row is None else found.logs.get(row.method)
