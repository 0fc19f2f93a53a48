"""``diff``: a model and its tuned or edited self, from the command line."""

from __future__ import annotations

import json
import re

import pytest

from bezoar.compare.models import ActivationDrop, weight_drift
from bezoar.models import LanguageModel
from bezoar.runs import load_result
from tests.compare.models.kit import tuned, value_edit
from tests.families import tiny_model

WORDS = ("fool", "tree", "river", "good", "know", "so", "you", "will")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A gated model, the same tuned, an edit of it, another model, labelled texts and prompts."""
    folder = tmp_path_factory.mktemp("diff")
    lm = tiny_model("llama")
    save(lm, folder / "base")
    save(tuned(lm), folder / "tuned")
    value_edit(lm, 1).save(folder / "edits" / "values", lm)
    save(tiny_model("gpt2"), folder / "other")
    rows = [f"{WORDS[n % 8]} {WORDS[n // 8 % 8]} {n},{int(n % 8 < 4)}" for n in range(80)]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    lines = [f"{WORDS[n % 8]} {WORDS[n // 8]} {WORDS[n * 5 % 7]} {n * n}" for n in range(40)]
    (folder / "prompts.txt").write_text("\n".join(lines) + "\n")
    return folder


def save(lm: LanguageModel, folder) -> None:
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)


@pytest.fixture
def diff(files, bezoar):
    """``diff(EDITED, …)`` against the base."""

    def call(edited, *more, base="base"):
        texts = ("--data", files / "data.csv", "--prompts", files / "prompts.txt")
        return bezoar("diff", files / base, files / edited, *texts, "--count", 8, "--quiet", *more)

    return call


def test_a_tuned_checkpoint_of_a_gated_model_is_told_in_sentences_and_tables(files, diff, tmp_path):
    out = tmp_path / "out"
    status, said, err = diff("tuned", "--out", out)
    assert (status, err) == (0, "")
    for start in ("drift: The weights", "values: ", "lens: At the last", "drop: The neurons"):
        assert re.search(f"^{start}", said, re.MULTILINE)
    for start in ("shifts: At ", "sources: Of the", "contributions: What", "heads: "):
        assert re.search(f"^{start}", said, re.MULTILINE)
    drop = load_result(out / "drop.json", ActivationDrop)
    assert drop.prompts_n == 8
    pictures = {path.name for path in (out / "figures").glob("*.html")}
    assert {"drift.html", "values.html", "lens.html", "drop.html"} <= pictures
    assert {"shift_1.resid_mid.html", "sources_2.resid_mid.html", "heads.html"} <= pictures
    again = diff("tuned", "--out", out)
    assert again == (0, said, "")
    status, _, err = diff("edits/values", "--out", out)
    assert status == 8
    assert "holds a comparison of" in err


def test_json_holds_every_part_and_what_was_left_out(files, diff):
    status, said, err = diff("edits/values", "--json", "--scorer-b", "words")
    assert (status, err) == (0, "")
    found = json.loads(said)
    assert found["skipped"] == {}
    parts = found["parts"]
    assert parts["drift"]["relative"] == pytest.approx(
        weight_drift(tiny_model("llama"), value_edit(tiny_model("llama"), 1)).relative, rel=1e-4
    )
    assert [s["site"] for s in parts["shifts"]["shifts"]] == ["2.resid_mid"]
    assert {p["t"] for p in parts["interpolation"]["points"]} >= {-1, 0, 1, 2}
    assert set(found["verdicts"]) == set(parts) - {"qualitative"}


def test_models_that_are_not_of_one_kind_are_refused(files, diff, tmp_path):
    status, _, err = diff("other", "--out", tmp_path / "new")
    assert status == 4
    assert "differ in" in err
    assert not (tmp_path / "new").exists()


def test_what_is_no_model_and_no_edit_is_refused_before_any_work(files, diff, monkeypatch):
    monkeypatch.setattr("bezoar.cli.diff_command.load_model", None)
    status, _, err = diff("edits")
    assert status == 5
    assert "It holds the edits" in err
    assert "values" in err
    status, _, err = diff("tuned", "--data", files / "none.csv")
    assert status == 3


def test_a_folder_with_other_files_is_left_alone(diff, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    status, _, err = diff("tuned", "--out", tmp_path)
    assert status == 8
    assert "holds other files" in err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
