"""Bringing a run up to a stage, the same for every kind of run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console

from bezoar.errors import ConfigError
from bezoar.runs import AuditConfig, Progress, Run
from bezoar.runs.faults import explained
from bezoar.studies.audit.about import chat_in_words
from bezoar.studies.audit.asked import INPUT_STAGES, made_for
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.forecast import forecast_audit

B = TypeVar("B", bound=Bench)


_INSTEAD = {
    ("dpo", "lens"): "it lays the lenses of both models side by side in 'compare' (Figure 1)",
    ("tune", "mitigate"): "it fits methods in 'search'",
    ("tune", "evaluate"): "it measures the edits that it found in 'finalists'",
}
"""Where a kind of run does what a stage of an audit does."""


def check_stage(upto: str, stages: Collection[str], config: AuditConfig) -> None:
    """Refuse a stage that a kind of run does not have.

    Raises:
        ConfigError: naming those that this run has, and the one that does such work.
    """
    if upto in stages:
        return
    own = [name for name in stages if name not in INPUT_STAGES or name in made_for(config)]
    kinds = {"audit": "An audit", "tune": "A search"}
    instead = _INSTEAD.get((config.study, upto))
    raise ConfigError(
        f"{kinds.get(config.study, f'A study of {config.study}')} has no stage {upto!r}"
        + (f": {instead}." if instead else "."),
        hint=f"Its stages: {', '.join(own)}. {_whole(config)} goes through all of them.",
    )


def _whole(config: AuditConfig) -> str:
    """The command that takes up the whole run."""
    alone = config.study in ("audit", "tune")
    command = config.study if alone else f"study {config.study}"
    return f"'bezoar {command} --config {config.out}/config.yaml --out {config.out}'"


@contextmanager
def brought_up(
    kind: Callable[[Run, Any, Progress | None], B],
    config: AuditConfig,
    stages: Mapping[str, Callable[[B], None]],
    upto: str,
    *,
    check: Callable[[B], None],
    progress: Progress | None = None,
    console: Console | None = None,
    forecast: Callable[[B], object] = forecast_audit,
    until: str = "evaluate",
) -> Iterator[B]:
    """Open a run, bring it up to a stage, and hold it open for reading what it found.

    Args:
        kind: of bench.
        config: what is asked; ``config.out`` is the run folder.
        stages: all of them, in order; finished ones do nothing.
        upto: the last one to run.
        check: refuses what the model, and after the first stage the texts, turn out not to allow.
        progress: where to show it.
        console: where to say what the job will take, once the texts are known.
        forecast: what the job will take.
        until: the stage that most of it goes into; once it is done, nothing is said.

    Raises:
        ConfigError: if there is no such stage.
        BezoarError: of the stage that could not be done; what came before it is kept.
    """
    check_stage(upto, stages, config)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with Run.open(Path(config.out), config) as run, explained(run.path):
        bench = kind(run, config, progress)
        check(bench)
        for name, stage in stages.items():
            stage(bench)
            if name == upto:
                break
            if name == "explore":
                check(bench)
            if name == "explore" and console is not None and until not in run.finished():
                if said := chat_in_words(bench):
                    console.print(said)
                console.print(str(forecast(bench)))
        yield bench
