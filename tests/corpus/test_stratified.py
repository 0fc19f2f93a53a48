"""Shares are exact by label, category and source; what belongs together stays together."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from bezoar.corpus import Corpus
from bezoar.corpus.stratified import split_stratified
from bezoar.errors import DataError
from bezoar.stats import near_duplicates, near_groups, text_key

WORDS = np.array([f"w{i}" for i in range(400)])


def texts(n: int, seed: int = 0) -> tuple[str, ...]:
    rng = np.random.default_rng(seed)
    return tuple(" ".join(rng.choice(WORDS, 12)) for _ in range(n))


def corpus(n: int = 600, seed: int = 0) -> Corpus:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["a", "b", "c"], n, p=[0.5, 0.45, 0.05])
    source = rng.choice(["big", "small"], n, p=[0.95, 0.05])
    return Corpus(
        texts(n, seed), (kinds == "a").astype(int), source=tuple(source), category=tuple(kinds)
    )


def test_every_stratum_has_its_share():
    whole = corpus()
    train, report = split_stratified(whole)
    assert set(train.texts).isdisjoint(report.texts)
    assert len(train) + len(report) == len(whole)
    for column in ("category", "source", "labels"):
        there, aside = (Counter(map(str, getattr(c, column))) for c in (whole, report))
        for name, n in there.items():
            # Sources are laid out within three categories: each may round by one.
            assert abs(aside[name] - 0.2 * n) <= 3, (column, name)
    assert report.origin.left_out == {"in another part": len(train)}


def test_the_order_of_the_rows_changes_nothing():
    whole = corpus()
    other = whole.take(np.random.default_rng(1).permutation(len(whole)))
    first, second = (split_stratified(c)[1] for c in (whole, other))
    assert sorted(first.texts) == sorted(second.texts)


def test_near_repeats_and_groups_stay_on_one_side():
    base = texts(300)
    repeated = tuple(f"{text} again" for text in base[:100])  # one word pair more of twelve
    labels = np.arange(400) % 2
    group = tuple(f"g{i // 4}" if 200 <= i < 300 else "" for i in range(400))
    whole = Corpus(base + repeated, labels, group=group)
    train, report = split_stratified(whole)
    assert len(near_duplicates(train.texts, report.texts)) == 0
    side = {text_key(text): "report" for text in report.texts}
    sides: dict[str, set[str]] = {}
    for name, text in zip(group[200:300], base[200:300], strict=True):
        sides.setdefault(name, set()).add(side.get(text_key(text), "train"))
    assert all(len(seen) == 1 for seen in sides.values())
    assert abs(len(report) - 80) <= 2


def test_either_part_names_its_families():
    base = texts(120)
    repeated = tuple(f"{text} again" for text in base[:40])
    group = tuple(f"g{i // 2}" if 40 <= i < 60 else "" for i in range(160))
    train, report = split_stratified(Corpus(base + repeated, np.arange(160) % 2, group=group))
    families = dict(zip(train.texts + report.texts, train.group + report.group, strict=True))
    for i in range(40):
        assert families[base[i]] == families[repeated[i]]
    for i in range(40, 60, 2):
        assert families[base[i]] == families[base[i + 1]]
    assert len(set(families.values())) == 160 - 40 - 10
    assert set(train.group).isdisjoint(report.group)


def test_a_family_of_near_repeats_larger_than_the_report_part_goes_to_train():
    chain = tuple(f"{texts(1)[0]} number{i}" for i in range(100))
    train, report = split_stratified(Corpus(chain + texts(60, 1), np.arange(160) % 2))
    assert set(chain) <= set(train.texts)
    assert 10 <= len(report) <= 35


def test_a_small_category_sends_one_text_to_report():
    whole = corpus()
    rare = replace(whole, category=("rare",) * 2 + whole.category[2:])
    train, report = split_stratified(rare)
    assert "rare" in train.category
    assert "rare" in report.category


def test_a_category_without_a_text_in_a_part_is_named():
    whole = corpus()
    once = replace(whole, category=("once", *whole.category[1:]))
    with pytest.raises(DataError, match=r"report part .* no text of category 'once' \(there are 1"):
        split_stratified(once)
    both = list(whole.texts)
    both[1] = f"{both[0]} again"
    twin = replace(whole, texts=tuple(both), category=("twin",) * 2 + whole.category[2:])
    with pytest.raises(DataError, match=r"'twin' \(there are 2\)"):
        split_stratified(twin)


def test_one_label_is_refused_unless_it_is_meant():
    harmless = Corpus(texts(50), np.zeros(50, dtype=int))
    with pytest.raises(DataError, match="both labels are needed"):
        split_stratified(harmless)
    train, report = split_stratified(harmless, both_labels=False)
    assert (len(train), len(report)) == (40, 10)
    with pytest.raises(DataError, match="report part of 'corpus' would have none of its 1 texts"):
        split_stratified(harmless.take([0]), both_labels=False)


def test_a_corpus_that_brings_its_split_keeps_it():
    whole = corpus(200)
    parts = tuple("test" if i % 4 == 0 else "train" for i in range(200))
    train, report = split_stratified(replace(whole, split=parts, category=None))
    assert report.texts == whole.texts[::4]
    assert set(train.texts) == set(whole.texts) - set(report.texts)
    assert train.split is None


def test_groups_are_the_components_of_near_repeats():
    """As by comparing every pair."""
    rng = np.random.default_rng(3)
    some = list(texts(60, 2))
    for _ in range(60):
        words = some[rng.integers(len(some))].split()
        words[rng.integers(len(words))] = "changed"
        some.append(" ".join(words))
    group = near_groups(some)
    assert group[0] == 0
    assert set(group) == set(range(group.max() + 1))
    reached = np.eye(len(some), dtype=bool)
    for row, text in enumerate(some):
        for other in range(len(some)):
            reached[row, other] |= len(near_duplicates([text], [some[other]])) > 0
    for _ in range(8):
        reached = reached @ reached
    assert np.array_equal(reached, group[:, None] == group[None, :])
