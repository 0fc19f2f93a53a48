"""Section 4: the pairs, how the model was trained on them, and with which settings."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from bezoar.mitigate.preference import RECIPES, TrainingLog
from bezoar.pairs import PPLM, Pairs, PairsAgreement, PairsReport
from bezoar.report.blocks import Block, Cell, Example, Facts, Fold, Picture, Section, Table, Text
from bezoar.report.dpo.artefacts import Study
from bezoar.report.dpo.paper import NAME, PAPER, SECTIONS
from bezoar.report.dpo.parts import kind_of, source_of
from bezoar.report.dpo.sections.variants import log_of
from bezoar.report.figures.training_curve import training_curve
from bezoar.report.numbers import bounds, count, number, percent, plural

SHOWN = 4  # pairs
_PAIR = re.compile(r"(\w+)=('[^']*'|[^,()]+)")
_WORDS = {
    "objective": "objective",
    "beta": "β",
    "lr": "learning rate",
    "optimiser": "optimiser",
    "batch_pairs": "pairs in a batch",
    "accumulate": "batches in a step",
    "clip": "largest norm of a gradient",
    "warmup": "steps of linear warm-up",
    "epochs": "passes over the pairs",
    "steps": "steps, at most",
    "enough": "loss that is low enough to stop",
    "eval_every": "training pairs between validations",
    "eval_pairs": "validation pairs",
    "eval_batch": "pairs in a batch of validation",
    "patience": "validations without a new best",
    "keep": "state that is kept",
    "max_prompt_tokens": "tokens of a prompt, at most",
    "max_answer_tokens": "tokens of a side, at most",
    "mode": "where paper and code differ",
    "seed": "seed",
}
_PPLM_WORDS = {
    "length": "new tokens",
    "step_size": "step size",
    "temperature": "temperature",
    "top_k": "top k",
    "iterations": "iterations",
    "window": "window",
    "horizon": "horizon",
    "decay": "decay",
    "gamma": "γ",
    "gm_scale": "geometric-mean scale",
    "kl_scale": "KL scale",
    "mode": "where paper and code differ",
}
_NOT_PRINTED = frozenset(
    ("length", "mode", "seed", "keep", "objective", "epochs", "steps", "enough")
)


def training(study: Study) -> Section:
    """Pairs, agreement, the training curve, Tables 5 and 6."""
    intro = (
        f"{NAME} train on 24,576 pairs: greedy continuations of Wikipedia sentences, and what PPLM "
        f"makes of the same sentences when it is steered by the probe. Here {_source(study)}. "
        "Scorer A filters them, and scorer B, which filtered nothing, is asked whether it agrees."
    )
    blocks = _pairs(study)
    log = main_log(study)
    if log is None:
        blocks.append(Text("This run kept no training log.", "muted"))
    else:
        blocks += [_curve(log), Facts(_facts(log))]
    blocks += [_table_5(log), _table_6(study.pplm_settings)]
    title = f"Pairs, and training on them ({SECTIONS['training']})"
    return Section("training", title, intro, tuple(blocks))


def _source(study: Study) -> str:
    """Of the pairs that were trained on, and that PPLM's are only looked at."""
    told = source_of(study.some_pairs)
    file = study.audit.options.get("pairs", {}).get("file")
    own = study.some_pairs is not None and study.some_pairs.provenance.get("how") != "read"
    if file and own:
        told = f"pairs were read from {file}: {told}"
    if study.pplm_pairs is None:
        return told
    return f"{told}; PPLM's pairs stand beside them, and nothing is trained on those"


def main_log(study: Study) -> TrainingLog | None:
    """The log of the training that the figures are about."""
    found = None if study.trained is None else log_of(study, study.trained)
    return found or next(iter(study.trainings.values()), None)


def _pairs(study: Study) -> list[Block]:
    kinds = (
        (kind_of(study.some_pairs), study.pairs, study.agreement),
        ("PPLM", study.pplm_pairs, study.pplm_agreement),
    )
    rows = tuple(
        (name, *_kept(report), *_agreed(agreement))
        for name, report, agreement in kinds
        if report is not None or agreement is not None
    )
    if not rows:
        return [Text("This run made no pairs.", "muted")]
    columns = (
        "pairs",
        "made",
        "kept",
        "rejected above chosen",
        "mean margin",
        "chosen",
        "rejected",
    )
    scorer = next((a.scorer for _, _, a in kinds if a is not None), "scorer B")
    caption = (
        f"The pairs that were kept, by {scorer}: the share in which it, too, puts the rejected "
        "side above the chosen one, the mean difference, and the mean score of each side, with "
        "95 % intervals by prompt."
    )
    blocks: list[Block] = [Table(caption, columns, rows)]
    blocks += [_dropped(f"Why {name} were dropped.", r) for name, r, _ in kinds if r is not None]
    if study.some_pairs is not None and len(study.some_pairs):
        blocks.append(Fold("A few pairs, as they were trained on.", _examples(study.some_pairs)))
    return blocks


