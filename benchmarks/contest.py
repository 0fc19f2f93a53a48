"""One reader of a contest, its penalty chosen in folds, against scikit-learn at the same optimum.

    python -m benchmarks.contest

20,000 texts × 1,536 pooled latents, of which a text has a tenth, and × 30,000 weighed words, of
which it has twenty. Both choose one of 7 penalties by the held-out log-loss of the same 5 folds and
fit all rows once more: scikit-learn with LogisticRegressionCV, on latents that are standardised and
dense, as the contest's are, and on words that stay sparse. Both minimise ``mean log(1 + exp(−s z))
+ ½ λ ‖w‖²``, which is compared in float64 at the penalty that both chose.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from scipy.sparse import csr_array, diags_array, random_array

from benchmarks.common import Figure, arguments, interleave, report, start

Optimum = tuple[float, np.ndarray, float]
Found = dict[str, Optimum]
"""Of each arm: the penalty that it chose, weights and intercept."""


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--latents", type=int, default=1_536)
    parser.add_argument("--words", type=int, default=30_000)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--penalties", type=int, default=7)
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1e-4,
        help="of scikit-learn's gradient on the path; a hundredth of it at the end",
    )
    args = start(parser)
    latents = made(args.rows, args.latents, 0.1, telling=64, seed=0)
    words = made(args.rows, args.words, 20 / args.words, telling=2_000, seed=1)
    length = np.sqrt(np.asarray(words[0].multiply(words[0]).sum(axis=1)).ravel())
    weighed = csr_array(diags_array(1 / np.maximum(length, 1e-9)) @ words[0])
    report(
        args,
        *measured(args, "latents", *latents, weighed=False),
        *measured(args, "words", weighed, words[1], weighed=True),
    )


def made(
    n: int, d: int, density: float, *, telling: int, seed: int
) -> tuple[csr_array, np.ndarray]:
    """Non-negative sparse features [n d], and labels that the first of them tell."""
    rng = np.random.default_rng(seed)
    rows = csr_array(random_array((n, d), density=density, rng=rng, dtype=np.float32))
    slope = np.zeros(d)
    slope[:telling] = rng.normal(size=telling) / np.sqrt(telling * density)
    z = rows @ slope
    return rows, ((z - np.median(z)) * 2 + rng.logistic(size=n) > 0).astype(np.int64)


def objective(x: np.ndarray | csr_array, y: np.ndarray, found: Optimum) -> float:
    """The objective at a penalty's weights, in float64."""
    penalty, w, b = found
    z = x.astype(np.float64) @ w + b
    return float((np.logaddexp(0, z) - y * z).mean() + penalty / 2 * w @ w)


def measured(
    args: argparse.Namespace, name: str, rows: csr_array, y: np.ndarray, *, weighed: bool
) -> list[Figure]:
    """How much faster, and how much better or worse the optimum is."""
    from bezoar.evaluate.contest_tables import table_of
    from bezoar.stats import grouped_folds

    every = np.arange(len(y))
    fold = grouped_folds(every.tolist(), args.folds, y)
    folds = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(args.folds)]
    table = table_of(rows, every, weighed=weighed)
    found: Found
    grid, scaled, found = table.grid(args.penalties), table.take(every), {}
    arms = {
        "bezoar": ours(rows, y, folds, grid, weighed, found),
        "scikit-learn": theirs(rows, y, folds, grid, weighed, args.tolerance, found),
    }
    times = interleave(arms, args.repeats, warm=0)
    same = {penalty for penalty, *_ in found.values()}
    what = f"{name}, {len(y):,} × {rows.shape[1]:,}, {len(grid)} penalties in {len(folds)} folds"
    first, second = (objective(scaled, y, found[arm]) for arm in arms)
    note = "" if len(same) == 1 else f"They chose {sorted(same)}"
    return [
        times.figure(f"{what}: × scikit-learn", 1.5, of="bezoar", to="scikit-learn", note=note),
        Figure(
            f"{name}: between the objectives", 1e-5, [abs(first - second)], at_least=False, unit=""
        ),
    ]


def ours(
    rows: csr_array, y: np.ndarray, folds: list, grid: np.ndarray, weighed: bool, found: Found
) -> Callable[[], None]:
    """What a contest does with one reader, scaling included."""
    from bezoar.evaluate.contest_fit import choose
    from bezoar.evaluate.contest_tables import table_of
    from bezoar.evaluate.contest_ways import EveryFeature

    every = np.arange(len(y))

    def run() -> None:
        way = EveryFeature("all", table_of(rows, every, weighed=weighed))
        best = grid[choose(way, every, y[:, None], grid, folds)[0]]
        w, b = way.weights(every, y[:, None], best, final=True)
        found["bezoar"] = float(best[0]), w[:, 0, 0], float(b[0, 0])

    return run


def theirs(
    rows: csr_array,
    y: np.ndarray,
    folds: list,
    grid: np.ndarray,
    weighed: bool,
    tolerance: float,
    found: Found,
) -> Callable[[], None]:
    """The same with scikit-learn; λ is per row there, so that C depends on the rows of a fit."""
    from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
    from sklearn.preprocessing import StandardScaler

    given = {"solver": "lbfgs", "max_iter": 1_000}

    def run() -> None:
        x = rows if weighed else StandardScaler().fit_transform(rows.toarray())
        strengths = 1 / (grid * np.mean([len(fit) for fit, _ in folds]))
        path = LogisticRegressionCV(
            Cs=strengths, cv=folds, scoring="neg_log_loss", refit=False, l1_ratios=(0,),
            use_legacy_attributes=False, tol=tolerance, **given,
        ).fit(x, y)  # fmt: skip
        scores = np.asarray(path.scores_).reshape(len(folds), len(grid)).mean(axis=0)
        penalty = float(grid[scores.argmax()])
        strength = 1 / (penalty * len(y))
        model = LogisticRegression(C=strength, tol=tolerance / 100, **given).fit(x, y)
        found["scikit-learn"] = penalty, model.coef_[0], float(model.intercept_[0])

    return run


if __name__ == "__main__":
    main()
