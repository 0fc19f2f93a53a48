"""A classifier on disk scores exactly as transformers itself would."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from bezoar.errors import ScorerError
from bezoar.scoring import HuggingFaceScorer, load_scorer
from tests.families import tiny_tokenizer

TEXTS = ["you are kind", "a", "you idiot " * 60, "the house is lovely", "", "so"]
SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 66,
}


def save(folder, kind: str, labels: list[str], problem: str | None = None) -> str:
    tokenizer = tiny_tokenizer()
    config_class, model_class = {
        "bert": (BertConfig, BertForSequenceClassification),
        "roberta": (RobertaConfig, RobertaForSequenceClassification),
    }[kind]
    torch.manual_seed(0)
    config = config_class(
        vocab_size=len(tokenizer),
        pad_token_id=0,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type=problem,
        initializer_range=0.6,
        **SIZES,
    )
    model_class(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def by_hand(folder: str, column: int, squash, limit: int) -> list[float]:
    """One text at a time, no padding."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    out = []
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"][:limit] or [0]
        mask = torch.tensor([[int(bool(text))] * len(ids)])
        with torch.no_grad():
            logits = model(torch.tensor([ids]), attention_mask=mask).logits[0]
        out.append(squash(logits)[column].item())
    return out


@pytest.mark.parametrize(("kind", "limit"), [("bert", 66), ("roberta", 64)])
def test_exclusive_classes_are_a_softmax(tmp_path, kind, limit) -> None:
    folder = save(tmp_path / "m", kind, ["neutral", "toxic"])
    scorer = load_scorer(f"hf:{folder}")
    expected = by_hand(folder, 1, lambda x: x.softmax(0), limit)
    filled = [i for i, text in enumerate(TEXTS) if text]  # an empty text attends to nothing
    scores = scorer.score(TEXTS)["toxicity"]
    assert scores[filled] == pytest.approx(np.array(expected)[filled], abs=1e-5)
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0.01


def test_multi_label_is_a_sigmoid_and_mentions_are_left_out(tmp_path) -> None:
    labels = ["toxicity", "obscene", "identity_attack", "muslim"]
    folder = save(tmp_path / "m", "bert", labels, "multi_label_classification")
    scorer = load_scorer(folder)
    assert scorer.attributes == ("toxicity", "profanity", "identity_attack")
    expected = by_hand(folder, 1, torch.sigmoid, 66)
    filled = [i for i, text in enumerate(TEXTS) if text]
    scores = scorer.score(TEXTS)["profanity"]
    assert scores[filled] == pytest.approx(np.array(expected)[filled], abs=1e-5)


def test_labels_that_do_not_say_toxic_must_be_named(tmp_path) -> None:
    folder = save(tmp_path / "m", "bert", ["LABEL_0", "LABEL_1"])
    with pytest.raises(ScorerError, match=r"LABEL_0, LABEL_1.*hf:MODEL#LABEL"):
        load_scorer(f"hf:{folder}")
    named, other = (load_scorer(f"hf:{folder}#LABEL_{i}") for i in (1, 0))
    total = named.score(TEXTS)["toxicity"] + other.score(TEXTS)["toxicity"]
    assert total == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)
    assert named.hash != other.hash
    with pytest.raises(ScorerError, match="LABEL_1"):
        load_scorer(f"hf:{folder}#LABEL_2")


def test_hate_is_not_toxicity(tmp_path) -> None:
    folder = save(tmp_path / "m", "bert", ["nothate", "hate"])
    with pytest.raises(ScorerError, match="None of the classifier's labels"):
        HuggingFaceScorer(folder)


def test_hash_follows_the_weights(tmp_path) -> None:
    folder = save(tmp_path / "m", "bert", ["neutral", "toxic"])
    before = HuggingFaceScorer(folder)
    assert HuggingFaceScorer(folder).hash == before.hash
    before._model.classifier.bias.data[0] += 1
    before._model.save_pretrained(folder)
    assert HuggingFaceScorer(folder).hash != before.hash


def test_what_cannot_be_loaded(tmp_path) -> None:
    with pytest.raises(ScorerError, match=r"no config\.json"):
        HuggingFaceScorer(tmp_path)
    with pytest.raises(ScorerError, match=r"classifier 'nobody/has-this' could not.*hub id"):
        HuggingFaceScorer("nobody/has-this")
    folder = save(tmp_path / "m", "bert", ["neutral", "toxic"])
    with pytest.raises(ScorerError, match="'tpu'"):
        HuggingFaceScorer(folder, device="tpu")


def test_code_beside_the_weights_is_never_run_nor_offered(tmp_path, monkeypatch) -> None:
    """Without a word transformers asks on the terminal whether to run it."""
    folder = tmp_path / "m"
    save(folder, "bert", ["neutral", "toxic"])
    (folder / "evil.py").write_text("raise SystemExit('it ran')")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.C"}}
    config["auto_map"]["AutoModelForSequenceClassification"] = "evil.M"
    (folder / "config.json").write_text(json.dumps(config))

    def asked(*_: object) -> str:
        pytest.fail("the user was asked")

    monkeypatch.setattr("builtins.input", asked)
    with pytest.raises(ScorerError, match="code of its own, which is never run"):
        load_scorer(f"hf:{folder}")


def test_a_classifier_without_its_head_is_no_scorer(tmp_path) -> None:
    """Its head would be random: other scores, and another hash, at every load."""
    folder = tmp_path / "m"
    save(folder, "bert", ["neutral", "toxic"])
    model = BertModel.from_pretrained(folder)
    model.save_pretrained(folder)
    with pytest.raises(ScorerError, match=r"random: classifier\.bias, classifier\.weight"):
        load_scorer(f"hf:{folder}")


def test_a_head_of_another_size_is_told(tmp_path) -> None:
    folder = tmp_path / "m"
    save(folder, "bert", ["neutral", "toxic"])
    config = json.loads((folder / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b", "2": "toxic"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ScorerError, match=r"classifier\.weight \[2, 16\], not \[3, 16\]"):
        load_scorer(f"hf:{folder}")


def test_pickled_weights_are_never_read(tmp_path) -> None:
    folder = tmp_path / "m"
    save(folder, "bert", ["neutral", "toxic"])
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(ScorerError, match=r"no safetensors.*pytorch_model\.bin may run code"):
        load_scorer(f"hf:{folder}")


def test_a_missing_tokenizer_is_no_empty_one(tmp_path) -> None:
    folder = tmp_path / "m"
    save(folder, "bert", ["neutral", "toxic"])
    for file in folder.glob("*token*"):
        file.unlink()
    with pytest.raises(ScorerError, match=r"classifier .* has no tokenizer"):
        load_scorer(f"hf:{folder}")


def test_weights_that_are_not_finite_are_named(tmp_path) -> None:
    folder = tmp_path / "m"
    save(folder, "bert", ["neutral", "toxic"])
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ScorerError, match=r"not finite.*classifier\.bias"):
        load_scorer(f"hf:{folder}")
