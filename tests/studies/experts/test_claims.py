"""Claims on experts and EigenShift: the rule decides, and what could go either way stays open."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bezoar.evaluate import Front, FrontPoint, MethodRow
from bezoar.evaluate.pareto import tph_score
from bezoar.locate import Reconstruction
from bezoar.runs import ExpertsStudyConfig, load_result, save_result
from bezoar.stats import Interval
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.claims import Claims
from bezoar.studies.experts.claims import claims_of
from bezoar.studies.experts.claims.effects import MODES
from bezoar.studies.experts.claims.found import Found
from bezoar.studies.experts.claims.spectrum import tph_bounds
from bezoar.studies.experts.claims.stage import RULES, labels, read
from tests.report.experts import findings
from tests.report.experts.findings import about
from tests.studies.dpo import claims_kit as kit

EVERY = (*RULES, *MODES.values())
DOWN, UP, UNSURE = about(-0.1), about(0.1), about(0.0)
OURS = {"eigen": {"correct": "eigenshift", "code": "eigenshift mode=code"}}
OURS |= {"rivals": {name: name for name in ("aura", "det-0", "damp")}}
FIXED = "what it reads does not change"
LOW, EVEN, HIGH = [0.1, 0.2, 0.1, 0.3] * 8, [0.3, 0.2, 0.4, 0.1] * 8, [0.5, 0.7, 0.6, 0.8] * 8


def verdict(key: str, **found: Any) -> str:
    return next(rule for rule in EVERY if rule.key == key)(Found(**found)).verdict


def card(*rows: MethodRow, front: Front | None = None) -> dict[str, Any]:
    return OURS | {"scorecard": replace(kit.card(*rows), front=front)}


def row(label: str, p: float | None = None, **change: Interval) -> MethodRow:
    return kit.row(label, change, p)


def published(**changes: dict[str, Interval]) -> dict[str, Any]:
    names = {name: name.replace("_", "-") for name in changes}
    return card(*(row(f"{names[n]} as published", **change) for n, change in changes.items()))


def layers(gain: Any, **more: Any) -> dict[str, Any]:
    return {"layers": (findings.layers(gain, **more),)}


def ranked(best: list[int], kind: str = "decoder", **more: Any) -> dict[str, Any]:
    return {"layers": (findings.ranked(best, kind=kind, **more),)}


def units(*args: Any) -> dict[str, Any]:
    return {"experts": findings.experts(*args)}


def choice(name: str, beyond: Interval, p: float, drawn: int = 39) -> dict[str, Any]:
    return {"choices": findings.choices({name: (beyond, p)}, drawn)}


def at_cost(beyond: Interval, p: float) -> dict[str, Any]:
    return {"at_cost": findings.choices({"correct": (beyond, p)}, 39)}


def shrink(ours: list[float], theirs: list[float]) -> dict[str, Any]:
    chosen = {"correct": ours, "uniform shrink, equal size": theirs}
    seen = {name: kit.measured(toxicity) for name, toxicity in chosen.items()}
    return {"choices": findings.choices({}), "chosen": seen}


def grid(quarter: Interval, others: Interval | None = None) -> dict[str, Any]:
    return {"grid": findings.grid(quarter, others)}


def exact(relative: float) -> dict[str, Any]:
    return {"reconstruction": Reconstruction(relative, relative, 1e-15, 1e-15, "float64")}


def at_budget(**toxicity: list[float]) -> dict[str, Any]:
    return OURS | {"measured": {name: kit.measured(values) for name, values in toxicity.items()}}


def volumes(ours: float, theirs: float) -> dict[str, Any]:
    points = tuple(
        FrontPoint(name, label, 0.8, 0.01, about(area), about(0.01), 0.5)
        for name, label, area in (
            ("eigenshift", "eigenshift", ours / 2),
            ("eigenshift", "eigenshift as published", ours),
            ("aura", "aura", theirs),
        )
    )
    return card(front=Front(0.1, "p", about(0.6), points))


def reader(method: str, toxicity: Interval, **scores: Interval | str) -> dict[str, Any]:
    edit = findings.reader(f"{method} as published", toxicity, scores)
    return OURS | {"detection": findings.detection(edit)}


PROBE, BEST, LENGTH, MEAN, ALIKE = (
    "linear probe",
    "best neuron, cut in two without labels",
    "text length, cut in two without labels",
    "mean neuron, as published",
    "mean neuron, cut in two without labels",
)

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("neurons-experts", units(findings.spread(0.6, p=0.01)), "holds"),
    ("neurons-experts", units(findings.spread(0.6, p=0.3)), "undecided"),
    ("neurons-experts", units(findings.spread(0.6, p=0.99)), "fails"),
    ("neurons-few", units(findings.spread(0.2)), "holds"),
    ("neurons-few", units(findings.spread(0.48)), "undecided"),  # as chance has it
    ("neurons-few", units(findings.spread(0.7)), "fails"),
    ("neurons-few-by-length", units(findings.spread(0.2), findings.spread(0.5)), "holds"),
    ("neurons-few-by-length", units(findings.spread(0.2), findings.spread(0.3)), "fails"),
    (
        "neurons-few-by-length",  # so few texts match that 20 % would not stand out either
        units(findings.spread(0.2), findings.spread(0.5, band=(0.1, 0.9))),
        "undecided",
    ),
    ("neurons-few-by-length", units(findings.spread(0.2)), "undecided"),
    ("neurons-few-by-length", units(findings.spread(0.5), findings.spread(0.5)), "not measured"),
    ("neurons-stable", units(None, None, findings.agreement(0.7)), "holds"),
    ("neurons-stable", units(None, None, findings.agreement(0.52)), "undecided"),
    ("neurons-stable", units(None, None, findings.agreement(0.2)), "fails"),
    ("neurons-stable", units(None, None, findings.agreement(0.9, chance=0.8)), "not measured"),
    ("layers-part", layers(0.1), "holds"),
    ("layers-part", layers(0.1, p=0.2), "undecided"),
    ("layers-neurons", layers({MEAN: 0.1}), "holds"),
    ("layers-neurons", layers({MEAN: 0.0}), "undecided"),
    ("layers-neurons", layers({MEAN: -0.1}), "fails"),
    ("layers-neurons-alike", layers({MEAN: 0.1, ALIKE: -0.1}), "fails"),
    ("layers-neurons-alike", layers({ALIKE: 0.1}), "holds"),
    ("layers-best-neuron", layers({BEST: 0.1}), "holds"),
    ("layers-best-neuron", layers({BEST: -0.1}), "fails"),
    ("layers-linear", layers(0.1), "holds"),
    ("layers-linear", layers({PROBE: -0.1}), "fails"),  # though the mean difference is beaten
    ("layers-length", layers({LENGTH: 0.1}), "holds"),
    ("layers-length", layers({LENGTH: 0.01}), "undecided"),
    ("depth-decoder", ranked([6] * 40), "holds"),
    ("depth-decoder", ranked([6] * 20 + [9] * 20), "undecided"),
    ("depth-decoder", ranked([9] * 40), "fails"),
    ("depth-decoder", ranked([9] * 40, "encoder"), "not measured"),
    ("depth-decoder", ranked([9] * 40, caveat="no claim"), "not measured"),
    ("depth-encoder", ranked([8] * 40, "encoder"), "holds"),
    ("depth-encoder", ranked([1] * 40, "encoder"), "fails"),
    ("states-tell", {"states": findings.states(about(0.8))}, "holds"),
    ("states-tell", {"states": findings.states(about(0.8), p=0.2)}, "undecided"),
    ("states-tell", {"states": findings.states(about(0.4))}, "fails"),
    ("states-tell", {"states": findings.states(None)}, "not measured"),
    ("svd-exact", exact(1e-14), "holds"),
    ("svd-exact", exact(1e-3), "fails"),
    ("choice-correct", choice("correct", DOWN, 0.025), "holds"),
    ("choice-correct", choice("correct", DOWN, 0.2), "undecided"),
    ("choice-correct", choice("correct", UP, 0.5), "fails"),
    ("choice-correct", choice("correct", UNSURE, 1.0, 2), "undecided"),  # last of three
    ("choice-paper", choice("paper (signed)", DOWN, 0.025), "holds"),
    ("choice-paper", choice("paper (signed)", UNSURE, 0.975), "fails"),
    ("choice-code", choice("code (transposed)", DOWN, 0.025), "holds"),
    ("choice-code", choice("code (transposed)", UNSURE, 0.5), "undecided"),
    ("choice-cost", at_cost(DOWN, 0.025), "holds"),
    ("choice-cost", at_cost(UNSURE, 0.025), "undecided"),
    ("choice-cost", at_cost(UP, 0.975), "fails"),
    ("choice-cost", choice("correct", DOWN, 0.025), "not measured"),
    ("choice-shrink", shrink(LOW, HIGH), "holds"),
    ("choice-shrink", shrink(HIGH, LOW), "fails"),
    ("choice-shrink", {"choices": findings.choices({})}, "undecided"),
    ("near-identity", grid(DOWN, about(-0.001, 0.01)), "holds"),
    ("near-identity", grid(DOWN, about(-0.064, 0.01)), "fails"),  # a sixth of .4, as printed
    ("near-identity", grid(DOWN, about(-0.01, 0.03)), "undecided"),
    ("grid-best", grid(about(-0.2), about(-0.01)), "holds"),
    ("grid-best", grid(about(-0.01), about(-0.2)), "fails"),
    ("grid-best", grid(about(-0.1), about(-0.1)), "undecided"),
    ("lowers", published(eigenshift={"toxicity": DOWN}), "holds"),
    ("lowers", published(eigenshift={"toxicity": UNSURE}), "undecided"),
    ("lowers", published(aura={"toxicity": DOWN}), "not measured"),
    ("budget-correct", card(row("eigenshift", 0.01, toxicity=DOWN)), "holds"),
    ("budget-correct", card(row("eigenshift", 0.04, toxicity=DOWN)), "undecided"),  # Holm: .08
    ("budget-correct", card(row("eigenshift", 0.97, toxicity=DOWN)), "fails"),
    ("budget-paper", card(row("eigenshift", 0.01, toxicity=DOWN)), "not measured"),
    ("budget-paper", card(row("eigenshift mode=paper", 0.01, toxicity=UP))
     | {"eigen": {"paper": "eigenshift mode=paper"}}, "fails"),
    ("budget-paper", card(row("eigenshift mode=paper", 0.01, toxicity=DOWN))
     | {"eigen": {"paper": "eigenshift mode=paper"}}, "holds"),
    ("budget-code", card(row("eigenshift mode=code", 0.01, toxicity=DOWN)), "holds"),
    ("budget-code", card(row("eigenshift mode=code", toxicity=DOWN)), "undecided"),
    ("keeps-fluency", published(eigenshift={"perplexity_change": about(0.6)}), "holds"),
    ("keeps-fluency", published(eigenshift={"perplexity_change": about(1.6)}), "fails"),
    ("rivals-break", published(det_0={"perplexity_change": about(9)},
     damp={"perplexity_change": about(2)}), "holds"),
    ("rivals-break", published(det_0={"perplexity_change": about(9)},
     damp={"perplexity_change": about(0.1)}), "fails"),
    ("rivals-break", published(det_0={"perplexity_change": about(9)}), "undecided"),
    ("aura-tph", published(eigenshift={"tph": about(0.6)}, aura={"tph": about(0.4)}), "holds"),
    ("aura-tph", published(eigenshift={"tph": about(0.4)}, aura={"tph": about(0.6)}), "fails"),
    ("aura-tph", published(eigenshift={"tph": about(0.41)}, aura={"tph": about(0.4)}),
     "undecided"),
    ("aura-cost", at_budget(eigenshift=LOW, aura=HIGH), "holds"),
    ("aura-cost", at_budget(eigenshift=HIGH, aura=LOW), "fails"),
    ("aura-cost", at_budget(eigenshift=LOW), "not measured"),
    ("aura-volume", volumes(0.4, 0.2), "holds"),
    ("aura-volume", volumes(0.2, 0.4), "fails"),
    ("aura-volume", volumes(0.2, 0.2), "undecided"),
    ("capability", published(eigenshift={"task:a": about(0, 0.01), "task:b": about(0, 0.01)}),
     "holds"),
    ("capability", published(eigenshift={"task:a": about(0, 0.01), "task:b": about(0, 0.03)}),
     "undecided"),
    ("capability", published(eigenshift={"task:a": about(0, 0.01), "task:b": about(-0.1)}),
     "fails"),
    ("detection-kept", reader("eigenshift", DOWN, probe=FIXED, logits=about(0, 0.01)), "holds"),
    ("detection-kept", reader("eigenshift", UNSURE, logits=about(0, 0.01)), "undecided"),
    ("detection-kept", reader("eigenshift", DOWN, probe=FIXED, logits=about(-0.1)), "fails"),
    ("detection-kept", reader("eigenshift", DOWN, probe=FIXED, logits=FIXED), "not measured"),
    ("detection-lost", reader("aura", DOWN, probe=about(-0.1)), "holds"),
    ("detection-lost", reader("aura", DOWN, probe=about(0)), "undecided"),
    ("detection-lost", reader("aura", DOWN, probe=about(0.1)), "fails"),
    ("detection-lost", reader("aura", DOWN, probe=FIXED), "not measured"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "found", "expected"), CASES)
def test_the_rule_decides(key: str, found: dict[str, Any], expected: str) -> None:
    assert verdict(key, **found) == expected


def test_every_claim_can_hold_and_can_fail_or_be_undecided() -> None:
    """A rule that can only hold is no test."""
    told = {rule.key: {seen for key, _, seen in CASES if key == rule.key} for rule in EVERY}
    for key, seen in told.items():
        assert seen & {"fails", "undecided"}, key
        assert "holds" in seen, key


def test_nothing_measured_is_nothing_claimed() -> None:
    told = claims_of(Found(), "demo")
    assert {claim.verdict for claim in told.claims} == {"not measured"}
    assert len({claim.key for claim in told.claims}) == len(told.claims)
    assert all(claim.why and claim.rule.startswith("Holds if") for claim in told.claims)
    assert told.paper == "EigenShift (2025)"


def test_a_mode_that_was_asked_for_has_a_claim_of_its_own() -> None:
    keys = {claim.key for claim in claims_of(Found(**OURS), "demo").claims}
    assert "budget-code" in keys
    assert "budget-paper" not in keys


def test_a_detector_that_cannot_change_is_named_and_does_not_count() -> None:
    found = Found(**reader("eigenshift", DOWN, probe=FIXED, logits=about(0, 0.01)))
    claim = claims_of(found, "demo").of("detection-kept")
    assert "Cannot change: probe" in claim.why
    assert claim.value == about(0, 0.01)


def test_bounds_of_tph_hold_every_pair_of_its_parts() -> None:
    """TPH of any reduction and any cost within their intervals."""
    seen = findings.point("x", Interval(-0.1, -0.2, -0.05), Interval(0.02, -0.03, 0.08))
    found = tph_bounds(seen)
    assert found is not None
    assert seen.reduction is not None
    for i in range(11):
        share = seen.reduction.low + i / 10 * (seen.reduction.high - seen.reduction.low)
        for j in range(11):
            paid = -0.03 + j / 10 * 0.11
            assert found.low - 1e-12 <= tph_score(share, paid) <= found.high + 1e-12


def test_the_first_row_of_each_method_is_the_one_that_claims_are_about() -> None:
    specs = ["eigenshift:k=4", "eigenshift", "eigenshift:mode=code", "aura", "aura:top_n=9"]
    eigen, rivals = labels(specs)
    assert eigen == {"correct": "eigenshift k=4", "code": "eigenshift mode=code"}
    assert rivals == {"aura": "aura"}


def test_the_study_asks_for_what_its_claims_are_about() -> None:
    eigen, rivals = labels(specs_of(ExpertsStudyConfig().mitigate.methods))
    assert set(eigen) == {"correct"}  # the others are held against it at one cost in the grid
    assert {"aura", "det-0", "damp"} <= set(rivals)


def test_what_stages_left_is_read_back(tmp_path) -> None:
    save_result(tmp_path / "grid" / "grid.json", findings.grid(DOWN))
    save_result(tmp_path / "evaluate" / "measured" / "eigenshift-k=4.json", kit.measured(LOW))
    save_result(tmp_path / "grid" / "choices.json", findings.choices({}))
    name = tmp_path / "grid" / "measured" / "uniform-shrink-equal-size.json"
    save_result(name, kit.measured(HIGH))
    found = read(tmp_path, ["eigenshift:k=4"])
    assert found.grid is not None
    assert set(found.measured) == {"eigenshift k=4"}
    assert set(found.chosen) == {"uniform shrink, equal size"}
    told = claims_of(found, "demo")
    save_result(tmp_path / "claims.json", told)
    assert load_result(tmp_path / "claims.json", Claims) == told
