"""The texts of the study: filtered by the book, split before anything is trained, none twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bezoar.corpus import Corpus
from bezoar.corpus.explore import Exploration
from bezoar.corpus.redteam import CLUSTERS
from bezoar.errors import DataError
from bezoar.runs import Run, SAEStudyConfig, load_result
from bezoar.stats import near_duplicates
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.explore import StudyTexts, explore_stage, harmless_files

WORDS = np.array([f"word{i}" for i in range(300)])


def sentences(n: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 9)) for _ in range(n)]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Galtea's columns with harmless words: 240 prompts, a repeat, fragments; and two contrasts."""
    folder = tmp_path_factory.mktemp("data")
    prompts = sentences(240, 0)
    cluster = [i % 6 for i in range(240)]
    source = ["SEAS" if i % 5 else "BeaverTails" for i in range(240)]
    prompts += [prompts[0], "how to", "where do they keep the", f"{prompts[7]} indeed"]
    columns = {
        "prompt": prompts,
        "source": [*source, *["SEAS"] * 4],
        "cluster": [*cluster, cluster[0], 3, 3, cluster[7]],
    }
    columns["cluster_name"] = [CLUSTERS[number] for number in columns["cluster"]]
    (folder / "g").mkdir()
    pq.write_table(pa.table(columns), folder / "g" / "train.parquet")
    plain = [*sentences(60, 1), prompts[11]]
    pq.write_table(pa.table({"instruction": plain}), folder / "alpaca_instructions.parquet")
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(sentences(40, 2))]
    (folder / "mixed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "bare.txt").write_text("\n".join(sentences(30, 3)))
    return folder


def explored(root: Path, out: Path, lm: Any, **data: Any) -> SAEBench:
    harmless = data.pop("harmless", ())
    config = SAEStudyConfig(
        out=str(out),
        data={"data": "galtea:g", "root": str(root)} | data,
        contest={"harmless": harmless},
    )
    with Run.open(out, config) as run:
        bench = SAEBench(run, config)
        bench.__dict__["lm"] = lm
        explore_stage(bench)
    return bench


def test_every_prompt_is_in_one_part_or_left_out_for_a_reason(root, tmp_path, gpt2):
    bench = explored(root, tmp_path / "run", gpt2)
    texts = load_result(tmp_path / "run" / "explore" / "texts.json", StudyTexts)
    assert texts.dropped == {"short": 1, "fragment": 1, "duplicate": 1}
    assert texts.train + texts.report == 241
    assert abs(texts.report - 0.2 * 241) <= 1
    assert {name: sum(n) for name, n in texts.sources.items()} == {"BeaverTails": 48, "SEAS": 193}
    for _, report in texts.categories.values():
        assert abs(report - 0.2 * 40) <= 1
    train, report = bench.corpora.values()
    assert texts.hashes == {"train": train.hash, "report": report.hash}
    assert len(near_duplicates(train.texts, report.texts)) == 0
    assert texts.train_ones + texts.report_ones == 40
    seen = load_result(tmp_path / "run" / "explore" / "exploration.json", Exploration)
    assert seen.rows == seen.n + sum(seen.left_out.values()) == 244
    assert seen.lengths[-1].unit == "tokens"
    listed = (tmp_path / "run" / "explore" / "dropped.jsonl").read_text().splitlines()
    assert [json.loads(line)["row"] for line in listed] == [242, 243]
    assert json.loads(listed[1]) == {
        "row": 243,
        "reason": "fragment",
        "source": "SEAS",
        "label": 1,
        "text": "where do they keep the",
    }


def test_harmless_sets_are_split_and_hold_no_text_of_the_corpus(root, tmp_path, gpt2):
    specs = ("alpaca:.", "mixed.jsonl", "bare.txt")
    bench = explored(root, tmp_path / "run", gpt2, harmless=specs)
    texts = load_result(tmp_path / "run" / "explore" / "texts.json", StudyTexts)
    sets = [Corpus.load(file) for file in harmless_files(bench)]
    assert [len(part) for part in sets] == [60, 20, 30]
    assert [part.name for part in sets] == ["alpaca", "mixed", "bare"]
    assert not any(part.labels.any() for part in sets)
    for part, told in zip(sets, texts.harmless, strict=True):
        assert part.split is not None
        counts = (part.split.count("train"), part.split.count("report"))
        assert counts == (told.train, told.report) == (len(part) * 4 // 5, len(part) // 5)
    assert texts.harmless[0].dropped == {"repeats a text of the corpus": 1}
    assert texts.harmless[1].dropped == {"of label 1": 20}


def test_another_cluster_is_another_study(root, tmp_path, gpt2):
    explored(root, tmp_path / "a", gpt2)
    privacy = explored(root, tmp_path / "b", gpt2, positive="Privacy")
    report = privacy.corpus("report")
    assert {c for c, y in zip(report.category or (), report.labels.tolist(), strict=True) if y} == {
        "Privacy"
    }


def test_a_category_without_rows_after_the_split_is_a_clear_error(root, tmp_path, gpt2):
    columns = {"text": sentences(41, 4), "label": [0, 1] * 20 + [1], "kind": ["a"] * 40 + ["b"]}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    asked = {"data": str(tmp_path / "rows.parquet"), "category": "kind"}
    with pytest.raises(DataError, match=r"report part .* no text of category 'b' \(there are 1\)"):
        explored(root, tmp_path / "run", gpt2, **asked)


def test_a_harmless_set_that_is_all_harmful_is_refused(root, tmp_path, gpt2):
    rows = [{"text": text, "label": 1} for text in sentences(20, 5)]
    (tmp_path / "bad.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match="has no text of label 0"):
        explored(root, tmp_path / "run", gpt2, harmless=(str(tmp_path / "bad.jsonl"),))
