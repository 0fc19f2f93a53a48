"""`bezoar explore DATA`: any texts, a stranger's mistakes, and files that stay the caller's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from bezoar.corpus import Survey
from bezoar.runs.results import load_result

WORDS = np.array([f"word{i}" for i in range(200)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Labelled and bare texts, one of which is profane, and some that cannot be used."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, 8)) for _ in range(40)]
    rows = [{"text": t, "label": i % 2, "source": "ab"[i // 2 % 2]} for i, t in enumerate(texts)]
    rows += [{"text": "how to", "label": 0, "source": "a"}, {"text": "", "label": 1, "source": "b"}]
    rows.append({"text": "what a load of shit this is", "label": 1, "source": "b"})
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "bare.txt").write_text("\n".join(texts))
    (tmp_path / "one.csv").write_text("\n".join(["text,label", *(f"{t},1" for t in texts)]))
    (tmp_path / "empty.csv").write_text('text,label\n" ",1\n" ",0\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text("study: audit\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_is_written_beside_the_summary_and_the_file_is_not_touched(bezoar, folder):
    before = hashlib.sha256((folder / "rows.jsonl").read_bytes()).hexdigest()
    status, out, _ = bezoar("explore", "rows.jsonl", "--out", "seen", "--quiet")
    assert status == 0
    assert "rows: 42 texts, 50.0% of label 1" in out
    assert "43 rows read; left out: 1 empty" in out
    assert hashlib.sha256((folder / "rows.jsonl").read_bytes()).hexdigest() == before
    seen = load_result(folder / "seen" / "exploration.json", Survey)
    assert {cell.source: cell.n for cell in seen.cells} == {"a": 21, "b": 21}
    listed = (folder / "seen" / "dropped.jsonl").read_text().splitlines()
    assert [json.loads(line)["reason"] for line in listed] == ["short", "empty"]
    figures = {path.stem for path in (folder / "seen" / "figures").glob("figure_*.html")}
    kinds = ("1_counts", "2_length_in_characters", "3_mean_length")
    assert figures == {f"figure_{kind}" for kind in kinds}
    for kind in kinds:
        drawn = json.loads((folder / "seen" / "figures" / f"figure_{kind}.json").read_text())
        assert drawn["data"]
    page = (folder / "seen" / "explore.html").read_text()
    assert "shit" not in page
    assert "shit" not in out
    assert (folder / "seen" / "tables" / "table_1_counts.csv").is_file()


def test_texts_without_labels_and_of_one_class_are_looked_at(bezoar, folder):
    status, out, _ = bezoar("explore", "bare.txt", "--out", "seen", "-q")
    assert (status, "bare: 40 texts, no labels" in out) == (0, True)
    assert (folder / "seen" / "explore.html").is_file()
    status, out, _ = bezoar("explore", "one.csv", "-q")
    assert status == 0
    assert "100.0% of label 1" in out
    assert "All 40 texts of 'one' have label 1" in out


def test_json_is_the_survey(bezoar, folder):
    status, out, err = bezoar("explore", "rows.jsonl", "--json", "--limit", "30")
    assert (status, err) == (0, "")
    seen = json.loads(out)
    assert seen["left_out"]["beyond the limit"] == 13
    assert seen["n"] + sum(seen["left_out"].values()) == seen["rows"] == 43


@pytest.mark.parametrize(
    ("args", "status", "parts"),
    [
        (["none.csv"], 3, ["none.csv"]),
        (["empty.csv"], 3, ["All 2 texts of 'empty' are empty", "--text COLUMN"]),
        (["rows.jsonl", "--text", "texx"], 3, ["'texx'", "'text'"]),
        (["rows.jsonl", "--label", "lable"], 3, ["'lable'", "'label'"]),
        (["rows.jsonl", "--positive", "2"], 3, ["no row has the positive value '2'"]),
        (["rows.jsonl", "--data", "demo"], 2, ["--data is for a run", "--model rows.jsonl"]),
        (["rows.jsonl", "--quick", "--reserved-only"], 2, ["--reserved-only, --quick"]),
        (["rows.jsonl", "--out", "run"], 8, ["run is the folder of a run"]),
        (["rows.jsonl", "--out", "bare.txt"], 8, ["bare.txt is a file"]),
        (["rows.jsonl", "--data-root", "nowhere"], 3, ["no folder nowhere"]),
        (["--limit", "5", "--out", "new"], 2, ["--limit is for DATA", "bezoar explore DATA"]),
        (["rows.jsonl", "--limit", "0"], 2, ["--limit"]),
    ],
)
def test_mistakes_are_told_plainly(bezoar, folder, args, status, parts):
    seen, _, err = bezoar("explore", *args)
    said = " ".join(err.split())
    assert (seen, [part for part in parts if part not in said]) == (status, [])
    assert not (folder / "new").exists()
