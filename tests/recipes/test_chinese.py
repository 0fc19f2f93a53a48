"""The recipe of the Chinese scorer: parts apart, a scorer that reads signs, and its measure."""

from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from recipes.chinese import train_scorer

from bezoar.corpus import Corpus
from bezoar.scoring import load_scorer
from bezoar.stats import is_reserved, near_duplicates
from tests.corpus.test_chinese import sentences


def corpus(n: int = 600) -> Corpus:
    texts, labels = sentences(n)
    split = tuple(("train", "train", "select", "report")[i // 2 % 4] for i in range(n))
    return Corpus(tuple(texts), labels, split=split, name="zh")


def test_no_part_repeats_what_is_reported_on() -> None:
    whole = corpus()
    texts = list(whole.texts)
    report = [i for i, part in enumerate(whole.split or ()) if part == "report"]
    train = [i for i, part in enumerate(whole.split or ()) if part == "train"]
    texts[train[0]] = texts[report[0]] + "。"
    found = train_scorer.parts(Corpus(tuple(texts), whole.labels, split=whole.split, name="zh"))
    assert texts[train[0]] not in found["train"].texts
    assert all(map(is_reserved, found["reserve"].texts))
    assert not any(map(is_reserved, [*found["train"].texts, *found["select"].texts]))
    held = [*found["test"].texts, *found["reserve"].texts]
    for name in ("train", "select"):
        assert not near_duplicates(list(found[name].texts), held, 0.7).a


def test_the_scorer_reads_signs_and_is_read_back(tmp_path, monkeypatch, capsys) -> None:
    texts, labels = sentences(600)
    parts = [("train", "train", "dev", "test")[i // 2 % 4] for i in range(600)]
    columns = {"TEXT": texts, "label": labels.tolist(), "topic": ["race"] * 600, "split": parts}
    (tmp_path / "cold_zh").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "cold_zh" / "cold.parquet")
    out = tmp_path / "scorer"
    asked = ["train_scorer", "--data-root", str(tmp_path), "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*asked, "--also", "cold:cold_zh"])
    train_scorer.main()
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[1:]] == ["test", "reserve", "cold"]
    assert float(said[1].split("AUROC ")[1].split()[0]) > 0.95
    scorer = load_scorer(str(out))
    new, truth = sentences(80, seed=9)
    scores = scorer.score(new)["toxicity"]
    assert scores[truth == 1].min() > np.median(scores[truth == 0])
    assert sum(path.stat().st_size for path in out.iterdir()) < 2**20
