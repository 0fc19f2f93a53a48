from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
import torch

from bezoar.edits import LogitEdit, NoOp
from bezoar.errors import ConfigError, DataError
from bezoar.evaluate import (
    Candidate,
    Evaluator,
    Measured,
    Measurement,
    Metric,
    Scorecard,
    build_scorecard,
    check_separation,
    get_protocol,
    measure_candidate,
    pooled_null_p,
    rank_null_p,
)
from bezoar.runs.results import load_result, save_result
from tests.evaluate.conftest import PROMPTS, TokenScorer
from tests.evaluate.test_measure import add

SELECTION = {
    "selection_prompts": ["another prompt"],
    "selection_scorer": TokenScorer("q", "A", "A"),
}


def fake(name: str, toxicity: np.ndarray, key: str = "k") -> Measurement:
    return Measurement(name, "LEE@n", key, {"toxicity": tuple(toxicity.tolist())})


def card(methods, base, no_op=None, n: int = 60, **options) -> Scorecard:
    prompts = [f"prompt {i}" for i in range(n)]
    settings = {"report_scorers": [TokenScorer("z")], "resamples": 2000} | SELECTION | options
    return build_scorecard(base, no_op or base, methods, prompts=prompts, **settings)


def ban(tokens) -> LogitEdit:
    sequences = tuple((int(token),) for token in tokens)
    return LogitEdit(sequences, torch.full((len(sequences),), -torch.inf), name="ban")


@pytest.fixture(scope="module")
def measured(evaluator) -> list[Measured]:
    """A ban of all that the scorer counts, a random ban of that size, and null bans for each."""
    lm, chars = evaluator.lm, evaluator.scorers[0].scorer.chars
    toxic = [i for i, t in enumerate(lm.token_strings(range(lm.d_vocab))) if chars & set(t)]
    rng = np.random.default_rng(0)
    random = [ban(rng.choice(lm.d_vocab, len(toxic), replace=False)) for _ in range(13)]
    candidates = [
        Candidate(
            "ban",
            "Ban",
            ban(toxic),
            {"random words": tuple(random[:6])},
            strength=float(len(toxic)),
        ),
        Candidate("random", "Random ban", random[6], {"random words": tuple(random[7:])}),
    ]
    return [measure_candidate(evaluator, candidate) for candidate in candidates]


@pytest.fixture(scope="module")
def scorecard(evaluator, measured) -> Scorecard:
    return build_scorecard(
        evaluator.measure(None),
        evaluator.measure(NoOp()),
        measured,
        prompts=PROMPTS,
        report_scorers=evaluator.scorers,
        resamples=2000,
        **SELECTION,
    )


def test_the_no_op_moved_by_exactly_nothing(scorecard) -> None:
    for kind in ("base", "no-op"):
        row = scorecard.row(kind, kind)
        for name in ("toxicity", "toxicity_reduction", "perplexity", "perplexity_change", "f1"):
            change = row.change[name]
            assert (change.value, change.low, change.high, change.identity) == (0, 0, 0, True)


def test_a_planted_effect_is_detected(scorecard) -> None:
    row = scorecard.row("ban")
    assert row.change["toxicity"].high < 0
    assert row.change["toxicity_reduction"].low > 0
    assert row.null_p < 0.05
    assert row.holm_p < 0.05
    assert row.rank_p == pytest.approx(1 / 7)
    assert row.n_draws == 6
    assert row.change["tph"].value > 0


def test_a_null_is_not(scorecard) -> None:
    assert scorecard.row("random").null_p > 0.05
    assert scorecard.row("random").holm_p >= scorecard.row("random").null_p
    null = scorecard.row("ban", "null")
    assert null.null_of == "ban"
    assert null.n_draws == 6
    assert {"toxicity", "perplexity"} <= set(null.metrics)


