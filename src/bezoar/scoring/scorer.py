"""What a scorer is, and the checks without which no score is believed.

A scorer maps texts to attributes in [0, 1]; ``toxicity`` is always among them. A scorer that
fails, returns too few numbers, NaN or a number outside [0, 1] raises: a missing score is never a
zero, because a zero reads as "not toxic".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import polars as pl

from bezoar.errors import BezoarError, CorruptArtefact, ScorerError, did_you_mean, several

ATTRIBUTES = (
    "toxicity",
    "severe_toxicity",
    "identity_attack",
    "insult",
    "profanity",
    "threat",
    "sexually_explicit",
)
"""The seven attributes over which Lee et al. take the maximum, under Perspective's names."""

_ALIASES = {
    "toxic": "toxicity",
    "severe_toxic": "severe_toxicity",
    "identity_hate": "identity_attack",
    "obscene": "profanity",
    "obscenity": "profanity",
    "sexual_explicit": "sexually_explicit",
}


def attribute_name(label: str) -> str | None:
    """The Perspective attribute that a classifier's label stands for, or None if it is none.

    Identity labels ("male", "muslim", …) of the bias-aware Jigsaw models are *mentions*, not
    toxicity: they are none, and so never enter a maximum over attributes.
    """
    name = label.strip().lower().replace("-", "_").replace(" ", "_")
    name = _ALIASES.get(name, name)
    return name if name in ATTRIBUTES else None


@runtime_checkable
class Scorer(Protocol):
    """Anything that scores texts.

    Attributes:
        name: as given to `load_scorer`.
        hash: changes whenever a score could (weights, words, label mapping).
        attributes: the names that `score` returns; "toxicity" is one of them.
        threshold: from here on a text counts as toxic.
        lineage: where it came from; two scorers of one lineage are no second opinion.
    """

    @property
    def name(self) -> str: ...
    @property
    def hash(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    @property
    def threshold(self) -> float: ...
    @property
    def lineage(self) -> str: ...

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """One float in [0, 1] per text and attribute."""
        ...


def scorer_id(scorer: Scorer) -> str:
    """The name and the head of the hash, as printed beside every number."""
    return f"{scorer.name}#{scorer.hash[:8]}"


def score_texts(scorer: Scorer, texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Score texts and check what came back; every score in bezoar comes through here.

    Returns:
        For each attribute of the scorer a float64 array, one entry per text.

    Raises:
        ScorerError: if the scorer raised, or what it returned is no score.
        DataError: if one string is given instead of several.
    """
    texts = several(texts, "texts")
    try:
        scores = scorer.score(texts)
    except BezoarError:
        raise
    except Exception as error:
        raise ScorerError(
            f"Scorer {scorer.name!r} failed on {len(texts)} texts: {error!r}.",
            hint="Nothing was counted as zero; repair the scorer and run again.",
        ) from error
    return _checked(scorer, scores, len(texts))


def _checked(scorer: Scorer, scores: Any, n_texts: int) -> dict[str, np.ndarray]:
    """``scores`` is what somebody's code returned: nothing about it is taken for granted."""
    checked = {}
    for attribute in scorer.attributes:
        try:
            values = np.asarray(scores[attribute], dtype=np.float64)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ScorerError(
                f"Scorer {scorer.name!r} returned no numbers for {attribute!r}: {error!r}."
            ) from error
        if values.shape != (n_texts,):
            raise ScorerError(
                f"Scorer {scorer.name!r} returned {attribute!r} of shape {values.shape}"
                f" for {n_texts} texts.",
                hint="It must return one number per text, in order.",
            )
        # Written so that NaN, which compares false with everything, counts as bad.
        bad = np.flatnonzero(~((values >= -1e-6) & (values <= 1 + 1e-6)))
        if bad.size:
            raise ScorerError(
                f"Scorer {scorer.name!r} returned {values[bad[0]]} as {attribute!r} of text"
                f" {bad[0]} ({bad.size} such scores).",
                hint="Scores must lie in [0, 1]; a failure is never read as a zero.",
            )
        checked[attribute] = values.clip(0.0, 1.0)
    return checked


class CachedScorer:
    """Scores every distinct text once, keyed by the hash of its exact characters.

    Args:
        scorer: the scorer to ask for texts not seen before.
        folder: where to keep the scores; None keeps them in memory only. Each call that scored
            something new adds one parquet file, so an interrupted run keeps what it paid for.
    """

    def __init__(self, scorer: Scorer, folder: str | Path | None = None) -> None:
        self.scorer = scorer
        self.name = scorer.name
        self.hash = scorer.hash
        self.attributes = scorer.attributes
        self.threshold = scorer.threshold
        self.lineage = scorer.lineage
        self.folder = None if folder is None else Path(folder) / _folder_name(scorer)
        self._rows: dict[str, np.ndarray] = {}
        self._read()

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """See `Scorer.score`."""
        texts = several(texts, "texts")
        keys = [_exact_key(text) for text in texts]
        missing = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self._rows
        }
        if missing:
            scores = score_texts(self.scorer, list(missing.values()))
            rows = np.stack([scores[name] for name in self.attributes], axis=1)
            self._rows.update(zip(missing, rows, strict=True))
            self._write(list(missing), rows)
        table = np.array([self._rows[key] for key in keys]).reshape(len(keys), len(self.attributes))
        return {name: table[:, column] for column, name in enumerate(self.attributes)}

    def _read(self) -> None:
        if self.folder is None or not self.folder.is_dir():
            return
        for part in sorted(self.folder.glob("*.parquet")):
            try:
                frame = pl.read_parquet(part)
                rows = frame.select(self.attributes).to_numpy()
                self._rows.update(zip(frame["key"].to_list(), rows, strict=True))
            except (pl.exceptions.PolarsError, OSError) as error:
                raise CorruptArtefact(
                    f"The cached scores {part} cannot be read: {error}.",
                    hint="Delete that file; its texts are scored again.",
                ) from error

    def _write(self, keys: list[str], rows: np.ndarray) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = {name: rows[:, column] for column, name in enumerate(self.attributes)}
        part = self.folder / f"{keys[0]}-{len(keys)}.parquet"
        temporary = part.with_suffix(".tmp")
        pl.DataFrame({"key": keys, **columns}).write_parquet(temporary)
        temporary.replace(part)


def _exact_key(text: str) -> str:
    """Unlike `bezoar.stats.splits.text_key` this does not fold case: scorers see it."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _folder_name(scorer: Scorer) -> str:
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in scorer.name)
    return f"{safe}-{scorer.hash[:16]}"


def unknown_scorer(spec: str, names: Sequence[str]) -> ScorerError:
    """The error for a spec that names no scorer."""
    return ScorerError(
        f"There is no scorer {spec!r}.",
        hint=f"{did_you_mean(spec, names)} Or give hf:MODEL, file:SCORES or a scorer's folder.",
    )
