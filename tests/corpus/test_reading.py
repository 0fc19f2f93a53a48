"""The reader: any table comes back as it was written, and what is broken is named with its line."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.corpus.labels import binary_labels, repair
from bezoar.corpus.reading import find_file, read_table
from bezoar.errors import DataError

cell = st.text(st.characters(blacklist_categories=("Cs",)), max_size=25)
tables = st.lists(st.tuples(cell, cell), min_size=1, max_size=6)


@given(tables)
def test_csv_round_trip(tmp_path_factory, rows):
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        path = tmp_path_factory.mktemp("t") / f"t{suffix}"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
            writer.writerows([("text", "other"), *rows])
        read = read_table(path).columns
        assert list(zip(read["text"], read["other"], strict=True)) == rows


@given(tables)
def test_json_round_trip(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("t")
    objects = [{"text": a, "nested": {"other": b}} for a, b in rows]
    for ascii_only in (True, False):
        lines = (json.dumps(o, ensure_ascii=ascii_only) for o in objects)
        (folder / "t.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
        (folder / "t.json").write_text(json.dumps(objects), encoding="utf-8")
        for name in ("t.jsonl", "t.json"):
            read = read_table(folder / name).columns
            assert list(zip(read["text"], read["nested.other"], strict=True)) == rows


def test_parquet_structs_become_dotted_columns(tmp_path):
    nested = [{"text": "You", "toxicity": 0.7}, None]
    pq.write_table(pa.table({"prompt": nested, "n": [1, 2]}), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").columns == {
        "prompt.text": ["You", None],
        "prompt.toxicity": [0.7, None],
        "n": [1, 2],
    }


def test_long_fields_line_breaks_marks_and_missing_keys(tmp_path):
    long = "word " * 250_000  # more than a megabyte
    (tmp_path / "t.csv").write_bytes(
        b"\xef\xbb\xbf" + f'text,label\r\n"{long}",1\r\n"a\nb",0\r\n'.encode()
    )
    limit = csv.field_size_limit()
    assert read_table(tmp_path / "t.csv").columns == {"text": [long, "a\nb"], "label": ["1", "0"]}
    assert csv.field_size_limit() == limit
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n\n{"b": "\u2028"}\n', encoding="utf-8")
    assert read_table(tmp_path / "t.jsonl").columns == {"a": [1, None], "b": [None, "\u2028"]}
    (tmp_path / "t.txt").write_text("one\r\n\r\ntwo\n", newline="")
    assert read_table(tmp_path / "t.txt").columns == {"text": ["one", "", "two"]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "t.csv",
            b'text,label\n"a",1\n"b,0\nc,1\n',
            "row 2 \\(line 3\\): broken quotes: unexpected end",
        ),
        ("t.csv", b'text,label\n"a"b,1\n', "row 1 \\(line 2\\): broken quotes"),
        (
            "t.csv",
            b"text,label\na,1\nb,x,0\n",
            "row 2 \\(line 3\\): 3 fields, the header has 2 .'text', 'label'",
        ),
        ("t.csv", b"text,label\na,1\n\xe9,0\n", "line 3: byte 0xe9 is not UTF-8"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,a\n1,2\n", "names a column twice"),
        (
            "t.jsonl",
            b'{"a": 1}\n{"a": \n',
            "row 2 \\(line 2\\), column 7: not JSON: Expecting value, at its end. Each line",
        ),
        (
            "t.jsonl",
            b'{"a": 1}\n[1]\n',
            "row 2 \\(line 2\\): a list of 1, not a JSON object. .* name it .json",
        ),
        ("t.jsonl", b"\n", "is empty"),
        ("t.jsonl", b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        ("t.json", b'{\n"a": 1,\n}', "line 3, column 1: not JSON: .*near .* Look there"),
        ("t.parquet", b"PAR1", "not readable parquet"),
        ("t.xls", b"", "is none of .parquet, .csv"),
    ],
)
def test_what_is_broken_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_missing_files_and_folders_have_hints(tmp_path):
    (tmp_path / "comments.csv").write_text("text\na\n")
    with pytest.raises(DataError, match=r"no file .*Did you mean .*comments.csv"):
        read_table(tmp_path / "coments.csv")
    with pytest.raises(DataError, match="no folder"):
        read_table(tmp_path / "no" / "comments.csv")
    assert find_file(tmp_path, ()) == tmp_path / "comments.csv"
    (tmp_path / "train.csv").write_text("text\na\n")
    assert find_file(tmp_path, ("x.csv", "train.csv")) == tmp_path / "train.csv"
    with pytest.raises(DataError, match=r"holds 2 readable files \('comments.csv', 'train.csv'\)"):
        find_file(tmp_path, ())


@pytest.mark.parametrize(
    "cells",
    [
        [0, 1, 1],
        ["0", "1", "1"],
        [False, True, True],
        ["False", " TRUE", "true"],
        [0.0, 1.0, "1.0"],
    ],
)
def test_binary_labels_of_many_spellings(cells):
    assert binary_labels(cells, "t").tolist() == [0, 1, 1]


def test_labels_by_value_and_by_threshold():
    cells = ["hate", "normal", "offensive"]
    assert binary_labels(cells, "t", positive="hate").tolist() == [1, 0, 0]
    assert binary_labels(cells, "t", positive=["hate", "offensive"]).tolist() == [1, 0, 1]
    assert binary_labels([2, 0, 1], "t", positive="2").tolist() == [1, 0, 0]
    assert binary_labels([0.49, "0.5", 1], "t", threshold=0.5).tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("cells", "options", "message"),
    [
        (["yes", "no", "no"], {}, r"must be binary .* seen 'no' \(2×\), 'yes' \(1×\)"),
        ([0, 1, 2], {}, "must be binary"),
        ([0.2, 0.9], {}, "must be binary"),
        ([1, None, 0], {}, "1 of 3 rows has no label, the first is row 2"),
        ([1, float("nan")], {}, "the first is row 2"),
        (["1", ""], {}, "the first is row 2"),
        (["a", "b"], {"positive": "c"}, "no row has the positive value 'c'; seen 'a'"),
        (["a", "b"], {"threshold": 0.5}, "row 1: 'a' is not a number. A threshold needs them"),
        ([0, 1], {"threshold": 0.5, "positive": "1"}, "both a positive value and a threshold"),
    ],
)
def test_other_labels_are_refused_with_what_was_seen(cells, options, message):
    with pytest.raises(DataError, match=message):
        binary_labels(cells, "t", **options)


@given(st.lists(st.text(max_size=10), max_size=6))
def test_repair_makes_text_that_can_be_written(texts):
    fixed, note = repair(texts)
    "".join(fixed).encode()
    assert "\0" not in "".join(fixed)
    changed = [a != b for a, b in zip(texts, fixed, strict=True)]
    assert note.startswith(f"{sum(changed)} row") if any(changed) else note == ""
    assert [len(text) for text in fixed] == [len(text) for text in texts]
    assert repair(fixed) == (fixed, "")
    assert np.all([a == b for a, b, c in zip(texts, fixed, changed, strict=True) if not c])
