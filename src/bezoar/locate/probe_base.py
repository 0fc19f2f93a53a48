"""Linear probes on activations: what all kinds share.

The feature is the raw residual stream (not the normed one), pooled as the probe says; the weights
live in that same raw space, whatever standardisation happened while fitting, so that `direction`
can be subtracted from it (Lee et al. 2024, section 3.1: ``P(toxic | x̄) = softmax(W_toxic x̄)``).
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from bezoar.errors import ConfigError, DataError
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.locate.direction import Direction
from bezoar.locate.logistic import platt
from bezoar.models import Site
from bezoar.stats.splits import grouped_folds

Folds = list[tuple[np.ndarray, np.ndarray]]
"""Training rows and held-out rows of each fold; empty if there are too few rows to fold."""


class Trained(NamedTuple):
    """Weights [d], intercept, and the decision [n] of each row by a fit without its fold."""

    w: np.ndarray
    b: float
    held_out: np.ndarray


@dataclass(frozen=True, slots=True)
class _About:
    kind: str
    params: dict[str, float | int | bool | str | tuple[float, ...] | None]
    classes: tuple[int | float | str, ...]
    threshold: float
    balanced_threshold: float
    data_hash: str
    l2: float | None


class TrainingDataError(DataError, ValueError):
    """Rows or labels that no probe can be fitted to (a ValueError too, as scikit-learn asks)."""


class Probe(ClassifierMixin, BaseEstimator):
    """What the three probes share: held-out decisions, calibration, threshold, direction.

    Attributes after ``fit``:
        classes_: the two labels, the second being the behaviour.
        coef_, intercept_: [1 d] and [1]; their decision is a *calibrated* log-odds.
        raw_coef_: [d] the weights before calibration: `direction` is made of these.
        held_out_: [n] calibrated decisions of the training rows, each by folds it was not in.
        threshold_: decision above which at most ``max_fpr`` of held-out negatives lie.
        balanced_threshold_: decision with the best balanced accuracy on held-out rows.
        data_hash_: of the rows and labels.
    """

    kind: ClassVar[str]
    fit_intercept: bool
    calibrate: bool
    folds: int
    max_fpr: float
    random_state: int
    site: str | None
    pooling: str

    @abstractmethod
    def _train(self, X: np.ndarray, y: np.ndarray, folds: Folds) -> Trained:
        """Fit to all rows, and to all but each fold for the held-out decisions."""

    @abstractmethod
    def relabelled(self, X: np.ndarray, y: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Raw weights [draws d], each up to a positive factor, of this fit to other labels.

        Args:
            X, y: the rows [n d] and 0/1 labels that the probe was fitted to.
            labels: [draws n] of the same rows; penalty or shrinkage stay as they were chosen.
        """

    def fit(self, X: ArrayLike, y: ArrayLike, groups: Sequence[Hashable] | None = None) -> Probe:
        """Fit to features [n d] and two-valued labels.

        Args:
            X: one row a text.
            y: labels; the larger of the two values is the behaviour.
            groups: rows of one group fall in one fold.

        Raises:
            TrainingDataError: if the rows are not finite, or the labels not of two kinds.
        """
        X, labels = self._checked(X, y)
        folds = make_folds(labels, groups, self.folds, self.random_state)
        w, b, held_out = self._train(X, labels, folds)
        slope, shift = 1.0, 0.0
        if self.calibrate and folds:
            slope, shift = platt(held_out, labels, intercept=self.fit_intercept)
        self.raw_coef_ = w
        self.coef_ = slope * w[None]
        self.intercept_ = np.array([slope * b + shift])
        self.held_out_ = slope * held_out + shift
        self.threshold_ = _threshold_at(self.held_out_, labels, self.max_fpr)
        self.balanced_threshold_ = balanced_threshold(self.held_out_, labels)
        return self

    def decision_function(self, X: ArrayLike) -> Float64[np.ndarray, " n"]:
        """Calibrated log-odds of the behaviour, one a row."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=(np.float64, np.float32))
        return X @ self.coef_[0] + self.intercept_[0]

    def predict_proba(self, X: ArrayLike) -> Float64[np.ndarray, "n 2"]:
        """Calibrated probabilities of ``classes_``."""
        positive = expit(self.decision_function(X))
        return np.stack([1 - positive, positive], axis=1)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """The likelier class of each row."""
        positive = self.decision_function(X) > 0
        return self.classes_[positive.astype(int)]

    def flag(self, X: ArrayLike) -> Bool[np.ndarray, " n"]:
        """Rows above ``threshold_``: the detector whose false positive rate was chosen."""
        return self.decision_function(X) > self.threshold_

    def direction(
        self,
        site: Site | str | None = None,
        *,
        pooling: str | None = None,
        trained_on: str | None = None,
        name: str | None = None,
    ) -> Direction:
        """The probe's weights in raw feature space, pointing to the behaviour (``w_tox``).

        Args:
            site: where the features were read; the probe's own if None.
            pooling: how; the probe's own if None.
            trained_on: hash of the labelled texts; of the feature rows if None.
            name: for tables.

        Raises:
            ConfigError: if neither the probe nor the caller names the site.
        """
        check_is_fitted(self)
        place = site if site is not None else self.site
        if place is None:
            raise ConfigError(
                "A direction needs the site its features were read at.",
                hint="Pass direction(site='4.resid_post'), or make the probe with site=.",
            )
        place = Site.parse(place) if isinstance(place, str) else place
        return Direction.of(
            torch.from_numpy(self.raw_coef_).float(),
            place,
            pooling=pooling or self.pooling,
            trained_on=trained_on or self.data_hash_,
            name=name or f"{self.kind} {place}",
        )

    def save(self, folder: str | Path) -> None:
        """Write ``probe.safetensors`` and ``probe.json`` into a folder."""
        check_is_fitted(self)
        about = _About(
            self.kind,
            {k: tuple(v) if isinstance(v, list) else v for k, v in self.get_params().items()},
            tuple(self.classes_.tolist()),
            self.threshold_,
            self.balanced_threshold_,
            self.data_hash_,
            getattr(self, "l2_", None),
        )
        arrays = {"coef": self.coef_, "intercept": self.intercept_, "raw_coef": self.raw_coef_}
        save_artefact(folder, "probe", about, {k: torch.from_numpy(v) for k, v in arrays.items()})

    @staticmethod
    def load(folder: str | Path, kinds: Mapping[str, type[Probe]]) -> Probe:
        """Read a saved probe of one of ``kinds`` back (`load_probe` knows the kinds).

        Raises:
            CorruptArtefact: if it is damaged, altered, or of no known kind.
        """
        about, tensors = load_artefact(folder, "probe", _About)
        if about.kind not in kinds or len(about.classes) != 2:
            raise corrupt(folder, "probe", f"kind {about.kind!r}, classes {about.classes}")
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        d = shapes.get("raw_coef", (0,))[0]
        if shapes != {"coef": (1, d), "intercept": (1,), "raw_coef": (d,)}:
            raise corrupt(folder, "probe", f"its tensors have shapes {shapes}")
        try:
            probe = kinds[about.kind](**about.params)  # type: ignore[arg-type]
        except TypeError as error:
            raise corrupt(folder, "probe", str(error)) from error
        probe.coef_, probe.intercept_, probe.raw_coef_ = (
            tensors[name].double().numpy() for name in ("coef", "intercept", "raw_coef")
        )
        probe.classes_, probe.n_features_in_ = np.array(about.classes), d
        probe.threshold_, probe.data_hash_ = about.threshold, about.data_hash
        probe.balanced_threshold_ = about.balanced_threshold
        if about.l2 is not None:
            probe.l2_ = about.l2
        return probe

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags

    def _checked(self, X: ArrayLike, y: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Finite features, and labels as 0 and 1."""
        try:
            rows, labels = validate_data(self, X, y, dtype=(np.float64, np.float32))
            kind = type_of_target(labels, input_name="y", raise_unknown=True)
        except ValueError as error:
            raise TrainingDataError(str(error)) from error
        if kind != "binary":
            raise TrainingDataError(
                f"Only binary classification is supported. The type of the target is {kind}.",
                hint="Give one of two labels a row.",
            )
        self.classes_, codes = np.unique(labels, return_inverse=True)
        if len(self.classes_) < 2:
            raise TrainingDataError(
                f"Classifier can't train when only one class is present: {self.classes_[0]!r}.",
                hint="Give rows of both classes.",
            )
        digest = hashlib.sha256(np.ascontiguousarray(rows).tobytes() + codes.tobytes())
        self.data_hash_ = digest.hexdigest()[:16]
        return rows, codes


