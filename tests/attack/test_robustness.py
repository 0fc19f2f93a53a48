"""The robustness score: what survives, from toxicities that are known."""

from __future__ import annotations

import io
import json
import math
from itertools import combinations

import numpy as np
import pytest

from bezoar.attack import (
    FineTuning,
    Interpolation,
    KeyScaling,
    Measured,
    Pruning,
    Robustness,
    Setting,
    WeightNoise,
    run_attacks,
    toxicity_and_cost,
)
from bezoar.attack.attack import Attack
from bezoar.attack.score import area_under, worst_weights
from bezoar.edits import NoOp, load_edit
from bezoar.errors import AttackFailed, ConfigError, CorruptArtefact, DataError
from bezoar.evaluate import evaluate_edit
from bezoar.mitigate import Subtract
from bezoar.runs.results import load_result, save_result
from bezoar.scoring import load_scorer
from tests.attack.kit import same, scripted, state, weight_remedy, word_measure
from tests.mitigate.kit import TEXTS, inputs

RNG = np.random.default_rng(0)
BASE = tuple((0.6 + 0.1 * RNG.random(40)).tolist())
EDITED = tuple((0.2 + 0.1 * RNG.random(40)).tolist())


def between(g):
    return tuple(g * e + (1 - g) * b for b, e in zip(BASE, EDITED, strict=True))


class Scripted(Attack):
    """Budgets with named variants; `scripted` knows what each of them does."""

    axis = "budget"

    def __init__(self, name, plan, combine="worst"):
        self.name, self.plan, self.combine = name, plan, combine

    def settings(self, lm):
        return tuple(Setting(float(b), f"at {b}", v, v.startswith("null")) for b, v in self.plan)

    def against(self, lm, remedy):
        return lambda s: NoOp(name=f"{self.name} {s.budget:g} {s.variant}")


@pytest.fixture(autouse=True)
def scripted_attacks_have_a_digest(monkeypatch):
    from bezoar.attack import robustness

    def digest(*values):
        return "-".join(
            f"{v.name} {v.plan}" if isinstance(v, Scripted) else repr(v) for v in values
        )

    real = robustness.digest
    monkeypatch.setattr(
        robustness,
        "digest",
        lambda *v: digest(*v) if any(isinstance(x, Scripted) for x in v) else real(*v),
    )


def run(gpt2, attacks, attacked, **options):
    return run_attacks(gpt2, NoOp(), attacks, scripted(BASE, EDITED, attacked), **options)


def g_of(found, attack="a"):
    return [p.survives.value for p in found.curve(attack).points]


def test_g_is_the_share_of_the_reduction_that_is_left(gpt2):
    attack = Scripted("a", [(1, "x"), (2, "x"), (4, "x"), (8, "x")])
    shares = (1.0, 0.7, 0.25, 0.0)
    attacked = {f"a {2**i:g} x": between(g) for i, g in enumerate(shares)}
    found = run(gpt2, [attack], attacked)
    assert g_of(found) == pytest.approx(shares)
    expected = (1 + 0.7) / 2 + (0.7 + 0.25) / 2 + 0.25 / 2
    assert found.score.value == pytest.approx(expected / 3)
    assert found.minimum == found.score
    assert found.weakest == "a"
    # every prompt has the same share, so that other prompts would have given the same
    assert found.score.low == pytest.approx(found.score.high)


def test_more_than_all_and_less_than_nothing_are_clipped(gpt2):
    attack = Scripted("a", [(1, "x"), (2, "x")])
    found = run(gpt2, [attack], {"a 1 x": between(1.4), "a 2 x": between(-0.3)})
    assert g_of(found) == [1.0, 0.0]


def test_an_attack_that_does_nothing_leaves_all(gpt2):
    found = run(gpt2, [Scripted("a", [(1, "x"), (10, "x")])], {})
    assert found.score.value == 1
    assert (found.score.low, found.score.high) == (1, 1)


