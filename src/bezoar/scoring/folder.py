"""How scorers of our own are kept: `scorer.safetensors`, and `scorer.json` beside it.

Every kind of scorer has a format of its own, named in the JSON, and a hash over everything that a
score or a verdict depends on. Nothing else is read, links are not followed, nothing is executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as format_safetensors
from sklearn.linear_model import LogisticRegression

from bezoar.errors import CorruptArtefact, ScorerError
from bezoar.runs.plain import MAX_JSON, plain_file
from bezoar.runs.results import atomic_write, save_json

_MAX_NUMBERS = 2**30
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError)

Described = dict[str, Any]
Tensors = Mapping[str, np.ndarray]


@runtime_checkable
class Hashed(Protocol):
    """What has a hash."""

    @property
    def hash(self) -> str: ...


S = TypeVar("S", bound=Hashed)


def format_of(folder: Path) -> str:
    """The format that a scorer's folder says it has; "" if it says none that can be read."""
    try:
        about = plain_file(folder / "scorer.json", limit=MAX_JSON)
        return str(json.loads(about.read_bytes())["format"])
    except (CorruptArtefact, *_UNREADABLE):
        return ""


def write_folder(
    folder: Path, format: str, digest: str, about: Described, tensors: Tensors
) -> None:
    """Write numbers and description, each at once."""
    atomic_write(folder / "scorer.safetensors", format_safetensors(dict(tensors)))
    save_json(folder / "scorer.json", {"format": format, "hash": digest} | about)


def read_folder(folder: Path, format: str, make: Callable[[Described, Tensors], S]) -> S:
    """Read what `write_folder` wrote.

    Args:
        folder: of the scorer.
        format: that it must have.
        make: from the description (without format and hash) and the tensors to the scorer.

    Raises:
        CorruptArtefact: if it is missing, a link, damaged, altered or of another format.
    """
    try:
        about = plain_file(folder / "scorer.json", limit=MAX_JSON)
        numbers = plain_file(folder / "scorer.safetensors", limit=_MAX_NUMBERS)
        described = json.loads(about.read_bytes())
        tensors = parse_safetensors(numbers.read_bytes())
        if described.pop("format") != format:
            raise CorruptArtefact(f"{folder} is not of the format {format}.")
        digest = described.pop("hash")
        scorer = make(described, tensors)
    except _UNREADABLE as error:
        raise CorruptArtefact(
            f"{folder} holds no scorer that can be read: {error}.", hint="Fetch it again."
        ) from error
    except (SafetensorError, ScorerError) as error:
        raise CorruptArtefact(f"{folder} holds a damaged scorer: {error}") from error
    if scorer.hash != digest:
        raise CorruptArtefact(
            f"The scorer in {folder} was altered: it hashes to {scorer.hash}, "
            f"scorer.json says {digest}.",
            hint="Fetch it again.",
        )
    return scorer


def check_verdicts(attributes: tuple[str, ...], threshold: float) -> None:
    """Refuse what no scorer may have.

    Raises:
        ScorerError: if ``toxicity`` is missing or the threshold is no probability.
    """
    if "toxicity" not in attributes:
        raise ScorerError(f"A scorer needs the attribute 'toxicity', has {attributes}.")
    if not 0 < threshold < 1:
        raise ScorerError(f"The threshold {threshold} does not lie between 0 and 1.")


def platt(logits: np.ndarray, labels: np.ndarray, attribute: str) -> tuple[float, float]:
    """Platt's scale and offset, fitted where the label (0, 1 or NaN) is known.

    Raises:
        ScorerError: if the scores fall where the label is 1.
    """
    known = np.isfinite(labels)
    fitted = LogisticRegression(C=1e6).fit(logits[known, None], labels[known])
    scale = float(fitted.coef_[0, 0])
    if scale <= 0:
        raise ScorerError(f"Scores of {attribute!r} fall where the label is 1.")
    return scale, float(fitted.intercept_[0])


def threshold_at(neutral_scores: np.ndarray, rate: float) -> float:
    """The smallest threshold that at most a share ``rate`` of these scores reaches."""
    scores = np.sort(neutral_scores)
    # The smallest score above all but a share `rate` of the texts; it must itself stay below.
    allowed = int(rate * len(scores))
    return float(np.nextafter(scores[len(scores) - allowed - 1], 1.0))
