"""Record a study of EigenShift: its configuration, claims and tables into the page.

    python recipes/results/record_experts.py RUN docs/results/NAME [--rungs SIZE=RUN ...]

Texts are left out. In ``docs/results/NAME.md`` what stands between ``<!-- NAME -->`` and
``<!-- end -->`` is replaced: the claims, and the tables that the run's page exports.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from record import arguments, claims, fill, record_config
from tables import table

TABLES = {
    "main": (
        "variant",
        "toxicity",
        "change",
        "p (Holm)",
        "perplexity",
        "change of perplexity",
        "TPH",
    ),
    "beside": None,
    "grid": ("α", "directions", "toxicity", "change", "change of perplexity", "TPH"),
    "choices": ("choice", "toxicity", "change", "reduction", "change of perplexity", "p"),
    "choices_at_cost": ("choice", "toxicity", "change", "reduction", "change of perplexity", "p"),
    "neurons": ("units", "threshold", "above it", "shuffled labels", "p", "equal lengths"),
    "same_neurons": None,
    "layers": ("texts", "clusters", "against", "alike", "AUROC", "rival's", "difference"),
    "detection": None,
    "states": None,
}
"""Tables of the run by the end of their file's name, and the columns that are shown; all if None.
A column that a table does not have is left out."""
OF_RUNGS = ("correct", "code", "weakest", "uniform", "39 random")
"""How choices begin that are laid side by side over models of several sizes."""


def rungs(runs: Mapping[str, Path]) -> Iterator[str]:
    """The main choices of directions of every model, one table under another."""
    for n, (size, run) in enumerate(runs.items()):
        lines = list(table(run / "tables" / "table_choices.csv", TABLES["choices"]))
        if n == 0:
            yield f"| model {lines[0]}"
            yield f"|---{lines[1]}"
        for line in lines[2:]:
            if line.removeprefix("| ").startswith(OF_RUNGS):
                yield f"| {size} {line}"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument(
        "--rungs", nargs="*", default=(), help="Of models of other sizes: SIZE=RUN."
    )
    args = parser.parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "claims" / "claims.json", args.out / "claims.json")
    tables = {
        name: list(table(path, wanted))
        for name, wanted in TABLES.items()
        if (path := args.run / "tables" / f"table_{name}.csv").exists()
    }
    if args.rungs:
        several = dict(one.split("=", 1) for one in args.rungs)
        tables["rungs"] = list(rungs({size: Path(run) for size, run in several.items()}))
    fill(args.out.with_suffix(".md"), {"claims": claims(args.run), **tables})


if __name__ == "__main__":
    main()