def test_the_worst_variant_counts_and_chance_is_averaged(gpt2):
    plan = [(1, "x"), (1, "y"), (1, "z")]
    attacked = {"a 1 x": between(0.9), "a 1 y": between(0.3), "a 1 z": between(0.6)}
    assert g_of(run(gpt2, [Scripted("a", plan)], attacked)) == pytest.approx([0.3])
    assert g_of(run(gpt2, [Scripted("a", plan, "mean")], attacked)) == pytest.approx([0.6])


def test_a_broken_model_is_no_success(gpt2):
    broken = Measured(between(0.0), 12.1)
    attack = Scripted("a", [(1, "x"), (2, "x"), (2, "y")])
    found = run(
        gpt2,
        [attack],
        {"a 1 x": between(0.8), "a 2 x": broken, "a 2 y": Measured(between(0), None)},
    )
    first, second = found.curve("a").points
    assert (first.valid, second.valid) == (True, False)
    assert (second.tried, second.broken) == (2, 2)
    assert found.score.value == pytest.approx(0.8)
    inside = Measured(between(0.0), 12.0)
    found = run(gpt2, [attack], {"a 1 x": between(0.8), "a 2 x": inside, "a 2 y": broken})
    assert found.curve("a").points[1].variant == "x"
    assert found.score.value == pytest.approx(0.4)


def test_a_lower_budget_may_be_spent_instead(gpt2):
    attack = Scripted("a", [(1, "x"), (2, "x"), (4, "x")])
    found = run(gpt2, [attack], {"a 1 x": between(0.2), "a 2 x": between(0.9), "a 4 x": between(1)})
    assert found.score.value == pytest.approx(0.2)
    assert g_of(found)[1:] == pytest.approx([0.9, 1.0])  # the points say what was measured


def test_an_attack_that_leaves_no_model_whole_is_left_out_and_named(gpt2):
    attacks = [Scripted("a", [(1, "x")]), Scripted("b", [(1, "x")])]
    broken = Measured(between(0.0), 99.0)
    found = run(gpt2, attacks, {"a 1 x": broken, "b 1 x": between(0.4)})
    assert found.score.value == pytest.approx(0.4)
    assert found.curve("a").area is None
    assert found.curves[0].weakest is None


def test_the_least_of_any_null_within_the_limit_stands_beside_their_mean(gpt2):
    attack = Scripted("a", [(1, "x"), (1, "null 0"), (1, "null 1"), (1, "null 2")])
    attacked = {"a 1 null 0": between(0.3), "a 1 null 1": between(1.0)}
    found = run(gpt2, [attack], attacked | {"a 1 null 2": Measured(between(0.0), 12.1)})
    (null,) = found.curve("a").nulls
    assert null.least == pytest.approx(0.3)
    assert null.broken == 1


def test_no_model_left_whole_is_no_score(gpt2):
    broken = Measured(between(0.0), 99.0)
    found = run(gpt2, [Scripted("a", [(1, "x")])], {"a 1 x": broken})
    assert found.score is None
    assert "left the model whole" in found.undefined


def test_the_score_is_the_mean_and_the_minimum_stands_beside(gpt2):
    attacks = [Scripted("a", [(1, "x")]), Scripted("b", [(1, "x")])]
    found = run(gpt2, attacks, {"a 1 x": between(0.9), "b 1 x": between(0.1)})
    assert found.score.value == pytest.approx(0.5)
    assert (found.minimum.value, found.weakest) == (pytest.approx(0.1), "b")


def test_nulls_of_one_variant_are_averaged_and_count_for_nothing(gpt2):
    attack = Scripted("a", [(1, "x"), (1, "null 0"), (1, "null 1")])
    attacked = {"a 1 x": between(0.2), "a 1 null 0": between(0.8), "a 1 null 1": between(1.0)}
    found = run(gpt2, [attack], attacked)
    assert found.score.value == pytest.approx(0.2)
    assert found.curve("a").null_area.value == pytest.approx(0.9)


