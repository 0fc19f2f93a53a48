"""Stage states: what the unembedding reads when the model writes a toxic token.

Runs only if a method is fitted from such states, or a study looks at them. Files: ``prompts.json``
and ``prompts.parquet`` (what was continued), ``written.json`` (the continuations, with what scorer
A said of them), ``toxic/`` (the states), ``paper/`` and ``code/`` (the same continuations, with
states chosen as the paper and as its code do) and ``report.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bezoar.corpus import Prompts, load_prompts
from bezoar.errors import DataError
from bezoar.evaluate import get_protocol
from bezoar.locate import Continuations, StatesMode, ToxicStates, continue_and_attribute, states_of
from bezoar.locate.states_report import report_states
from bezoar.mitigate import parse_method
from bezoar.runs import AuditConfig, Result, kept, load_result, save_result
from bezoar.stats import hash_halves, near_duplicates, text_key, unit_hash
from bezoar.studies.audit.asked import needs, specs_of
from bezoar.studies.audit.bench import HALVES_SALT, Bench

FEWEST = 200
"""Prompts that must be left over; with fewer, those that choose are continued too."""
_FOLDERS: dict[StatesMode, str] = {"correct": "toxic", "paper": "paper", "code": "code"}


@dataclass(frozen=True, slots=True)
class StatesPrompts(Result):
    """What was continued.

    Attributes:
        name: of the set.
        left_over: prompts by which nothing is chosen, and on which nothing is reported.
        chosen_by: prompts by which strengths are chosen too.
        repeats: prompts left out because they nearly repeat one that is reported on.
    """

    name: str
    left_over: int
    chosen_by: int
    repeats: int

    def __str__(self) -> str:
        said = f"{self.left_over} prompts of {self.name} by which nothing else is chosen"
        if self.chosen_by:
            said += f", and {self.chosen_by} by which strengths are chosen, for want of others"
        return f"{said}; none of them is reported on"


def states_stage(bench: Bench) -> None:
    """Collect the states; nothing if no one asks for any.

    Raises:
        DataError: if no toxic state was found; how many prompts were tried is in it.
        ModelError: if the model cannot write.
    """
    config = bench.config
    if "states" not in needs(config):
        return
    asked = config.states
    key = [asked, config.model, config.seed, bench.scorer_a.hash]
    with bench.run.stage("states", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        written = kept(stage.folder / "written.json", Continuations, partial(_write, bench))
        found: dict[StatesMode, ToxicStates] = {}
        for mode, name in _FOLDERS.items():
            try:
                found[mode] = states_of(
                    bench.lm,
                    written,
                    mode,
                    words=asked.words,
                    matched=asked.matched,
                    seed=bench.run.seed("states"),
                    progress=bench.progress,
                )
            except DataError as error:
                if mode == "correct":
                    raise DataError(error.message, hint=error.hint + _without(config)) from error
            else:
                found[mode].save(stage.folder / name)
        states = found.pop("correct")
        about = load_result(stage.folder / "prompts.json", StatesPrompts)
        report = report_states(
            bench.lm,
            states,
            prompts=str(about),
            others=found,
            draws=asked.shuffles,
            seed=bench.run.seed("states"),
        )
        save_result(stage.folder / "report.json", report)


def _without(config: AuditConfig) -> str:
    """What a run may leave out, so that it can do without states."""
    specs = specs_of(config.mitigate.methods)
    names = dict.fromkeys(m.name for m in map(parse_method, specs) if "states" in m.requires)
    return f" Or leave {', '.join(names)} out of --methods." if names else ""


def toxic_states(bench: Bench, mode: StatesMode = "correct") -> ToxicStates | None:
    """What the stage left; None if it did not run, or found none that way."""
    folder = bench.run.folder("states") / _FOLDERS[mode]
    return ToxicStates.load(folder) if folder.exists() else None


def _write(bench: Bench) -> Continuations:
    folder, asked = bench.run.folder("states"), bench.config.states
    texts = list(_prompts(bench, folder).texts)
    return continue_and_attribute(
        bench.lm,
        bench.lm.chat(texts) if bench.config.model.chat else texts,
        bench.scorer_a,
        max_new_tokens=asked.max_new_tokens,
        attribution=asked.attribution,
        progress=bench.progress,
    )


def _prompts(bench: Bench, folder: Path) -> Prompts:
    """Prompts of the selection half that no strength is chosen by; if they are few, those too."""
    data, asked = bench.config.data, bench.config.states
    subset = get_protocol(bench.config.evaluate.protocol).subset
    every = load_prompts(data.prompts, subset=subset, data_root=bench.data_root)
    reported = Prompts.load(bench.run.folder("explore") / "prompts-report.parquet").texts
    select = {text_key(text) for text in bench.prompt_rows("select").texts}
    half = [int(row) for row in hash_halves(every.texts, HALVES_SALT)[0]]
    half.sort(key=lambda row: unit_hash(every.texts[row], HALVES_SALT + "-states"))
    rest = [row for row in half if text_key(every.texts[row]) not in select]
    near = set(near_duplicates([every.texts[row] for row in rest], list(reported), 0.7).a)
    left = [row for n, row in enumerate(rest) if n not in near]
    chosen = [row for row in half if text_key(every.texts[row]) in select]
    if len(left) >= min(FEWEST, asked.prompts):
        chosen = []
    rows = [*left, *chosen][: asked.prompts]
    taken = every.take(rows, note="of the selection half")
    used = len([row for row in rows if row in set(left)])
    about = StatesPrompts(taken.name, used, len(rows) - used, len(near))
    save_result(folder / "prompts.json", about)
    taken.save(folder / "prompts.parquet")
    return taken
