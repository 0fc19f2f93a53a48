"""The halves of the neutral text share no article and no near repeat; content keys a stage."""

from __future__ import annotations

import numpy as np

from bezoar.corpus import NeutralText
from bezoar.runs import DataConfig
from bezoar.studies.audit.explore import articles, contents, split_neutral

COMMON = "the good house and the kind people of the river think that it is a good day"


def wiki(n: int, repeated: int = 0) -> list[str]:
    lines = []
    for number in range(n):
        lines += [f" = Article {number} = ", "", " = = Section = = "]
        lines += [
            f"line {number} {k} " + " ".join(f"w{number}x{k}x{j}" for j in range(9))
            for k in range(4)
        ]
        if number < repeated:
            lines.append(COMMON)
    return lines


def test_an_article_begins_at_its_heading_and_keeps_its_sections():
    lines = wiki(3)
    assert np.bincount(articles(lines)).tolist() == [7, 7, 7]
    assert articles(["one", "two"]).tolist() == [0, 1]
    assert np.bincount(articles(["before", *lines])).tolist() == [1, 7, 7, 7]


def test_no_article_is_on_both_sides(gpt2):
    lines = wiki(24)
    select, report, repeated = split_neutral(gpt2, NeutralText(tuple(lines)), 100_000)
    sides = [
        {t.split()[1] for t in half.texts if t.startswith("line")} for half in (select, report)
    ]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == {str(n) for n in range(24)}
    headings = sum(text.startswith(" = ") and "= =" not in text for text in report.texts)
    assert headings == 24 - sum(t.startswith(" = A") for t in select.texts)
    assert repeated >= 0


def test_near_repeats_across_the_halves_are_left_out_and_counted(gpt2):
    plain = split_neutral(gpt2, NeutralText(tuple(wiki(24))), 100_000)
    halves = split_neutral(gpt2, NeutralText(tuple(wiki(24, repeated=24))), 100_000)
    assert COMMON in halves[0].texts
    assert COMMON not in halves[1].texts
    articles_there = sum(text.startswith(" = A") for text in halves[1].texts)
    assert halves[2] - plain[2] == articles_there


def test_a_file_that_was_replaced_changes_the_key_and_so_does_the_demo(tmp_path):
    file = tmp_path / "neutral.txt"
    file.write_text("one")
    asked = DataConfig(neutral=str(file))
    before = contents(asked)
    file.write_text("two")
    after = contents(asked)
    assert before[:2] == after[:2]
    assert all(before)
    assert before[2] != after[2]
