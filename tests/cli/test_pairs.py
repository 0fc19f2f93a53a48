"""``pairs``: from a model and neutral text to a file of pairs."""

from __future__ import annotations

import json

import pytest

from bezoar.pairs import Pairs
from tests.families import tiny_hf_model

WORDS = ("fool", "tree", "river", "good", "know", "so", "you", "will")
WORD_LIST = ("--scorer-a", "words", "--scorer-b", "words")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny model on disk, labelled texts, and prose."""
    folder = tmp_path_factory.mktemp("pairs")
    hf, tokenizer = tiny_hf_model("gpt2")
    hf.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    rows = [f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} {n},{int(n % 8 < 4)}" for n in range(120)]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    lines = [f"The {WORDS[n % 8]} number {n} is by the side of a long river." for n in range(40)]
    (folder / "prose.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def given(files):
    return (
        *("pairs", files / "model", "--data", files / "data.csv"),
        *("--neutral", files / "prose.txt", "--scorer-a", "words", "--quiet"),
    )


def test_what_is_made_is_scored_filtered_judged_and_on_record(files, given, bezoar, monkeypatch):
    from tests.pairs.kit import any_scorer

    monkeypatch.setattr("bezoar.scoring.load_scorer", any_scorer)
    out = files / "made.parquet"
    options = ("--out", out, "--count", 20, "--alpha", 1.5, "--margin", 0, "--json")
    status, said, err = bezoar(*given, *options)
    assert (status, err) == (0, "")
    found, pairs = json.loads(said), Pairs.load(out)
    assert 0 < len(pairs) == found["report"]["rows_out"]
    assert min(pairs.margin) > 0
    assert len(pairs) + sum(found["left_out"].values()) == pairs.origin.rows == 20
    record = pairs.provenance
    assert record["alpha"] == 1.5
    assert list(record["sites"]) == ["1.resid_post"]
    assert record["scorer"]["name"] == "words"
    assert record["rules"]["min_margin"] == 0


def test_without_a_text_prompts_are_of_what_a_default_audit_leaves_over(files, bezoar, monkeypatch):
    from bezoar.corpus import load_corpus, load_neutral, load_prompts
    from bezoar.models import LanguageModel
    from bezoar.runs import DataConfig
    from bezoar.stats import near_duplicates, shared_runs
    from bezoar.studies.audit.explore import split_neutral
    from tests.pairs.kit import any_scorer

    monkeypatch.setattr("bezoar.scoring.load_scorer", any_scorer)
    out = files / "rest.parquet"
    options = ("--count", 12, "--margin", 0, "--quiet", "--how", "pplm", "--iterations", 1)
    status, _, err = bezoar("pairs", files / "model", "--out", out, *options)
    assert (status, err) == (0, "")
    pairs = Pairs.load(out)
    assert pairs.provenance["settings"]["iterations"] == 1
    default = DataConfig()
    lm = LanguageModel.from_pretrained(str(files / "model"))
    *halves, _ = split_neutral(lm, load_neutral("demo"), default.neutral_tokens)
    seen = [*load_prompts("demo").texts, *load_corpus("demo", limit=default.limit).texts]
    seen += [text for half in halves for text in half.texts]
    assert not near_duplicates(list(pairs.prompts), seen, 0.7).a
    assert not shared_runs(list(pairs.prompts), seen)


def test_pairs_that_people_wrote_are_scored_and_filtered_without_a_model(
    files, bezoar, monkeypatch
):
    monkeypatch.setattr("bezoar.cli.pairs_command.load_model", None)
    rows = [f"you are an idiot {n},you are kind of odd {n}" for n in range(6)]
    rows += ["a good river,a good river", "I will go home,so you are an idiot"]
    (files / "human.csv").write_text("\n".join(["toxic,neutral", *rows]) + "\n")
    out = files / "human.parquet"
    options = ("--file", "human.csv", "--data-root", files, *WORD_LIST, "--json")
    status, said, err = bezoar("pairs", "--out", out, *options)
    assert (status, err) == (0, "")
    found, pairs = json.loads(said), Pairs.load(out)
    assert len(pairs) == 6
    assert min(pairs.margin) > 0
    assert found["left_out"]["equal sides"] == found["left_out"]["not above"] == 1
    assert pairs.provenance["scorer"]["name"] == "words"
    out.unlink()
    (files / "whole.csv").write_text("prompt,chosen,rejected\nyou,you are good,you are an idiot\n")
    options = ("--file", files / "whole.csv", *WORD_LIST, "--quiet")
    status, _, err = bezoar("pairs", "--out", out, *options)
    assert status == 3
    assert "begins with its prompt" in " ".join(err.split())
    assert bezoar("pairs", "--out", out, *options, "--leaked", "strip")[0] == 3  # two words each
    status, said, _ = bezoar("pairs", "--out", out, *options, "--leaked", "keep")
    assert status == 0
    assert said.splitlines()[-1] == f"1 pair of 1 in {out}"


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (("--out", "p.parquet", "--file", "human.csv"), 2, "so MODEL, --neutral and --data have"),
        (("--out", "p.parquet", "--neutral", "none.txt"), 3, "There is no file none.txt"),
        (("--out", "pairs.csv"), 2, "is no parquet file"),
        (("--out", "p.parquet", "--how", "pplm", "--alpha", 1), 2, "--alpha is of --how steered"),
        (("--out", "p.parquet", "--iterations", 3), 2, "--iterations is of --how pplm"),
        (("--out", "p.parquet", "--alpha", 1e9), 2, "Invalid value for '--alpha'"),
        (("--out", "p.parquet", "--scorer-b", "wrods"), 6, "There is no scorer 'wrods'"),
        (("--out", "p.parquet", "--prompts", "none.csv"), 2, "so --neutral has no place"),
        (("--out", "p.parquet", "--leaked", "strip"), 2, "--leaked has no place without --file"),
        (
            ("--out", "p.parquet", "--chosen", "good", "--prompt", "q"),
            2,
            "--chosen and --prompt have no place without --file",
        ),
        (
            ("--out", "p.parquet", "--words", 40),
            3,
            "has 40 words. Give prose, or ask for fewer: words=30 (--words 30;",
        ),
    ],
)
def test_wrong_options_are_told_before_the_work(given, bezoar, options, status, message):
    left, _, err = bezoar(*given, *options)
    assert left == status
    assert message in " ".join(err.split())


def test_a_file_that_cannot_be_written_is_told_before_the_work(files, bezoar, monkeypatch):
    monkeypatch.setattr("bezoar.cli.pairs_command.load_model", None)
    (files / "folder.parquet").mkdir()
    (files / "there.parquet").write_bytes(b"mine")
    (files / "file").touch()
    for out, told in {
        files / "folder.parquet": "Cannot write to {}: it is a folder.",
        files / "there.parquet": "{} exists.",
        files / "file" / "p.parquet": "is in the way: it is a file, not a folder.",
        files / f"{'p' * 250}.parquet": "Cannot write to {} (File name too long).",
        "/proc/x/p.parquet": "Cannot write to /proc/x: no folder can be made there",
    }.items():
        status, _, err = bezoar("pairs", files / "model", "--out", out)
        assert status == 8
        assert told.format(out) in err
    assert (files / "there.parquet").read_bytes() == b"mine"
    assert not [path for path in files.iterdir() if path.suffix == ".tmp"]


def test_prompts_of_a_file_that_is_not_there_are_told_before_the_work(files, bezoar):
    options = ("--data", files / "data.csv", "--prompts", "none.csv", *WORD_LIST, "--quiet")
    status, _, err = bezoar("pairs", files / "model", "--out", files / "no.parquet", *options)
    assert status == 3
    assert "There is no file none.csv" in " ".join(err.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ("--how", "pplm", "--count", 7, "--seed", 3),
            "so --how, --count and --seed have no place",
        ),
        (("--words", 6), "so --words has no place"),
        (("--device", "cpu"), "so --device has no place"),
        (("--set", "model.anatomy.attention=mixer"), "so --set has no place"),
    ],
)
def test_what_a_file_has_no_use_for_is_refused(files, bezoar, options, told):
    out = files / "no.parquet"
    status, _, err = bezoar("pairs", "--out", out, "--file", files / "human.csv", *options)
    assert status == 2
    assert told in " ".join(err.split())
    assert not out.exists()


def test_words_are_those_of_a_prompt(files, given, bezoar, monkeypatch):
    from tests.pairs.kit import any_scorer

    monkeypatch.setattr("bezoar.scoring.load_scorer", any_scorer)
    out = files / "short.parquet"
    options = ("--out", out, "--count", 12, "--words", 4, "--alpha", 1.5, "--margin", 0)
    assert bezoar(*given, *options)[0] == 0
    assert {len(prompt.split()) for prompt in Pairs.load(out).prompts} == {4}


def test_columns_of_a_file_can_be_named_as_the_error_says(files, bezoar):
    rows = [f"say {n},so kind {n} dear,you are an idiot {n}" for n in range(4)]
    (files / "named.csv").write_text("\n".join(["before,good,bad", *rows]) + "\n")
    out = files / "named.parquet"
    asked = ("pairs", "--out", out, "--file", files / "named.csv", *WORD_LIST)
    status, _, err = bezoar(*asked)
    assert status == 3
    assert "--chosen COLUMN --rejected COLUMN" in " ".join(err.split())
    sides = ("--chosen", "good", "--rejected", "bad")
    status, said, _ = bezoar(*asked, *sides)
    assert status == 0
    assert "Note: no column of prompts: every prompt is empty." in " ".join(said.split())
    out.unlink()
    assert bezoar(*asked, *sides, "--prompt", "before", "--json")[0] == 0
    assert Pairs.load(out).prompts == tuple(f"say {n}" for n in range(4))


def test_a_file_that_the_command_wrote_is_read_with_its_prompts(files, bezoar):
    rows = [f"say {n},so kind {n} dear,you are an idiot {n}" for n in range(4)]
    (files / "once.csv").write_text("\n".join(["prompt,chosen,rejected", *rows]) + "\n")
    once, twice = files / "once.parquet", files / "twice.parquet"
    assert bezoar("pairs", "--out", once, "--file", files / "once.csv", *WORD_LIST)[0] == 0
    status, said, err = bezoar("pairs", "--out", twice, "--file", once, *WORD_LIST, "--json")
    assert (status, err) == (0, "")
    first, again = Pairs.load(once), Pairs.load(twice)
    assert again.hash == first.hash
    assert again.prompts == tuple(f"say {n}" for n in range(4))
    assert again.provenance == first.provenance
    assert any("saved by bezoar" in note for note in json.loads(said)["notes"])
