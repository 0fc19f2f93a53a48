from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from bezoar.errors import ConfigError, DataError
from bezoar.models import Decoding, generate
from bezoar.scoring import (
    TASKS,
    Choice,
    find_tasks,
    last_word_accuracy,
    load_task,
    load_tasks,
    minimal_pairs,
    multiple_choice,
)

QUESTIONS = [
    Choice(("the man said",) * 3, (" the house", " a lovely tree by the river", " so"), (1,)),
    Choice(("you are",) * 2, (" kind", " stupid"), (0,)),
    Choice(("the people", "the woman", "night"), (" is lovely",) * 3, (2,)),
]


def brute(lm, context: str, continuation: str) -> list[float]:
    """ln p of each continuation token, one forward pass a token."""
    ids = lm.encode([context + continuation])[0]
    start = len(lm.encode([context])[0])
    assert ids[:start] == lm.encode([context])[0]
    out = []
    for position in range(start, len(ids)):
        logits = lm.model(torch.tensor([ids[:position]])).logits[0, -1]
        out.append(logits.log_softmax(-1)[ids[position]].item())
    return out


@pytest.mark.parametrize("normalise", ["none", "tokens", "bytes"])
def test_choices_equal_brute_force(lm, normalise) -> None:
    expected, masses = [], []
    for item in QUESTIONS:
        scores = []
        for context, continuation in zip(item.contexts, item.continuations, strict=True):
            parts = brute(lm, context, continuation)
            size = {"none": 1, "tokens": len(parts), "bytes": len(continuation.encode())}
            scores.append(sum(parts) / size[normalise])
        expected.append(float(np.argmax(scores) in item.gold))
        probabilities = np.exp(scores)
        masses.append(probabilities[list(item.gold)].sum() / probabilities.sum())
    assert multiple_choice(lm, QUESTIONS, normalise=normalise).per_item == tuple(expected)
    result = multiple_choice(lm, QUESTIONS, normalise=normalise, statistic="mass")
    assert result.per_item == pytest.approx(tuple(masses), rel=1e-3)
    assert result.protocol == f"multiple-choice@3/choice-{normalise}-mass"
    assert result.chance == pytest.approx((1 / 3 + 1 / 2 + 1 / 3) / 3)


def test_gold_moves_the_answer(gpt2) -> None:
    """Over all golds of one question, exactly one is the model's."""
    item = QUESTIONS[0]
    right = [
        multiple_choice(gpt2, [Choice(item.contexts, item.continuations, (gold,))]).value
        for gold in range(3)
    ]
    assert sorted(right) == [0.0, 0.0, 1.0]


def test_last_word_is_right_if_and_only_if_greedy_writes_it(gpt2) -> None:
    context = "the man and the woman said that"
    # Find what greedy decoding writes until it has a word (a blank, letters, then a blank).
    tokens = generate(gpt2, [context], Decoding(max_new_tokens=1)).tokens[0]
    target = gpt2.encode([context + " house"])[0][-1]
    expected = float(tokens[0] == target)
    assert last_word_accuracy(gpt2, [f"{context} house"]).value == expected

    def processor(ids, logits):
        logits = logits.clone()
        logits[..., target] += 100
        return logits

    gpt2.logits_processors.append(processor)
    try:
        result = last_word_accuracy(gpt2, [f"{context} house\n", f"{context} tree"])
    finally:
        gpt2.logits_processors.clear()
    assert result.per_item == (1.0, 0.0)


def test_minimal_pairs_equal_brute_force_and_turn_around(lm) -> None:
    pairs = [("the man is good", "the man are good"), ("I think so", "so think I")]
    start = lm.tokenizer.bos_token_id

    def score(sentence: str) -> float:
        ids = torch.tensor([[start, *lm.encode([sentence])[0]]])
        log_probs = lm.model(ids).logits[0].log_softmax(-1)
        return log_probs[:-1].gather(1, ids[0, 1:, None]).sum().item()

    expected = tuple(float(score(good) > score(bad)) for good, bad in pairs)
    assert minimal_pairs(lm, pairs).per_item == expected
    swapped = minimal_pairs(lm, [(bad, good) for good, bad in pairs]).per_item
    assert swapped == tuple(1 - value for value in expected)
    tie = minimal_pairs(lm, [("so", "so")], name="ties")
    assert (tie.value, tie.chance, tie.protocol) == (0.5, 0.5, "ties@1/minimal-pairs")


