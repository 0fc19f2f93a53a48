"""Reading capability tasks from the tables in which they are passed around, and running them.

`load_task("lambada:PATH")` reads a table whose columns are those of the task's usual release. What
the model is shown follows common practice ("Question: …\\nAnswer:").
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.models import LanguageModel
from bezoar.scoring.capability import (
    CapabilityResult,
    Choice,
    Normalise,
    Statistic,
    last_word_accuracy,
    minimal_pairs,
    multiple_choice,
)
from bezoar.scoring.tables import read_table

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Task:
    """A task ready to run. ``passages``, ``pairs`` or ``choices``: exactly one is filled."""

    name: str
    passages: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    choices: tuple[Choice, ...] = ()
    normalise: Normalise = "none"
    statistic: Statistic = "accuracy"

    def run(self, lm: LanguageModel) -> CapabilityResult:
        """Measure a model on it (inside ``edit.applied_to(lm)``: the edited model)."""
        if self.passages:
            return last_word_accuracy(lm, self.passages, name=self.name)
        if self.pairs:
            return minimal_pairs(lm, self.pairs, name=self.name)
        return multiple_choice(
            lm, self.choices, normalise=self.normalise, statistic=self.statistic, name=self.name
        )


@dataclass(frozen=True, slots=True)
class _Format:
    columns: tuple[str, ...]
    read: Callable[[Row], Any]
    field: str = "choices"
    normalise: Normalise = "none"
    statistic: Statistic = "accuracy"


def load_task(spec: str, *, limit: int | None = None, seed: int = 0) -> Task:
    """Read a task, ``NAME:PATH``.

    Args:
        spec: NAME is one of `TASKS`; PATH a CSV, JSON lines or parquet file.
        limit: at most so many items, drawn at random.
        seed: of the draw.

    Raises:
        ConfigError: if there is no such task.
        DataError: if the file is not one of that task.
    """
    name, _, path = spec.partition(":")
    if name not in TASKS or not path:
        raise ConfigError(
            f"{spec!r} names no task.", hint=f"{did_you_mean(name, TASKS)} As NAME:PATH."
        )
    form = TASKS[name]
    rows = list(_sample(read_table(path, form.columns).to_dicts(), limit, seed))
    if not rows:
        raise DataError(f"{path} has no rows.")
    try:
        items = tuple(form.read(row) for row in rows)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        raise DataError(f"{Path(path).name} does not hold {name} items: {error!r}.") from error
    options: dict[str, Any] = {form.field: items}
    return Task(name, normalise=form.normalise, statistic=form.statistic, **options)


def _sample(rows: Sequence[Row], limit: int | None, seed: int) -> Iterator[Row]:
    if limit is None or limit >= len(rows):
        yield from rows
        return
    for index in sorted(np.random.default_rng(seed).choice(len(rows), limit, replace=False)):
        yield rows[index]


def _shared(context: str, answers: Sequence[str], *gold: int) -> Choice:
    continuations = tuple(f" {answer.strip()}" for answer in answers)
    return Choice((context,) * len(continuations), continuations, gold)


def _listed(value: object) -> list[str]:
    items = json.loads(value) if isinstance(value, str) else list(value)  # type: ignore[call-overload]
    return [str(item) for item in items]


def _arc(row: Row) -> Choice:
    letters = ("A", "B", "C", "D")
    answers = [row[letter] for letter in letters]
    return _shared(f"Question: {row['question']}\nAnswer:", answers, letters.index(row["answer"]))


def _piqa(row: Row) -> Choice:
    context = f"Question: {row['goal']}\nAnswer:"
    return _shared(context, (row["sol1"], row["sol2"]), int(row["label"]))


def _hellaswag(row: Row) -> Choice:
    title = row.get("activity_label")
    context = f"{title}: {row['ctx']}" if title else str(row["ctx"])
    endings = _listed(row["endings"])
    clean = [re.sub(r"\s+", " ", re.sub(r"\[.*?\]", "", text)) for text in (context, *endings)]
    return _shared(clean[0].rstrip(), clean[1:], int(row["label"]))


def _winogrande(row: Row) -> Choice:
    contexts = tuple(_listed(row["context_options"]))
    return Choice(contexts, (f" {row['continuation']}",) * len(contexts), (int(row["gold"]),))


def _truthfulqa(row: Row) -> Choice:
    """MC1: the best answer against the incorrect ones."""
    wrong = [answer for answer in row["Incorrect Answers"].split(";") if answer.strip()]
    return _shared(f"Q: {row['Question']}\nA:", (row["Best Answer"], *wrong), 0)


def _truthfulqa_mass(row: Row) -> Choice:
    """MC2: all correct answers against all incorrect ones."""
    right = [answer for answer in row["Correct Answers"].split(";") if answer.strip()]
    wrong = [answer for answer in row["Incorrect Answers"].split(";") if answer.strip()]
    return _shared(f"Q: {row['Question']}\nA:", (*right, *wrong), *range(len(right)))


TASKS: dict[str, _Format] = {
    "lambada": _Format(("text",), lambda row: str(row["text"]), "passages"),
    "blimp": _Format(
        ("sentence_good", "sentence_bad"),
        lambda row: (str(row["sentence_good"]), str(row["sentence_bad"])),
        "pairs",
    ),
    "arc": _Format(("question", "A", "B", "C", "D", "answer"), _arc, normalise="bytes"),
    "hellaswag": _Format(("ctx", "endings", "label"), _hellaswag, normalise="bytes"),
    "piqa": _Format(("goal", "sol1", "sol2", "label"), _piqa, normalise="bytes"),
    "winogrande": _Format(("context_options", "continuation", "gold"), _winogrande),
    "truthfulqa": _Format(("Question", "Best Answer", "Incorrect Answers"), _truthfulqa),
    "truthfulqa-mc2": _Format(
        ("Question", "Correct Answers", "Incorrect Answers"), _truthfulqa_mass, statistic="mass"
    ),
}
"""The formats that can be read: name -> columns needed."""
