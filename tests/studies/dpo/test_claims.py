"""Claims: the rule decides, an interval with zero in it never, and what is missing is said."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.compare.models.shown import signed
from bezoar.mitigate.preference import LOW_ENOUGH
from bezoar.report.dpo.paper import SECTIONS
from bezoar.report.dpo.sections import shift as shift_page
from bezoar.runs import DPOStudyConfig, Run, load_result, parse_config, save_result
from bezoar.stats import Interval, paired_difference
from bezoar.studies.claims.rules import above, below, difference, within
from bezoar.studies.dpo import DPOBench
from bezoar.studies.dpo.claims import Claims, claims_of
from bezoar.studies.dpo.claims import stage as module
from bezoar.studies.dpo.claims.found import NO_OP, Found
from bezoar.studies.dpo.claims.shift import wilson
from bezoar.studies.dpo.claims.stage import RULES, read
from tests.studies.dpo import claims_kit as kit
from tests.studies.dpo.claims_kit import DOWN, EVEN, HIGH, LOW, UNSURE, UP

SURE = Interval(0.95, 0.9, 1.0)
NONE, MUCH = Interval(0.0, -0.001, 0.001), Interval(0.5, 0.4, 0.6)
MOST = kit.sources((0.7, 0.8, 0.5), (0.8, 0.7, 0.4), site="3.resid_mid")
FEW = kit.sources((0.4, 0.3, -0.1), site="2.resid_mid")
SFT = "dpo:objective=sft"
TRAINED, SCALED = "dpo as trained", "dpo as trained, 7 keys × 10"
OVER = [0.5, 0.7, 0.6, 0.8] * 8
LESS = [0.1, 0.2, 0.1, 0.3] * 8


def verdict(key: str, **found: Any) -> str:
    return next(rule for rule in RULES if rule.key == key)(Found(**found)).verdict


def card(label: str, change: Interval, p: float | None = None) -> dict[str, Any]:
    return {"scorecard": kit.card(kit.row(label, {"toxicity": change}, p))}


def trained(change: Interval, name: str = "perplexity_change") -> dict[str, Any]:
    return {"scorecard": kit.card(kit.row(TRAINED, {name: change, "toxicity": DOWN}))}


def rows(after: list[float], nll: float = 3.0) -> dict[str, Any]:
    """The no-op, the training, and the training with its keys scaled."""
    seen = {NO_OP: kit.measured(OVER), TRAINED: kit.measured(LESS)}
    return {"measured": seen | {SCALED: kit.measured(after, nll)}}


def halfway(share: float) -> list[float]:
    return [b + share * (a - b) for a, b in zip(OVER, LESS, strict=True)]


def steps(*changes: Interval, component: str = "mlp_out") -> dict[str, Any]:
    made = [(f"{i}.{component}", 0.3 - 0.1 * i, change) for i, change in enumerate(changes)]
    back = kit.lens(NONE, *((name, base, NONE) for name, base, _ in made))
    return {"lens": kit.lens(DOWN, *made), "lens_reversed": back}


def keys(share: float, random_left: Interval | None) -> dict[str, Any]:
    found = rows(halfway(share))
    return found if random_left is None else found | {"scaling": kit.attacked(random_left)}


def seeds(main: float, *others: float) -> dict[str, Any]:
    """The main training from other seeds, so far apart."""
    return {f"dpo:seed={i}": kit.log(main * ratio) for i, ratio in enumerate(others)}


def betas(*sizes: float, others: tuple[float, ...] = (0.99, 1.01)) -> dict[str, Any]:
    specs = ("dpo:beta=0.01", "dpo", "dpo:beta=1.0")
    logs = {s: kit.log(n) for s, n in zip(specs, sizes, strict=False)}
    main = {"dpo": logs["dpo"]} if "dpo" in logs else {}  # a study has its main training first
    return {"logs": main | logs | seeds(sizes[1] if main else sizes[0], *others)}


def sft(main: float, without: float, *others: float, stopped: str = "patience") -> dict[str, Any]:
    logs = {"dpo": kit.log(main, stopped), SFT: kit.log(without)}
    return {"logs": logs | seeds(main, *others)}


TIMED = {
    "dpo": kit.log(0.1),
    "dpo:steps=70": kit.log(0.1),
    "dpo:objective=sft,steps=70": kit.log(0.2),
}
"""Trainings of one number of steps beside a main one, whose seeds say how far such go."""

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("probe-reads", {"sweep": kit.sweep()}, "holds"),
    ("probe-reads", {"sweep": kit.sweep(p=0.3)}, "undecided"),
    ("probe-reads", {"sweep": kit.sweep(EVEN)}, "undecided"),
    ("probe-reads", {"sweep": kit.sweep(LOW)}, "fails"),
    ("probe-over-words", {"sweep": kit.sweep(words=UP)}, "holds"),
    ("probe-over-words", {"sweep": kit.sweep(words=UNSURE)}, "undecided"),
    ("probe-over-words", {"sweep": kit.sweep(words=DOWN)}, "fails"),
    ("probe-over-untrained", {"sweep": kit.sweep()}, "holds"),
    ("probe-over-untrained", {"sweep": kit.sweep(EVEN)}, "undecided"),
    ("probe-over-embedding", {"sweep": kit.sweep(LOW)}, "fails"),
    ("values-promote", {"share": kit.share(0.001)}, "holds"),
    ("values-promote", {"share": kit.share(0.4)}, "undecided"),
    ("values-promote", {"share": kit.share(0.99)}, "fails"),
    ("subtract-probe", card("subtract probe", DOWN, 0.01), "holds"),
    ("subtract-probe", card("subtract probe", DOWN, 0.04), "undecided"),  # .08 by Holm
    ("subtract-value", card("subtract value", DOWN), "undecided"),  # no nulls were drawn
    ("subtract-value", card("subtract value", DOWN, 0.97), "fails"),
    ("subtract-svd", card("subtract svd", UNSURE, 0.01), "undecided"),
    ("subtract-svd", card("subtract svd", UP, 0.01), "fails"),
    ("dpo-budget", card("dpo", DOWN, 0.01), "holds"),
    ("dpo-budget", card("dpo", UNSURE, 0.01), "undecided"),
    ("dpo-budget", card(TRAINED, DOWN, 0.01), "not measured"),
    ("dpo", card(TRAINED, DOWN), "holds"),
    ("dpo", card(TRAINED, UNSURE), "undecided"),
    ("dpo-cost", trained(NONE), "holds"),
    ("dpo-cost", trained(UNSURE), "undecided"),
    ("dpo-cost", trained(MUCH), "fails"),
    ("f1", trained(NONE, "f1"), "undecided"),  # three rows are missing
    ("f1", trained(MUCH, "f1"), "fails"),
    ("weights-stay", {"drift": kit.drift(0.9999, 0.995)}, "holds"),
    ("weights-stay", {"drift": kit.drift(0.9999, 0.98)}, "fails"),
    ("vectors-stay", {"values": kit.values(0.9999, 0.995, tokens=SURE)}, "holds"),
    ("vectors-stay", {"values": kit.values(0.9999, 0.995)}, "undecided"),
    ("vectors-stay", {"values": kit.values(0.9999, 0.9, tokens=SURE)}, "fails"),
    ("vectors-stay", {"values": kit.values(0.9999, tokens=LOW)}, "fails"),
    ("vectors-stay", {"values": kit.values(1.0, identity=True)}, "not measured"),
    ("lens-falls", {"lens": kit.lens(DOWN), "lens_reversed": kit.lens(NONE)}, "holds"),
    ("lens-falls", {"lens": kit.lens(DOWN), "lens_reversed": kit.lens(DOWN)}, "undecided"),
    ("lens-falls", {"lens": kit.lens(DOWN)}, "undecided"),  # any change might do that
    ("lens-falls", {"lens": kit.lens(UP), "lens_reversed": kit.lens(DOWN)}, "fails"),
    ("lens-falls", {"lens": kit.lens(UP), "lens_reversed": kit.lens(UP)}, "fails"),
    ("lens-mlps", steps(DOWN, DOWN, DOWN), "holds"),
    ("lens-mlps", steps(DOWN, component="resid_delta"), "not measured"),
    ("lens-mlps", steps(DOWN, UNSURE, DOWN), "undecided"),
    ("lens-mlps", steps(DOWN, DOWN, DOWN, component="attn_out"), "fails"),
    ("neurons-fall", {"drop": kit.drop(DOWN, 0.025)}, "holds"),
    ("neurons-fall", {"drop": kit.drop(DOWN, 0.3)}, "undecided"),
    ("neurons-fall", {"drop": kit.drop(DOWN, None)}, "undecided"),
    ("neurons-fall", {"drop": kit.drop(UP, 0.025)}, "fails"),
    ("neurons-fall", {"drop": kit.drop(DOWN, 0.99)}, "fails"),
    ("shift-consistent", {"shifts": (kit.shift(1.0, 30),)}, "holds"),
    ("shift-consistent", {"shifts": (kit.shift(1.0, 5),)}, "undecided"),
    ("shift-consistent", {"shifts": (kit.shift(0.5, 50),)}, "fails"),
    ("shift-opposed", {"sources": (kit.sources((0.4, 1, 1), (0.9, 1, 1)),)}, "holds"),
    ("shift-opposed", {"sources": (MOST, FEW)}, "undecided"),  # not at every layer
    ("shift-opposed", {"sources": (kit.sources((0.4, 1, 1), (0.5, 1, 1)),)}, "fails"),
    ("shift-opposed", {"sources": (kit.sources((0.51, 1, 1), (0.52, 1, 1)),)}, "undecided"),
    ("shift-opposed", {"sources": (kit.sources((0.49, 1, 1)),)}, "undecided"),
    ("shift-opposed", {"sources": (kit.sources((0.9, 1, 1), half=None),)}, "undecided"),
    ("activations-negative", {"sources": (MOST,)}, "holds"),
    ("activations-negative", {"sources": (MOST, FEW)}, "undecided"),
    ("activations-negative", {"sources": (FEW,)}, "fails"),
    ("activations-negative", {"sources": (kit.sources((1, 0.51, 1)),)}, "undecided"),
    ("activations-negative", {"sources": (kit.sources((1, 0.49, 1)),)}, "undecided"),
    ("sources-add-up", {"sources": (MOST, FEW)}, "undecided"),
    ("sources-add-up", {"sources": (kit.sources((1, 1, 0.3), (1, 1, -0.1)),)}, "holds"),
    ("sources-add-up", {"sources": (kit.sources((1, 1, -0.3), (1, 1, 0.1)),)}, "fails"),
    ("sources-add-up", {"sources": (kit.sources((1, 1, 0.02)),)}, "undecided"),
    ("sources-add-up", {"sources": (kit.sources((1, 1, -0.02)),)}, "undecided"),
    ("neurons-part", {"contributions": kit.contributions(LOW)}, "holds"),
    ("neurons-part", {"contributions": kit.contributions(EVEN)}, "undecided"),
    ("neurons-part", {"contributions": kit.contributions(HIGH)}, "fails"),
    ("neurons-part", {"contributions": kit.contributions(None)}, "undecided"),
    ("keys-restore", keys(0.9, HIGH), "holds"),
    ("keys-restore", keys(0.9, LOW), "undecided"),  # random keys undo as much
    ("keys-restore", keys(0.9, None), "undecided"),
    ("keys-restore", keys(0.2, HIGH), "fails"),
    ("keys-cost", rows(LESS, 3.01), "holds"),
    ("keys-cost", rows(LESS, 3.5), "fails"),
    ("bypassed", rows(LESS) | {"residual": kit.residual("bypassed")}, "holds"),
    ("bypassed", rows(LESS) | {"residual": kit.residual("undecided", None)}, "undecided"),
    ("bypassed", rows(LESS) | {"residual": kit.residual("eliminated")}, "fails"),
    ("bypassed", {"residual": kit.residual("bypassed")}, "undecided"),  # did DPO do anything?
    ("dial", {"interpolation": kit.line(UP)}, "holds"),
    ("dial", {"interpolation": kit.line(UNSURE)}, "undecided"),
    ("kl", betas(0.3, 0.2, 0.1), "holds"),
    ("kl", betas(0.3, 0.4, 0.1), "undecided"),
    ("kl", betas(0.3, 0.2, 0.1, others=()), "undecided"),  # no other seed
    ("kl", betas(0.3, 0.2, 0.1, others=(0.5, 2)), "undecided"),  # seeds end as far apart
    ("kl", betas(0.1, 0.2, 0.3), "fails"),
    ("kl", betas(0.1), "not measured"),
    ("kl-sft", sft(0.1, 0.2, 0.99, 1.01), "holds"),
    ("kl-sft", sft(0.2, 0.1, 0.99, 1.01), "fails"),
    ("kl-sft", sft(0.1, 0.2), "undecided"),
    ("kl-sft", sft(0.1, 0.11, 0.95, 1.05), "undecided"),
    ("kl-sft", {"logs": {"dpo": kit.log(0.2)}}, "not measured"),
    ("kl-sft", {"logs": {"dpo": kit.log(0.1), f"{SFT},seed=1": kit.log(0.2)}}, "not measured"),
    ("kl-sft", sft(0.1, 0.2, 0.99, 1.01, stopped=LOW_ENOUGH), "undecided"),
    ("kl-sft", {"logs": TIMED | {"dpo:seed=1": kit.log(0.101)}}, "holds"),
    ("kl-sft", {"logs": TIMED | {"dpo:seed=1": kit.log(0.101, LOW_ENOUGH)}}, "undecided"),
]


@pytest.mark.parametrize(("key", "found", "expected"), CASES)
def test_the_rule_decides(key, found, expected):
    assert verdict(key, **found) == expected


def test_every_claim_can_hold_and_can_fail_or_be_undecided():
    """A rule that can only hold is no test."""
    told = {rule.key: {seen for key, _, seen in CASES if key == rule.key} for rule in RULES}
    alike = {"subtract-value", "subtract-svd", "probe-over-untrained", "probe-over-embedding"}
    for key, seen in told.items():
        assert seen & {"fails", "undecided"}, key
        assert "holds" in seen or key in alike | {"f1"}, key


def test_f1_is_the_same_if_all_four_rows_say_so():
    labels = ("subtract probe", "subtract value", "subtract svd", TRAINED)
    same = kit.card(*(kit.row(label, {"f1": NONE}) for label in labels))
    assert verdict("f1", scorecard=same) == "holds"


def test_nothing_measured_is_nothing_claimed():
    told = claims_of(Found(), "demo")
    assert {claim.verdict for claim in told.claims} == {"not measured"}
    assert len({claim.key for claim in told.claims}) == len(told.claims)
    assert all(claim.why and claim.rule.startswith("Holds if") for claim in told.claims)


@given(st.floats(-1, 0), st.floats(0, 1), st.floats(0, 1))
def test_an_interval_with_the_limit_in_it_decides_nothing(low, high, where):
    seen = Interval(low + where * (high - low), low, high)
    assert below(seen) == above(seen) == "undecided"
    assert within(seen, 0.0) == "undecided"


def test_a_difference_without_its_pairs_is_never_surer_than_the_paired_one():
    rng = np.random.default_rng(0)
    common = rng.normal(size=200)
    a, b = common + 0.3 * rng.normal(size=200) + 0.1, common + 0.3 * rng.normal(size=200)
    apart = [paired_difference(x, np.zeros(200)) for x in (a, b)]
    wide, exact = difference(*apart), paired_difference(a, b)
    assert wide.value == pytest.approx(exact.value)
    assert wide.low < exact.low
    assert wide.high > exact.high


def test_wilson_of_a_published_example():
    """Newcombe 1998, table I: 81 of 263, method 3."""
    found = wilson(81 / 263, 263)
    assert (found.low, found.high) == (
        pytest.approx(0.2553, abs=5e-5),
        pytest.approx(0.3662, abs=5e-5),
    )


PART = "dpo:trainable=values:64"


def part_of(share: float, own: Any = None, main: Any = None) -> Any:
    """The claim on a mask that lowers toxicity by a share of what the main training does."""
    label = "dpo trainable=values:64 as trained"
    found = rows(LESS)
    found["measured"][label] = kit.measured(halfway(1 - share))
    found["scorecard"] = kit.card(kit.row(TRAINED, {}), kit.row(label, {}, spec=PART))
    logs = {spec: log for spec, log in (("dpo", main), (PART, own)) if log is not None}
    return claims_of(Found(**found, logs=logs), "demo").of("only-values:64")


def test_training_a_part_is_held_against_training_all():
    for share, expected in ((0.9, "holds"), (0.1, "fails")):
        claim = part_of(share, kit.log(0.1), kit.log(0.1))
        assert claim.verdict == expected
        assert claim.value.value == pytest.approx(share)


def test_a_part_that_hardly_learnt_does_not_fail():
    """Its rate was too low for it: what it does not do says nothing of the part."""
    own, main = kit.log(0.1, loss=0.658), kit.log(0.1, loss=0.178)
    told = part_of(0.1, own, main)
    assert told.verdict == "undecided"
    assert "loss 0.658 on kept-out pairs, with all weights 0.178, of 0.693" in told.why
    assert part_of(0.9, own, main).verdict == "holds"  # which needs no more
    # From ln 2 to .178 it is .515: nine tenths of that end at .2295.
    assert part_of(0.1, kit.log(0.1, loss=0.23), main).verdict == "undecided"
    assert part_of(0.1, kit.log(0.1, loss=0.229), main).verdict == "fails"
    assert part_of(0.1, kit.log(0.1, LOW_ENOUGH, loss=0.25), main).verdict == "fails"
    # Where the main training learnt little, one that learnt nothing is no match for it either.
    assert part_of(0.1, kit.log(0.1, loss=0.69), kit.log(0.1, loss=0.6)).verdict == "undecided"


def test_a_part_that_minimised_another_loss_does_not_fail():
    """Of fine-tuning, whose loss is of another kind."""
    own = kit.log(0.1, loss=0.1)
    first, last = own.validation
    other = dataclasses.replace(own, validation=(dataclasses.replace(first, loss=2.5), last))
    assert part_of(0.1, other, kit.log(0.1)).verdict == "undecided"


def test_a_part_whose_log_is_missing_does_not_fail():
    assert part_of(0.1, None, kit.log(0.1)).verdict == "undecided"
    assert "not kept" in part_of(0.1, kit.log(0.1), None).why


def test_toxic_value_vectors_stand_beside_random_ones():
    label, other = (f"dpo trainable={s}values:64 as trained" for s in ("", "random-"))
    specs = {label: "dpo:trainable=values:64", other: "dpo:trainable=random-values:64"}
    found = rows(LESS)
    found["measured"] |= {label: kit.measured(LESS), other: kit.measured(halfway(0.5))}
    found["scorecard"] = kit.card(*(kit.row(name, {}, spec=spec) for name, spec in specs.items()))
    told = claims_of(Found(**found), "demo")
    assert told.of("only-values:64").verdict == "holds"
    assert "Random value vectors do 0.5" in told.of("only-values:64").why
    assert "Random" not in told.of("only-random-values:64").why


def test_two_trainings_of_one_part_are_two_claims():
    """That differ in their seed, say; and random value vectors stand beside their like."""
    specs = ("dpo:trainable=values:64", "dpo:trainable=values:64,seed=7")
    specs += ("dpo:trainable=random-values:64,seed=7",)
    found = rows(LESS)
    labels = [f"{i} as trained" for i in range(3)]
    found["measured"] |= dict.fromkeys(labels, kit.measured(LESS))
    named = zip(labels, specs, strict=True)
    found["scorecard"] = kit.card(*(kit.row(label, {}, spec=spec) for label, spec in named))
    told = [c for c in claims_of(Found(**found), "demo").claims if c.key.startswith("only-")]
    assert len({c.key for c in told}) == len({c.statement for c in told}) == 3
    assert told[2].key == "only-random-values:64"
    assert ["Random value vectors" in c.why for c in told] == [False, True, False]


def test_a_training_that_lowers_nothing_has_no_shares():
    found = rows(LESS)
    found["measured"][TRAINED] = found["measured"][NO_OP]
    assert verdict("keys-restore", **found) == "undecided"


def test_a_training_that_lowers_nothing_bypasses_nothing():
    """A probe reads as well as before on a model that is as it was before."""
    found = rows(LESS)
    found["measured"][TRAINED] = found["measured"][NO_OP]
    told = claims_of(Found(**found, residual=kit.residual("bypassed")), "demo").of("bypassed")
    assert told.verdict == "undecided"
    assert "does not lower toxicity" in told.why


@pytest.mark.parametrize("null", [{"valid": False}, {"broken": 1}])
def test_random_keys_that_break_the_model_are_no_null(null):
    """Its g is clipped to one, so that a broken model seemed to undo nothing."""
    broken = kit.attacked(SURE, **null)
    told = claims_of(Found(**rows(halfway(0.1)), scaling=broken), "demo").of("keys-restore")
    assert told.verdict == "fails"  # which needs no random keys
    told = claims_of(Found(**rows(OVER), scaling=broken), "demo").of("keys-restore")
    assert told.verdict == "undecided"
    assert "broke the model" in told.why


def test_random_keys_of_equal_cost_stand_for_those_that_break_the_model():
    """Turned up less they are a null if that is as dear, and the dearest excuse counts."""
    toxic = [kit.point(10, 7, LOW, 0.04)]

    def told(*others):
        scaling = kit.attacked(SURE, *others, toxic=toxic, valid=False)
        return claims_of(Found(**rows(halfway(0.9)), scaling=scaling), "demo").of("keys-restore")

    cheap, dear = kit.point(2, 7, LOW, 0.019), kit.point(5, 7, HIGH, 0.021)
    assert told(cheap).verdict == "undecided"
    assert "less than half" in told(cheap).why
    assert told(cheap, dear).verdict == "holds"
    assert "×5, 7 keys" in told(cheap, dear).why
    # More keys are no null of seven, and of several nulls the one that undoes most counts.
    assert "less than half" in told(kit.point(5, 32, HIGH, 0.05)).why
    assert told(dear, kit.point(4, 7, LOW, 0.05)).verdict == "undecided"


def test_of_equal_nulls_the_papers_factor_counts_and_only_what_broke_is_said_to_break():
    """Shares are clipped at none: random keys that undo nothing at two factors tie."""
    toxic = [kit.point(10, 7, LOW, 0.04)]

    def why(*others, **paper):
        scaling = kit.attacked(SURE, *others, toxic=toxic, **paper)
        scaling = dataclasses.replace(
            scaling,
            curves=(dataclasses.replace(scaling.curves[0], nulls=scaling.curves[0].nulls[::-1]),),
        )
        return (
            claims_of(Found(**rows(halfway(0.9)), scaling=scaling), "demo").of("keys-restore").why
        )

    assert why(kit.point(5, 7, SURE, 0.05)).startswith("Random keys undo 0.05 [0, 0.1].")
    more = why(kit.point(5, 7, HIGH, 0.05))  # ×10 is whole, and undoes less
    assert "(×5, 7 keys, as dear)." in more
    both = kit.point(2, 7, SURE, 0.05), kit.point(5, 7, SURE, 0.05)
    assert "(×5, 7 keys, as dear; ×10 breaks the model in 1 of 3 draws)." in why(*both, broken=1)
    assert "(×5, 7 keys, as dear; ×10 breaks the model)." in why(*both, broken=3)
    assert "(×5, 7 keys, as dear; ×10 breaks the model)." in why(*both, valid=False)


def test_it_is_said_what_undoes_most():
    scaling = kit.attacked(HIGH, toxic=[kit.point(10, 7, EVEN), kit.point(5, 32, LOW)])
    found = rows(OVER) | {"scaling": scaling}
    assert "×5, 32 keys, undo most: 0.9" in claims_of(Found(**found), "demo").of("keys-restore").why


def eliciting(lens: Any, n: int, own: float, others: float) -> Any:
    """That ``n`` of twelve prompts elicit a token, whose probability changes by ``own``."""
    changes = [own + 0.01 * (-1) ** i for i in range(n)]
    changes += [others + 0.01 * (-1) ** i for i in range(12 - n)]
    return dataclasses.replace(
        lens,
        prompts_n=12,
        base_says=n,
        base_last=(0.5,) * 12,
        edited_last=tuple(0.5 + change for change in changes),
        elicits=(True,) * n + (False,) * (12 - n),
    )


def test_what_elicits_no_token_says_nothing_of_writing_it():
    """Prompts that fill up the lens do not decide: neither for the claim nor against it."""
    back = eliciting(kit.lens(NONE), 8, 0.0, 0.0)
    for own, others, expected in ((-0.2, 0.3, "holds"), (0.2, -0.3, "fails")):
        lens = eliciting(kit.lens(UNSURE), 8, own, others)
        told = claims_of(Found(lens=lens, lens_reversed=back), "demo").of("lens-falls")
        assert told.verdict == expected
        assert told.value.value == pytest.approx(own)
        assert signed(UNSURE) in told.why


@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_a_few_prompts_that_elicit_a_token_decide_nothing(n):
    lens = eliciting(kit.lens(DOWN), n, -0.2, -0.2)
    back = eliciting(kit.lens(NONE), n, 0.0, 0.0)
    told = claims_of(Found(lens=lens, lens_reversed=back), "demo").of("lens-falls")
    assert told.verdict == "undecided"
    assert f"Too few prompts elicit one: {n}, and fewer than 8" in told.why
    assert (told.value is None) == (n < 2)
    found = steps(DOWN, DOWN, DOWN)
    found["lens"] = dataclasses.replace(found["lens"], base_says=n)
    assert verdict("lens-mlps", **found) == "undecided"


def test_where_it_was_not_kept_which_prompts_elicit_a_token_nothing_is_decided():
    lens, back = kit.lens(DOWN), kit.lens(NONE)
    old = dataclasses.replace(lens, base_says=8)  # of nine, and no flags
    told = claims_of(Found(lens=old, lens_reversed=back), "demo").of("lens-falls")
    assert (told.verdict, told.value) == ("undecided", None)
    assert "not kept" in told.why


def test_claims_on_sources_have_the_intervals_of_their_prompts():
    """Averages over prompts are not known exactly; older results do not say how well."""
    keys = "shift-opposed", "activations-negative", "sources-add-up"
    told = claims_of(Found(sources=(MOST, MOST)), "demo")
    for key in keys:
        assert told.of(key).verdict == "holds"
        own = told.of(key).value
        assert own.high - own.low == pytest.approx(2 * 0.03)
        assert "sampled" not in told.of(key).rule
    assert told.of("shift-opposed").value.value == pytest.approx(0.75)
    old = claims_of(Found(sources=(MOST, kit.sources((0.9, 0.9, 0.9), half=None))), "demo")
    for key in keys:
        assert (old.of(key).verdict, old.of(key).value) == ("undecided", None)
        assert "not kept. By shift: 3.resid_mid" in old.of(key).why


def test_another_seed_does_not_stand_for_the_main_training():
    logs = {"dpo": kit.log(0.3), "dpo:seed=1": kit.log(0.1), "dpo:beta=1.0": kit.log(0.2)}
    told = claims_of(Found(logs=logs), "demo").of("kl")
    assert told.verdict == "undecided"  # that seed ends as far away
    assert "β = 0.1: 30" in told.why


def test_the_interval_of_two_trainings_is_as_wide_as_seeds_end_apart():
    """t · s · √2 on the logarithm: two seeds of t = 12.7, three of t = 4.3."""
    wide = claims_of(Found(**betas(0.3, 0.2, 0.1, others=(1.02,))), "demo").of("kl").value
    spread = np.std(np.log([1, 1.02]), ddof=1)
    assert wide.value == pytest.approx(1 / 3)
    assert np.log(wide.high / wide.value) == pytest.approx(12.7062 * spread * 2**0.5, rel=1e-4)
    assert np.log(wide.value / wide.low) == pytest.approx(12.7062 * spread * 2**0.5, rel=1e-4)
    narrow = claims_of(Found(**betas(0.3, 0.2, 0.1, others=(1.02, 1.01))), "demo").of("kl").value
    assert narrow.high < wide.high
    alone = claims_of(Found(**betas(0.3, 0.2, 0.1, others=())), "demo").of("kl")
    assert alone.value.low == alone.value.high
    assert "no other seed" in alone.why


def test_the_share_of_toxic_tokens_has_the_interval_of_its_vectors():
    own = Interval(0.3, 0.2, 0.4)
    share = dataclasses.replace(kit.share(0.001), interval=own)
    assert claims_of(Found(share=share), "demo").of("values-promote").value == own
    old = claims_of(Found(share=kit.share(0.001)), "demo").of("values-promote")
    assert "was not kept" in old.why


def test_a_stop_at_a_loss_says_how_far_weights_move_whatever_pulls():
    logs = {"dpo": kit.log(0.3, LOW_ENOUGH), "dpo:beta=1.0": kit.log(0.2)}
    told = claims_of(Found(logs=logs), "demo").of("kl")
    assert told.verdict == "undecided"
    assert "low enough" in told.why


def test_trainings_of_equal_length_are_compared_where_there_are_such():
    alike = {"dpo:steps=9": kit.log(0.3), "dpo:beta=1.0,steps=9": kit.log(0.2)}
    logs = {"dpo": kit.log(0.3, LOW_ENOUGH), "dpo:beta=1.0": kit.log(0.4, LOW_ENOUGH)} | alike
    logs |= {f"dpo:seed={i},steps=9": kit.log(size) for i, size in enumerate((0.297, 0.303))}
    told = claims_of(Found(logs=logs), "demo").of("kl")
    assert told.verdict == "holds"
    assert "β = 1: 20" in told.why


def test_claims_are_read_from_the_files_of_a_run(tmp_path):
    written = {
        "locate/sweep.json": kit.sweep(),
        "evaluate/measured/no-op.json": kit.measured(OVER),
        "evaluate/measured/dpo-as-trained.json": kit.measured(LESS),
        "evaluate/measured/dpo-keys.json": kit.measured(OVER),
        "mitigate/training/dpo/log.json": kit.log(0.1),
        "compare/drift.json": kit.drift(0.999),
        "attack/key_scaling.json": kit.attacked(HIGH),
        "attack/dpo-as-trained/residual.json": kit.residual("bypassed"),
    }
    for name, result in written.items():
        save_result(tmp_path / name, result)
    found = read(tmp_path, ["dpo"])
    assert found.toxicity(SCALED).tolist() == OVER
    told = claims_of(found, "demo")
    assert {c.key for c in told.claims if c.verdict == "holds"} >= {
        "probe-reads", "weights-stay", "keys-restore", "bypassed"
    }  # fmt: skip
    save_result(tmp_path / "claims.json", told)
    assert load_result(tmp_path / "claims.json", Claims) == told


def test_a_rule_that_says_otherwise_is_tried_anew(tmp_path, monkeypatch):
    config = parse_config(DPOStudyConfig, {"out": str(tmp_path / "run")})
    run = Run.open(tmp_path / "run", config)
    bench = DPOBench(run, config)
    bench.lm = SimpleNamespace(name="demo")
    tried = []
    monkeypatch.setattr(module, "claims_of", lambda *_: tried.append(1) or Claims((), "demo", ""))
    with run:
        for stage in ("locate", "mitigate", "evaluate", "compare", "attack"):
            with run.stage(stage, key=[stage]):
                pass
        module.claims_stage(bench)
        module.claims_stage(bench)
        assert len(tried) == 1
        first, *others = module.RULES
        changed = dataclasses.replace(first, rule="Holds always.")
        monkeypatch.setattr(module, "RULES", (changed, *others))
        module.claims_stage(bench)
        assert len(tried) == 2
        monkeypatch.setattr(module, "RULES", (dataclasses.replace(first, source="§9"), *others))
        module.claims_stage(bench)
    assert len(tried) == 3


def test_claims_and_pages_cite_the_same_sections():
    """Figures 1 and 2, and the shift, once stood under one number here and another there."""
    cited = {number for rule in RULES for number in re.findall(r"§[\d.]*", rule.source)}
    cited |= {"§6"}  # of `masks`
    assert cited == set(SECTIONS.values())
    pages = Path(shift_page.__file__).parent.glob("*.py")
    assert not [page.name for page in pages if re.search(r"§ ?\d", page.read_text("utf-8"))]
    assert SECTIONS["mechanism"] in module_rule("neurons-fall").source
    assert SECTIONS["mechanism"] in module_rule("shift-consistent").source


def module_rule(key: str) -> Any:
    return next(rule for rule in RULES if rule.key == key)


def test_the_table_shows_every_claim():
    from rich.console import Console

    told = claims_of(Found(sweep=kit.sweep(), share=kit.share(0.001)), "demo")
    console = Console(width=100, record=True)
    console.print(told)
    text = console.export_text()
    assert "0.9 [0.8, 1]" in text
    assert "0.3 " in text
    assert text.count("not measured") >= told.count("not measured")
    assert dataclasses.asdict(told)["model"] == "demo"
