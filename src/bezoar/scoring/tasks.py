"""Reading capability tasks from the tables in which they are passed around, and running them.

`load_task("lambada:PATH")` reads a table whose columns are those of the task's usual release. What
the model is shown follows common practice ("Question: …\\nAnswer:"). `load_tasks(["demo"])` reads
the three small tasks of the demo distribution, which are in the same formats.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

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
    """A task ready to run. ``passages``, ``pairs`` or ``choices``: exactly one is filled.

    ``groups`` names what each item was made from, if the table has a column ``group``.
    """

    name: str
    passages: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    choices: tuple[Choice, ...] = ()
    normalise: Normalise = "none"
    statistic: Statistic = "accuracy"
    groups: tuple[str, ...] = ()

    @property
    def hash(self) -> str:
        """Of everything that a result depends on, the items above all."""
        return hashlib.sha256(repr(self).encode("utf-8", "surrogatepass")).hexdigest()

    def run(self, lm: LanguageModel) -> CapabilityResult:
        """Measure a model on it (inside ``edit.applied_to(lm)``: the edited model)."""
        return replace(self._run(lm), groups=self.groups)

    def _run(self, lm: LanguageModel) -> CapabilityResult:
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
    kinds: str = ""


class TaskFile(NamedTuple):
    """Where a task's items are: its name on the scorecard, its format in `TASKS`, the file, and
    how many are asked for: of each kind, if the format has kinds and the file names them."""

    name: str
    format: str
    path: Path
    items: int | None = None


def find_tasks(specs: Sequence[str], data_root: str | Path | None = None) -> list[TaskFile]:
    """What task specs lead to; nothing is read yet.

    Args:
        specs: each NAME:PATH with a NAME of `TASKS`, one of `DEMO_TASKS`, or ``demo`` for all of
            these. NAME@50:PATH takes 50 items (of BLiMP 50 of each paradigm). Two files of one
            format are told apart by their file names.
        data_root: where relative paths start, if they lead to something there.

    Raises:
        ConfigError: if there is no such task, or one is named twice.
        DataError: if a file is missing, or the demo is not installed.
    """
    every = [name for spec in specs for name in (DEMO_TASKS if spec == "demo" else (spec,))]
    root = None if data_root is None else Path(data_root)
    files = [_find(spec, root) for spec in every]
    shared = [name for name, n in Counter(file.name for file in files).items() if n > 1]
    found = [f._replace(name=f"{f.name}-{f.path.stem}") if f.name in shared else f for f in files]
    names = [file.name for file in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"The task {twice!r} is named twice.", hint="Name each file once.")
    return found


def _find(spec: str, data_root: Path | None) -> TaskFile:
    if spec in DEMO_TASKS:
        form, file = DEMO_TASKS[spec]
        return TaskFile(spec, form, _demo_folder() / file)
    asked, _, given = spec.partition(":")
    name, at, number = asked.partition("@")
    if name not in TASKS or not given:
        hint = did_you_mean(name, (*TASKS, "demo", *DEMO_TASKS))
        raise ConfigError(f"{spec!r} names no task.", hint=f"{hint} As NAME:PATH, demo, or none.")
    if at and not (number.isdecimal() and 0 < int(number) < 10**6):
        raise ConfigError(
            f"{number!r} in {spec!r} is no number of items.", hint=f"Write {name}@50:{given}."
        )
    path = Path(given).expanduser()
    if data_root is not None and (data_root / path).exists():
        path = data_root / path
    if not path.is_file():
        raise DataError(f"There is no file {path} of {name} items.")
    return TaskFile(name, name, path, int(number) if at else None)


def _demo_folder() -> Path:
    try:
        import bezoar_demo
    except ImportError as error:
        raise DataError(
            "The demo's capability tasks are not installed.",
            hint="pip install 'bezoar[demo]', or measure none: --capability none",
        ) from error
    return Path(bezoar_demo.tasks_path())


def load_tasks(
    specs: Sequence[str],
    *,
    data_root: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> list[Task]:
    """Read tasks; arguments and errors are those of `find_tasks` and `load_task`."""
    return [_load(file, limit, seed) for file in find_tasks(specs, data_root)]


def load_task(spec: str, *, limit: int | None = None, seed: int = 0) -> Task:
    """Read one task.

    Args:
        spec: NAME:PATH with a NAME of `TASKS` and a CSV, JSON lines or parquet file, or one of
            `DEMO_TASKS`. A number of items in it (NAME@50:PATH) goes before ``limit``.
        limit: at most so many items, drawn at random, in equal numbers of each kind.
        seed: of the draw.

    Raises:
        ConfigError: if there is no such task.
        DataError: if the file is missing, or not one of that task.
    """
    return _load(_find(spec, None), limit, seed)


def _load(file: TaskFile, limit: int | None, seed: int) -> Task:
    form = TASKS[file.format]
    table = read_table(file.path, form.columns)
    kinds = table[form.kinds].to_list() if form.kinds in table.columns else None
    rows = _sample(table, kinds, file.items, limit, seed).to_dicts()
    if not rows:
        raise DataError(f"{file.path} has no rows.")
    try:
        items = tuple(form.read(row) for row in rows)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
        held = f"{file.path.name} does not hold {file.format} items"
        raise DataError(f"{held}: {error!r}.") from error
    options: dict[str, Any] = {form.field: items}
    group = next((name for name in ("group", form.kinds) if name in rows[0]), None)
    if group is not None:
        options["groups"] = tuple(str(row[group]) for row in rows)
    return Task(file.name, normalise=form.normalise, statistic=form.statistic, **options)


def _sample(
    frame: pl.DataFrame, kinds: list[object] | None, each: int | None, limit: int | None, seed: int
) -> pl.DataFrame:
    """``each`` rows of every kind (of the whole, if there are none), or ``limit`` in all."""
    rng = np.random.default_rng(seed)
    if kinds is None:
        most = limit if each is None else each
        if most is None or most >= len(frame):
            return frame
        return frame[sorted(rng.choice(len(frame), most, replace=False))]
    # Every kind in an order of its own; the first of all kinds, then the second of all, …
    order = rng.permutation(len(frame))
    turn: Counter[object] = Counter()
    turns = np.empty(len(frame), dtype=np.intp)
    for row in order.tolist():
        turns[row] = turn[kinds[row]]
        turn[kinds[row]] += 1
    if each is not None:
        return frame[np.flatnonzero(turns < each)]
    if limit is None or limit >= len(frame):
        return frame
    ranked = order[np.argsort(turns[order], kind="stable")]
    return frame[np.sort(ranked[:limit])]


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
        kinds="UID",
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

DEMO_TASKS: dict[str, tuple[str, str]] = {
    "demo-last-word": ("lambada", "last_word.jsonl"),
    "demo-grammar": ("blimp", "grammar.jsonl"),
    "demo-choice": ("hellaswag", "choice.jsonl"),
}
"""The demo distribution's own tasks: name -> format and file."""