def make_folds(
    labels: np.ndarray, groups: Sequence[Hashable] | None, n_folds: int, seed: int
) -> Folds:
    """Folds with both classes to train on; none if the rows are too few for two."""
    names = range(len(labels)) if groups is None else groups
    n_folds = min(n_folds, int(np.bincount(labels).min()), len(set(names)))
    if n_folds < 2:
        return []
    fold = grouped_folds(names, n_folds, labels, seed=seed)
    parts = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(n_folds)]
    return parts if all(len(np.unique(labels[train])) == 2 for train, _ in parts) else []


def _threshold_at(decisions: np.ndarray, labels: np.ndarray, max_fpr: float) -> float:
    """The least decision with at most a share ``max_fpr`` of the negatives strictly above it."""
    negatives = np.sort(decisions[labels == 0])[::-1]
    return float(negatives[min(int(max_fpr * len(negatives) + 1e-9), len(negatives) - 1)])


def balanced_threshold(decisions: np.ndarray, labels: np.ndarray) -> float:
    """The cut between two decisions that maximises TPR + TNR (Youden 1950)."""
    order = np.argsort(-decisions, kind="stable")
    y, x = labels[order], decisions[order]
    gain = np.cumsum(y) / max(y.sum(), 1) - np.cumsum(1 - y) / max((1 - y).sum(), 1)
    gain[:-1][x[:-1] == x[1:]] = -np.inf  # tied decisions enter together
    best = int(gain.argmax())
    return float((x[best] + x[min(best + 1, len(x) - 1)]) / 2)
