"""The three probes: logistic regression, difference of means, linear discriminant analysis."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from bezoar.errors import ConfigError
from bezoar.locate.discriminant import ShrunkCovariance, class_means, mean_differences
from bezoar.locate.logistic import PrincipalRows, fit_logistic
from bezoar.locate.probe_base import Folds, Probe, Trained

L2_GRID = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Penalties λ on standardised features that cross-validation chooses from."""

_PATH_TOLERANCE = 1e-4  # enough to rank penalties; the final fit is tighter


class LinearProbe(Probe):
    """L2-regularised logistic regression, its penalty chosen by grouped cross-validation.

    Args:
        l2: penalty λ (scikit-learn's ``C`` is ``1 / (n λ)``); None chooses from ``l2_grid`` by
            held-out log-loss.
        l2_grid: the path.
        standardise: fit on features of unit variance. Mean and deviation are those of all training
            rows, folds included: they know no label.
        fit_intercept: "bias on"; off also skips centring, so that the decision is ``w·x`` exactly.
        calibrate: Platt scaling on held-out decisions (without a shift if the bias is off).
        folds: of the cross-validation.
        max_fpr: false positive rate at which ``threshold_`` is set.
        random_state: of the folds.
        site, pooling: what the rows are; carried into `direction` and to disk.
    """

    def __init__(
        self,
        *,
        l2: float | None = None,
        l2_grid: Sequence[float] = L2_GRID,
        standardise: bool = True,
        fit_intercept: bool = True,
        calibrate: bool = True,
        folds: int = 3,
        max_fpr: float = 0.01,
        random_state: int = 0,
        site: str | None = None,
        pooling: str = "mean",
    ) -> None:
        self.l2 = l2
        self.l2_grid = l2_grid
        self.standardise = standardise
        self.fit_intercept = fit_intercept
        self.calibrate = calibrate
        self.folds = folds
        self.max_fpr = max_fpr
        self.random_state = random_state
        self.site = site
        self.pooling = pooling

    kind: ClassVar[str] = "probe"

    def _train(self, X: np.ndarray, y: np.ndarray, folds: Folds) -> Trained:
        principal = self.principal(X)
        self.l2_, held_out = self._choose(principal, y, folds)
        w, b = fit_logistic(
            principal.rows,
            y[:, None],
            np.array([self.l2_]),
            principal.curvature,
            principal.axes,
            intercept=self.fit_intercept,
        )
        coef, intercept = principal.to_raw(w, b)
        if held_out is None:
            held_out = (principal.rows @ w + b)[:, 0]
        return Trained(coef[0], float(intercept[0]), held_out)

    def principal(self, X: np.ndarray) -> PrincipalRows:
        """The rows as this probe fits them; further labels of the same rows can share them."""
        return PrincipalRows.of(X, standardise=self.standardise, centre=self.fit_intercept)

    def relabelled(self, X: np.ndarray, y: np.ndarray, labels: np.ndarray) -> np.ndarray:
        principal = self.principal(X)
        w, b = fit_logistic(
            principal.rows,
            labels.T,
            np.full(len(labels), self.l2_),
            principal.curvature,
            principal.axes,
            intercept=self.fit_intercept,
            tolerance=_PATH_TOLERANCE,  # a null need not be converged to the last digit
        )
        return principal.to_raw(w, b)[0]

    def _choose(
        self, principal: PrincipalRows, y: np.ndarray, folds: Folds
    ) -> tuple[float, np.ndarray | None]:
        """The penalty with the least held-out log-loss, and its held-out decisions."""
        grid = np.array(self.l2_grid if self.l2 is None else (self.l2,), dtype=np.float64)
        if grid.size == 0 or (grid <= 0).any():
            raise ConfigError(f"Penalties {grid.tolist()} are not positive.", hint="Try 0.01.")
        if not folds:
            return float(grid[len(grid) // 2]), None
        decisions = np.empty((len(y), len(grid)))
        for train, test in folds:
            w, b = fit_logistic(
                principal.rows,
                y[train, None],
                grid,
                principal.curvature,
                principal.axes,
                part=train,
                intercept=self.fit_intercept,
                tolerance=_PATH_TOLERANCE,
            )
            decisions[test] = principal.rows[test] @ w + b
        loss = (np.logaddexp(0, decisions) - y[:, None] * decisions).mean(axis=0)
        best = int(loss.argmin())
        self.l2_path_ = tuple(zip(grid.tolist(), loss.tolist(), strict=True))
        return float(grid[best]), decisions[:, best]


class _ClosedFormProbe(Probe):
    """A probe whose weights are a formula: fitted anew in each fold for the held-out decisions."""

    @abstractmethod
    def _weights(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights [d] and intercept."""

    def _train(self, X: np.ndarray, y: np.ndarray, folds: Folds) -> Trained:
        w, b = self._fitted(X, y)
        held_out = X @ w + b
        for train, test in folds:
            fold_w, fold_b = self._fitted(X[train], y[train])
            held_out[test] = X[test] @ fold_w + fold_b
        return Trained(w, b, held_out)

    def _fitted(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        w, b = self._weights(X.astype(np.float64), y)
        return w, b if self.fit_intercept else 0.0


class MeanDifferenceProbe(_ClosedFormProbe):
    """``w = μ₁ − μ₀``, the boundary half-way. Its direction's norm is the distance of the means.

    Args:
        fit_intercept, calibrate, folds, max_fpr, random_state, site, pooling: as `LinearProbe`.
    """

    kind: ClassVar[str] = "mean difference"

    def __init__(
        self,
        *,
        fit_intercept: bool = True,
        calibrate: bool = True,
        folds: int = 3,
        max_fpr: float = 0.01,
        random_state: int = 0,
        site: str | None = None,
        pooling: str = "mean",
    ) -> None:
        self.fit_intercept = fit_intercept
        self.calibrate = calibrate
        self.folds = folds
        self.max_fpr = max_fpr
        self.random_state = random_state
        self.site = site
        self.pooling = pooling

    def _weights(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        negative, positive = X[y == 0].mean(axis=0), X[y == 1].mean(axis=0)
        w = positive - negative
        return w, -float(w @ (positive + negative)) / 2

    def relabelled(self, X: np.ndarray, y: np.ndarray, labels: np.ndarray) -> np.ndarray:
        return mean_differences(X.astype(np.float64), labels)


class LDAProbe(_ClosedFormProbe):
    """``w = Σ⁻¹(μ₁ − μ₀)`` with a shrunken within-class covariance (see `ShrunkCovariance`).

    Args:
        shrinkage: "auto" (Ledoit & Wolf 2004) or a share in [0, 1].
        fit_intercept, calibrate, folds, max_fpr, random_state, site, pooling: as `LinearProbe`.
    """

    kind: ClassVar[str] = "LDA"

    def __init__(
        self,
        *,
        shrinkage: float | Literal["auto"] = "auto",
        fit_intercept: bool = True,
        calibrate: bool = True,
        folds: int = 3,
        max_fpr: float = 0.01,
        random_state: int = 0,
        site: str | None = None,
        pooling: str = "mean",
    ) -> None:
        self.shrinkage = shrinkage
        self.fit_intercept = fit_intercept
        self.calibrate = calibrate
        self.folds = folds
        self.max_fpr = max_fpr
        self.random_state = random_state
        self.site = site
        self.pooling = pooling

    def _weights(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
        means = class_means(X, y[None].astype(np.float64))[0]
        w = self._covariance(X, y).solve((means[1] - means[0])[None])[0]
        return w, float(np.log(y.mean() / (1 - y.mean())) - w @ means.sum(axis=0) / 2)

    def relabelled(self, X: np.ndarray, y: np.ndarray, labels: np.ndarray) -> np.ndarray:
        rows = X.astype(np.float64)
        return self._covariance(rows, y).of_total(rows).solve(mean_differences(rows, labels))

    def _covariance(self, X: np.ndarray, y: np.ndarray) -> ShrunkCovariance:
        if self.shrinkage != "auto" and not 0 <= self.shrinkage <= 1:
            raise ConfigError(
                f"shrinkage={self.shrinkage!r} is no share.", hint="Give 'auto', or 0 to 1."
            )
        return ShrunkCovariance.within(
            X, y, None if self.shrinkage == "auto" else float(self.shrinkage)
        )


KINDS: dict[str, type[Probe]] = {
    probe.kind: probe for probe in (LinearProbe, MeanDifferenceProbe, LDAProbe)
}


def load_probe(folder: str | Path) -> Probe:
    """Read a saved probe back, of whichever kind it is.

    Raises:
        CorruptArtefact: if it is damaged, altered, or of no known kind.
    """
    return Probe.load(folder, KINDS)
