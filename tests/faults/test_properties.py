"""What holds for any texts, labels and names: the corpus reader, and the names of sites."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.corpus import clean, load_corpus, load_neutral, load_prompts
from bezoar.corpus.labels import says_nothing
from bezoar.errors import DataError, SiteError
from bezoar.models import Site
from bezoar.models.sites import _GLOBAL_ALIASES, _LAYER_ALIASES

some_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
any_text = st.text(max_size=12) | st.sampled_from(
    ["", " ", "\u200b", "\ufeff", "\0", "\ud800", '"', ",", "\n", "\r", "\u2028", "nan", "None"]
)
labelled = st.lists(st.tuples(some_text, st.integers(0, 1)), min_size=1, max_size=8)


def write(path, rows):
    """Rows of text and label, in the format that the path's suffix names."""
    texts, labels = ([row[i] for row in rows] for i in (0, 1))
    if path.suffix in (".csv", ".tsv"):
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writerows([("text", "label"), *rows])
    elif path.suffix == ".parquet":
        pq.write_table(pa.table({"text": texts, "label": labels}), path)
    else:
        objects = [{"text": text, "label": label} for text, label in rows]
        lines = (
            json.dumps(objects) if path.suffix == ".json" else "\n".join(map(json.dumps, objects))
        )
        path.write_text(lines, encoding="utf-8")


@pytest.mark.parametrize("suffix", ["csv", "tsv", "json", "jsonl", "parquet"])
@settings(max_examples=40, deadline=None)
@given(rows=labelled)
def test_every_text_and_label_comes_back(tmp_path_factory, suffix, rows):
    path = tmp_path_factory.mktemp("t") / f"t.{suffix}"
    write(path, rows)
    corpus = load_corpus(str(path))
    assert list(zip(corpus.texts, corpus.labels.tolist(), strict=True)) == rows
    assert (corpus.origin.rows, corpus.origin.left_out) == (len(rows), {})


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(any_text, st.integers(0, 1)), min_size=1, max_size=10),
    limit=st.none() | st.integers(1, 12),
    reserved=st.booleans(),
)
def test_rows_read_are_rows_kept_and_rows_counted(tmp_path_factory, suffix, rows, limit, reserved):
    path = tmp_path_factory.mktemp("t") / f"t.{suffix}"
    write(path, rows)
    reads = (
        lambda: load_corpus(str(path), limit=limit, reserved_only=reserved),
        lambda: clean(load_corpus(str(path), reserved_only=reserved))[0],
        lambda: load_prompts(str(path), text="text", limit=limit),
        lambda: load_neutral(str(path), text="text", limit=limit, reserved_only=reserved),
    )
    for read in reads:
        try:
            kept = read()
        except DataError as error:
            said = str(error)
            assert any(why in said for why in ("no row is left", "Nothing is left", "leaves no"))
            continue
        assert kept.origin.rows == len(rows) == len(kept) + sum(kept.origin.left_out.values())
        assert all(n > 0 for n in kept.origin.left_out.values())


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(any_text, min_size=1, max_size=8))
def test_prompts_that_say_nothing_are_left_out_and_counted(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("t") / "t.jsonl"
    path.write_text("\n".join(json.dumps({"prompt": text}) for text in texts))
    empty = sum(map(says_nothing, texts)) + sum(
        not says_nothing(text) and set(text) <= set("\ud800\0 \u200b\ufeff") for text in texts
    )
    if empty == len(texts):
        with pytest.raises(DataError, match=rf"no row is left.*0 of {empty} prompts say something"):
            load_prompts(str(path))
        return
    prompts = load_prompts(str(path))
    assert len(prompts) + prompts.origin.left_out.get("empty", 0) == len(texts)
    assert not any(map(says_nothing, prompts.texts))


@settings(max_examples=100, deadline=None)
@given(
    content=st.binary(max_size=60),
    suffix=st.sampled_from(["csv", "tsv", "json", "jsonl", "txt", "parquet"]),
)
def test_any_bytes_are_read_or_refused_in_words(tmp_path_factory, content, suffix):
    path = tmp_path_factory.mktemp("t") / f"t.{suffix}"
    path.write_bytes(content)
    for load in (load_corpus, load_prompts, load_neutral):
        try:
            rows = load(str(path))
            assert len(rows) + sum(rows.origin.left_out.values()) == rows.origin.rows
        except DataError as error:
            assert path.name in str(error)
            assert error.hint


@given(
    spec=st.text(max_size=30) | st.sampled_from(["~nobody/x.csv", "x" * 5000, "hub:", "a\0.csv"])
)
@settings(max_examples=100, deadline=None)
def test_any_spec_is_refused_in_words_where_there_is_no_file(tmp_path_factory, spec):
    root = tmp_path_factory.mktemp("empty")
    for load in (load_corpus, load_prompts, load_neutral):
        with pytest.raises(DataError) as raised:
            load(spec, data_root=root)
        assert raised.value.hint


@settings(deadline=None)
@given(
    cells=st.lists(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | any_text
        | st.lists(st.integers(), max_size=2)
        | st.binary(max_size=3),
        min_size=1,
        max_size=6,
    ),
    options=st.sampled_from([{}, {"threshold": 0.5}, {"positive": "1"}]),
)
def test_any_label_cells_are_binary_or_refused(cells, options):
    from bezoar.corpus.labels import binary_labels

    try:
        labels = binary_labels(cells, "t", **options)
    except DataError as error:
        assert error.hint
        return
    assert labels.dtype == np.int8
    assert set(labels.tolist()) <= {0, 1}
    assert len(labels) == len(cells)


@given(layer=st.integers(-99, 99), alias=st.sampled_from(sorted(_LAYER_ALIASES)))
def test_aliases_lead_to_the_site_that_is_written_back(layer, alias):
    site = Site.parse(f"blocks.{layer}.{alias}")
    assert site == Site(layer, _LAYER_ALIASES[alias])
    assert Site.parse(str(site)) == site
    for other, point in _GLOBAL_ALIASES.items():
        assert str(Site.parse(other)) == point


@given(
    st.text(max_size=40)
    | st.builds("{}.{}".format, st.integers(), st.text(max_size=12))
    | st.builds("blocks.{}.hook_{}".format, st.integers(), st.text(max_size=12))
    | st.sampled_from(
        ["9" * 5000 + ".mlp_out", "blocks." + "9" * 5000 + ".hook_mlp_out", "x" * 9999]
    )
)
def test_garbage_is_no_site_and_is_said_so(text):
    try:
        site = Site.parse(text)
    except SiteError as error:
        assert error.hint
        assert len(str(error)) < 1000
        return
    assert Site.parse(str(site)) == site
    assert sorted([site, Site(0, "z"), Site(None, "unembed_in")])
