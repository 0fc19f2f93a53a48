"""Word vectors, one convolution, the maximum over the text: a small neural scorer in numpy.

A token's vector is that of its word plus the mean of those of its letter n-grams (Bojanowski et
al. 2017), so that misspelt and unseen words have one too; then (Kim 2014)

    h = max over positions of ReLU(K₋₁ e(t−1) + K₀ e(t) + K₁ e(t+1) + c),   score = σ(O h + b).

Since a convolution of a sum of table rows is a sum of products with the tables, each distinct token
of a batch is multiplied once and positions only add three rows: thousands of texts a second on one
core, without padding. Platt's scale and offset are folded into O and b. Both tables are kept as
8-bit numbers with one scale a row.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int8
from numpy.typing import ArrayLike

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

FORMAT = "bezoar-convolution-scorer-1"
WIDTH = 3  # tokens that a filter sees
_TOKEN = re.compile(r"\w+|[^\w\s]")
_BATCH = 4096  # texts read at once
_POSITIONS = 16_384  # convolved at once
_LETTERS = 24  # of a token that make n-grams; the vocabulary has no longer words
_MAX_SIDE = {"vectors": 1 << 20, "width": 1024, "filters": 4096}


def tokens(text: str) -> list[str]:
    """Lower-case words, and every other sign by itself."""
    return _TOKEN.findall(text.lower())


def letter_grams(word: str, low: int, high: int, buckets: int) -> list[int]:
    """Buckets of the n-grams of ``<word>``: CRC-32 of their UTF-8 bytes modulo ``buckets``."""
    framed = f"<{word[:_LETTERS]}>"
    return [
        zlib.crc32(framed[i : i + n].encode("utf-8", "surrogatepass")) % buckets
        for n in range(low, high + 1)
        for i in range(len(framed) - n + 1)
    ]


@dataclass(frozen=True, eq=False)
class Table:
    """Vectors as 8-bit numbers: row i is ``scale[i] · numbers[i]``."""

    numbers: Int8[np.ndarray, "row width"]
    scale: Float32[np.ndarray, " row"]

    @classmethod
    def of(cls, vectors: Float[np.ndarray, "row width"]) -> Table:
        """The nearest such table: an error of at most half a scale each number."""
        scale = np.abs(vectors).max(axis=1) / 127
        safe = np.where(scale > 0, scale, 1)[:, None]
        numbers = np.rint(vectors / safe).astype(np.int8)
        return cls(numbers, scale.astype(np.float32))

    def rows(self, index: np.ndarray) -> Float32[np.ndarray, "picked width"]:
        """Some rows, in full."""
        return self.numbers[index].astype(np.float32) * self.scale[index, None]


@dataclass(frozen=True, eq=False)
class ConvolutionScorer:
    """A scorer as ``bezoar.scoring`` knows them; see the module for its formula.

    Attributes:
        vocabulary: the words that have a vector of their own.
        words: their vectors.
        grams: vectors of the buckets of letter n-grams.
        kernel: K₋₁, K₀, K₁ one below the other.
        kernel_bias: c.
        output: O, one row per attribute.
        bias: b.
        attributes: names of the rows; ``toxicity`` is among them.
        lengths: of the shortest and the longest n-gram.
        threshold: toxicity from which a text counts as toxic.
        name: short name.
        lineage: data and features in a few words; two scorers of one lineage are no second opinion.
        provenance: how it was made, as plain data.
    """

    vocabulary: tuple[str, ...]
    words: Table
    grams: Table
    # Leading underscores: that the sizes fit is checked below, where it is an error with a name.
    kernel: Float32[np.ndarray, "_three_widths _filter"]
    kernel_bias: Float32[np.ndarray, " _filter"]
    output: Float32[np.ndarray, "_attribute _filter"]
    bias: Float32[np.ndarray, " _attribute"]
    attributes: tuple[str, ...]
    lengths: tuple[int, int] = (3, 5)
    threshold: float = 0.5
    name: str = "convolution"
    lineage: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        (n_words, width), (n_grams, _) = self.words.numbers.shape, self.grams.numbers.shape
        filters = self.kernel.shape[1]
        largest = {"vectors": max(n_words, n_grams), "width": width, "filters": filters}
        for what, size in largest.items():
            if not 0 < size <= _MAX_SIDE[what]:
                raise ScorerError(f"A scorer with {size:,} {what} cannot be used.")
        fits = (
            all(tensor.dtype == kind for tensor, kind in self._kinds())
            and n_words
            == len(self.vocabulary)
            == len(set(self.vocabulary))
            == len(self.words.scale)
            and self.grams.numbers.shape == (len(self.grams.scale), width)
            and self.kernel.shape == (WIDTH * width, filters)
            and self.kernel_bias.shape == (filters,)
            and self.output.shape == (len(self.attributes), filters)
            and self.bias.shape == (len(self.attributes),)
        )
        if not fits:
            raise ScorerError(
                f"The scorer's tensors do not fit {len(self.vocabulary)} different words, "
                f"vectors of {width} numbers, {filters} filters and {len(self.attributes)} "
                "attributes."
            )
        if not 1 <= self.lengths[0] <= self.lengths[1] <= 8:
            raise ScorerError(f"Letter n-grams of the lengths {self.lengths} cannot be used.")
        check_verdicts(self.attributes, self.threshold)
        numbers = {name: getattr(self, name) for name in ("kernel", "kernel_bias", "output")}
        numbers |= {"bias": self.bias, "words": self.words.scale, "grams": self.grams.scale}
        for name, array in numbers.items():
            if not np.isfinite(array).all():
                raise ScorerError(f"The scorer has numbers in {name!r} that are not finite.")
            array.setflags(write=False)
        rows = {word: row for row, word in enumerate(self.vocabulary)}
        object.__setattr__(self, "_rows", rows)

    def logits(self, texts: Sequence[str]) -> Float[np.ndarray, "text attribute"]:
        """The scores before the sigmoid."""
        parts = [
            self._pooled(texts[start : start + _BATCH]) @ self.output.T.astype(np.float64)
            for start in range(0, len(texts), _BATCH)
        ]
        return np.concatenate([np.zeros((0, len(self.attributes))), *parts]) + self.bias

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """One float in [0, 1] per text and attribute, whatever other texts it is scored with.

        A matrix product rounds by the place of a row among the others. It is taken in float64 and
        the score rounded to float32, so that this does not show.
        """
        probabilities = 1 / (1 + np.exp(-self.logits(texts).clip(-80, 80)))
        rounded = probabilities.astype(np.float32).astype(np.float64)
        return {name: rounded[:, row] for row, name in enumerate(self.attributes)}

    def _pooled(self, texts: Sequence[str]) -> Float64[np.ndarray, "text filter"]:
        """h of each text; zeros for a text without tokens."""
        index: dict[str, int] = {}
        read = [[index.setdefault(t, len(index) + 1) for t in tokens(text)] for text in texts]
        lengths = np.array([len(ids) for ids in read])
        # One stream of all tokens with the token 0, whose vector is zero, around every text.
        stream = np.zeros(int(lengths.sum()) + len(texts) + 1, dtype=np.int64)
        owner = np.repeat(np.arange(len(texts)), lengths)
        at = np.arange(len(owner)) + owner + 1
        stream[at] = np.fromiter((i for ids in read for i in ids), np.int64, len(owner))
        nothing = np.zeros((1, self.words.numbers.shape[1]), dtype=np.float32)
        vectors = np.concatenate([nothing, self.vectors(list(index))]).astype(np.float64)
        kernel = self.kernel.astype(np.float64)
        before, here, after = (vectors @ part for part in np.split(kernel, WIDTH))
        pooled = np.zeros((len(texts), kernel.shape[1]))
        for first in range(0, len(at), _POSITIONS):
            block, of = at[first : first + _POSITIONS], owner[first : first + _POSITIONS]
            seen = before[stream[block - 1]]
            seen += here[stream[block]]
            seen += after[stream[block + 1]]
            starts = np.flatnonzero(np.diff(of, prepend=-1))
            best = np.maximum.reduceat(seen, starts, axis=0) + self.kernel_bias
            # Starting from zero is the ReLU; a text may go on in the next block.
            pooled[of[starts]] = np.maximum(pooled[of[starts]], best)
        return pooled

    def vectors(self, words: Sequence[str]) -> Float32[np.ndarray, "word width"]:
        """The vectors e of some tokens."""
        low, high = self.lengths
        buckets = len(self.grams.scale)
        grams = [letter_grams(word, low, high, buckets) for word in words]
        counts = np.array([len(found) for found in grams])
        out = np.zeros((len(words), self.words.numbers.shape[1]), dtype=np.float32)
        flat = np.fromiter((g for found in grams for g in found), np.int64, int(counts.sum()))
        full = counts > 0
        if full.any():
            starts = np.cumsum(counts)[full] - counts[full]
            sums = np.add.reduceat(self.grams.rows(flat), starts, axis=0)
            out[full] = sums / counts[full, None].astype(np.float32)
        known = np.array([self._rows.get(word, -1) for word in words], dtype=np.int64)
        out[known >= 0] += self.words.rows(known[known >= 0])
        return out

    def calibrated(
        self, texts: Sequence[str], labels: Mapping[str, ArrayLike]
    ) -> ConvolutionScorer:
        """Fit Platt's scale and offset on texts not trained on; attributes not given stay."""
        output, bias = self.output.copy(), self.bias.copy()
        logits = self.logits(texts)
        for attribute, column in labels.items():
            row = self.attributes.index(attribute)
            y = np.asarray(column, dtype=np.float64)
            scale, offset = platt(logits[:, row], y, attribute)
            output[row] *= scale
            bias[row] = bias[row] * scale + offset
        return dataclasses.replace(self, output=output, bias=bias)

    def at_false_alarms(self, neutral: Sequence[str], rate: float) -> ConvolutionScorer:
        """Set the threshold where at most ``rate`` of these neutral texts are called toxic."""
        threshold = threshold_at(self.score(neutral)["toxicity"], rate)
        return dataclasses.replace(self, threshold=threshold)

    @property
    def hash(self) -> str:
        """16 hex digits that change whenever a score or a verdict could."""
        meaning = [self.attributes, self.lengths, self.threshold, self.vocabulary]
        digest = hashlib.sha256(json.dumps(meaning).encode())
        for _, tensor in sorted(self._tensors().items()):
            digest.update(repr(tensor.shape).encode() + tensor.tobytes())
        return digest.hexdigest()[:16]

    def _kinds(self) -> list[tuple[np.ndarray, type[np.generic]]]:
        tables = {"words", "grams"}
        return [(t, np.int8 if n in tables else np.float32) for n, t in self._tensors().items()]

    def _tensors(self) -> dict[str, np.ndarray]:
        return {
            "words": self.words.numbers,
            "words_scale": self.words.scale,
            "grams": self.grams.numbers,
            "grams_scale": self.grams.scale,
            "kernel": self.kernel,
            "kernel_bias": self.kernel_bias,
            "output": self.output,
            "bias": self.bias,
        }

    def save(self, folder: str | Path) -> None:
        """Write ``scorer.safetensors`` and ``scorer.json``."""
        described = {
            "name": self.name,
            "lineage": self.lineage,
            "attributes": list(self.attributes),
            "lengths": list(self.lengths),
            "threshold": self.threshold,
            "provenance": self.provenance,
        }
        listed = np.frombuffer("\n".join(self.vocabulary).encode(), dtype=np.uint8)
        tensors = self._tensors() | {"vocabulary": listed}
        write_folder(Path(folder), FORMAT, self.hash, described, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> ConvolutionScorer:
        """Read what ``save`` wrote.

        Raises:
            CorruptArtefact: if it is missing, a link, damaged, altered or of another format.
        """

        def make(described: Described, tensors: Tensors) -> ConvolutionScorer:
            for name in ("attributes", "lengths"):
                described[name] = tuple(described[name])
            return cls(
                vocabulary=tuple(tensors["vocabulary"].tobytes().decode().split("\n")),
                words=Table(tensors["words"], tensors["words_scale"]),
                grams=Table(tensors["grams"], tensors["grams_scale"]),
                kernel=tensors["kernel"],
                kernel_bias=tensors["kernel_bias"],
                output=tensors["output"],
                bias=tensors["bias"],
                **described,
            )

        return read_folder(Path(folder), FORMAT, make)
