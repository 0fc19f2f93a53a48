"""L-BFGS on many smooth convex functions side by side (Liu & Nocedal 1989)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float64, Int

Objective = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From points [p c] and the numbers [c] of their functions to values [c] and gradients [p c]."""

_MEMORY = 10
_SUFFICIENT = 1e-4  # share of the promised decrease that a step must keep (Armijo)


def minimise(
    objective: Objective, start: Float64[np.ndarray, "p k"], tolerance: float, max_iter: int
) -> Float64[np.ndarray, "p k"]:
    """Minimise k functions, each from its column of ``start``, each with steps of its own.

    A function is left alone once no entry of its gradient exceeds ``tolerance``, or once no step
    lowers it beyond rounding. Steps begin at length 1: coordinates should be scaled so that the
    Hessian is at most about the identity.
    """
    u = start.copy()
    every = np.arange(u.shape[1])
    value, gradient = objective(u, every)
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    stuck = np.zeros(len(every), dtype=bool)
    for _ in range(max_iter):
        live = np.flatnonzero((np.abs(gradient).max(axis=0) > tolerance) & ~stuck)
        if not len(live):
            break
        step = -_direction(gradient[:, live], pairs, live)
        slope = (step * gradient[:, live]).sum(axis=0)
        before, slopes_before = u.copy(), gradient.copy()
        waiting, length = np.arange(len(live)), 1.0
        while len(waiting) and length > 1e-6:
            columns = live[waiting]
            trial = before[:, columns] + length * step[:, waiting]
            new_value, new_gradient = objective(trial, columns)
            rounding = 1e-9 * np.maximum(1.0, np.abs(value[columns]))
            promised = value[columns] + _SUFFICIENT * length * slope[waiting] + rounding
            taken = new_value <= promised
            done = columns[taken]
            u[:, done], gradient[:, done] = trial[:, taken], new_gradient[:, taken]
            value[done] = new_value[taken]
            waiting, length = waiting[~taken], length / 2
        stuck[live[waiting]] = True
        s, y = u - before, gradient - slopes_before
        curved = (s * y).sum(axis=0)
        usable = curved > 1e-12 * (y * y).sum(axis=0)
        pairs.append((s, y, np.where(usable, 1 / np.where(usable, curved, 1.0), 0.0)))
        pairs = pairs[-_MEMORY:]
    return u


def _direction(
    gradient: Float64[np.ndarray, "p c"],
    pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    columns: Int[np.ndarray, " c"],
) -> Float64[np.ndarray, "p c"]:
    """The inverse Hessian's estimate times the gradient, by the two-loop recursion."""
    q = gradient.copy()
    kept = [(s[:, columns], y[:, columns], rho[columns]) for s, y, rho in pairs]
    alphas = []
    for s, y, rho in reversed(kept):
        alpha = rho * (s * q).sum(axis=0)
        q -= alpha * y
        alphas.append(alpha)
    if kept:
        _, y, rho = kept[-1]
        norm = (y * y).sum(axis=0) * rho
        q *= np.where(norm > 0, 1 / np.where(norm > 0, norm, 1.0), 1.0)
    for (s, y, rho), alpha in zip(kept, reversed(alphas), strict=True):
        q += (alpha - rho * (y * q).sum(axis=0)) * s
    return q
