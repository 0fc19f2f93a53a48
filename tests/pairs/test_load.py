"""Files of pairs: columns known by name, doubts said, every row accounted for."""

from __future__ import annotations

import dataclasses
import json

import pyarrow.parquet as pq
import pytest

from bezoar.corpus import Origin
from bezoar.errors import CorruptArtefact, DataError
from bezoar.pairs import Pairs, load_pairs


def write(path, columns: dict[str, list]):
    names = list(columns)
    rows = list(zip(*columns.values(), strict=True))
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, r, strict=True))) + "\n" for r in rows))
    else:
        mark = {".csv": ",", ".tsv": "\t"}[path.suffix]
        path.write_text("".join(mark.join(row) + "\n" for row in [names, *rows]))
    return path


MILD, RUDE = ["That is odd", "I disagree"], ["That is stupid", "You idiot"]


@pytest.mark.parametrize("name", ["p.csv", "p.tsv", "p.jsonl"])
@pytest.mark.parametrize(
    ("chosen", "rejected", "prompt"),
    [
        ("neutral", "toxic", None),
        ("en_neutral_comment", "en_toxic_comment", None),
        ("chosen", "rejected", "prompt"),
        ("unpert_gen_text", "pert_gen_text", "prompt_text"),
        ("Neutral", "TOXIC", None),
    ],
)
def test_columns_are_known_by_the_names_of_public_sets(tmp_path, name, chosen, rejected, prompt):
    columns = {"id": ["1", "2"], rejected: RUDE, chosen: MILD}
    if prompt:
        columns[prompt] = ["Well.", "No."]
    pairs = load_pairs(write(tmp_path / name, columns))
    assert pairs.chosen == tuple(MILD)
    assert pairs.rejected == tuple(RUDE)
    assert pairs.prompts == (("Well.", "No.") if prompt else ("", ""))
    assert pairs.name == "p"
    assert pairs.origin.sha256
    assert pairs.provenance["columns"]["chosen"] == chosen


def test_columns_can_be_named_one_or_both(tmp_path):
    path = write(tmp_path / "p.csv", {"toxic": RUDE, "neutral1": MILD, "before": ["a", "b"]})
    one = load_pairs(path, chosen="neutral1")
    assert (one.chosen, one.rejected, one.prompts) == (tuple(MILD), tuple(RUDE), ("", ""))
    assert "no column of prompts: every prompt is empty" in one.origin.notes
    other = load_pairs(path, chosen="toxic", rejected="neutral1", prompt="before")
    assert (other.chosen, other.prompts) == (tuple(RUDE), ("a", "b"))


@pytest.mark.parametrize("name", ["prompt", "prompt_text", "prompts", "Prompt"])
@pytest.mark.parametrize("sides", [("good", "bad"), ("chosen", "rejected"), ("toxic", "neutral")])
def test_the_prompts_are_found_whatever_the_sides_are_called(tmp_path, name, sides):
    chosen, rejected = sides
    path = write(tmp_path / "p.csv", {name: ["a", "b"], rejected: RUDE, chosen: MILD})
    pairs = load_pairs(path, chosen=chosen, rejected=rejected)
    assert (pairs.chosen, pairs.prompts) == (tuple(MILD), ("a", "b"))
    assert pairs.origin.notes == (f"prompt column {name!r}, found by name",)
    assert pairs.provenance["columns"]["prompt"] == name
    path = write(tmp_path / "q.csv", {"prompts": ["a", "b"], name: RUDE, "good": MILD})
    if name != "prompts":  # a column that is a side is no prompt
        assert load_pairs(path, chosen="good", rejected=name).prompts == ("a", "b")


def test_two_columns_of_prompts_are_a_doubt(tmp_path):
    columns = {"prompt": ["a", "b"], "prompts": ["c", "d"], "toxic": RUDE, "neutral": MILD}
    path = write(tmp_path / "p.csv", columns)
    with pytest.raises(DataError, match="2 columns could be the prompts: 'prompt', 'prompts'"):
        load_pairs(path)
    assert load_pairs(path, prompt="prompts").prompts == ("c", "d")


OWN = Pairs(
    ("The sea", "The sea", "A hill"),
    (" is calm.", " is blue.", "A hill, a hill."),
    (" is stupid.", " is dumb.", " is rotten."),
    (0.1, 0.0, 0.25),
    (0.9, 0.8, 0.75),
    name="made",
    origin=Origin("steered", rows=5, left_out={"equal sides": 2}),
    provenance={"how": "steered", "alpha": 0.4, "scorer": {"name": "words", "hash": "ab"}},
)


def test_pairs_that_were_saved_are_read_whole(tmp_path):
    OWN.save(tmp_path / "own.parquet")
    for read in (
        load_pairs(tmp_path / "own.parquet"),
        load_pairs("own.parquet", data_root=tmp_path),
    ):
        assert read.hash == OWN.hash
        assert (read.name, read.provenance) == (OWN.name, OWN.provenance)
        assert len(read) + sum(read.origin.left_out.values()) == read.origin.rows == 5
        assert read.origin.sha256
        assert read.origin.notes == ("saved by bezoar, of steered",)
    assert load_pairs("own.parquet", data_root=tmp_path).origin.spec == "own.parquet"
    fewer = load_pairs(tmp_path / "own.parquet", limit=2)
    assert fewer.origin.left_out == {"equal sides": 2, "beyond the limit": 1}