def nulls_of(found):
    return [p.survives.value for p in found.curve("a").nulls]


def test_chance_has_as_many_tries_as_the_attack(gpt2):
    """The worst of two variants stands beside the worst of two nulls, not beside their mean."""
    plan = [(1, "x"), (1, "y"), (1, "null 0"), (1, "null 1")]
    attacked = {"a 1 x": between(0.5), "a 1 y": between(0.9)}
    attacked |= {"a 1 null 0": between(0.3), "a 1 null 1": between(0.9)}
    found = run(gpt2, [Scripted("a", plan)], attacked)
    assert nulls_of(found) == pytest.approx([0.3])
    assert found.curve("a").null_area.value < found.curve("a").area.value  # so that it can win
    assert found.curve("a").nulls[0].variant == "null 0"
    # Of a third draw any two are as good: .2 is the worst of two of the three pairs, .3 of one.
    found = run(
        gpt2, [Scripted("a", [*plan, (1, "null 2")])], attacked | {"a 1 null 2": between(0.2)}
    )
    assert nulls_of(found) == pytest.approx([(2 * 0.2 + 0.3) / 3])
    assert found.curve("a").nulls[0].variant == "expected worst of 2"
    # And chance picks for both where it picks for the attack.
    found = run(gpt2, [Scripted("a", plan, "mean")], attacked)
    assert nulls_of(found) == pytest.approx([0.6])


def test_a_broken_null_is_no_success_of_chance(gpt2):
    plan = [(1, "x"), (1, "y"), *((1, f"null {i}") for i in range(3))]
    attacked = {"a 1 null 0": between(0.4), "a 1 null 1": between(0.7)}
    attacked |= {"a 1 null 2": Measured(between(0.0), 99.0)}
    found = run(gpt2, [Scripted("a", plan)], attacked)
    # Pairs of nulls: (.4, .7), (.4, broken), (.7, broken).
    assert nulls_of(found) == pytest.approx([(2 * 0.4 + 0.7) / 3])
    assert found.curve("a").nulls[0].broken == 1
    one = run(gpt2, [Scripted("a", plan[1:])], attacked)
    assert nulls_of(one) == pytest.approx([0.55])


@pytest.mark.parametrize(("n", "k"), [(5, 1), (5, 2), (5, 5), (4, 9)])
def test_the_expected_worst_is_the_mean_over_all_choices(n, k):
    values = [0.9, 0.7, 0.6, 0.2, 0.1][:n]  # the worst first
    chosen = [max(subset) for subset in combinations(values, min(k, n))]
    weights = worst_weights(n, n, k)
    assert sum(weights) == pytest.approx(1)
    assert np.dot(weights, values) == pytest.approx(np.mean(chosen))
    valid = [max(v) for s in combinations(values, min(k, n)) if (v := [x for x in s if x > 0.5])]
    assert np.dot(worst_weights(3, n, k), values[:3]) == pytest.approx(np.mean(valid))


def test_an_edit_that_lowers_nothing_has_no_score(gpt2):
    noise = tuple(b + 0.05 * (-1) ** i for i, b in enumerate(BASE))
    for edited in (BASE, tuple(b + 0.1 for b in BASE), noise):
        measure = scripted(BASE, edited, {})
        found = run_attacks(gpt2, NoOp(), [Scripted("a", [(1, "x")])], measure)
        assert found.score is found.minimum is None
        assert "does not lower toxicity" in found.undefined
        assert "No score" in found.verdict()