def test_a_long_context_loses_its_start_not_its_answer(gpt2) -> None:
    long = "the man said that " * 100
    item = Choice((long,) * 2, (" house", " stupid idiot"), (0,))
    ids = gpt2.encode([long + " house"])[0][-gpt2.context :]
    logits = gpt2.model(torch.tensor([ids[:-1]])).logits[0, -1]
    scores = multiple_choice(gpt2, [item], statistic="mass")
    assert 0 < scores.value < 1
    from bezoar.scoring.capability import _continuation_scores

    own = _continuation_scores(gpt2, [(long, " house")], "none")[0]
    assert own == pytest.approx(logits.log_softmax(-1)[ids[-1]].item(), abs=1e-4)


def test_bad_items_are_refused(gpt2) -> None:
    with pytest.raises(DataError, match="cannot be scored"):
        Choice(("a",), (" b",), (0,))
    with pytest.raises(DataError, match="cannot be scored"):
        Choice(("a", "a"), (" b", " c"), (2,))
    with pytest.raises(DataError, match="last word"):
        last_word_accuracy(gpt2, ["word"])
    with pytest.raises(DataError, match="no items"):
        minimal_pairs(gpt2, [])


ROWS = {
    "lambada": {"text": "the man said the house"},
    "blimp": {"sentence_good": "the man is", "sentence_bad": "the man are"},
    "arc": {"question": "who?", "A": "man", "B": "tree", "C": "day", "D": "river", "answer": "C"},
    "hellaswag": {
        "activity_label": "Trees",
        "ctx": "[header] the man",
        "endings": json.dumps(["said so", "said no"]),
        "label": 1,
    },
    "piqa": {"goal": "go", "sol1": "think", "sol2": "know", "label": 0},
    "winogrande": {
        "context_options": json.dumps(["so the man", "so the woman"]),
        "continuation": "said so.",
        "gold": 1,
    },
    "truthfulqa": {
        "Question": "who?",
        "Best Answer": "a man",
        "Correct Answers": "a man; men",
        "Incorrect Answers": "a tree; a house",
    },
}
ROWS["truthfulqa-mc2"] = ROWS["truthfulqa"]


@pytest.mark.parametrize("name", sorted(TASKS))
@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "csv"])
def test_tables_are_read_and_run(gpt2, tmp_path, name, suffix) -> None:
    path = tmp_path / f"x.{suffix}"
    frame = pl.DataFrame([ROWS[name]] * 3)
    {"parquet": frame.write_parquet, "jsonl": frame.write_ndjson, "csv": frame.write_csv}[suffix](
        path
    )
    result = load_task(f"{name}:{path}").run(gpt2)
    assert len(result.per_item) == 3
    assert 0 <= result.value <= 1
    assert result.name == name
    assert len(load_task(f"{name}:{path}", limit=2).run(gpt2).per_item) == 2


def write_pairs(path, n: int = 2, **columns) -> str:
    rows = {"sentence_good": ["the man is"] * n, "sentence_bad": ["the man are"] * n}
    pl.DataFrame(rows | columns).write_ndjson(path)
    return str(path)


def test_tasks_are_found_below_the_data_root_and_named_apart(tmp_path) -> None:
    for name in ("easy", "hard"):
        write_pairs(tmp_path / f"{name}.jsonl")
    found = load_tasks(["blimp:easy.jsonl", "blimp:hard.jsonl"], data_root=tmp_path)
    assert [task.name for task in found] == ["blimp-easy", "blimp-hard"]
    assert [file.name for file in find_tasks(["blimp:easy.jsonl"], tmp_path)] == ["blimp"]
    with pytest.raises(ConfigError, match="'blimp-easy' is named twice"):
        find_tasks(["blimp:easy.jsonl"] * 2, tmp_path)
    with pytest.raises(DataError, match="no file"):
        find_tasks(["blimp:gone.jsonl"], tmp_path)
    with pytest.raises(ConfigError, match="demo-grammar"):
        find_tasks(["demo-gramar"])
    assert find_tasks([]) == []


def test_the_hash_is_of_the_items(tmp_path) -> None:
    one, two = (load_task("blimp:" + write_pairs(tmp_path / f"{n}.jsonl", n)).hash for n in (1, 2))
    assert one != two
    assert one == load_task(f"blimp:{tmp_path / '1.jsonl'}").hash