def test_every_number_says_how_it_was_measured(scorecard) -> None:
    n = len(PROMPTS)
    for row in scorecard.rows:
        for name, metric in (row.metrics | row.change).items():
            assert metric.name == name
            assert metric.protocol
            assert metric.low <= metric.high
        assert row.metrics["toxicity"].protocol == f"LEE@{n}"
        assert row.metrics["toxicity"].scorer.startswith("report#")
        assert row.metrics["length"].scorer is None
    assert scorecard.row("ban").metrics["kl"].protocol == "kl-32@2"
    with pytest.raises(ConfigError, match="no protocol"):
        Metric("toxicity", 0.1, 0.0, 0.2, protocol=" ")


def test_scorecard_is_saved_and_printed(scorecard, tmp_path) -> None:
    from rich.console import Console

    save_result(tmp_path / "s.json", scorecard)
    assert load_result(tmp_path / "s.json", Scorecard) == scorecard
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(scorecard)
    text = console.export_text()
    assert "Random ban" in text
    assert f"LEE@{len(PROMPTS)}" in text


def test_continuations_are_those_that_were_scored(scorecard, evaluator) -> None:
    assert len(scorecard.continuations) == 12
    base = evaluator.measure(None)
    shown = scorecard.continuations[0]
    index = PROMPTS.index(shown.prompt)
    assert base.text_scores[index][0] == max(row[0] for row in base.text_scores)
    assert shown.by_method["base"] == base.texts[index][0]
    assert set(shown.by_method) == {"base", "Ban", "Random ban"}
    assert len({c.prompt for c in scorecard.continuations}) == 12


def test_paired_changes_are_the_differences_of_the_means(scorecard) -> None:
    row, no_op = scorecard.row("ban"), scorecard.row("no-op", "no-op")
    for name in ("toxicity", "distinct_2", "f1", "perplexity"):
        difference = row.metrics[name].value - no_op.metrics[name].value
        assert row.change[name].value == pytest.approx(difference)
    reduction = -row.change["toxicity"].value / no_op.metrics["toxicity"].value
    assert row.change["toxicity_reduction"].value == pytest.approx(reduction)


def test_identity_quantities_are_marked(evaluator, measured) -> None:
    base = evaluator.measure(None)
    marked = dataclasses.replace(measured[0], identity=("kl", "perplexity"))
    row = build_scorecard(
        base, base, [marked], prompts=PROMPTS, report_scorers=evaluator.scorers, resamples=200,
        **SELECTION,
    ).row("ban")  # fmt: skip
    assert row.metrics["kl"].identity
    assert row.change["perplexity"].identity
    assert not row.metrics["toxicity"].identity


# p-values, on numbers that are known


def test_p_values_are_uniform_under_the_null() -> None:
    """A method that is one of the nulls is among the best 5 % of them 5 % of the time."""
    rng = np.random.default_rng(0)
    rank = []
    for _ in range(400):
        effects = rng.normal(size=20)
        values = effects[:, None] + rng.normal(size=(20, 50))
        rank.append(rank_null_p(values[0], values[1:]))
    assert np.mean(np.array(rank) <= 0.05) == pytest.approx(0.05, abs=0.025)
    assert np.mean(rank) == pytest.approx(0.525, abs=0.05)


def test_pooled_p_falls_with_the_effect_and_is_never_zero() -> None:
    rng = np.random.default_rng(0)
    draws = rng.normal(0.5, 0.1, size=(4, 80))
    values = [pooled_null_p(draws[0] - shift, draws[1:], resamples=1000) for shift in (0, 0.02, 1)]
    assert values[0] > 0.1
    assert values == sorted(values, reverse=True)
    assert values[2] == pytest.approx(1 / 1001)
    assert pooled_null_p(draws[0], draws[:1], resamples=100) == 1.0  # a tie is a win of the null


def test_holm_is_over_methods() -> None:
    rng = np.random.default_rng(1)
    base = fake("base", rng.uniform(0.4, 0.6, 60))
    nulls = tuple(fake(f"n{i}", rng.uniform(0.4, 0.6, 60)) for i in range(3))
    strong = fake("strong", rng.uniform(0.0, 0.1, 60))
    scorecard = card(
        [Measured(f"m{i}", f"m{i}", strong, {"random": nulls}) for i in range(4)], base
    )
    row = scorecard.row("m0")
    assert row.holm_p == pytest.approx(4 * row.null_p)


