"""A scorer that is no scorer, given on the command line: one clear error, and nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bezoar.studies.audit import STAGES as GRAPH
from bezoar.studies.audit import bench
from bezoar.studies.audit.asked import INPUT_STAGES
from tests.cli.conftest import Outcome
from tests.families import tiny_model
from tests.studies.tiny import TINY, save_tiny_model

pytest.importorskip("bezoar_demo")

STAGES = [name for name in GRAPH if name not in INPUT_STAGES]  # of which these methods need none


class Broken:
    """A scorer that answers what it is told to."""

    name, hash, attributes, threshold, lineage = "broken", "0" * 16, ("toxicity",), 0.5, "test"

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def score(self, texts: list[str]) -> dict[str, Any]:
        return {"toxicity": self.answer(len(texts))}


def raises(n: int) -> np.ndarray:
    raise ConnectionError("the server is down")


ANSWERS = [
    (lambda n: np.full(n, np.nan), "Scorer 'broken' returned nan as 'toxicity' of text 0"),
    (lambda n: np.zeros(n - 1), "Scorer 'broken' returned 'toxicity' of shape ("),
    (lambda n: np.full(n, 7.0), "Scorer 'broken' returned 7.0 as 'toxicity' of text 0"),
    (raises, "ConnectionError('the server is down')"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The options of a tiny audit in a file, and its model."""
    folder = tmp_path_factory.mktemp("scorers")
    model = save_tiny_model(folder / "model")
    (folder / "tiny.yaml").write_text(json.dumps(TINY | {"model": {"name": model}}))
    return folder


def audit(bezoar: Any, place: Path, run: Path, *more: object) -> Outcome:
    line = ("audit", place / "model", "--config", place / "tiny.yaml", "--out", run, "--quiet")
    return bezoar(*line, *more)


def begun(run: Path) -> list[str]:
    lines = [json.loads(text) for text in (run / "log.jsonl").read_text().splitlines()]
    return [line["stage"] for line in lines if line["event"] == "started"]


def said(err: str) -> str:
    """What an error says; it is one line, one more of advice, and no traceback."""
    assert "Traceback" not in err
    first, *advice = err.splitlines()
    assert len(advice) <= 1, err
    assert first.startswith("ScorerError: ")
    return first


@pytest.mark.parametrize(("name", "stops_in"), [("demo-a", "mitigate"), ("demo-b", "evaluate")])
def test_the_audit_stops_keeps_what_it_has_and_goes_on_with_a_right_scorer(
    bezoar, place, tmp_path, monkeypatch, name, stops_in
):
    load = bench.load_scorer
    run = tmp_path / "run"
    before = STAGES[: STAGES.index(stops_in)]
    for answer, message in ANSWERS:
        with monkeypatch.context() as patched:
            patched.setattr(
                bench, "load_scorer", lambda s, a=answer: Broken(a) if s == name else load(s)
            )
            status, out, err = audit(bezoar, place, run)
        assert (status, out) == (6, "")
        assert message in said(err)
        assert not (run / "report.html").exists()
    assert begun(run) == [*before, *[stops_in] * len(ANSWERS)]
    assert bezoar(stops_in, "--run", run, "--quiet")[0] == 0
    assert begun(run) == [*before, *[stops_in] * (len(ANSWERS) + 1)]
    made = [path.read_text() for path in (run / stops_in).rglob("*.json")]
    assert len(made) > 2
    assert not any("broken" in text for text in made)


def test_a_table_of_scores_that_lacks_texts_or_numbers(bezoar, place, tmp_path):
    table = tmp_path / "scores.csv"
    run = tmp_path / "run"
    for content, message in (
        ("text,toxicity\nhello,0.5\n", "texts have no score in"),
        ("text,harm\nhello,0.5\n", "has no toxicity column; seen: text, harm."),
        ("text,toxicity\nhello,0.5\nhello,0.7\n", "gives one text two scores"),
    ):
        table.write_text(content)
        status, _, err = audit(bezoar, place, run, "--scorer-a", f"file:{table}")
        assert status == 6
        assert message in said(err)
    found = begun(run)
    line = ("mitigate", "--run", run, "--quiet", "--scorer-a", "demo-a")
    status, _, err = bezoar(*line)
    assert (status, "evaluate.scorer_a" in err, "--update" in err) == (8, True, True)
    assert bezoar(*line, "--update")[0] == 0
    assert begun(run) == [*found, "mitigate"]


def test_a_classifier_whose_weights_are_broken(bezoar, place, tmp_path):
    from transformers import GPT2ForSequenceClassification

    lm = tiny_model("gpt2")
    config = type(lm.model.config)(**lm.model.config.to_dict() | {"num_labels": 1})
    config.pad_token_id = lm.tokenizer.pad_token_id or 0
    broken = GPT2ForSequenceClassification(config)
    with torch.no_grad():
        broken.score.weight.fill_(float("nan"))
    broken.save_pretrained(tmp_path / "classifier")
    lm.tokenizer.save_pretrained(tmp_path / "classifier")
    status, _, err = audit(
        bezoar, place, tmp_path / "run", "--scorer-b", f"hf:{tmp_path / 'classifier'}"
    )
    assert status == 6
    said_last = err[err.index("ScorerError") :]  # after what loading and saving tell
    assert "are not finite (NaN or infinite): score.weight" in said(said_last)
    assert not (tmp_path / "run" / "log.jsonl").exists()  # said before the first stage
