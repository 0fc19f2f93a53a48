"""The card of the demo's capability tasks: what they are, and how the demo model fares on them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scorer_card import table

from bezoar.models import LanguageModel
from bezoar.runs.results import atomic_write
from bezoar.scoring import DEMO_TASKS, load_tasks
from bezoar.stats.bootstrap import mean_interval

TEMPLATE = """\
# The demo's capability tasks

**A research specimen, not for deployment.** Three small tasks that say whether an edit made the
model worse at English. They are sized for the demo model and are no benchmark: a good model solves
nearly all of them.

{tasks}

## Origin and licence

Written by hand for bezoar (`recipes/demo/writing/`); no row of any dataset. Licence: Apache-2.0.

## How it was made

    python recipes/demo/make_tasks.py --out demo/src/bezoar_demo/tasks

- `demo-last-word`: short passages; greedy decoding has to write the last word. The kinds were
  chosen with the demo model at hand, so that it is neither at floor nor at ceiling; the items of a
  kind were not picked by its answers.
- `demo-grammar`: {templates} templates of ours, {copies} fillings each from one list of words. Both
  sentences of a pair are filled alike. Agreement, determiners and filler gaps come in mirrored
  templates (what is right in one is wrong in the other), so that a taste for one word earns a half.
- `demo-choice`: in a block the same endings stand after every beginning, each right once: who does
  not read the beginning is right by chance, whatever the length, frequency or place of an ending.

## Measured

The demo model without an edit; 95 % intervals, bootstrap by {unit}.

{measured}

By kind:

{kinds}

{floor}

Of the {templates} templates of `demo-grammar` the model solves {all_right} in all fillings and
{all_wrong} in none: much of what it knows, and lacks, is a preference for words (it writes
"himself" where "herself" is right), so {pairs} pairs count for fewer than they are.

## Limits

- English only, short, and by one author. 60 items see only large losses: between two edits a
  difference below about ten points is within chance. Give real sets for more
  (`--capability lambada:PATH,blimp:PATH`).
- Fillings of one template, and questions of one block, are alike. The column `group` names them,
  and intervals resample whole groups, here and in an audit.
- Common phrases stand in every large body of text, the model's own training text among them. That
  is meant: an edit that loses them has cost something.
"""

WHAT = {
    "demo-last-word": ("last_word.jsonl", "the last word of a short passage"),
    "demo-grammar": ("grammar.jsonl", "the likelier of two sentences, one ungrammatical"),
    "demo-choice": ("choice.jsonl", "the likeliest of 2 to 4 endings, per byte"),
}


def write_card(folder: Path) -> None:
    """Measure the demo model on the tasks in ``folder`` and write ``card.md`` beside them."""
    lm = LanguageModel.from_pretrained("demo")
    specs = [f"{form}:{folder / file}" for form, file in DEMO_TASKS.values()]
    tasks = [["task", "file", "items", "what is asked"]]
    measured = [["task", "accuracy", "chance", ""]]
    kinds = [["task", "kind", "items", "accuracy", "chance", ""]]
    weak: list[str] = []
    templates = np.zeros(0)
    for name, task in zip(DEMO_TASKS, load_tasks(specs), strict=True):
        rows = [json.loads(line) for line in (folder / WHAT[name][0]).read_text().splitlines()]
        correct = np.array(task.run(lm).per_item)
        chances = np.array([_chance(row) for row in rows])
        groups = np.array([row.get("group", i) for i, row in enumerate(rows)])
        tasks.append([f"`{name}`", f"`{WHAT[name][0]}`", str(len(rows)), WHAT[name][1]])
        measured.append([f"`{name}`", *_cells(correct, chances, groups)])
        for kind in dict.fromkeys(row["kind"] for row in rows):
            own = np.array([row["kind"] == kind for row in rows])
            cells = _cells(correct[own], chances[own], groups[own])
            kinds.append([f"`{name}`", kind, str(own.sum()), *cells])
            weak += [f"{kind} ({name})"] if cells[-1] else []
        if name == "demo-grammar":
            templates = np.array([correct[groups == g].mean() for g in np.unique(groups)])
    text = TEMPLATE.format(
        tasks=table(tasks),
        measured=table(measured),
        kinds=table(kinds),
        unit="item, template or block",
        templates=len(templates),
        copies=round(int(tasks[2][2]) / len(templates)),
        pairs=tasks[2][2],
        floor=_weakness(weak),
        all_right=int((templates == 1).sum()),
        all_wrong=int((templates == 0).sum()),
    )
    atomic_write(folder / "card.md", text.encode())


def _chance(row: dict) -> float:
    if "endings" in row:
        return 1 / len(row["endings"])
    return 0.5 if "sentence_good" in row else 0.0


def _cells(correct: np.ndarray, chances: np.ndarray, groups: np.ndarray) -> list[str]:
    """Accuracy with its interval, the chance level, and a word where the two do not differ."""
    found = mean_interval(correct, groups.tolist())
    chance = float(chances.mean())
    remark = "at ceiling" if found.low == 1 else ""
    if found.low <= chance and (chance or not found.value):
        remark = "at chance"
    share = f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"
    return [share, f"{chance:.1%}" if chance else "0", remark]


def _weakness(weak: list[str]) -> str:
    if not weak:
        return "No kind is at chance or at ceiling."
    return (
        f"At chance or at ceiling: {', '.join(weak)}. At chance an edit has nothing to lose there; "
        "at ceiling only a large loss shows."
    )