def test_what_lowers_nothing_is_attacked_only_if_that_is_asked_for(gpt2):
    calls = []

    def measure(edit):
        calls.append(edit)
        return Measured(BASE, 10.0)

    attack = Scripted("a", [(1, "x"), (1, "null")])
    found = run_attacks(gpt2, NoOp(), [attack], measure)
    assert (len(calls), found.curves) == (2, ())
    with pytest.raises(ConfigError, match=r"no curve of 'a'.*does not lower toxicity"):
        found.curve("a")
    anyway = run_attacks(gpt2, NoOp(), [attack], measure, anyway=True)
    point = anyway.curve("a").points[0]
    assert (point.survives, anyway.curve("a").area, anyway.score) == (None, None, None)
    assert point.toxicity == pytest.approx(sum(BASE) / len(BASE))
    assert point.toxicity_interval.low < point.toxicity < point.toxicity_interval.high
    assert anyway.undefined == found.undefined


def test_half_gone_is_the_least_budget_that_leaves_half_in_a_whole_model(gpt2):
    plan = [(1, "x"), (2, "x"), (4, "x"), (8, "x")]
    attacked = {
        "a 1 x": between(0.7),
        "a 2 x": Measured(between(0.1), 99.0),
        "a 4 x": between(0.5),
        "a 8 x": between(0.0),
    }
    assert run(gpt2, [Scripted("a", plan)], attacked).curve("a").half_gone == 4
    assert run(gpt2, [Scripted("a", plan[:2])], attacked).curve("a").half_gone is None


def test_attacked_weights_are_written_only_if_that_is_asked_for(gpt2, tmp_path):
    remedy = weight_remedy(gpt2)
    shares = {"remedy + prune 10 %": 0.9, "remedy + prune 50 %": 0.2}

    def measure(edit):
        if edit is None:
            return Measured(BASE, 10.0)
        return Measured(between(shares[edit.name]) if edit.name in shares else EDITED, 10.0)

    attacks = [Pruning((0.1, 0.5)), WeightNoise((0.1,), directions=2)]
    run_attacks(gpt2, remedy, attacks, measure, kept=tmp_path / "m.jsonl")
    assert [path.name for path in tmp_path.rglob("*")] == ["m.jsonl"]
    run_attacks(gpt2, remedy, attacks, measure, keep_attacked=tmp_path / "attacked")
    folders = sorted(path.name for path in (tmp_path / "attacked").iterdir())
    assert folders == ["pruning", "weight-noise"]
    saved = load_edit(tmp_path / "attacked" / "pruning", gpt2)
    worst = attacks[0].settings(gpt2)[1]
    wanted = attacks[0].compose(remedy, attacks[0].edit(gpt2, remedy, worst))
    with wanted.applied_to(gpt2):
        expected = state(gpt2)
    with saved.applied_to(gpt2):
        assert same(state(gpt2), expected)


def test_an_edit_beyond_the_limit_itself_has_no_score(gpt2):
    def measure(edit):
        return Measured(BASE if edit is None else EDITED, 10.0 if edit is None else 13.0)

    found = run_attacks(gpt2, NoOp(), [Scripted("a", [(1, "x")])], measure)
    assert "1.30 ×" in found.undefined


def test_an_attack_that_fails_is_told_and_others_count(gpt2):
    class Failing(Scripted):
        def against(self, lm, remedy):
            def edit(setting):
                if setting.variant == "bad":
                    raise AttackFailed("The loss became nan at step 3.")
                return NoOp(name="fine")

            return edit

    found = run(gpt2, [Failing("a", [(1, "bad"), (1, "ok"), (2, "bad")])], {"fine": between(0.4)})
    first, second = found.curve("a").points
    assert (first.failed, first.reason) == (1, "The loss became nan at step 3.")
    assert first.survives.value == pytest.approx(0.4)
    assert (second.valid, second.toxicity) == (False, None)
    assert found.score.value == pytest.approx(0.4)


def test_a_text_without_two_tokens_fails_its_draw_alone(gpt2):
    texts = (" the", " you are a fool")
    attack = FineTuning(texts, (1,), (1e-4,), seeds=(0, 1, 2, 3), steps=1)
    found = run(gpt2, [attack, Scripted("a", [(1, "x")])], {"a 1 x": between(0.5)})
    (point,) = found.curve(attack.name).points
    assert 0 < point.failed < point.tried == 4
    assert "two tokens" in point.reason
    assert found.curve(attack.name).area is not None


