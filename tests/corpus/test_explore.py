"""Exploring finds the shortcut that was planted, and none where none was."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from rich.console import Console

from bezoar.corpus import Corpus, Exploration, clean, explore, load_corpus
from bezoar.corpus.shortcuts import find_shortcuts
from bezoar.errors import DataError
from bezoar.runs.results import load_result, save_result
from bezoar.stats.classification import auroc

N = 400


def corpus(kind: str) -> Corpus:
    """Random words with random labels, and one planted cue."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, N)
    words = np.array([f"w{i}" for i in range(60)])
    sizes = rng.integers(6, 12, N) + (8 * labels if kind == "length" else 0)
    texts = [" ".join(rng.choice(words, size=size)) for size in sizes]
    if kind == "words":
        texts = [f"{t} grum" if y else f"{t} calm" for t, y in zip(texts, labels, strict=True)]
    odd = labels if kind == "source" else rng.integers(0, 2, N)
    source = tuple("ab"[i] if rng.random() < 0.9 else "ba"[i] for i in odd)
    return Corpus(tuple(texts), labels, source=source)


@pytest.mark.parametrize("kind", ["length", "words", "source"])
def test_planted_shortcut_is_found_and_no_other(kind):
    found = {shortcut.cue: shortcut for shortcut in find_shortcuts(corpus(kind))}
    assert set(found) == {"length", "words", "source"}
    assert found[kind].auroc.value > 0.85
    assert found[kind].warning
    if kind != "length":  # longer texts hold more words
        others = [found[cue] for cue in found if cue != kind]
        assert all(abs(other.auroc.value - 0.5) < 0.1 and not other.warning for other in others)


def test_length_separates_either_way():
    long = corpus("length")
    short = Corpus(long.texts, 1 - long.labels)
    a, b = (find_shortcuts(c)[0].auroc for c in (long, short))
    assert a.value == pytest.approx(b.value)
    assert b.low <= b.value <= b.high
    assert a.value == pytest.approx(auroc([len(t) for t in long.texts], long.labels))


def test_words_are_judged_on_groups_not_seen():
    """Templates memorised by their group say nothing about new ones."""
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), 10)
    labels = np.arange(40)[groups] % 2
    texts = [f"only{g} template{g} word{rng.integers(30)}" for g in groups]
    texts = [f"{text} nr{i}" for i, text in enumerate(texts)]
    grouped = Corpus(tuple(texts), labels, group=tuple(f"g{g}" for g in groups))
    plain = Corpus(tuple(texts), labels)
    cue = {name: find_shortcuts(c)[1].auroc.value for name, c in (("g", grouped), ("p", plain))}
    assert cue["p"] > 0.99
    assert abs(cue["g"] - 0.5) < 0.25


def test_counts_lengths_words_and_examples_add_up(tmp_path):
    seen = corpus("words")
    found = explore(seen)
    assert sum(group.n for group in found.counts) == found.n == N
    assert {group.source for group in found.counts} == {"a", "b"}
    assert found.positive_share == pytest.approx(seen.labels.mean())
    for lengths in found.lengths:
        assert [sum(side) for side in lengths.counts] == [N - seen.labels.sum(), seen.labels.sum()]
        assert lengths.edges[0] == min(lengths.smallest)
        assert lengths.edges[-1] == max(lengths.largest)
    characters = [len(t) for t, y in zip(seen.texts, seen.labels, strict=True) if y]
    assert found.lengths[0].mean[1] == pytest.approx(np.mean(characters))
    # The planted words mark their class most.
    assert found.vocabulary.marks[0][0].word == "calm"
    assert found.vocabulary.marks[1][0].word == "grum"
    assert found.vocabulary.marks[1][0].counts == (0, seen.labels.sum())
    assert found.vocabulary.shared == 60
    assert found.vocabulary.jaccard == pytest.approx(60 / 62)
    assert len(found.examples) == 12
    assert found == explore(seen)
    save_result(tmp_path / "e.json", found)
    assert load_result(tmp_path / "e.json", Exploration) == found


def test_near_repeats_across_labels_are_counted():
    texts = [
        f"the grey heron number {i} stood quite still beside the old canal lock" for i in range(30)
    ]
    rng = np.random.default_rng(0)
    words = np.array([f"w{i}" for i in range(300)])
    texts += [" ".join(rng.choice(words, size=12)) for _ in range(30)]
    found = explore(Corpus(tuple(texts), np.arange(60) % 2))
    assert found.near_repeats.across_labels == 15
    assert found.near_repeats.across_halves > 0
    assert "15 texts of label 1 nearly repeat" in found.warnings[-1]
    assert len(found.near_repeats.examples) == 5


def test_tokens_are_counted_with_a_model(gpt2):
    found = explore(corpus("none"), gpt2)
    assert [lengths.unit for lengths in found.lengths] == ["characters", "words", "tokens"]
    ids = gpt2.encode(
        [t for t, y in zip(corpus("none").texts, corpus("none").labels, strict=True) if y]
    )
    assert found.lengths[2].mean[1] == pytest.approx(np.mean([len(row) for row in ids]))


def test_one_class_is_refused():
    with pytest.raises(DataError, match="All 40 texts of 'corpus' have label 0, and both labels"):
        explore(Corpus(tuple(f"text {i}" for i in range(40)), np.zeros(40, int)))


def test_the_terminal_accounts_for_every_row_of_the_file(tmp_path):
    told = [{"text": text, "label": int(y)} for text, y in zip(*_texts_and_labels(), strict=True)]
    told += [{"text": " ", "label": 0}] * 7 + told[:5] + [{"text": told[5]["text"], "label": 2}]
    told[-1]["label"] = 1 - told[5]["label"]
    lines = [json.dumps(row) for row in told]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*lines, "", ""]))
    kept, _ = clean(load_corpus(path))  # as an audit does before it explores
    seen = explore(kept)
    assert seen.rows == seen.n + sum(seen.left_out.values()) == N + 14
    console = Console(file=io.StringIO(), width=200, color_system=None)
    console.print(seen)
    printed = console.file.getvalue()
    left_out = "left out: 1 blank line, 7 empty, 2 conflict, 5 duplicate"
    assert f"414 rows read, {N - 1} kept; {left_out}" in printed
    assert "text column 'text', found by its name" in printed


def _texts_and_labels():
    plain = corpus("none")
    return plain.texts, plain.labels.tolist()
