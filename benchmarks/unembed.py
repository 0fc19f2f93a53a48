"""Singular values and right vectors of an unembedding, against ``numpy.linalg.svd``.

    python -m benchmarks.unembed
    python -m benchmarks.unembed --large --repeats 1 --threads 2

50,257 × 768 random float32 numbers whose spectrum falls over three decades. numpy's thin SVD makes
U as well, which nothing here asks for, and has no way to leave it out but to give up the vectors.
Values are compared with numpy's in float64. With ``--large``, 128,256 × 4,096, where numpy is left
out: it would take the better part of an hour.
"""

from __future__ import annotations

import argparse

import numpy as np

from benchmarks.common import Figure, arguments, interleave, peak_memory, report, start

LARGE = (128_256, 4_096)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rows", type=int, default=50_257)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--large", action="store_true", help="128,256 × 4,096, ours alone")
    args = start(parser)
    (_large if args.large else _measure)(args)


def make_matrix(rows: int, width: int) -> np.ndarray:
    """Float32, its singular values spread over three decades, none of its directions an axis."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((rows, width), dtype=np.float32)
    matrix *= np.logspace(0, -3, width, dtype=np.float32)
    if width > 1024:  # a turn of so many columns would take longer than what is measured
        return matrix
    turn = np.linalg.qr(rng.standard_normal((width, width)))[0].astype(np.float32)
    return matrix @ turn


def _measure(args: argparse.Namespace) -> None:
    import torch

    from bezoar.locate import decompose

    torch.set_num_threads(args.threads)
    matrix = make_matrix(args.rows, args.width)
    found = {}

    def numpy() -> None:
        found["numpy"] = np.linalg.svd(matrix, full_matrices=False)[1]

    def bezoar() -> None:
        found["bezoar"] = decompose(torch.from_numpy(matrix)).singular_values.numpy()

    times = interleave({"numpy": numpy, "bezoar": bezoar}, args.repeats, warm=0)
    exact = np.linalg.svd(np.linalg.qr(matrix.astype(np.float64), mode="r"), compute_uv=False)
    claim = f"σ and V of {args.rows:,} × {args.width:,}: × numpy.linalg.svd(full_matrices=False)"
    off = {name: float(np.abs(sigma / exact - 1).max()) for name, sigma in found.items()}
    report(
        args,
        times.figure(claim, 5, of="bezoar", to="numpy"),
        Figure(
            "largest relative difference of a singular value to numpy's in float64",
            1e-5,
            [off["bezoar"]],
            at_least=False,
            unit="",
            note=f"numpy's own in float32: {off['numpy']:.2g}.",
        ),
    )


def _large(args: argparse.Namespace) -> None:
    import torch

    from bezoar.locate import decompose

    torch.set_num_threads(args.threads)
    matrix = torch.from_numpy(make_matrix(*LARGE))
    times = interleave({"bezoar": lambda: decompose(matrix)}, args.repeats, warm=0)
    rows, width = LARGE
    report(
        args,
        Figure(
            f"σ and V of {rows:,} × {width:,}",
            120,
            times.wall["bezoar"],
            times.cpu["bezoar"],
            at_least=False,
            unit="s",
            note=f"{args.threads} threads; {peak_memory() / 2**30:.1f} GiB at most, the matrix "
            f"({matrix.nbytes / 2**30:.1f} GiB) among them.",
        ),
    )


if __name__ == "__main__":
    main()
