"""What a probe has to beat: classifiers that never see the model, and a model that never learnt."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from transformers import PreTrainedModel

from bezoar.locate.probe import LinearProbe
from bezoar.locate.probe_base import Folds
from bezoar.models import LanguageModel

TWIN_PARAMETERS = 1_000_000_000
_C_GRID = (1.0, 10.0, 100.0)

_SIGNS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # of Japanese and Chinese, without blanks
WORD = rf"(?u)[{_SIGNS}]|[^\W{_SIGNS}]+"
"""A word, or a sign of a script that writes none apart."""

Scores = tuple[Float64[np.ndarray, " train"], Float64[np.ndarray, " test"]]
"""Held-out decisions of the training texts, and decisions of the test texts."""


def length_rival(
    train: Sequence[str], labels: np.ndarray, test: Sequence[str], groups: Sequence[int], folds: int
) -> Scores:
    """Logistic regression on the logarithms of characters and words, and their squares."""
    probe = LinearProbe(folds=folds).fit(length_features(train), labels, groups)
    return probe.held_out_, probe.decision_function(length_features(test))


def length_features(texts: Sequence[str]) -> Float64[np.ndarray, "n 4"]:
    """Logarithms of characters and words, and their squares."""
    counts = np.array([(len(text), len(text.split())) for text in texts], dtype=np.float64)
    logs = np.log1p(counts)
    return np.concatenate([logs, logs**2], axis=1)


def words_rival(
    train: Sequence[str], labels: np.ndarray, test: Sequence[str], folds: Folds
) -> Scores:
    """Logistic regression on TF-IDF words and pairs of words, its C chosen by the same folds."""
    vectors = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=WORD)
    # Fitting the vocabulary knows no label, so it need not be repeated in every fold.
    x = vectors.fit_transform(train)
    held_out = np.zeros((len(_C_GRID), len(labels)))
    for row, c in zip(held_out, _C_GRID, strict=True):
        for fit_rows, held_rows in folds:
            row[held_rows] = _fit(x[fit_rows], labels[fit_rows], c).decision_function(x[held_rows])
    loss = (np.logaddexp(0, held_out) - labels * held_out).mean(axis=1)
    best = int(loss.argmin())
    model = _fit(x, labels, _C_GRID[best])
    return held_out[best], model.decision_function(vectors.transform(test))


def _fit(x: object, labels: np.ndarray, c: float) -> LogisticRegression:
    return LogisticRegression(C=c, solver="liblinear", random_state=0).fit(x, labels)


def has_twin(lm: LanguageModel) -> bool:
    """Whether an untrained twin can be made and held beside the model.

    Not of adapters or packed weights, of a model that is spread over devices, or of a large one.
    """
    model = lm.model
    return (
        isinstance(model, PreTrainedModel)
        and getattr(model.config, "quantization_config", None) is None
        and getattr(model, "hf_device_map", None) is None
        and not getattr(model, "_hf_peft_config_loaded", False)
        and model.num_parameters() <= TWIN_PARAMETERS
    )


def untrained_twin(lm: LanguageModel, seed: int = 0) -> LanguageModel:
    """The same architecture and tokenizer with freshly initialised weights.

    A probe on it reads what embedding texts at random already gives: what it finds in the trained
    model beyond that was learnt.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = type(lm.model)(copy.deepcopy(lm.model.config))
    model = model.to(device=lm.device, dtype=lm.dtype)
    return LanguageModel(model, lm.tokenizer, name=f"untrained {lm.name}")