def _kept(report: PairsReport | None) -> tuple[Cell | str, ...]:
    if report is None:
        return ("–", "–")
    return (count(report.rows_in), Cell(count(report.rows_out), percent(report.kept_share)))


def _agreed(found: PairsAgreement | None) -> tuple[Cell | str, ...]:
    if found is None:
        return ("–",) * 4
    above = found.above
    note = f"[{percent(above.low)}, {percent(above.high)}]"
    own = "" if found.independent else ", not independent"
    margin = bounds(found.margin.low, found.margin.high, signed=True)
    return (
        Cell(percent(above.value), note + own),
        Cell(number(found.margin.value, signed=True), margin),
        number(found.chosen),
        number(found.rejected),
    )


def _dropped(caption: str, report: PairsReport) -> Table:
    rows = tuple(
        (reason, count(len(rows)), report.reasons.get(reason, ""))
        for reason, rows in report.dropped.items()
        if rows
    )
    columns = ("reason", "pairs", "meaning")
    return Table(caption, columns, rows or (("none", "0", ""),), folded=True, wordy=True)


def _examples(pairs: Pairs) -> tuple[Block, ...]:
    scores = list(zip(pairs.chosen_score or (), pairs.rejected_score or (), strict=True))
    return tuple(
        Example(
            pairs.prompts[i],
            tuple(
                (name, text.strip(), number(scores[i][at], digits=2) if scores else "")
                for at, (name, text) in enumerate(
                    (("chosen", pairs.chosen[i]), ("rejected", pairs.rejected[i]))
                )
            ),
        )
        for i in range(min(SHOWN, len(pairs)))
    )


def _curve(log: TrainingLog) -> Picture:
    best = log.best
    return Picture(
        training_curve(log),
        f"The training that all figures are about: {log.objective} on {plural(log.pairs, 'pair')}, "
        f"{log.trainable} trained; stopped: {log.stop_reason}. The ring is the state that was kept "
        f"(step {best.step}: loss {number(best.loss)}, {percent(best.accuracy)} of the kept-out "
        f"pairs in order). Dotted: ln 2, where DPO begins.",
        f"Loss and KL by step; the lowest validation loss is {number(best.loss)}.",
    )


def _facts(log: TrainingLog) -> tuple[tuple[str, str], ...]:
    return (
        ("pairs trained on", count(log.pairs)),
        ("validation pairs", count(log.validation_pairs)),
        ("left out, equal sides", count(log.equal)),
        ("prompts, sides cut", f"{count(log.cut_prompts)}, {count(log.cut_answers)}"),
        ("numbers free to move", count(log.trained)),
        ("‖ΔW‖ / ‖W‖ of what was free", percent(_relative(log), digits=2)),
    )


def _relative(log: TrainingLog) -> float | None:
    """None of what began at zero (an added layer): the log has a placeholder."""
    return None if log.norm and not log.relative else log.relative


def _table_5(log: TrainingLog | None) -> Table:
    printed = asdict(RECIPES["lee2024"]) | {"patience": RECIPES["lee2024"].patience_used}
    used = _resolved(log.recipe) if log is not None else {}
    if log is not None and used.get("patience") is None:
        used["patience"] = printed["patience"]
    caption = PAPER.table_caption(
        5,
        "As printed, and as used here: “same” where they agree. The paper prints a patience of 10, "
        "its configuration has 30. Rows without a printed value are not in the table of the paper.",
    )
    return _settings(caption, "table_5", _WORDS, printed, used if log is not None else None)


def _table_6(settings: Mapping[str, Any]) -> Table:
    said = "As printed, and as used here." if settings else "As printed; here PPLM made no pairs."
    caption = PAPER.table_caption(6, said)
    return _settings(caption, "table_6", _PPLM_WORDS, asdict(PPLM()), settings or None)


def _settings(
    caption: str,
    key: str,
    words: Mapping[str, str],
    printed: Mapping[str, Any],
    used: Mapping[str, Any] | None,
) -> Table:
    rows: list[tuple[Cell | str, ...]] = []
    for name, word in words.items():
        paper = "–" if name in _NOT_PRINTED else _shown(printed.get(name))
        here = "–" if used is None else _shown(used.get(name, printed.get(name)))
        if here == paper == "–":
            continue
        same = here == paper
        rows.append((word, paper, Cell("same" if same else here, "", "muted" if same else "")))
    return Table(caption, ("setting", NAME, "here"), tuple(rows), key=key)


def _resolved(recipe: str) -> dict[str, Any]:
    """``Recipe(lr=1e-05, …)`` as a mapping; what cannot be read stays text."""
    found: dict[str, Any] = {}
    for name, value in _PAIR.findall(recipe):
        try:
            found[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[name] = value.strip()
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