def test_a_leaked_prompt_is_named_by_row_and_line(tmp_path):
    rows = ["p,good,bad", "", "I say,I say no,never", "q,I say so,I say"]
    (tmp_path / "own.csv").write_text("\n".join(["prompt,chosen,rejected", *rows]) + "\n")
    with pytest.raises(DataError, match=r"1 pair of 'own' \(the first is row 2 \(line 4\)\) has a"):
        load_pairs(tmp_path / "own.csv")


def test_a_model_may_repeat_its_prompt_and_a_stranger_is_asked(tmp_path):
    path = tmp_path / "own.parquet"
    OWN.save(path)
    assert load_pairs(path, leaked="drop").prompts == ("The sea", "The sea")
    assert load_pairs(path, leaked="strip").chosen[2] == ", a hill."
    dataclasses.replace(OWN, provenance={}, origin=Origin()).save(path)
    with pytest.raises(DataError, match="begins with its prompt"):
        load_pairs(path)
    kept = load_pairs(path, leaked="keep")
    assert kept.origin.rows == len(kept) == 3


def test_saved_pairs_are_a_table_where_columns_are_named_or_the_header_is_lost(tmp_path):
    OWN.save(tmp_path / "own.parquet")
    turned = load_pairs(
        tmp_path / "own.parquet", chosen="rejected", rejected="chosen", leaked="keep"
    )
    assert (turned.chosen, turned.prompts) == (OWN.rejected, OWN.prompts)
    assert turned.chosen_score is None
    table = pq.read_table(tmp_path / "own.parquet").replace_schema_metadata(None)
    pq.write_table(table, tmp_path / "plain.parquet")
    plain = load_pairs(tmp_path / "plain.parquet", leaked="keep")
    assert (plain.prompts, plain.chosen) == (OWN.prompts, OWN.chosen)


def test_saved_pairs_that_were_altered_are_refused(tmp_path):
    path = tmp_path / "own.parquet"
    OWN.save(path)
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(CorruptArtefact, match="was altered"):
        load_pairs(path)


@pytest.mark.parametrize(
    ("columns", "named", "message"),
    [
        (
            {"toxic": RUDE, "neutral": MILD, "chosen": MILD, "rejected": RUDE},
            {},
            "2 pairs of columns could be meant: chosen 'neutral', rejected 'toxic'; chosen",
        ),
        ({"toxicc": RUDE, "neutrall": MILD}, {}, "no columns are known.*Did you mean 'toxic'"),
        ({"toxic": RUDE, "other": MILD}, {}, "it has 'toxic', 'other'"),
        ({"toxic": RUDE, "neutral": MILD}, {"chosen": "neutrl"}, "Did you mean 'neutral'"),
        ({"toxic": RUDE, "neutral": MILD}, {"chosen": "toxic", "rejected": "toxic"}, "both sides"),
        ({"toxic": RUDE, "neutral": MILD}, {"prompt": "toxic"}, "is a side and the prompt"),
        ({"toxic": RUDE, "neutral": MILD}, {"limit": 0}, "limit of 0 keeps nothing"),
    ],
)
def test_a_doubt_is_an_error_that_names_what_is_there(tmp_path, columns, named, message):
    path = write(tmp_path / "p.csv", columns)
    with pytest.raises(DataError, match=message):
        load_pairs(path, **named)


def test_what_gives_no_pairs_says_so(tmp_path):
    path = write(tmp_path / "p.csv", {"comment_text": MILD, "toxic": RUDE})
    with pytest.raises(DataError, match="'jigsaw' is a known set of texts, and gives no pairs"):
        load_pairs(f"jigsaw:{path}")
    with pytest.raises(DataError, match="names one column, and pairs have two"):
        load_pairs(f"{path}#toxic")
    with pytest.raises(DataError, match="no pairs"):
        load_pairs("demo")


def test_every_row_is_accounted_for(tmp_path):
    path = tmp_path / "p.csv"
    path.write_text("toxic,neutral\nYou fool,You\n\nAgain,AGAIN\n,a\nYou fool,You\nOaf,Sir\n")
    pairs = load_pairs(path)
    assert pairs.rejected == ("You fool", "Oaf")
    expected = {"blank line": 1, "equal sides": 1, "empty side": 1, "duplicate": 1}
    assert pairs.origin.left_out == expected
    assert len(pairs) + sum(pairs.origin.left_out.values()) == pairs.origin.rows
    one = load_pairs(path, limit=1)
    assert one.origin.left_out == expected | {"beyond the limit": 1}


def test_a_limit_draws_the_same_pairs_from_any_order(tmp_path):
    mild, rude = ([f"{word} {n}" for n in range(50)] for word in ("sir", "oaf"))
    there = load_pairs(write(tmp_path / "a.csv", {"neutral": mild, "toxic": rude}), limit=9)
    turned = {"neutral": mild[::-1], "toxic": rude[::-1]}
    back = load_pairs(write(tmp_path / "b.csv", turned), limit=9)
    assert len(there) == 9
    assert set(there.chosen) == set(back.chosen)
    other = load_pairs(tmp_path / "a.csv", limit=9, seed=1)
    assert set(other.chosen) != set(there.chosen)


def test_files_that_store_whole_texts_need_a_word(tmp_path):
    columns = {
        "prompt_text": ["The sea"],
        "unpert_gen_text": ["The sea is calm"],
        "pert_gen_text": ["The sea is stupid"],
    }
    path = write(tmp_path / "lee.jsonl", columns)
    with pytest.raises(DataError, match="begins with its prompt"):
        load_pairs(path)
    pairs = load_pairs(path, leaked="strip")
    assert (pairs.chosen, pairs.rejected) == ((" is calm",), (" is stupid",))
