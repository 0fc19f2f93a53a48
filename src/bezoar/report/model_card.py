"""The README of an exported checkpoint: what was changed, what that did, what it does not do."""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import jinja2

from bezoar.errors import RunError, did_you_mean
from bezoar.evaluate import METRICS, MethodRow, Metric
from bezoar.masking import for_display
from bezoar.report.artefacts import Artefacts, load_artefacts
from bezoar.report.figures.comparison import beats_its_nulls, too_few_nulls
from bezoar.report.numbers import estimate, p_value, plural
from bezoar.report.render import template_file
from bezoar.report.verdict import statistic
from bezoar.runs.results import atomic_write

CARD = "README.md"
_ORDER = {name: place for place, name in enumerate(METRICS)}
_LICENCE_ID = re.compile(r"[a-z0-9.\-]+")  # as on the hub; terms of somebody's own are a name
_HUB_ID = re.compile(r"[\w.\-]+/[\w.\-]+")


def write_model_card(
    run_folder: str | Path, checkpoint: str | Path, *, label: str | None = None
) -> Path:
    """Write ``README.md`` into an exported checkpoint.

    Args:
        run_folder: the run that made it; only its files are read.
        checkpoint: the exported folder.
        label: which row of the scorecard it is; the best remedy if None.

    Returns:
        Path of the card.
    """
    path = Path(checkpoint) / CARD
    atomic_write(path, model_card(load_artefacts(Path(run_folder)), label=label).encode())
    return path


def model_card(run: Artefacts, *, label: str | None = None) -> str:
    """The card as Markdown with a metadata block. Every text in it is masked and escaped.

    Raises:
        RunError: if the run compared nothing, or has no such row.
    """
    row = _row(run, label)
    assert run.scorecard is not None
    licence = _licence(run)
    before = next((r for r in run.scorecard.rows if r.kind == "no-op"), None)
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(template_file),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["yaml"] = lambda text: _Plain(json.dumps(for_display(str(text))))
    environment.filters["code"] = partial(_code)
    return environment.get_template("model_card.md.j2").render(
        run=run,
        row=row,
        card=run.scorecard,
        hub_id=run.model if _HUB_ID.fullmatch(run.model) else None,
        licence=licence,
        licence_id=licence if licence and _LICENCE_ID.fullmatch(licence) else None,
        statistic=statistic(run.scorecard),
        lines=_lines(row, before),
        nulls=_nulls(row),
        command=str(run.audit.get("command") or "bezoar audit --config config.yaml --out RUN"),
    )


def _licence(run: Artefacts) -> str | None:
    """Of the audited model, as its own card told it."""
    told = run.audit.get("licences")
    found = told.get("model") if isinstance(told, dict) else None
    return str(found) if found else None


def _row(run: Artefacts, label: str | None) -> MethodRow:
    if run.scorecard is None:
        raise RunError(f"{run.folder} compared no remedies.", hint="Run 'bezoar evaluate' first.")
    methods = {row.label: row for row in run.scorecard.rows if row.kind == "method"}
    row = run.best() if label is None else methods.get(label)
    if row is None:
        seen = "a remedy that folds" if label is None else f"a remedy {label!r}"
        raise RunError(f"{run.folder} has no {seen}.", hint=did_you_mean(label or "", methods))
    return row


def _lines(row: MethodRow, before: MethodRow | None) -> list[tuple[str, ...]]:
    """Name, before, after, paired change and protocol of every metric."""
    lines: list[tuple[str, ...]] = []
    order = sorted(row.metrics, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))
    for name in order:
        after = row.metrics[name]
        earlier = before.metrics.get(name) if before is not None else None
        change = estimate(row.change.get(name), signed=True)
        seen = (estimate(earlier), estimate(after), "cannot move" if after.identity else change)
        lines.append((_metric_name(name), *map(_Plain, seen), _protocol(after)))
    return lines


def _metric_name(name: str) -> str:
    family, _, rest = name.partition(":")
    if rest:
        words = {"task": "task", "excess": "excess perplexity of", "toxicity": "toxicity by"}
        return f"{words.get(family, family)} {rest}"
    return METRICS[name][0] if name in METRICS else name


def _protocol(metric: Metric) -> str:
    return metric.protocol + (f", {metric.scorer}" if metric.scorer else "")


def _nulls(row: MethodRow) -> str:
    if too_few_nulls(row):
        return (
            f"It was held against {plural(row.n_draws, 'null edit')} of its own norm or cost: too "
            "few null edits to decide whether it does better."
        )
    beats = beats_its_nulls(row)
    if beats is None:
        return "It was not held against null edits, so chance is not ruled out."
    verb = "does better than" if beats else "does not do better than"
    return (
        f"It {verb} {plural(row.n_draws, 'null edit')} of its own norm or cost "
        f"(p = {p_value(row.holm_p)} after Holm's correction)."
    ).replace("= <", "<")


class _Plain(str):
    """Text that is fit for Markdown as it is."""

    __slots__ = ()


def _finalize(value: Any) -> Any:
    if isinstance(value, _Plain) or not isinstance(value, str):
        return value
    text = for_display(value).replace("\n", " ")
    return (
        re.sub(r"([\\`*_{}\[\]<>|])", r"\\\1", text).replace("\\<", "&lt;").replace("\\>", "&gt;")
    )


def _code(text: str) -> _Plain:
    """An indented block: nothing in it is markup."""
    shown = for_display(str(text))
    return _Plain("\n".join(f"    {line}" for line in shown.splitlines()))
