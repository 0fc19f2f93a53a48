"""Record an audit: its configuration and summary, and its tables into the page that reads them.

    python recipes/results/record.py RUN docs/results/NAME

Texts are left out; paths are as the run's configuration has them, relative to its data root. In
``docs/results/NAME.md`` what stands between ``<!-- NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from bezoar.runs import load_result
from bezoar.stats import FEWEST_DRAWS
from bezoar.studies.claims import Claims, number

Row = dict[str, Any]


def shown(metric: Row | None, digits: int = 3, *, percent: bool = False) -> str:
    if metric is None:
        return "–"
    scale, unit = (100, " %") if percent else (1, "")
    value, low, high = (f"{scale * metric[k]:.{digits}f}" for k in ("value", "low", "high"))
    return f"{value}{unit} [{low}, {high}]"


def chance(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def claims(run: Path) -> Iterator[str]:
    """One line a claim of a study."""
    yield "| claim | source | verdict | value | p | the numbers |"
    yield "|---|---|---|---|---|---|"
    for claim in load_result(run / "claims" / "claims.json", Claims).claims:
        p = "–" if claim.null_p is None else f"{claim.null_p:.3g}"
        value = f"{claim.measure}: {number(claim.value)}" if claim.value else "–"
        cells = (claim.statement, claim.source, f"**{claim.verdict}**", value, p, claim.why)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def comparison(card: Row) -> list[str]:
    """One line a variant; of a method's nulls the hardest to beat, which stands first."""
    heads = ("variant", "strength", "toxicity", "less by", "perplexity per token")
    lines = ["| " + " | ".join((*heads, "p (nulls, Holm)", "folds")) + " |"]
    lines.append("|---|---|---|---|---|---|---|")
    previous = ""
    for row in card["rows"]:
        if row["kind"] == "null" and previous == "null":
            continue
        previous = row["kind"]
        strength = (
            "–" if row["strength"] is None or previous == "null" else f"{row['strength']:.3g}"
        )
        p = "–" if row["holm_p"] is None else f"{chance(row['holm_p'])} ({_drawn(row['n_draws'])})"
        folds = {True: "yes", False: "no", None: "–"}[row["foldable"]]
        fixed = previous in ("base", "no-op")
        less = None if fixed else row["change"].get("toxicity_reduction")
        cells = (
            row["label"],
            strength,
            shown(row["metrics"]["toxicity"]),
            shown(less, 0, percent=True),
            shown(row["metrics"].get("perplexity"), 2),
            p,
            folds,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _drawn(n: int) -> str:
    """``20 draws``; of so few that a p decides nothing, that they are."""
    return f"{n} draw{'' if n == 1 else 's'}{', too few to decide' if n < FEWEST_DRAWS else ''}"


def other_metrics(card: Row) -> list[str]:
    """Second scorer, divergence, text checks, tasks and side effects of every method."""
    rows = [row for row in card["rows"] if row["kind"] in ("no-op", "method")]
    shown_first = {"toxicity", "perplexity", "mean_score", "toxic_share", "empty", "length"}
    names = [name for name in rows[0]["metrics"] if name not in shown_first]
    lines = ["| variant | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = [shown(row["metrics"].get(name)) for name in names]
        lines.append(f"| {row['label']} | " + " | ".join(cells) + " |")
    return lines


def record_config(run: Path, out: Path) -> None:
    """The configuration, its data root left out, and where the run was made."""
    out.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["root"] = None
    config.pop("out", None)
    (out / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    shutil.copyfile(run / "environment.json", out / "environment.json")


def fill(page: Path, tables: Mapping[str, Iterable[str]]) -> None:
    """Put tables where a page names them."""
    text = page.read_text()
    for name, lines in tables.items():
        table = "\n".join(lines)
        text = re.sub(
            rf"(<!-- {name} -->).*?(<!-- end -->)",
            lambda found, table=table: f"{found[1]}\n\n{table}\n\n{found[2]}",
            text,
            flags=re.DOTALL,
        )
    page.write_text(text)


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """What every recording is told: the run, and the folder beside its page."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path)
    return parser


def main() -> None:
    args = arguments(__doc__).parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "summary.json", args.out / "summary.json")
    card = json.loads((args.run / "summary.json").read_text())["scorecard"]
    fill(
        args.out.with_suffix(".md"), {"comparison": comparison(card), "other": other_metrics(card)}
    )


if __name__ == "__main__":
    main()
