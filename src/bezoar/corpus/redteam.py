"""Red-team prompts by kind of harm, and the harmless requests that they are set against.

Galtea's clusters are the kinds; which of them is looked for is a choice (``positive``), by default
"Toxicity & Hate" against the rest, as in the SAE safety-probing project
(denisalpino/safety_alignment). All of it is red-team text: the harmless come from elsewhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bezoar.corpus.labels import as_names, binary_labels, is_missing
from bezoar.corpus.table import Table, quoted
from bezoar.errors import DataError

Columns = dict[str, Any]

CLUSTERS = (
    "Ambiguous Requests",
    "Jailbreak & Roleplay",
    "Financial & Fraud",
    "Toxicity & Hate",
    "Violence & Illegal",
    "Privacy",
)
"""Galtea's clusters, in the order of their numbers from 0."""

TARGET = CLUSTERS[3]
_SAFE_SET = "XSTest"


def galtea(table: Table) -> Columns:
    """Galtea's clustered red-team prompts; label 1 is the cluster of toxicity and hate."""
    names = table.columns.get("cluster_name")
    category = as_names(names) if names is not None else _named(table)
    return {
        "texts": table.column("prompt"),
        "labels": np.array([name == TARGET for name in category], dtype=np.int8),
        "source": as_names(table.column("source")),
        "category": category,
    }


def _named(table: Table) -> tuple[str, ...]:
    """The clusters' names where a file has only their numbers."""
    found: list[str] = []
    for row, cell in enumerate(table.column("cluster")):
        said = "" if is_missing(cell) else str(cell).removesuffix(".0")
        if not (said.isdecimal() and int(said) < len(CLUSTERS)):
            raise DataError(
                f"{table.place}, column 'cluster', {table.at(row)}: {quoted(cell)} is no cluster "
                f"from 0 to {len(CLUSTERS) - 1}.",
                hint="Is it Galtea's file? Others are read by their columns (--text, --label).",
            )
        found.append(CLUSTERS[int(said)])
    return tuple(found)


def redteam(table: Table) -> Columns:
    """Public red-team sets in one table: label 1 is harmful, and every row bears its licence."""
    return {
        "texts": table.column("prompt"),
        "labels": _harmful(table),
        "source": as_names(table.column("source")),
        "category": as_names(table.column("cluster")),
        "licence": as_names(table.column("licence")),
    }


def xstest(table: Table) -> Columns:
    """XSTest's safe prompts, which only look harmful: all of label 0.

    Read from the table of public red-team sets, or from XSTest's own (``label`` safe or unsafe).
    """
    if "label" in table.columns and "harmful" not in table.columns:
        where = f"{table.place}, column 'label'"
        safe = binary_labels(table.column("label"), where, positive="safe", at=table.at) == 1
        kinds = table.columns.get("type", [""] * len(table))
        return _harmless(table.column("prompt"), safe, "category", as_names(kinds))
    ours = np.array([name == _SAFE_SET for name in as_names(table.column("source"))], dtype=bool)
    safe = ours & (_harmful(table) == 0)
    return _harmless(table.column("prompt"), safe, "source", (_SAFE_SET,) * len(table))


def alpaca(table: Table) -> Columns:
    """Alpaca's instructions that need no further input: all of label 0."""
    inputs = table.columns.get("input", [""] * len(table))
    alone = np.array([is_missing(cell) or not str(cell).strip() for cell in inputs], dtype=bool)
    return _harmless(
        table.column("instruction"), alone, "source", ("Alpaca instructions",) * len(table)
    )


def _harmful(table: Table) -> np.ndarray:
    where = f"{table.place}, column 'harmful'"
    return binary_labels(table.column("harmful"), where, at=table.at)


def _harmless(texts: list[Any], keep: np.ndarray, name: str, cells: tuple[str, ...]) -> Columns:
    labels = np.zeros(len(texts), dtype=np.int8)
    return {"texts": texts, "labels": labels, name: cells, "keep": keep}
