"""Each fault of a corpus file: what the message says, or how the reading counts it."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bezoar.corpus import clean, explore, load_corpus, load_neutral, load_prompts
from bezoar.errors import DataError

CSV = "text,label\n"
GZIPPED = gzip.compress(CSV.encode(), mtime=0)  # the time would change the names of the tests


def load(tmp_path, name, content, **options):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return load_corpus(str(path), **options)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        # Quotes and fields: row and line, alike in every format
        (
            "t.csv",
            CSV + '"two\nlines",1\n\n"open,0\n',
            'row 2 (line 5): broken quotes: unexpected end of data. The row that begins there has '
            'an unclosed or unescaped quote; a quote inside a quoted field is written twice ("").',
        ),
        (
            "t.csv",
            CSV + '"two\nlines",1\nb,0,x\n',
            "row 2 (line 4): 3 fields, the header has 2 ('text', 'label'). A field that holds the "
            "delimiter or a line break must be quoted.",
        ),
        (
            "t.jsonl",
            '{"text": "a", "label": 1}\n\n{"text": "b", "label": 0',
            "row 2 (line 3), column 25: not JSON: Expecting ',' delimiter, at its end. Each line "
            "must be one whole object: look for a cut-off line or a missing quote.",
        ),
        (
            "t.jsonl",
            '{"text": "a", "text": "b", "label": 1}',
            "row 1 (line 1): the key 'text' is there twice. Keep one.",
        ),
        (
            "t.jsonl",
            '{"text": "a", "label": 1}\n' + '{"text": "b", "label": ' + "9" * 5000 + "}",
            "row 2 (line 2): a number of too many digits. Write it as a string, or leave it out.",
        ),
        (
            "t.json",
            '{"text": ["a", "b"], "label": [0, 1]}',
            "holds one object ('text', 'label'), not a list of rows. Write it as "
            '[{"text": …, "label": …}, …], or as JSON lines (.jsonl).',
        ),
        (
            "t.json",
            '{"text": "a", "label": 1}\n{"text": "b", "label": 0}',
            "line 2, column 1: not JSON: Extra data, near",
        ),
        ("t.jsonl", '[{"text": "a"}]', "a list of 1, not a JSON object. If the file is one JSON"),
        # Nothing there
        ("t.csv", "", "t.csv is empty. It needs a header and a row per text."),
        ("t.csv", "\n\n", "t.csv is empty."),
        ("t.csv", CSV, "t.csv has no rows: only a header ('text', 'label'). It needs a row"),
        ("t.csv", CSV + "\n\n", "has no rows: only a header"),
        ("t.json", "[]", "t.json is empty. It needs an object per text."),
        ("t.txt", " \n\n", "t.txt is empty: no line has any text."),
        # Names
        ("t.csv", "text,label,text\na,1,b\n", "a column twice: 'text' is column 1, 3 of 3."),
        (
            "t.csv",
            "You fool,1\nThanks,0\n",
            "no column is known to be the text: 'You fool', '1'. Name it (--text COLUMN). The "
            "first line of the file must name the columns.",
        ),
        ("t.txt", "You fool\n", "Plain lines have no labels: give CSV, JSON lines or parquet"),
        # Encodings and packings
        ("t.csv", (CSV + "café,1\n").encode("latin-1"), "line 2: byte 0xe9 is not UTF-8. Convert"),
        ("t.csv", (CSV + "a,1\n").encode("utf-16-le"), "looks like UTF-16 without a byte order"),
        ("t.csv", b"\xff\xfea", "line 1: byte 0x61 is not UTF-16. It begins with the byte order"),
        ("t.csv", GZIPPED, "is gzip-compressed, not text. Decompress it"),
        ("t.csv.gz", GZIPPED, "none of .parquet, .csv, .tsv, .jsonl, .ndjson"),
        ("t.csv", b"PK\x03\x04", "a zip archive or a spreadsheet, not text. Unpack it, or save"),
        ("t.parquet", b"PAR1 and no more", "is not readable parquet: "),
        # Labels
        (
            "t.csv",
            CSV + "a,1\nb,maybe\nc,yes\n",
            "column 'label': labels must be binary (0/1 or true/false), seen '1' (1×), 'maybe' "
            "(1×), 'yes' (1×); the first that is neither is row 2 (line 3). Say which value is "
            "positive (--set data.positive=…), or from which score on (--set data.threshold=…).",
        ),
        ("t.csv", CSV + "a,1\nb, \n", "1 of 2 rows has no label, the first is row 2 (line 3)."),
        # Cells
        (
            "t.jsonl",
            '{"text": [[1]], "label": 1}',
            "row 1 (line 1): a list of 1, not a text. Name the column of texts",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place_and_what_to_do(tmp_path, name, content, said):
    with pytest.raises(DataError) as raised:
        load(tmp_path, name, content)
    assert said in str(raised.value)
    assert str(tmp_path / name) in str(raised.value)
    assert raised.value.hint


def test_a_threshold_is_held_against_numbers_only(tmp_path):
    rows = CSV + "a,0.9\nb,{}\n"
    with pytest.raises(DataError, match=r"row 2 \(line 3\): 'high' is not a number. A threshold"):
        load(tmp_path, "t.csv", rows.format("high"), threshold=0.5)
    with pytest.raises(DataError, match=r"1 of 2 rows has no label, the first is row 2 \(line 3\)"):
        load(tmp_path, "t.csv", rows.format("NaN"), threshold=0.5)
    huge = '{"text": "a", "label": ' + "9" * 400 + "}"
    with pytest.raises(DataError, match="is not a number"):
        load(tmp_path, "t.jsonl", huge, threshold=0.5)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_another_separator_is_found_and_noted(tmp_path, delimiter):
    content = CSV.replace(",", delimiter) + f'"a, b"{delimiter}1\nc{delimiter}0\n'
    corpus = load(tmp_path, "t.csv", content)
    assert (corpus.texts, corpus.labels.tolist()) == (("a, b", "c"), [1, 0])
    assert any(note.startswith("fields are separated by") for note in corpus.origin.notes)
    with pytest.raises(DataError, match=r"row 1 \(line 2\): 1 field, the header has 2"):
        load(tmp_path, "t.csv", f"text{delimiter}label\na,1\n")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_read(tmp_path, encoding):
    corpus = load(tmp_path, "t.csv", (CSV + "café,1\nb,0\n").encode(encoding))
    assert corpus.texts == ("café", "b")
    noted = any("by its byte order mark" in note for note in corpus.origin.notes)
    assert noted == (encoding != "utf-8-sig")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_and_blank_lines_are_counted(tmp_path, end):
    corpus = load(tmp_path, "t.csv", CSV.replace("\n", end) + end.join(["a,1", "", "b,0", ""]))
    assert corpus.texts == ("a", "b")
    assert corpus.origin.rows == 3
    assert corpus.origin.left_out == {"blank line": 1}
    assert "1 blank line left out" in corpus.origin.notes


def test_texts_without_content_are_counted_and_very_long_ones_stay(tmp_path):
    long = "word " * 220_000
    texts = ["", " \n", "\u200b", None, "\0", "\ud800", long, "b", "\x07\x1b[2J"]
    lines = [json.dumps({"text": text, "label": i % 2}) for i, text in enumerate(texts)]
    corpus = load(tmp_path, "t.jsonl", "\n".join(lines))
    kept, report = clean(corpus)
    assert kept.texts == (long, "b", "\x07\x1b[2J")
    assert kept.origin.rows == 9
    assert kept.origin.left_out == {"empty": 6}
    assert any("2 rows had null characters or lone surrogates" in n for n in kept.origin.notes)
    assert str(report) == "3 of 9 texts kept (6 empty)"


def test_parquet_of_bytes_and_with_text_that_is_no_unicode(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"text": [b"a"], "label": [1]}), path)
    with pytest.raises(DataError, match="row 1: bytes b'a', not a text"):
        load_corpus(str(path))
    array = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")]
    )
    pq.write_table(pa.table({"text": array, "label": [1]}), path)
    with pytest.raises(DataError, match=r"not readable parquet: .*utf-8"):
        load_corpus(str(path))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    with pytest.raises(DataError, match="has no rows"):
        load_corpus(str(path))


def test_a_folder_of_shards_is_listed_and_a_folder_of_nothing_too(tmp_path):
    with pytest.raises(DataError, match=r"holds 0 readable files \(none\). Readable are .parquet"):
        load_corpus(str(tmp_path))
    for i in range(3):
        (tmp_path / f"train-0000{i}-of-00003.csv").write_text(CSV + "a,1\n")
    with pytest.raises(DataError, match=r"holds 3 readable files \('train-00000.*join them into"):
        load_corpus(str(tmp_path))


def test_one_class_is_named_with_what_was_left_out_before(tmp_path):
    rows = CSV + "".join(f"text number {i},1\n" for i in range(30)) + "\n"
    said = r"All 30 texts of 't' have label 1, and both labels are needed \(left out before: 1 bl"
    with pytest.raises(DataError, match=said):
        explore(load(tmp_path, "t.csv", rows))


def test_a_limit_that_takes_a_label_is_named(tmp_path):
    rows = CSV + "a,1\nb,0\nc,0\n"
    with pytest.raises(DataError, match=r"A limit of 1 leaves no text of label 1 \(there was 1\)"):
        load(tmp_path, "t.csv", rows, limit=1)
    for limit in (0, -3):
        with pytest.raises(DataError, match=f"A limit of {limit} keeps nothing"):
            load(tmp_path, "t.csv", rows, limit=limit)
        for other in (load_prompts, load_neutral):
            with pytest.raises(DataError, match=f"A limit of {limit} keeps nothing"):
                other(str(tmp_path / "t.csv"), limit=limit)


def test_prompts_and_neutral_text_account_for_their_rows_alike(tmp_path):
    path = tmp_path / "t.jsonl"
    cells = ["You", "", " ", None, "I", "He", "\ud800x"]
    path.write_text("\n".join(json.dumps({"prompt": cell}) for cell in cells) + "\n\n")
    prompts = load_prompts(str(path), limit=2)
    assert prompts.origin.rows == 8
    assert prompts.origin.left_out == {"blank line": 1, "empty": 3, "beyond the limit": 2}
    assert "4 of 7 prompts say something" in prompts.origin.notes
    neutral = load_neutral(str(path), limit=3)
    assert neutral.texts == ("You", "", " ")
    assert neutral.origin.left_out == {"blank line": 1, "beyond the limit": 4}
    path.write_text('{"prompt": "a", "toxicity": "x"}')
    with pytest.raises(DataError, match=r"column 'toxicity', row 1 \(line 1\): 'x' is not a numb"):
        load_prompts(str(path))
    path.write_text('{"prompt": "a", "toxicity": 71}')
    with pytest.raises(DataError, match=r"row 1 \(line 1\): 71 is no score from 0 to 1. Scale"):
        load_prompts(str(path))
    for loader in (load_prompts, load_neutral, load_corpus):
        path.write_text('{"prompt": "a", "label": 1}\n{"prompt')
        with pytest.raises(DataError, match=r"row 2 \(line 2\), column 2: not JSON"):
            loader(str(path))


def test_known_sets_name_the_row_of_a_cell_that_does_not_fit(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text("comment_text,n_workers,n_not_toxic\na,3,1\nb,three,0\n")
    with pytest.raises(DataError, match=r"'n_workers', row 2 \(line 3\): 'three' is not a number"):
        load_corpus(f"civil:{path}")
    path.write_text("comment_text,n_workers,n_not_toxic\na,3,1\nb,,0\n")
    with pytest.raises(DataError, match=r"1 row without a number, the first is row 2 \(line 3\)"):
        load_corpus(f"civil:{path}")
    path.write_text("prompt,prompt_toxicity\na,0.3\nb,much\n")
    with pytest.raises(DataError, match=r"'prompt_toxicity', row 2 \(line 3\): 'much' is not a n"):
        load_prompts(f"rtp:{path}")
    path.write_text("comment_text,toxic\na,0\nb,2\n")
    with pytest.raises(DataError, match=r"column 'toxic': labels must be .* is row 2 \(line 3\)"):
        load_corpus(f"jigsaw:{path}")


def test_sources_are_names_whatever_they_hold(tmp_path):
    lines = [
        r'{"text": "a", "label": 1, "source": "\ud800<b>"}',
        '{"text": "b", "label": 0, "source": NaN}',
        '{"text": "c", "label": 0, "source": 3}',
    ]
    corpus = load(tmp_path, "t.jsonl", "\n".join(lines), source="source")
    assert corpus.source == ("\ufffd<b>", "", "3")
    corpus.save(tmp_path / "saved.parquet")
    assert type(corpus).load(tmp_path / "saved.parquet").hash == corpus.hash
