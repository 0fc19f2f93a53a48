"""A classifier on disk scores exactly as transformers itself would."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
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
    with pytest.raises(ScorerError, match="cannot be loaded"):
        HuggingFaceScorer(tmp_path)