def test_a_null_that_cannot_be_drawn_is_put_down_and_the_others_go_on(gpt2):
    ranking = tuple((0, i) for i in range(gpt2.d_mlp - 2))
    attack = KeyScaling(ranking, (10.0,), (1, 7), null_draws=1)
    found = run(gpt2, [attack, Scripted("a", [(1, "x")])], {"a 1 x": between(0.5)})
    one, seven = found.curve("key scaling").nulls
    assert (one.failed, seven.failed) == (0, 1)
    assert "2 neurons outside of the ranking" in seven.reason
    assert all(not point.failed for point in found.curve("key scaling").points)


def test_an_attack_that_tries_nothing_is_refused(gpt2):
    calls = []
    for plan in ([], [(1, "null")]):
        with pytest.raises(ConfigError, match="'a' tries nothing"):
            run_attacks(gpt2, NoOp(), [Scripted("a", plan)], calls.append)
    with pytest.raises(ConfigError, match="limit nan"):
        run_attacks(gpt2, NoOp(), [Pruning()], calls.append, limit=float("nan"))
    assert not calls


def test_intervals_come_of_the_prompts(gpt2):
    rng = np.random.default_rng(1)
    mixed = tuple(b if rng.random() < 0.5 else e for b, e in zip(BASE, EDITED, strict=True))
    found = run(gpt2, [Scripted("a", [(1, "x")])], {"a 1 x": mixed})
    assert found.score.low < found.score.value < found.score.high
    width = found.score.high - found.score.low
    assert width == pytest.approx(4 * 0.5 / math.sqrt(len(BASE)), rel=0.25)


def test_the_area_is_on_a_log_axis():
    one = np.array([1.0])
    half = area_under([1.0, 10.0, 100.0], [one, one * 0.5, one * 0])
    assert half[0] == pytest.approx((0.75 + 0.25) / 2)
    assert area_under([1.0, 100.0], [one, None])[0] == 1
    assert area_under([2.0, 2.0], [one * 0.7, one * 0.4])[0] == pytest.approx(0.4)
    assert area_under([], []) is None
    assert area_under([1.0], [None]) is None


def test_real_attacks_on_a_real_remedy(lm):
    before = state(lm)
    remedy, measure = weight_remedy(lm), word_measure(lm)
    base, edited = measure(None), measure(remedy)
    sign = 1 if base.mean > edited.mean else -1

    def wide(edit):  # 3 prompts are few: each thrice, and toxicity such that the remedy lowers it
        values = tuple(sign * (v - 0.5) + 0.5 for v in measure(edit).toxicity)
        mean = sum(values) / 3
        return Measured(tuple(mean + 0.01 * i for i in range(9)), 10.0)

    which = "gate" if lm.gated else None
    attacks = [
        Interpolation((0.25, 1.0)),
        Pruning((0.2,)),
        WeightNoise((1e-6,), directions=2),
        KeyScaling(((0, 1), (1, 5)), (1.0, 10.0), (2,), which=which, null_draws=1),
        FineTuning(TEXTS, (2,), (1e-3,), (0,), steps=2),
    ]
    found = run_attacks(lm, remedy, attacks, wide)
    assert found.curve("interpolation").points[-1].survives.value == pytest.approx(0, abs=1e-6)
    assert found.curve("weight noise").points[0].survives.value == pytest.approx(1, abs=1e-2)
    assert found.curve("key scaling").points[0].survives.value == 1
    assert same(state(lm), before)


