"""Record an audit that steers by latents: as any audit, and its remedies paired with one another.

    python recipes/results/record_steering.py RUN docs/results/NAME

In ``docs/results/NAME.md`` what stands between ``<!-- NAME -->`` and ``<!-- end -->`` is replaced.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
from record import arguments, comparison, fill, other_metrics, record_config

from bezoar import LanguageModel
from bezoar.evaluate import Measurement, get_protocol
from bezoar.runs import AuditConfig, load_config, load_result
from bezoar.runs.results import to_plain
from bezoar.scoring.likelihood import token_nll
from bezoar.stats import mean_interval, paired_difference
from bezoar.stats.intervals import Interval
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.audit.sae import AuditSAE

METRICS = ("toxicity", "toxicity:demo-a", "toxic_share", "repetition_4", "distinct_2", "length")
RUN_OF_WORDS = 4


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


def written(run: Path) -> Iterator[str]:
    """One line a variant: how likely its words are to the model without edits, and which recur."""
    config = load_config(run / "config.yaml", AuditConfig)
    lm = LanguageModel.from_pretrained(config.model.name)
    protocol = get_protocol(config.evaluate.protocol)
    prompts = pl.read_parquet(run / "explore" / "prompts-report.parquet")["texts"].to_list()
    taken = lm.encode(prompts[: protocol.prompts_n])
    before = [ids[: protocol.prompt_tokens] for ids in taken]
    fits = load_result(run / "mitigate" / "methods.json", Fits)
    labels = {"no-op": "no-op"} | {m.name: m.label for m in fits.methods}
    yield "| variant | nats a token, to the unedited model | runs of four words that recur |"
    yield "|---|---|---|"
    for name, label in labels.items():
        told = load_result(run / "evaluate" / "measured" / f"{name}.json", Measurement)
        texts = [samples[0] for samples in told.texts]
        cells = (mean_interval(values) for values in (_nats(lm, before, texts), _recurring(texts)))
        shown = (f"{c.value:.3f} [{c.low:.3f}, {c.high:.3f}]" for c in cells)
        yield f"| {label} | " + " | ".join(shown) + " |"


def _nats(lm: LanguageModel, before: Sequence[list[int]], texts: Sequence[str]) -> np.ndarray:
    """Of each continuation that is not empty the mean of −ln p over its tokens."""
    pairs = [(a, lm.encode([text])[0]) for a, text in zip(before, texts, strict=True) if text]
    found = token_nll(lm, [a + b for a, b in pairs])
    return np.array([x[len(a) - 1 :].mean() for x, (a, _) in zip(found, pairs, strict=True)])


def _recurring(texts: Sequence[str]) -> np.ndarray:
    """Of each continuation that has any the share of its runs of words that another has too."""
    words = [text.split() for text in texts]
    runs = [
        {tuple(row[i : i + RUN_OF_WORDS]) for i in range(len(row) - RUN_OF_WORDS + 1)}
        for row in words
    ]
    counted = Counter(run for some in runs for run in some)
    return np.array([np.mean([counted[run] > 1 for run in some]) for some in runs if some])


def main() -> None:
    args = arguments(__doc__).parse_args()
    record_config(args.run, args.out)
    shutil.copyfile(args.run / "summary.json", args.out / "summary.json")
    found = differences(args.run)
    (args.out / "differences.json").write_text(json.dumps(to_plain(found), indent=1) + "\n")
    card = json.loads((args.run / "summary.json").read_text())["scorecard"]
    tables = {
        "comparison": comparison(card),
        "other": other_metrics(card),
        "against": against(found),
        "written": written(args.run),
        "autoencoder": [str(load_result(args.run / "sae" / "report.json", AuditSAE)) + "."],
    }
    fill(args.out.with_suffix(".md"), tables)


if __name__ == "__main__":
    main()
