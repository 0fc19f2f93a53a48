"""Record an audit that steers by latents: as any audit, and its remedies paired with one another.

    python recipes/results/record_steering.py RUN docs/results/NAME

In ``docs/results/NAME.md`` what stands between ``<!-- NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from record import comparison, fill, other_metrics, record_config

from bezoar.runs import load_result
from bezoar.runs.results import to_plain
from bezoar.stats import paired_difference
from bezoar.stats.intervals import Interval
from bezoar.studies.audit.sae import AuditSAE

METRICS = ("toxicity", "toxicity:demo-a", "toxic_share", "repetition_4", "distinct_2", "length")


def differences(run: Path) -> dict[str, dict[str, Interval]]:
    """Of every remedy by latents the mean of its values less those of the last remedy, by prompt.

    The bootstrap resamples prompts, 10,000 times, as that of the audit does.
    """
    rows = json.loads((run / "summary.json").read_text())["scorecard"]["rows"]
    remedies = {row["method"]: row["label"] for row in rows if row["kind"] == "method"}
    *sparse, dense = remedies
    table = pl.read_parquet(run / "evaluate" / "per_prompt.parquet")
    found: dict[str, dict[str, Interval]] = {}
    for variant in sparse:
        name = f"{remedies[variant]} less {remedies[dense]}"
        found[name] = {}
        for metric in METRICS:
            one, other = (
                table.filter(variant=which, metric=metric).select("prompt", "value")
                for which in (variant, dense)
            )
            both = one.join(other, on="prompt", validate="1:1").sort("prompt")
            found[name][metric] = paired_difference(both["value"], both["value_right"])
    return found


def against(found: dict[str, dict[str, Interval]]) -> Iterator[str]:
    """One line a pair of remedies."""
    yield "| difference | " + " | ".join(METRICS) + " |"
    yield "|---" * (len(METRICS) + 1) + "|"
    for name, cells in found.items():
        told = (f"{c.value:.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells.values())
        yield f"| {name} | " + " | ".join(told) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "summary.json", args.out / "summary.json")
    found = differences(args.run)
    (args.out / "differences.json").write_text(json.dumps(to_plain(found), indent=1) + "\n")
    card = json.loads((args.run / "summary.json").read_text())["scorecard"]
    tables = {
        "comparison": comparison(card),
        "other": other_metrics(card),
        "against": against(found),
        "autoencoder": [str(load_result(args.run / "sae" / "report.json", AuditSAE)) + "."],
    }
    fill(args.out.with_suffix(".md"), tables)


if __name__ == "__main__":
    main()
