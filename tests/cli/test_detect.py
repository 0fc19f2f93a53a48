"""``detect``: texts from wherever, one verdict each, nothing hostile on the terminal."""

from __future__ import annotations

import io
import json

import pytest
import torch

from bezoar import Detector, LanguageModel
from bezoar.masking import mask
from tests.evaluate.test_detector import info
from tests.families import tiny_hf_model

RUDE = "what a shit day"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    hf, tokenizer = tiny_hf_model("gpt2")
    hf.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def lm(model):
    return LanguageModel.from_pretrained(str(model))


@pytest.fixture(scope="module")
def detector(lm, model, tmp_path_factory):
    """The folder of a run whose detector flags everything: its threshold is very low."""
    run = tmp_path_factory.mktemp("run")
    torch.manual_seed(0)
    about = info(lm, model=str(model), threshold=-1e6, licence_note="Not to be passed on.")
    Detector(about, torch.randn(lm.d_model)).save(run / "detector")
    return run


def test_a_text_is_told_with_its_tokens_and_what_to_expect(bezoar, detector, lm):
    text = "the cat sat on the mat"
    status, out, _ = bezoar("detect", "--probe", detector / "detector", "--text", text)
    assert status == 0
    verdict = Detector.load(detector / "detector").score(lm, [text]).texts[0]
    assert f"flagged  {verdict.probability:.3f}  {text}" in out
    assert f"{verdict.top(1)[0][1]:+.2f}" in out
    assert "1 of 1 flagged. Set for 1.0% false alarms" in " ".join(out.split())
    assert "Not to be passed on." in out


def test_json_is_a_line_a_text_whose_tokens_add_up(bezoar, detector, tmp_path):
    file = tmp_path / "texts.csv"
    file.write_text('body,n\n"one, two",1\nthree,2\n')
    status, out, _ = bezoar("detect", "--probe", detector, file, "--column", "body", "--json")
    assert status == 0
    lines = [json.loads(line) for line in out.splitlines()]
    assert [(line["number"], line["text"]) for line in lines] == [(1, "one, two"), (2, "three")]
    for line in lines:
        assert len(line["tokens"]) == len(line["contributions"])
        assert sum(line["contributions"]) - 0.25 == pytest.approx(line["log_odds"])


def test_standard_input_has_a_text_a_line(bezoar, detector, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one\n\n two \n"))
    status, out, _ = bezoar("detect", "--probe", detector, "-", "--json", "--top", "0")
    assert status == 0
    assert len(out.splitlines()) == 2


def test_profanity_is_masked_in_texts_and_across_tokens(bezoar, detector):
    line = ("detect", "--probe", detector, "--text", RUDE)
    assert mask(RUDE) != RUDE
    out = bezoar(*line)[1]
    assert mask(RUDE) in out
    assert RUDE not in out
    (found,) = map(json.loads, bezoar(*line, "--json")[1].splitlines())
    assert found["text"] == mask(RUDE)
    assert "".join(found["tokens"]).strip() == mask(RUDE)
    (found,) = map(json.loads, bezoar(*line, "--json", "--unmask")[1].splitlines())
    assert "".join(found["tokens"]).strip() == found["text"] == RUDE


def test_the_gate_says_by_its_status_whether_a_text_was_flagged(bezoar, detector):
    line = ("detect", "--probe", detector, "--text", "hello", "--gate")
    status, out, err = bezoar(*line)
    assert status == 10
    assert "1 of 1 texts are flagged" in err
    assert "flagged" in out


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ((), 2, "No text is given"),
        (("--text", "a", "-"), 2, "from --text and from a file"),
        (("--text", "  "), 3, "--text is empty"),
        (("nowhere.txt",), 3, "nowhere.txt"),
        (("--text", "a", "--model", "nowhere"), 4, "nowhere"),
    ],
)
def test_what_cannot_be_read_is_an_error_with_a_status(bezoar, detector, more, status, said):
    found, _, err = bezoar("detect", "--probe", detector, *more)
    assert found == status
    assert said in " ".join(err.split())


def test_a_folder_without_a_detector_and_an_empty_pipe_are_errors(
    bezoar, detector, tmp_path, monkeypatch
):
    status, _, err = bezoar("detect", "--probe", tmp_path, "--text", "a")
    assert status == 5
    assert "holds no detector" in err
    assert bezoar("detect", "--text", "a")[0] == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("\n \n"))
    assert bezoar("detect", "--probe", detector, "-")[0] == 3


def test_another_model_is_refused(bezoar, detector, tmp_path):
    hf, tokenizer = tiny_hf_model("gpt2")
    with torch.no_grad():
        next(hf.parameters()).add_(1e-3)
    hf.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    line = ("detect", "--probe", detector, "--text", "a", "--model", tmp_path, "--json")
    status, out, err = bezoar(*line)
    assert (status, out) == (4, "")
    assert "The detector reads" in json.loads(err.splitlines()[-1])["message"]
