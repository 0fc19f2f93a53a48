"""Record a study of sparse autoencoders: its configuration, claims and tables into the page.

    python recipes/results/record_sae.py RUN docs/results/NAME [--kinds RUN]

Texts, tokens and latents' cards are left out. In ``docs/results/NAME.md`` what stands between
``<!-- NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from record import arguments, claims, fill, record_config

from bezoar.evaluate.contest_results import Contest, CurvePoint
from bezoar.evaluate.detector import Detector
from bezoar.runs import load_result
from bezoar.sae.quality_results import QualityTable


def quality(run: Path) -> Iterator[str]:
    """Every autoencoder, on texts that it was not trained on."""
    found = load_result(run / "quality" / "quality.json", QualityTable)
    ks = [one.k for one in found.rows[0].probing]
    heads = ["autoencoder", "L0", "explained variance", "loss recovered", "dead", "‖x̂‖ on ‖x‖"]
    yield f"| {' | '.join(heads + [f'AUROC, k = {k}' for k in ks])} |"
    yield "|---" * (len(heads) + len(ks)) + "|"
    for row in found.rows:
        seen = row.held_out
        loss = "–" if row.loss is None else f"{row.loss.recovered:.3f}"
        cells = [
            row.name + (" (read closely)" if row.name == found.chosen else ""),
            *(f"{seen.l0:.1f}", f"{seen.explained_variance:.3f}", loss),
            *(f"{row.trained.dead_share:.1%}", f"{seen.shrinkage:.3f}"),
            *(str(one.auroc) for one in row.probing),
        ]
        yield f"| {' | '.join(cells)} |"


def contest(path: Path) -> Iterator[str]:
    """The best reader of each kind, and the differences."""
    found = load_result(path, Contest)
    yield (
        f"{found.report_n:,} texts, {found.report_positives:,} of them with the label; "
        f"{found.train_n:,} to train on. {found.verdict}"
    )
    yield ""
    yield "| reader | features | AUROC | average precision | TPR at 1 % | calibration error |"
    yield "|---|---|---|---|---|---|"
    for row in found.rows:
        if row.chosen:
            seen = (row.auroc, row.average_precision, row.tpr_at_1, row.calibration_error)
            yield f"| {row.label} | {row.n_features:,} | {' | '.join(map(str, seen))} |"
    yield ""
    yield "| difference of AUROC, paired by text | | p (Holm) |"
    yield "|---|---|---|"
    for pair in found.differences:
        if pair.metric == "auroc":
            yield f"| {pair.a} − {pair.b} | {pair.interval} | {pair.holm_p:.2g} |"


def side_by_side(path: Path) -> Iterator[str]:
    """Every reader that reads all there is, chosen or not, and single latents of each."""
    found = load_result(path, Contest)
    yield "| reader | all | k = 1 | k = 16 |"
    yield "|---|---|---|---|"
    for reader in dict.fromkeys(row.reader for row in found.rows):
        kinds = {row.kind: row for row in found.rows if row.reader == reader}
        if "all" in kinds:
            cells = (kinds.get(kind) for kind in ("all", "k=1", "k=16"))
            told = ("–" if row is None else str(row.auroc) for row in cells)
            yield f"| {reader} | {' | '.join(told)} |"


def _curves(points: tuple[CurvePoint, ...], name: Callable[[CurvePoint], str]) -> Iterator[str]:
    """One line a reader, one column a point: the mean of the draws, with the least and largest."""
    heads = list(dict.fromkeys(map(name, points)))
    yield f"| reader | {' | '.join(heads)} |"
    yield "|---" * (len(heads) + 1) + "|"
    for reader in dict.fromkeys(one.reader for one in points):
        told = {name(one): one for one in points if one.reader == reader}
        cells = (
            f"{one.auroc:.3f} [{one.low:.3f}, {one.high:.3f}]" if (one := told.get(head)) else "–"
            for head in heads
        )
        yield f"| {reader} | {' | '.join(cells)} |"


def efficiency(found: Contest) -> Iterator[str]:
    """AUROC by the number of labels, then by the share of wrong ones."""
    yield from _curves(found.efficiency, lambda one: f"{one.labels:,} labels")
    yield ""
    yield from _curves(found.noise, lambda one: f"{one.noise:.0%} wrong")


def harmless(run: Path) -> Iterator[str]:
    """Each set of harmless texts: the best reader of a family, and the first difference."""
    yield (
        "| harmless texts | texts | SAE latents | untrained | dense | words | "
        "latents − dense, paired | latents − untrained, paired |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for path in sorted((run / "contest").glob("harmless*.json")):
        found = load_result(path, Contest)
        best = (found.best("sae"), found.best("untrained"), found.best("dense"))
        words = next((row for row in found.rows if row.kind == "words"), None)
        cells = ("–" if row is None else str(row.auroc) for row in (*best, words))
        yield (
            f"| {found.task} | {found.report_n:,} | {' | '.join(cells)} | "
            f"{found.differences[0].interval} | "
            f"{'–' if found.training is None else found.training.interval} |"
        )


def sources(run: Path) -> Iterator[str]:
    """Each source, trained with it and without it."""
    found = load_result(run / "contest" / "contest.json", Contest)
    yield "| reader | source | texts, with the label | AUROC | left out of training |"
    yield "|---|---|---|---|---|"
    for row in found.leave_one_out:
        seen = ("–" if one is None else str(one) for one in (row.auroc, row.left_out))
        yield f"| {row.reader} | {row.source} | {row.n:,}, {row.positives:,} | {' | '.join(seen)} |"


def detector(run: Path) -> Iterator[str]:
    """What the detector flags, of texts like those that its threshold was set on and of others."""
    made = Detector.load(run / "detector").info
    rows = [
        (f"report texts, label {label}", label, "", seen)
        for label, seen in enumerate((made.reported_false_alarms, made.reported_hits))
    ]
    rows += [(one.texts, one.label, f"{one.n:,}", one.flagged) for one in made.tried]
    yield f"{made.reader}, set for {made.asked:.1%} false alarms."
    yield ""
    yield "| texts | label | number | flagged |"
    yield "|---|---|---|---|"
    for name, label, n, seen in rows:
        yield f"| {name} | {label} | {n} | {seen.value:.1%} [{seen.low:.1%}, {seen.high:.1%}] |"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--kinds", type=Path, help="A run of several kinds at one layer.")
    args = parser.parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "claims" / "claims.json", args.out / "claims.json")
    tables = {
        "claims": claims(args.run),
        "quality": quality(args.run),
        "contest": contest(args.run / "contest" / "contest.json"),
        "efficiency": efficiency(load_result(args.run / "contest" / "contest.json", Contest)),
        "harmless": harmless(args.run),
        "sources": sources(args.run),
        "detector": detector(args.run),
    }
    if args.kinds is not None:
        tables["kinds"] = quality(args.kinds)
        tables["kinds-contest"] = side_by_side(args.kinds / "contest" / "contest.json")
        tables["kinds-claims"] = claims(args.kinds)
    fill(args.out.with_suffix(".md"), tables)


if __name__ == "__main__":
    main()
