"""Hashed n-grams and logistic regression: a scorer of a few hundred kilobytes, fast on one core.

For each attribute ``score(text) = σ(w·x + b)``. The features x are counts of hashed word or
character n-grams, each block dampened (1 + ln count) and scaled to unit length. Whatever training
adds on top (naive-Bayes weights, Wang & Manning 2012; Platt's scale and offset) is linear and is
folded into w and b, so that a saved scorer is one matrix, one vector and what its features are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import ArrayLike
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from bezoar.errors import ScorerError
from bezoar.scoring.folder import (
    Described,
    Tensors,
    check_verdicts,
    platt,
    read_folder,
    threshold_at,
    write_folder,
)

FORMAT = "bezoar-linear-scorer-1"
_BATCH = 8192  # texts featurised at once


@dataclass(frozen=True, slots=True)
class Ngrams:
    """One block of features.

    Attributes:
        analyzer: ``word``, ``char``, or ``char_wb`` (characters inside words and their blanks).
        low: shortest n-gram.
        high: longest n-gram.
        bits: the block has 2^bits buckets.
        lowercase: whether case is ignored.
    """

    analyzer: str = "word"
    low: int = 1
    high: int = 2
    bits: int = 16
    lowercase: bool = True

    def __post_init__(self) -> None:
        if self.analyzer not in ("word", "char", "char_wb"):
            raise ScorerError(f"n-gram analyzer {self.analyzer!r} is none of word, char, char_wb.")
        if not (1 <= self.low <= self.high <= 8 and 4 <= self.bits <= 22):
            raise ScorerError(
                f"n-grams of {self.low} to {self.high} in 2^{self.bits} buckets cannot be used.",
                hint="Lengths run from 1 to 8, bits from 4 to 22.",
            )

    def features(self, texts: Sequence[str]) -> csr_matrix:
        """The block's rows: dampened counts at unit length (all zeros for a text without any)."""
        hashing = HashingVectorizer(
            analyzer=self.analyzer,
            ngram_range=(self.low, self.high),
            n_features=2**self.bits,
            lowercase=self.lowercase,
            # Single letters and signs count too: "u", "!", "$".
            token_pattern=r"(?u)\w+|[^\w\s]",
            alternate_sign=False,
            norm=None,
            dtype=np.float32,
        )
        counts = hashing.transform(texts)
        np.log(counts.data, out=counts.data)
        counts.data += 1
        return normalize(counts, copy=False)


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """A scorer as ``bezoar.scoring`` knows them; see the module for its formula.

    Attributes:
        weights: one row per attribute over the features of all blocks, in order.
        bias: one number per attribute.
        attributes: names of the rows; ``toxicity`` is among them.
        ngrams: the blocks of features.
        threshold: toxicity from which a text counts as toxic.
        name: short name.
        lineage: data and features in a few words; two scorers of one lineage are no second opinion.
        provenance: how it was made, as plain data.
    """

    weights: Float32[np.ndarray, "attribute feature"]
    bias: Float32[np.ndarray, " attribute"]
    attributes: tuple[str, ...]
    ngrams: tuple[Ngrams, ...]
    threshold: float = 0.5
    name: str = "linear"
    lineage: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Through half precision at once, so that memory and disk hold the same scorer.
        with np.errstate(over="ignore"):
            weights = np.asarray(self.weights).astype(np.float16).astype(np.float32)
        bias = np.asarray(self.bias, dtype=np.float32)
        shape = (len(self.attributes), sum(2**block.bits for block in self.ngrams))
        if weights.shape != shape or bias.shape != shape[:1]:
            raise ScorerError(
                f"Weights {weights.shape} and bias {bias.shape} do not fit "
                f"{shape[0]} attributes of {shape[1]} features."
            )
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise ScorerError("The scorer has weights that are no finite half-precision numbers.")
        check_verdicts(self.attributes, self.threshold)
        for name, array in (("weights", weights), ("bias", bias)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def fit(
        cls,
        texts: Sequence[str],
        labels: Mapping[str, ArrayLike],
        *,
        ngrams: Sequence[Ngrams],
        C: float = 1.0,
        naive_bayes: bool = False,
        balanced: bool = False,
        name: str = "linear",
        lineage: str = "",
        random_state: int = 0,
    ) -> LinearScorer:
        """Fit one logistic regression per attribute.

        Args:
            texts: training texts.
            labels: per attribute 0, 1 or NaN (unlabelled: left out for that attribute).
            ngrams: blocks of features.
            C: inverse strength of the L2 penalty.
            naive_bayes: scale features by their log ratio between the classes first.
            balanced: weigh the classes equally.
            random_state: of the solver.

        Raises:
            ScorerError: if an attribute has one class only.
        """
        features = featurise(texts, ngrams)
        rows, offsets = [], []
        for attribute, column in labels.items():
            y = np.asarray(column, dtype=np.float64)
            known = np.isfinite(y)
            if set(np.unique(y[known])) != {0.0, 1.0}:
                raise ScorerError(
                    f"Attribute {attribute!r} has labels {sorted(np.unique(y[known]))}: "
                    "both 0 and 1 are needed."
                )
            x, y = features[known], y[known].astype(np.int64)
            ratio = _log_ratio(x, y) if naive_bayes else None
            model = LogisticRegression(
                C=C,
                solver="liblinear",
                class_weight="balanced" if balanced else None,
                random_state=random_state,
                max_iter=300,
            ).fit(x if ratio is None else x.multiply(ratio).tocsr(), y)
            rows.append(model.coef_[0] * (1 if ratio is None else ratio))
            offsets.append(model.intercept_[0])
        return cls(
            weights=np.stack(rows).astype(np.float32),
            bias=np.array(offsets, dtype=np.float32),
            attributes=tuple(labels),
            ngrams=tuple(ngrams),
            name=name,
            lineage=lineage,
        )

    def calibrated(self, texts: Sequence[str], labels: Mapping[str, ArrayLike]) -> LinearScorer:
        """Fit Platt's scale and offset on texts not trained on; attributes not given stay."""
        weights, bias = self.weights.copy(), self.bias.copy()
        logits = self.logits(texts)
        for attribute, column in labels.items():
            row = self.attributes.index(attribute)
            y = np.asarray(column, dtype=np.float64)
            scale, offset = platt(logits[:, row], y, attribute)
            weights[row] *= scale
            bias[row] = bias[row] * scale + offset
        return dataclasses.replace(self, weights=weights, bias=bias)

    def at_false_alarms(self, neutral: Sequence[str], rate: float) -> LinearScorer:
        """Set the threshold where at most ``rate`` of these neutral texts are called toxic."""
        threshold = threshold_at(self.score(neutral)["toxicity"], rate)
        return dataclasses.replace(self, threshold=threshold)

    def logits(self, texts: Sequence[str]) -> Float[np.ndarray, "text attribute"]:
        """The linear scores before the sigmoid."""
        parts = [
            featurise(texts[start : start + _BATCH], self.ngrams) @ self.weights.T
            for start in range(0, len(texts), _BATCH)
        ]
        empty = np.zeros((0, len(self.attributes)), dtype=np.float32)
        return np.concatenate([empty, *parts]).astype(np.float64) + self.bias

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """One float in [0, 1] per text and attribute."""
        probabilities = 1 / (1 + np.exp(-self.logits(texts).clip(-80, 80)))
        return {name: probabilities[:, row] for row, name in enumerate(self.attributes)}

    @property
    def hash(self) -> str:
        """16 hex digits that change whenever a score or a verdict could."""
        meaning = [self.attributes, [dataclasses.astuple(n) for n in self.ngrams], self.threshold]
        digest = hashlib.sha256(json.dumps(meaning).encode())
        digest.update(self.weights.tobytes() + self.bias.tobytes())
        return digest.hexdigest()[:16]

    def save(self, folder: str | Path) -> None:
        """Write ``scorer.safetensors`` and ``scorer.json``."""
        described = {
            "name": self.name,
            "lineage": self.lineage,
            "attributes": list(self.attributes),
            "ngrams": [dataclasses.asdict(block) for block in self.ngrams],
            "threshold": self.threshold,
            "provenance": self.provenance,
        }
        tensors = {"weights": self.weights.astype(np.float16), "bias": self.bias}
        write_folder(Path(folder), FORMAT, self.hash, described, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> LinearScorer:
        """Read what ``save`` wrote.

        Raises:
            CorruptArtefact: if it is missing, a link, damaged, altered or of another format.
        """

        def make(described: Described, tensors: Tensors) -> LinearScorer:
            described["ngrams"] = tuple(Ngrams(**block) for block in described["ngrams"])
            described["attributes"] = tuple(described["attributes"])
            weights = tensors["weights"].astype(np.float32)
            return cls(weights=weights, bias=tensors["bias"], **described)

        return read_folder(Path(folder), FORMAT, make)


def featurise(texts: Sequence[str], ngrams: Sequence[Ngrams]) -> csr_matrix:
    """The blocks side by side, one row per text."""
    blocks = [block.features(texts) for block in ngrams]
    return blocks[0] if len(blocks) == 1 else hstack(blocks, format="csr")


def _log_ratio(x: csr_matrix, y: np.ndarray) -> Float32[np.ndarray, " feature"]:
    """Wang & Manning's r = ln (p / |p|₁) − ln (q / |q|₁) with p, q = 1 + the classes' sums."""
    p, q = (np.asarray(x[y == label].sum(axis=0)).ravel() + 1 for label in (1, 0))
    return (np.log(p / p.sum()) - np.log(q / q.sum())).astype(np.float32)
