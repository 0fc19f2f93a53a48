"""A probe at every layer against scikit-learn's newton-cholesky, at the same optimum.

    python -m benchmarks.probes

13 layers × 30,000 rows × 768 features, correlated as activations are (the spectrum falls over four
decades), half the rows positive. Both minimise ``mean log(1 + exp(−s z)) + ½ λ ‖w‖²`` with
λ = 1e-4 on standardised features, intercept included; losses are compared in float64. A further
label, or a further fold, shares the rotation of the rows, as the probe sweep does.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import Figure, Timings, arguments, interleave, report, start

PENALTY = 1e-4


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--layers", type=int, default=13)
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--tolerance", type=float, default=1e-4, help="of both, on the gradient")
    args = start(parser)
    _measure(args)


def make_rows(args: argparse.Namespace) -> tuple[list[np.ndarray], np.ndarray]:
    """Correlated float32 features of each layer, and labels [labels rows] that they tell of."""
    rng = np.random.default_rng(0)
    spectrum = np.logspace(0, -2, args.width)
    hidden = rng.standard_normal((args.rows, 2)).astype(np.float32)
    layers = []
    for _ in range(args.layers):
        turn = np.linalg.qr(rng.standard_normal((args.width, args.width)))[0]
        x = rng.standard_normal((args.rows, args.width), dtype=np.float32) * spectrum
        x[:, 20:22] += 2 * spectrum[20] * hidden
        layers.append((x @ turn + rng.standard_normal(args.width)).astype(np.float32))
    noise = rng.logistic(size=(2, args.rows))
    return layers, (1.5 * hidden.T + noise > 0).astype(np.int64)


def loss(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: float) -> float:
    """The objective on standardised features, in float64."""
    x = x.astype(np.float64)
    z = (x - x.mean(0)) / x.std(0) @ w + b
    return float((np.logaddexp(0, z) - y * z).mean() + PENALTY / 2 * w @ w)


def _measure(args: argparse.Namespace) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from bezoar.locate.logistic import PrincipalRows, fit_logistic

    layers, (first, second) = make_rows(args)
    fold = np.random.default_rng(1).permutation(args.rows)[: args.rows * 2 // 3]
    fold.sort()
    shared: list[PrincipalRows] = []
    found: dict[str, list[tuple[np.ndarray, float]]] = {}
    penalties = np.array([PENALTY])

    def scikit_learn() -> None:
        found["scikit-learn"] = []
        for x in layers:
            model = LogisticRegression(
                C=1 / (PENALTY * args.rows), solver="newton-cholesky", tol=args.tolerance
            ).fit(StandardScaler().fit_transform(x), first)
            found["scikit-learn"].append((model.coef_[0], float(model.intercept_[0])))

    def fit(name: str, labels: np.ndarray, rows: np.ndarray | None = None) -> None:
        found[name] = []
        for principal in shared:
            w, b = fit_logistic(
                principal.rows,
                labels[:, None],
                penalties,
                principal.curvature,
                principal.axes,
                part=rows,
                tolerance=args.tolerance,
            )
            found[name].append((w[:, 0], float(b[0])))

    def bezoar() -> None:
        shared.clear()
        shared.extend(PrincipalRows.of(x, standardise=True, centre=True) for x in layers)
        fit("bezoar", first)

    arms = {
        "scikit-learn": scikit_learn,
        "bezoar": bezoar,
        "second label": lambda: fit("second label", second),
        "fold": lambda: fit("fold", first[fold], fold),
    }
    bezoar()  # so that the others have what they share, whichever arm begins a round
    times = interleave(arms, args.repeats, warm=0)
    excess = max(
        loss(x, first, *ours) - loss(x, first, *theirs)
        for x, ours, theirs in zip(layers, found["bezoar"], found["scikit-learn"], strict=True)
    )
    what = f"{args.layers} layers × {args.rows:,} rows × {args.width}"
    report(args, *_figures(times, what, excess))


def _figures(times: Timings, what: str, excess: float) -> list[Figure]:
    claim = f"probes at {what}: × scikit-learn newton-cholesky"
    return [
        times.figure(claim, 3, of="bezoar", to="scikit-learn"),
        Figure("loss above scikit-learn's, worst layer", 1e-5, [excess], at_least=False, unit=""),
        _share(times, "second label"),
        _share(times, "fold"),
    ]


def _share(times: Timings, name: str) -> Figure:
    wall, cpu = (
        [more / first for more, first in zip(seconds[name], seconds["bezoar"], strict=True)]
        for seconds in (times.wall, times.cpu)
    )
    return Figure(f"a {name}: share of the first fit", 0.25, wall, cpu, at_least=False)


if __name__ == "__main__":
    main()
