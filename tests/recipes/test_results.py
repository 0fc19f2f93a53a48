"""What a recording writes into a page: every number with its unit, and what it is of."""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bezoar.pairs import Pairs
from bezoar.report import write_report
from bezoar.runs.results import save_result, to_plain
from tests.report import specimens
from tests.report.dpo.specimens import write_study

sys.path.insert(0, str(Path(__file__).parents[2] / "recipes" / "results"))
try:
    import record
    import record_dpo
finally:
    sys.path.pop(0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("run"))
    added = replace(specimens.training(), trainable="layer:16", norm=0.7, relative=0.0)
    save_result(folder / "mitigate/training/dpo-layer-16/log.json", added)
    write_report(folder)
    return folder


def test_draws_are_counted_as_english_counts_and_too_few_are_marked() -> None:
    card = to_plain(specimens.scorecard())
    for row in card["rows"]:
        row["n_draws"] = 1 if row["label"] == "subtract probe" else 19
    text = "\n".join(record.comparison(card))
    assert "(1 draw, too few to decide)" in text
    assert "(19 draws)" in text
    assert "1 draws" not in text
    assert "| perplexity per token |" in text


def test_three_norms_of_a_change_have_three_names(run: Path) -> None:
    trainings, drifts, statistics = (
        list(table(run))
        for table in (record_dpo.trainings, record_dpo.drifts, record_dpo.statistics)
    )
    assert "‖ΔW‖ / ‖W‖ of what was free" in trainings[0]
    assert "‖ΔW‖ / ‖W‖ of all weights" in drifts[0]
    assert "‖ΔW‖ / ‖W‖ of changed matrices" in statistics[0]
    assert "‖ΔW‖ / ‖W‖ of all weights" in next(iter(record_dpo.variants(run)))
    (added,) = [line for line in trainings if "layer" in line]
    assert added.endswith("| – |")  # it began at zero
    assert "0.40% |" in "".join(line for line in trainings if line != added)


def test_statistics_stand_beside_the_score_that_they_are_ranked_against(run: Path) -> None:
    head, _, *rows = record_dpo.statistics(run)
    assert head.split(" | ")[1] == "measured robustness score"
    assert "| 0.9 [0.809, 0.991] | 0.03 |" in rows[0]
    assert "| > 0.15 |" in rows[4]  # the largest that was tried, not a width
    with (run / "tables" / "sample_free_statistics.csv").open(encoding="utf-8") as lines:
        widths = [row["basin width"] for row in csv.DictReader(lines)]
    assert widths[0] == "0.03"
    assert widths[4] == "> 0.15"


def test_attacks_say_on_how_many_prompts_and_from_where(run: Path) -> None:
    attacked = "\n".join(record_dpo.attacked(run))
    assert "| prompts | 100 |" in attacked
    assert "| toxicity on them, the base | 0.400 |" in attacked
    assert "| toxicity on them, the edit | 0.200 |" in attacked
    points = "\n".join(record_dpo.points(run))
    assert "on 100 prompts, toxicity 0.400 of the base and 0.200 of the edit" in points
    assert "| perplexity, × the base's |" in points


def test_pairs_are_named_by_who_made_them(tmp_path: Path) -> None:
    folder = write_study(tmp_path)
    said = ("The river",) * 2, (" a mild day.",) * 2, (" a foul day.",) * 2
    Pairs(*said, provenance={"how": "read"}).save(folder / "pairs" / "pairs.parquet")
    text = "\n".join(record_dpo.pairs(folder))
    assert "| people's pairs | 1,200 | 900 |" in text
    assert "| PPLM's pairs | 200 |" in text
    assert "steered" not in text
