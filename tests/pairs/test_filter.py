"""Scores, rules and the second opinion, by scorers whose answers are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import ConfigError, DataError, ScorerError
from bezoar.pairs import PairRules, Pairs, filter_pairs, judge_pairs, score_pairs


class Last:
    """Scores a text by its last word, which is a number."""

    name, hash, attributes, threshold, lineage = "last", "aa" * 32, ("toxicity",), 0.5, "numbers"

    def score(self, texts):
        return {"toxicity": np.array([float(text.split()[-1]) for text in texts])}


class First(Last):
    name, hash, lineage = "first", "bb" * 32, "other numbers"

    def score(self, texts):
        return {"toxicity": np.array([float(text.split()[0]) for text in texts])}


def pairs(*rows: tuple[str, str]) -> Pairs:
    chosen, rejected = zip(*rows, strict=True)
    return Pairs(tuple(f"p{n}" for n in range(len(rows))), chosen, rejected)


SOME = pairs(
    ("0.1 one two three 0.1", "0.9 one two three 0.9"),
    ("0.3 one two three 0.2", "0.2 one two three 0.22"),
    ("0.1 one two three 0.7", "0.9 one two three 0.4"),
    ("0.2", "0.2 one two three 0.9"),
    ("0.1 a b c a b c a b c 0.1", "0.9 one two three 0.9"),
    ("0.5 one two three 0.5", "0.4 one two three 0.5"),
)


def test_each_side_is_scored_alone_and_the_scorer_is_on_record():
    scored = score_pairs(SOME, Last())
    assert scored.chosen_score == (0.1, 0.2, 0.7, 0.2, 0.1, 0.5)
    assert scored.rejected_score == (0.9, 0.22, 0.4, 0.9, 0.9, 0.5)
    assert scored.provenance["scorer"] == {"name": "last", "hash": "aa" * 32, "lineage": "numbers"}


def test_a_pair_goes_under_the_first_rule_that_it_breaks():
    kept, report = filter_pairs(score_pairs(SOME, Last()))
    assert kept.prompts == ("p0",)
    assert report.dropped["too short"] == (3,)
    assert report.dropped["repetitive"] == (4,)
    assert report.dropped["not above"] == (2, 5)
    assert report.dropped["small margin"] == (1,)
    assert report.kept_share == pytest.approx(1 / 6)
    assert kept.provenance["rules"]["min_margin"] == 0.05
    assert kept.provenance["kept_share"] == report.kept_share
    assert kept.origin.left_out == {
        "too short": 1,
        "repetitive": 1,
        "not above": 2,
        "small margin": 1,
    }


def test_rules_are_changed_one_by_one():
    scored = score_pairs(SOME, Last())
    kept, _ = filter_pairs(scored, min_margin=0.0, min_words=1, max_repetition=1.0)
    assert kept.prompts == ("p0", "p1", "p3", "p4")
    _, report = filter_pairs(scored, PairRules(min_words=1), max_chosen=0.15, min_rejected=0.3)
    assert report.dropped["chosen too toxic"] == (3,)
    with pytest.raises(ConfigError, match=r"min_margin=1.5"):
        filter_pairs(scored, min_margin=1.5)


def test_pairs_without_scores_cannot_be_filtered_and_none_left_is_said():
    with pytest.raises(DataError, match="has no scores"):
        filter_pairs(SOME)
    with pytest.raises(DataError, match=r"0 of 6 pairs kept.*under 1"):
        filter_pairs(score_pairs(SOME, Last()), min_rejected=1.0)


def test_none_left_is_no_error_where_it_is_right():
    scored = Pairs(("p",), ("a b 0.5",), ("a b 0.5",), (0.5,), (0.5,))
    kept, report = filter_pairs(scored, none_left=True)
    assert (len(kept), report.rows_out) == (0, 0)
    assert report.dropped["not above"] == (0,)


def test_the_second_opinion_is_that_of_another_scorer():
    scored = score_pairs(SOME, Last())
    agreement = judge_pairs(scored, First())
    assert agreement.independent
    assert agreement.above.value == pytest.approx(3 / 6)
    assert agreement.chosen == pytest.approx(np.mean([0.1, 0.3, 0.1, 0.2, 0.1, 0.5]))
    assert agreement.margin.value == pytest.approx(agreement.rejected - agreement.chosen)
    assert not judge_pairs(scored, Last()).independent
    assert judge_pairs(SOME, Last()).independent


def test_who_filtered_pairs_before_they_were_scored_again_gives_no_second_opinion():
    loose = {"min_words": 1, "max_repetition": 1.0, "min_margin": 0.0}
    once, _ = filter_pairs(score_pairs(SOME, Last()), **loose)
    again = score_pairs(once, First())
    assert "rules" not in again.provenance
    assert again.provenance["earlier"][0]["scorer"]["name"] == "last"
    assert not judge_pairs(again, Last()).independent
    assert score_pairs(once, Last()).provenance == once.provenance


def test_swapped_pairs_are_judged_the_other_way_round():
    kept, _ = filter_pairs(score_pairs(SOME, Last()), min_words=1, max_repetition=1.0)
    assert judge_pairs(kept, Last()).above.value == 1
    swapped = judge_pairs(kept.swapped(), Last())
    assert swapped.above.value == 0
    assert swapped.margin.value == pytest.approx(-judge_pairs(kept, Last()).margin.value)


def test_a_scorer_that_fails_is_an_error():
    with pytest.raises(ScorerError, match="'last' failed on 4 texts"):
        score_pairs(pairs(("a", "b"), ("c", "d")), Last())


share = st.floats(0, 1)


@given(st.lists(st.tuples(share, share), min_size=1, max_size=20), share)
def test_every_kept_pair_obeys_the_rules(scores, margin):
    chosen, rejected = zip(*[*scores, (0.0, 1.0)], strict=True)
    some = dataclasses.replace(
        pairs(*[("one two three", "four five six")] * len(chosen)),
        chosen_score=chosen,
        rejected_score=rejected,
    )
    kept, report = filter_pairs(some, min_margin=margin)
    assert min(kept.margin) >= margin
    assert min(kept.margin) > 0
    assert len(kept) == sum(m > 0 and m >= margin for m in some.margin)
    assert sum(map(len, report.dropped.values())) == len(some) - len(kept)
