"""``FILE#COLUMN``: the column of texts named where the file is named."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from bezoar.corpus import load_corpus, load_neutral, load_prompts
from bezoar.errors import DataError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.csv"
    path.write_text("body,reply,mark\nyou say,fine,0\nthey say,awful,1\n")
    return path


def test_all_three_kinds_take_a_column(file: Path) -> None:
    assert load_prompts(f"{file}#reply").texts == ("fine", "awful")
    assert load_neutral(f"{file}#body").texts == ("you say", "they say")
    assert load_corpus(f"{file}#body", label="mark").texts == ("you say", "they say")
    assert load_corpus(f"{file}#body", text="reply", label="mark").texts == ("fine", "awful")
    read = load_prompts("two.csv#body", data_root=file.parent)
    assert read.origin.spec == "two.csv#body"
    assert read.name == "two"


def test_a_file_that_is_called_so_is_that_file(tmp_path: Path) -> None:
    (tmp_path / "a#b.txt").write_text("one\ntwo\n")
    assert load_prompts("a#b.txt", data_root=tmp_path).texts == ("one", "two")


def test_what_names_no_column_is_refused(file: Path) -> None:
    with pytest.raises(DataError, match=r"names no column\. Write .*two.csv#COLUMN"):
        load_prompts(f"{file}#")
    with pytest.raises(DataError, match=r"no column 'bdy'.*'body'"):
        load_neutral(f"{file}#bdy")
    with pytest.raises(DataError, match=r"rtp is a known set.*#'body'"):
        load_prompts(f"rtp:{file}#body")


def test_hub_datasets_take_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("datasets")
    module.load_dataset = _hub  # type: ignore[attr-defined]
    module.get_dataset_split_names = lambda name, config: ["train"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    assert load_prompts("hub:owner/set@train#question").texts == ("why", "how")
    assert load_neutral("hub:owner/set@train#answer").texts == ("so", "thus")


def _hub(*args: object, **options: object) -> object:
    assert args[0] == "owner/set"
    from tests.corpus.test_load import _Dataset

    return _Dataset({"question": ["why", "how"], "answer": ["so", "thus"]})


def test_a_named_split_is_understood_or_refused_and_another_is_said_to_be_unused(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rows.csv"

    def write(*words: str) -> None:
        rows = (f"text {n} {word},{n % 2},{word}" for n in range(4) for word in words)
        path.write_text("\n".join(["text,label,Split", *rows]))

    write("train", "dev", "test")
    named = load_corpus(path, split="Split")
    assert named.split == ("train", "select", "report") * 4
    assert "split: 'dev' taken for select, 'test' taken for report" in named.origin.notes
    write("train", "dev", "fold 3")
    with pytest.raises(
        DataError, match=r"rows\.csv, column 'Split', holds .*what 'fold 3' means is not known"
    ):
        load_corpus(path, split="Split")
    unnamed = load_corpus(path)
    assert unnamed.split is None
    said = "column 'Split' ('dev', 'fold 3', 'train') not used: name it to keep that split"
    assert said in unnamed.origin.notes