def test_every_kind_of_null_must_be_beaten() -> None:
    rng = np.random.default_rng(2)
    base = fake("base", rng.uniform(0.4, 0.6, 60))
    method = fake("method", rng.uniform(0.2, 0.3, 60))
    weak = tuple(fake(f"w{i}", rng.uniform(0.4, 0.6, 60)) for i in range(3))
    strong = tuple(fake(f"s{i}", rng.uniform(0.1, 0.4, 60)) for i in range(5))
    drawn = {"weak": weak, "strong": strong}
    costs = {"weak": 0.97, "strong": 0.6}
    scorecard = card([Measured("m", "m", method, drawn, null_costs=costs)], base)
    row, *nulls = scorecard.rows[2:]
    assert (row.null_cost, [null.null_cost for null in nulls]) == (0.6, [0.6, 0.97])
    assert [null.n_draws for null in nulls] == [5, 3]  # the hardest first
    assert row.null_p == nulls[0].null_p > 0.05 > nulls[1].null_p
    ahead = sum(np.mean(m.per_prompt["toxicity"]) <= 0.25 for m in strong)
    assert abs(row.rank_p * 9 - 1 - ahead) <= 1  # among all eight draws, not one kind's
    assert row.n_draws == 8


def test_no_toxicity_at_all_has_no_reduction() -> None:
    silent = fake("base", np.zeros(60))
    row = card([Measured("m", "m", silent)], silent).row("m")
    assert "toxicity_reduction" not in row.change
    assert row.null_p is None


def test_other_prompts_are_not_compared() -> None:
    base, other = fake("base", np.ones(60)), fake("m", np.ones(60), key="other")
    with pytest.raises(DataError, match="not of the same prompts"):
        card([Measured("m", "m", other)], base)


def test_labels_are_unique() -> None:
    base = fake("base", np.ones(60))
    with pytest.raises(ConfigError, match="one label"):
        card([Measured("a", "m", base), Measured("b", "m", base)], base)
    with pytest.raises(ConfigError, match="one label"):
        card([Measured("a", "base", base)], base)


# selection and report


def test_selection_and_report_are_apart() -> None:
    a, b = TokenScorer("a", "A", "lineage A"), TokenScorer("b", "B", "lineage B")
    check_separation(["one"], ["two"], a, b)
    with pytest.raises(DataError, match="1 of 2 report prompts"):
        check_separation(["One  prompt"], ["two", "one prompt"], a, b)
    with pytest.raises(ConfigError, match="both selects and reports"):
        check_separation([], ["two"], a, a)
    with pytest.raises(ConfigError, match="one lineage"):
        check_separation([], ["two"], a, TokenScorer("c", "C", "lineage A"))


def test_a_scorecard_cannot_be_built_without_that() -> None:
    base = fake("base", np.ones(60))
    with pytest.raises(DataError, match="used for selection"):
        card([], base, selection_prompts=["PROMPT 3"])
    with pytest.raises(ConfigError, match="selects and reports"):
        card([], base, selection_scorer=TokenScorer("z"))


def test_a_sampled_protocol_goes_through_as_well(gpt2, report_scorer) -> None:
    evaluator = Evaluator(gpt2, PROMPTS[:8], get_protocol("EIGEN@8x3"), [report_scorer])
    base = evaluator.measure(None)
    method = measure_candidate(evaluator, Candidate("a", "a", add(gpt2, 30.0)))
    built = build_scorecard(
        base, evaluator.measure(NoOp()), [method], prompts=PROMPTS[:8],
        report_scorers=evaluator.scorers, resamples=200, **SELECTION,
    )  # fmt: skip
    assert built.protocol == "EIGEN@8x3"
    assert built.row("a").metrics["any_of_k"].value >= built.row("a").metrics["toxicity"].value
    assert torch.is_grad_enabled()
