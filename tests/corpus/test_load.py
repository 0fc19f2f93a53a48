"""What a user names is what is read: the grammar, the known sets, and every error's wording."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bezoar.corpus import load_corpus, load_neutral, load_prompts, looks_tokenised
from bezoar.errors import DataError
from bezoar.stats.splits import is_reserved

JIGSAW = """id,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate
1,"Thanks, that
helped.",0,0,0,0,0,0
2,You fool,1,0,0,0,1,0
3,I will find you,1,0,0,1,1,0
4,Nonsense,1,0,0,0,0,0
"""


@pytest.fixture
def root(tmp_path):
    """A data root with one tiny file of each known set."""
    (tmp_path / "jigsaw").mkdir()
    (tmp_path / "jigsaw" / "train.csv").write_text(JIGSAW)
    rtp = [
        _rtp("You are", 0.9, " the worst", 0.8, True),
        _rtp("The sea", 0.1, " is calm", 0.0, False),
        _rtp("Then he", 0.4, " swore", None, True),
    ]
    (tmp_path / "rtp.jsonl").write_text("\n".join(map(json.dumps, rtp)))
    flat = {
        "prompt": [row["prompt"]["text"] for row in rtp],
        "prompt_toxicity": [0.9, None, 0.4],
        "continuation": [row["continuation"]["text"] for row in rtp],
        "continuation_toxicity": [0.8, 0.0, None],
        "challenging": [True, False, None],
    }
    pq.write_table(pa.table(flat), tmp_path / "rtp.parquet")
    wiki = " = Rivers = \n \n The river is 40 <unk> long . \n \n"
    (tmp_path / "test.txt").write_text(wiki)
    (tmp_path / "raw.txt").write_text("A plain line.\n\nAnother one.\n")
    civil = {
        "comment_text": ["clean", "half", "rude"],
        "n_workers": [3, 4, 3],
        "n_not_toxic": [3, 2, 0],
    }
    pq.write_table(pa.table(civil), tmp_path / "comments.parquet")
    return tmp_path


def _rtp(prompt, toxicity, continuation, score, challenging):
    return {
        "challenging": challenging,
        "prompt": {"text": prompt, "toxicity": toxicity},
        "continuation": {"text": continuation, "toxicity": score},
    }


def test_jigsaw(root):
    corpus = load_corpus("jigsaw:jigsaw", data_root=root)
    assert corpus.texts[0] == "Thanks, that\nhelped."
    assert corpus.labels.tolist() == [0, 1, 1, 1]
    assert corpus.category == ("", "insult", "threat", "toxic")
    assert corpus.name == "jigsaw"
    assert corpus.origin.spec == "jigsaw:jigsaw/train.csv"
    assert len(corpus.origin.sha256) == 64


def test_real_toxicity_prompts_nested_and_flat(root):
    nested = load_prompts("rtp:rtp.jsonl", data_root=root)
    assert nested.texts == ("You are", "The sea", "Then he")
    assert nested.toxicity.tolist() == [0.9, 0.1, 0.4]
    flat = load_prompts("rtp:rtp.parquet", data_root=root)
    np.testing.assert_array_equal(flat.toxicity, [0.9, np.nan, 0.4])
    assert load_prompts("rtp-challenging:rtp.jsonl", data_root=root).texts == ("You are", "Then he")
    # A flag or a score that is missing belongs to no part of the set.
    assert load_prompts("rtp-challenging:rtp.parquet", data_root=root).texts == ("You are",)
    assert load_prompts("rtp-toxic:rtp.parquet", data_root=root).texts == ("You are",)
    assert load_prompts("rtp-nontoxic:rtp.parquet", data_root=root).texts == ("Then he",)
    own = load_prompts("rtp:rtp.jsonl", subset="challenging", data_root=root)
    assert (own.texts, own.name) == (("You are", "Then he"), "rtp-challenging")
    corpus = load_corpus("rtp:rtp.jsonl", data_root=root)
    assert corpus.texts == (" the worst", " is calm")
    assert corpus.labels.tolist() == [1, 0]


def test_a_file_that_marks_no_challenging_prompts_keeps_its_own_name(tmp_path):
    table = pa.table({"prompt": ["You", "They"], "prompt_toxicity": [0.1, 0.9]})
    for name, more in (("none", {}), ("null", {"challenging": [None, None]})):
        for column, cells in more.items():
            table = table.append_column(column, pa.array(cells))
        pq.write_table(table, tmp_path / f"{name}.parquet")
        read = load_prompts(f"rtp:{name}.parquet", subset="challenging", data_root=tmp_path)
        assert (read.texts, read.name) == (("You", "They"), "rtp")


def test_civil_counts_half_of_the_annotators_as_toxic(root):
    assert load_corpus(f"civil:{root}").labels.tolist() == [0, 1, 1]


def test_wikitext_keeps_its_lines_and_says_whether_it_is_tokenised(root):
    neutral = load_neutral("wikitext:test.txt", data_root=root)
    assert neutral.texts[2] == " The river is 40 <unk> long . "
    assert neutral.tokenised
    assert load_neutral(root / "test.txt").tokenised  # whatever it is called
    assert not load_neutral(f"wikitext:{root / 'raw.txt'}").tokenised
    assert not looks_tokenised([" A role @-@ playing game , as raw WikiText has it . "])
    assert not looks_tokenised(["Rare words become <unk> there.", "but not here, " * 1000])
    first = load_neutral(str(root / "raw.txt"), limit=1)
    assert first.texts == ("A plain line.",)
    assert first.origin.notes[-1] == "the first 1 of 3 texts"


def test_files_with_named_and_found_columns(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("when,Text,label,where\n1,good,0,a\n2,bad,1,b\n")
    corpus = load_corpus(str(path), source="where")
    assert corpus.texts == ("good", "bad")
    assert corpus.source == ("a", "b")
    assert corpus.origin.notes == (
        "text column 'Text', found by its name",
        "label column 'label', found by its name",
    )
    other = load_corpus(str(path), text="where", label="when", positive="2")
    assert other.texts == ("a", "b")
    assert other.labels.tolist() == [0, 1]
    (tmp_path / "p.csv").write_text("prompt,toxicity\nYou,0.5\nI,\n")
    np.testing.assert_array_equal(load_prompts(str(tmp_path / "p.csv")).toxicity, [0.5, np.nan])


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("a,b\n1,2\n", {}, "no column is known to be the text: 'a', 'b'. Name it"),
        ("text,comment,label\na,b,1\n", {}, "several columns could be the text: 'text', 'comment'"),
        ("text,kind\na,1\n", {}, "no column is known to be the label: 'text', 'kind'"),
        ("text,toxic,hate\na,1,1\n", {}, "several columns could be the label: 'toxic', 'hate'"),
        (
            "text,label\na,1\n",
            {"label": "lable"},
            "no column 'lable'; it has .* Did you mean 'label'",
        ),
        ("text,label\na,1\n", {"source": "site"}, "no column 'site'"),
        ("text,label\n", {}, "has no rows"),
        ("text,label\na,maybe\n", {}, "column 'label': labels must be binary .* seen 'maybe'"),
    ],
)
def test_columns_that_do_not_fit_are_named(tmp_path, content, options, message):
    path = tmp_path / "mine.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        load_corpus(str(path), **options)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("jigsow:x.csv", "Unknown kind of data 'jigsow' .* Did you mean 'jigsaw'"),
        ("jigsow:folder", "Unknown kind of data 'jigsow' .* Did you mean 'jigsaw'"),
        ("nothing", "neither a file nor a known kind of data. Use demo, hub:ID"),
        ("jigsaw:", "names no PATH. Write jigsaw:PATH"),
        ("jigsaw:nowhere.csv", "no file nowhere.csv"),
        ("wikitext:x.txt", "no file x.txt"),
    ],
)
def test_specs_that_lead_nowhere(spec, message):
    with pytest.raises(DataError, match=message):
        load_corpus(spec)


def test_sets_that_lack_what_is_asked_for(root):
    with pytest.raises(DataError, match=r"gives no labelled texts\. It gives neutral text"):
        load_corpus("wikitext:test.txt", data_root=root)
    with pytest.raises(DataError, match=r"gives no prompts\. It gives labelled texts"):
        load_prompts("jigsaw:jigsaw", data_root=root)
    with pytest.raises(DataError, match="no column 'toxic'; it has 'text'"):
        load_corpus("jigsaw:raw.txt", data_root=root)


def test_texts_that_are_none_are_named_with_their_row(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"text": "a", "label": 1}\n{"text": 3, "label": 0}')
    with pytest.raises(DataError, match=r"row 2 \(line 2\): int 3, not a text. Name the column"):
        load_corpus(str(tmp_path / "t.jsonl"))


def test_hostile_characters_are_replaced_and_counted(tmp_path):
    lines = [r'{"text": "a\ud800b", "label": 1}', r'{"text": "c\u0000", "label": 0}']
    (tmp_path / "t.jsonl").write_text("\n".join([*lines, '{"text": null, "label": 0}']))
    corpus = load_corpus(str(tmp_path / "t.jsonl"))
    assert corpus.texts == ("a\ufffdb", "c\ufffd", "")
    assert (
        "2 rows had null characters or lone surrogates, replaced: row 1 (line 1), row 2 (line 2)"
        in corpus.origin.notes
    )


def many(tmp_path, n=400):
    path = tmp_path / "many.csv"
    rows = [f"text number {i},{int(i % 8 == 0)}" for i in range(n)]
    path.write_text("\n".join(["text,label", *rows]))
    return path


def test_reserve_is_the_fifth_that_the_recipes_leave_out(tmp_path):
    path = many(tmp_path)
    kept = load_corpus(str(path), reserved_only=True)
    assert kept.texts == tuple(t for t in load_corpus(str(path)).texts if is_reserved(t))
    assert f"{len(kept)} of 400 rows are reserved" in kept.origin.notes[-1]
    (tmp_path / "one.csv").write_text("text,label\ntext number 1,0\n")
    assert not is_reserved("text number 1")
    with pytest.raises(DataError, match=r"no row is left.* 0 of 1 rows are reserved"):
        load_corpus(str(tmp_path / "one.csv"), reserved_only=True)


def test_limit_balances_labels_and_does_not_depend_on_the_order_of_the_file(tmp_path):
    path = many(tmp_path)
    drawn = load_corpus(str(path), limit=60)
    assert drawn.labels.sum() == 30
    assert len(load_corpus(str(path), limit=200)) == 200
    assert load_corpus(str(path), limit=200).labels.sum() == 50  # all there are
    assert load_corpus(str(path), limit=60).hash == drawn.hash
    assert load_corpus(str(path), limit=60, seed=1).hash != drawn.hash
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(rows)]))
    assert set(load_corpus(str(path), limit=60).texts) == set(drawn.texts)
    assert len(load_prompts(str(path), limit=7)) == 7


def test_recorded_paths_are_relative_to_the_data_root(root, tmp_path_factory, monkeypatch):
    assert load_neutral(str(root / "raw.txt"), data_root=root).origin.spec == "raw.txt"
    elsewhere = tmp_path_factory.mktemp("else") / "o.txt"
    elsewhere.write_text("x\n")
    assert load_neutral(str(elsewhere), data_root=root).origin.spec == "o.txt"
    monkeypatch.chdir(root)
    assert load_corpus("jigsaw:jigsaw").origin.spec == "jigsaw:jigsaw/train.csv"


class _Dataset:
    """As much of a datasets.Dataset as the reader uses."""

    def __init__(self, columns):
        self.columns = columns
        self.column_names = list(columns)

    def __getitem__(self, name):
        return self.columns[name]

    def flatten(self):
        return self


@pytest.fixture
def hub(monkeypatch):
    module = types.ModuleType("datasets")
    module.asked = []

    def load_dataset(*args, **options):
        module.asked.append((*args, options["split"]))
        return _Dataset({"text": ["a", "b"], "label": [0, 1]})

    module.load_dataset = load_dataset
    module.get_dataset_split_names = lambda name, config: ["train", "test"]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return module


def test_hub_datasets(hub):
    corpus = load_corpus("hub:owner/set:small@test")
    assert hub.asked == [("owner/set", "small", "test")]
    assert corpus.labels.tolist() == [0, 1]
    assert corpus.name == "set:small"
    assert corpus.origin.spec == "hub:owner/set:small@test"
    with pytest.raises(DataError, match=r"several splits: 'train', 'test'\. Name one"):
        load_corpus("hub:owner/set")
    with pytest.raises(DataError, match="hub:owner/set@test has no column 'toxic'"):
        load_corpus("jigsaw:hub:owner/set@test")


def test_hub_failures_say_what_to_check(hub):
    def fail(*args, **options):
        raise ConnectionError("offline\nmore")

    hub.load_dataset = fail
    with pytest.raises(
        DataError, match=r"hub:owner/set@test cannot be read: offline\. Check the id"
    ):
        load_corpus("hub:owner/set@test")