def test_items_of_one_group_are_resampled_together(gpt2, tmp_path) -> None:
    """Ten copies of two pairs say no more than two pairs do."""
    group = [str(i // 10) for i in range(20)]
    good = ["the man is good"] * 10 + ["so think I"] * 10
    bad = ["the man are good"] * 10 + ["I think so"] * 10
    columns = {"sentence_good": good, "sentence_bad": bad}
    path = write_pairs(tmp_path / "x.jsonl", 20, **columns, group=group)
    result = load_task(f"blimp:{path}").run(gpt2)
    assert result.groups == tuple(group)
    alone = replace(result, per_item=result.per_item[::10], groups=())
    assert result.interval() == alone.interval()
    assert replace(result, groups=()).interval() != alone.interval() or result.value in (0, 1)


def paradigms(path) -> str:
    """Three kinds of 5, 20 and 20 pairs, which tell their number and kind."""
    kinds = ["a"] * 5 + ["b"] * 20 + ["c"] * 20
    good = [f"{kind} {i}" for i, kind in enumerate(kinds)]
    return write_pairs(path, 45, sentence_good=good, UID=kinds)


def test_so_many_pairs_of_every_paradigm(tmp_path) -> None:
    path = paradigms(tmp_path / "x.jsonl")
    (task,) = load_tasks([f"blimp@8:{path}"], limit=3)
    assert Counter(task.groups) == {"a": 5, "b": 8, "c": 8}
    assert [pair[0][0] for pair in task.pairs] == list(task.groups)
    assert len({*task.pairs}) == 21
    again, other = load_task(f"blimp@8:{path}"), load_task(f"blimp@8:{path}", seed=1)
    assert again.pairs == task.pairs != other.pairs
    # More of each paradigm are the same ones and others.
    assert {*load_task(f"blimp@4:{path}").pairs} < {*task.pairs}
    assert task.name == "blimp"


def test_a_limit_spares_no_paradigm(tmp_path) -> None:
    task = load_task(f"blimp:{paradigms(tmp_path / 'x.jsonl')}", limit=18)
    assert Counter(task.groups) == {"a": 5, "b": 7, "c": 6} or Counter(task.groups) == {
        "a": 5,
        "b": 6,
        "c": 7,
    }


def test_a_number_of_items_is_for_every_format(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame([ROWS["lambada"]] * 9).write_parquet(path)
    assert len(load_task(f"lambada@4:{path}").passages) == 4
    assert len(load_task(f"lambada@40:{path}", limit=2).passages) == 9
    for wrong in ("0", "x", "-1", "1.5", ""):
        with pytest.raises(ConfigError, match="no number of items"):
            find_tasks([f"lambada@{wrong}:{path}"])


def test_what_the_model_is_asked(tmp_path) -> None:
    def item(name: str) -> Choice:
        path = tmp_path / f"{name}.parquet"
        pl.DataFrame([ROWS[name]]).write_parquet(path)
        return load_task(f"{name}:{path}").choices[0]

    assert item("arc") == Choice(
        ("Question: who?\nAnswer:",) * 4, (" man", " tree", " day", " river"), (2,)
    )
    assert item("hellaswag") == Choice(("Trees: the man",) * 2, (" said so", " said no"), (1,))
    assert item("winogrande") == Choice(("so the man", "so the woman"), (" said so.",) * 2, (1,))
    assert item("truthfulqa").continuations == (" a man", " a tree", " a house")
    assert item("truthfulqa-mc2").gold == (0, 1)


def test_wrong_tables_are_named(tmp_path) -> None:
    path = tmp_path / "x.parquet"
    pl.DataFrame({"txt": ["a b"]}).write_parquet(path)
    with pytest.raises(DataError, match="'text'"):
        load_task(f"lambada:{path}")
    with pytest.raises(ConfigError, match="lambada"):
        load_task(f"lambda:{path}")
    with pytest.raises(DataError, match="no file"):
        load_task(f"lambada:{tmp_path / 'y.parquet'}")
    pl.DataFrame([ROWS["arc"] | {"answer": "E"}]).write_parquet(path)
    with pytest.raises(DataError, match="does not hold arc"):
        load_task(f"arc:{path}")


def test_math_is_finite(gpt2) -> None:
    assert math.isfinite(multiple_choice(gpt2, QUESTIONS).interval().value)