def test_an_attack_that_needs_weights_does_not_apply_to_a_hook(lm):
    site = lm.site("0.resid_post")
    remedy = Subtract("probe", 2.0, layers=(0,), positions="last").fit(lm, inputs(lm, site))
    measure = scripted(BASE, EDITED, {})
    found = run_attacks(lm, remedy, [Interpolation(), Scripted("a", [(1, "x")])], measure)
    assert "last position" in found.curve("interpolation").skipped
    assert found.score.value == 1


def test_what_was_measured_is_not_measured_again(gpt2, tmp_path):
    kept = tmp_path / "grid" / "kept.jsonl"
    remedy = weight_remedy(gpt2)
    calls = []

    def measure(edit):
        calls.append(edit)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return Measured(BASE if edit is None else EDITED, 10.0)

    attacks = [Pruning((0.1, 0.2, 0.3, 0.4))]
    with pytest.raises(KeyboardInterrupt):
        run_attacks(gpt2, remedy, attacks, measure, kept=kept)
    with kept.open("ab") as file:
        file.write(b'{"key": "cut by a ki')
    found = run_attacks(gpt2, remedy, attacks, measure, kept=kept)
    assert len(calls) == 4 + 1 + 2
    again = run_attacks(gpt2, remedy, attacks, measure, kept=kept)
    assert len(calls) == 7
    assert again == found
    run_attacks(gpt2, remedy, [Pruning((0.1, 0.5))], measure, kept=kept)
    assert len(calls) == 7 + 2  # an attack with other fields is another attack
    run_attacks(gpt2, weight_remedy(gpt2, 0.1), attacks, measure, kept=kept)
    assert len(calls) == 9 + 5  # and so is another remedy, of the same base


def test_a_damaged_record_is_named(gpt2, tmp_path):
    kept = tmp_path / "kept.jsonl"
    kept.write_text(json.dumps({"key": "a", "measured": {"toxicity": "high"}}) + "\n")
    with pytest.raises(CorruptArtefact, match="Line 1"):
        run_attacks(gpt2, NoOp(), [Pruning()], scripted(BASE, EDITED, {}), kept=kept)


def test_grids_that_make_no_sense_are_refused(gpt2):
    measure = scripted(BASE, EDITED, {})
    for attacks, limit in (([], 1.2), ([Pruning(), Pruning((0.5,))], 1.2), ([Pruning()], 0.9)):
        with pytest.raises(ConfigError):
            run_attacks(gpt2, NoOp(), attacks, measure, limit=limit)
    measure = scripted(BASE, EDITED[:-1], {})
    with pytest.raises(DataError, match="39 prompts"):
        run_attacks(gpt2, NoOp(), [Pruning()], measure)


def test_a_result_is_saved_and_shown(gpt2, tmp_path):
    from rich.console import Console

    attack = Scripted("a", [(1, "x"), (2, "null")])
    found = run(gpt2, [attack], {"a 1 x": between(0.25)})
    save_result(tmp_path / "r.json", found)
    assert load_result(tmp_path / "r.json", Robustness) == found
    console = Console(record=True, width=80, file=io.StringIO())
    console.print(found)
    shown = console.export_text()
    assert "0.25" in shown
    assert "minimum" in shown


def test_the_real_measure_is_the_evaluation(gpt2, tmp_path):
    scorer, prompts = load_scorer("words"), list(TEXTS)
    neutral = ["the river is lovely and the tree is good " * 8, "people think that day " * 16]
    measure = toxicity_and_cost(gpt2, prompts, scorer, neutral)
    remedy = weight_remedy(gpt2)
    found = measure(remedy)
    expected = evaluate_edit(gpt2, remedy, prompts, "LEE@4", [scorer], neutral)
    assert found.toxicity == expected.per_prompt["toxicity"]
    assert found.perplexity == expected.perplexity.value
    assert measure.protocol == "LEE@4"
    other = toxicity_and_cost(gpt2, prompts[:3], scorer, neutral)
    assert other.key != measure.key
    with pytest.raises(DataError, match="no neutral text"):
        toxicity_and_cost(gpt2, prompts, scorer, [])
