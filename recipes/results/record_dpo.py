"""Record a study of DPO: its configuration, environment and claims, and its tables into the page.

    python recipes/results/record_dpo.py RUN docs/results/NAME

Texts are left out. In ``docs/results/NAME.md`` what stands between ``<!-- NAME -->`` and
``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from record import arguments, claims, comparison, fill, other_metrics, record_config
from tables import table

from bezoar.attack import RankCorrelations
from bezoar.pairs import Pairs
from bezoar.report.dpo.parts import kind_of
from bezoar.runs import load_result
from bezoar.stats import paired_difference

Row = dict[str, Any]


def pairs(run: Path) -> Iterator[str]:
    """How many pairs of either kind were made and kept, and what scorer B says of those."""
    yield "| pairs | made | kept | negative above, by B | chosen, rejected by B |"
    yield "|---|---|---|---|---|"
    trained_on = run / "pairs" / "pairs.parquet"
    kind = kind_of(Pairs.load(trained_on) if trained_on.exists() else None)
    for name, prefix in ((kind, ""), ("PPLM's pairs", "pplm_")):
        path = run / "pairs" / f"{prefix}report.json"
        if not path.exists():
            continue
        report = json.loads(path.read_text())
        judged = json.loads((run / "pairs" / f"{prefix}agreement.json").read_text())
        above = {k: 100 * v for k, v in judged["above"].items()}
        yield (
            f"| {name} | {report['rows_in']:,} | {report['rows_out']:,} | {above['value']:.1f} % "
            f"[{above['low']:.1f}, {above['high']:.1f}] | {judged['chosen']:.2f}, "
            f"{judged['rejected']:.2f} |"
        )


def trainings(run: Path) -> Iterator[str]:
    """Every training as it ended."""
    heads = ("training", "pairs", "steps", "kept", "stopped", "validation loss", "accuracy")
    yield "| " + " | ".join((*heads, "‖ΔW‖ / ‖W‖ of what was free")) + " |"
    yield "|---" * (len(heads) + 1) + "|"
    for path in sorted((run / "mitigate" / "training").glob("*/log.json")):
        log = json.loads(path.read_text())
        best = next(v for v in log["validation"] if v["step"] == log["best_step"])
        yield (
            f"| {path.parent.name} | {log['pairs']:,} | {len(log['steps']):,} | "
            f"{log['best_step']:,} | {log['stop_reason']} | {best['loss']:.3f} | "
            f"{best['accuracy']:.2f} | {_relative(log)} |"
        )


def _relative(log: Row) -> str:
    """Of what began at zero (an added layer) the log has a placeholder."""
    return "–" if log["norm"] and not log["relative"] else f"{log['relative']:.2%}"


def variants(run: Path) -> list[str]:
    """What every training did as trained, whatever it cost."""
    path = run / "tables" / "training_variants_numbers.csv"
    return list(table(path, None)) if path.exists() else []


def drifts(run: Path) -> Iterator[str]:
    """Where each training moved the weights: shares of ‖ΔW‖² by layer."""
    path = run / "compare" / "drifts.json"
    if not path.exists():
        return
    rows = json.loads(path.read_text())["rows"]
    layers = list(dict.fromkeys(name for row in rows for name in row["layers"]))
    yield "| training | ‖ΔW‖ / ‖W‖ of all weights | " + " | ".join(layers) + " | stable rank |"
    yield "|---" * (len(layers) + 3) + "|"
    for row in rows:
        shares = (f"{100 * row['layers'].get(name, 0.0):.0f} %" for name in layers)
        rank = "–" if row["stable_rank"] is None else f"{row['stable_rank']:.2f}"
        yield f"| {row['name']} | {row['relative']:.2%} | " + " | ".join(shares) + f" | {rank} |"


def seeds(run: Path) -> Iterator[str]:
    """The same training from several seeds, as trained: each, and their mean by prompt."""
    measured = run / "evaluate" / "measured"
    paths = [measured / "dpo-as-trained.json", *sorted(measured.glob("dpo-seed=*-as-trained.json"))]
    if len(paths) < 2 or not all(path.exists() for path in paths):
        return
    base = _toxicity(measured / "no-op.json")
    each = [_toxicity(path) for path in paths]
    yield "| seed | toxicity | change, paired by prompt |"
    yield "|---|---|---|"
    for path, scores in zip(paths, each, strict=True):
        seed = path.stem.removesuffix("-as-trained").rpartition("seed=")[2].replace("dpo", "42")
        yield f"| {seed} | {scores.mean():.3f} | {paired_difference(scores, base)} |"
    mean = np.mean(each, axis=0)
    yield f"| mean of {len(each)} | {mean.mean():.3f} | {paired_difference(mean, base)} |"


def _toxicity(path: Path) -> np.ndarray:
    return np.asarray(json.loads(path.read_text())["per_prompt"]["toxicity"])


def attacked(run: Path) -> Iterator[str]:
    """What is left of every edit, attack by attack, and whether it removed or bypassed."""
    found = [
        json.loads(path.read_text()) for path in sorted((run / "attack").glob("*/robustness.json"))
    ]
    scored = [one for one in found if one["score"] is not None]
    names = list(dict.fromkeys(c["attack"] for one in scored for c in one["curves"]))
    yield "| | " + " | ".join(one["edit"] for one in scored) + " |"
    yield "|---" * (len(scored) + 1) + "|"
    yield "| prompts | " + " | ".join(str(one["prompts_n"]) for one in scored) + " |"
    for what, key in (("the base", "base"), ("the edit", "edited")):
        seen = " | ".join(f"{one[key]:.3f}" for one in scored)
        yield f"| toxicity on them, {what} | {seen} |"
    for name in names:
        curves = [next(c for c in one["curves"] if c["attack"] == name) for one in scored]
        yield f"| {name} | " + " | ".join(_area(curve["area"]) for curve in curves) + " |"
    yield "| **score** | " + " | ".join(_area(one["score"]) for one in scored) + " |"
    yield "| **minimum** | " + " | ".join(_area(one["minimum"]) for one in scored) + " |"
    residual = {
        (told := json.loads(path.read_text()))["edit"]: told["verdict"]
        for path in sorted((run / "attack").glob("*/residual.json"))
    }
    yield "| removed? | " + " | ".join(residual.get(one["edit"], "–") for one in scored) + " |"


def points(run: Path) -> Iterator[str]:
    """Every budget of every attack on every edit: the variant that counts, and its nulls."""
    paths = [*sorted((run / "attack").glob("*/robustness.json")), run / "attack/key_scaling.json"]
    found = [json.loads(path.read_text()) for path in paths if path.exists()]
    for told in dict.fromkeys(
        f"{one['edit']}: on {one['prompts_n']} prompts, toxicity {one['base']:.3f} of the base and "
        f"{one['edited']:.3f} of the edit before any attack."
        for one in found
    ):
        yield f"{told}\n"
    heads = ("edit", "attack", "budget", "toxicity", "survives", "of nulls")
    yield "| " + " | ".join((*heads, "perplexity, × the base's", "valid")) + " |"
    yield "|---" * (len(heads) + 2) + "|"
    seen: set[tuple[str, str]] = set()
    for one in found:
        for curve in one["curves"]:
            if (one["edit"], curve["attack"]) in seen:
                continue
            seen.add((one["edit"], curve["attack"]))
            nulls = {null["label"]: null for null in curve["nulls"]}
            for point in curve["points"]:
                cells = (one["edit"], curve["attack"], point["label"])
                null = nulls.get(point["label"])
                yield "| " + " | ".join((*cells, *_point(point, null, one))) + " |"


def _point(point: Row, null: Row | None, one: Row) -> tuple[str, ...]:
    base = one["base_perplexity"]
    known = point["toxicity"] is not None
    return (
        f"{point['toxicity']:.3f}" if known else "–",
        _area(point["survives"]) if point["valid"] else "–",
        _area(null["survives"]) if null and null["valid"] else "–",
        f"× {point['perplexity'] / base:.2f}" if known and point["perplexity"] else "–",
        f"{point['tried'] - point['broken'] - point['failed']} of {point['tried']}",
    )


def foretold(run: Path) -> Iterator[str]:
    """Whether statistics that need no attack go with what attacks leave, over edits."""
    yield from table(run / "tables" / "sample_free_correlations.csv", None)
    found = load_result(run / "attack" / "rank_correlations.json", RankCorrelations)
    yield f"\n{found.verdict()}"


def statistics(run: Path) -> Iterator[str]:
    """These statistics, edit by edit."""
    yield from table(run / "tables" / "sample_free_statistics.csv", None)


def _area(area: Row | None) -> str:
    return "–" if area is None else f"{area['value']:.2f} [{area['low']:.2f}, {area['high']:.2f}]"


def main() -> None:
    args = arguments(__doc__).parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "claims" / "claims.json", args.out / "claims.json")
    card = json.loads((args.run / "evaluate" / "scorecard.json").read_text())
    tables = {
        "claims": claims(args.run),
        "pairs": pairs(args.run),
        "trainings": trainings(args.run),
        "comparison": comparison(card),
        "other": other_metrics(card),
        "attacked": attacked(args.run),
        "variants": variants(args.run),
        "seeds": seeds(args.run),
        "drifts": drifts(args.run),
        "points": points(args.run),
        "foretold": foretold(args.run),
        "statistics": statistics(args.run),
    }
    fill(args.out.with_suffix(".md"), tables)


if __name__ == "__main__":
    main()
