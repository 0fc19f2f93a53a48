"""What commands show of their results: a person's table in eighty columns, nothing raw."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from bezoar.activations import Manifest
from bezoar.compare import Comparison
from bezoar.corpus import Corpus, Exploration, explore
from bezoar.edits import Exported
from bezoar.evaluate import Scorecard
from bezoar.locate import LensResult, ProbeSweep
from bezoar.runs import Result
from bezoar.runs.environment import Diagnosis
from bezoar.studies.audit import AuditForecast, AuditSummary
from bezoar.studies.audit.mitigate import Fits

SHOWN = [
    *(AuditSummary, Comparison, Diagnosis, Exploration, Exported, Fits, LensResult, Manifest),
    *(ProbeSweep, Scorecard),
]


def printed(result: object, width: int = 80) -> list[str]:
    console = Console(width=width, file=io.StringIO(), markup=False)
    console.print(result)
    return console.file.getvalue().splitlines()


@pytest.fixture(scope="module")
def exploration() -> Exploration:
    rng = np.random.default_rng(0)
    nouns = ["tree", "house", "river", "stone", "cloud", "table", "window", "garden"]
    texts, labels, sources = [], [], []
    for i in range(60):
        words = rng.choice(nouns, 6).tolist()
        texts.append(" ".join([*words, "grim" if i % 2 else "kind", str(i)]))
        labels.append(i % 2)
        sources.append("forum" if i < 20 else "chat")
    return explore(
        Corpus(tuple(texts), np.array(labels, dtype=np.int8), source=tuple(sources), name="mine")
    )


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.__name__)
def test_every_result_of_a_command_has_a_table_of_its_own(kind):
    assert kind.__rich__ is not Result.__rich__


def test_an_exploration_is_read_at_a_glance(exploration):
    lines = printed(exploration)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("mine: 60 texts, 50.0% of label 1")
    assert [line.split()[:3] for line in lines if line.startswith(("forum", "chat"))] == [
        ["chat", "20", "20"],
        ["forum", "10", "10"],
    ]
    assert "Words of label 1: grim" in text
    assert "Words of label 0: kind" in text
    warned = printed(replace(exploration, warnings=("The labels are noisy.",)))
    assert warned[-1] == "! The labels are noisy."
    assert "GroupCount(" not in text


def test_a_narrow_terminal_loses_no_number(exploration):
    assert any("60 texts" in line for line in printed(exploration, width=40))


def test_a_result_without_a_picture_is_its_table_in_a_notebook():
    shown = Exported("out/<b>", "float32", 1e-7, False)._repr_html_()
    assert shown.startswith("<pre>checkpoint  out/&lt;b&gt;")
    assert "Exported(" not in shown


@pytest.mark.parametrize(
    ("trainings", "told"),
    [
        (0, "10.0 h at most,\n       12.3 GB on disk, about 10 GB of memory."),
        (
            21,
            "10.0 h at most\n       (trainings may stop early), 12.3 GB on disk, 4.57 GB more "
            "while one\n       is under way, about 10 GB of memory.",
        ),
    ],
)
def test_the_forecast_is_a_few_short_lines(trainings, told):
    made = AuditForecast(
        variants=104,
        tokens=123_456_789,
        seconds=36_000.0,
        bytes=12_345_678_901,
        peak_memory=10**10,
        trainings=trainings,
        checkpoint=4_567_000_000,
    )
    assert all(len(line) <= 80 for line in str(made).splitlines())
    assert str(made).endswith(told)
