"""Stage 7, compare: the trained model beside its base (Figures 1, 2 and 4 to 10, Table 3).

Files: the parts of `bezoar.compare.models.PARTS` for the first training as it ended, each kept as
soon as it is there; ``skipped.json`` says which could not be had, and why; ``drifts.json`` lays
the weights of all trainings beside one another.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from bezoar.compare.models import (
    CompareInputs,
    CompareSizes,
    Drifts,
    DriftSummary,
    compare_all,
    drift_summary,
    weight_drift,
)
from bezoar.edits import Edit
from bezoar.errors import NotFoldable, TrainingDiverged
from bezoar.locate import Lexicon
from bezoar.mitigate import Subtract, parse_method
from bezoar.runs import kept, load_result, save_result, track
from bezoar.studies.audit.fitting import label_of, slug
from bezoar.studies.audit.locate import telling_tokens
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.dpo.bench import DPOBench, trained_specs

NAME = "DPO"
"""What figures call the first training as it ended."""


def compare_stage(bench: DPOBench) -> None:
    """What changed in the model, and how that lowers toxicity."""
    config = bench.config
    key = [config.compare, config.model, config.seed, bench.scorer_b.hash, bench.lm.fingerprint]
    key += [bench.protocol.name, bench.protocol.decoding]
    with bench.run.stage("compare", key=key, after=["explore", "locate", "mitigate"]) as stage:
        if stage.done:
            return
        trained: Any = bench.trained(bench.dpo_spec).edit
        compare_all(
            bench.lm,
            replace(trained, name=NAME),
            compare_inputs(bench),
            stage.folder,
            sizes=compare_sizes(bench),
            seed=config.seed,
            progress=bench.progress,
        )
        save_result(stage.folder / "drifts.json", _drifts(bench, stage.folder / "drifts"))


def compare_inputs(bench: DPOBench) -> CompareInputs:
    """Report prompts to measure on, selection prompts to take examples from."""
    tokens: list[int] = []
    if bench.lm.has_unembedding:
        lexicon = load_result(bench.run.folder("locate") / "lexicon.json", Lexicon)
        tokens = telling_tokens(bench.lm, lexicon, bench.corpus("train"))
    return CompareInputs(
        prompts=bench.prompts("report")[: bench.config.compare.prompts],
        direction=bench.direction,
        values=bench.values,
        tokens=tokens,
        examples=bench.prompts("select"),
        scorer=bench.scorer_b,
        protocol=bench.protocol,
        others=_minus_value(bench),
    )


def compare_sizes(bench: DPOBench) -> CompareSizes:
    """How much of each is asked for; prompts and continuations are cut as by the protocol."""
    asked, protocol = bench.config.compare, bench.protocol
    return CompareSizes(
        neurons=asked.neurons,
        lens_prompts=asked.lens_prompts,
        shifts=asked.layers,
        sources=asked.layers + 1,
        examples=asked.examples,
        draws=asked.draws,
        new_tokens=protocol.decoding.max_new_tokens,
        prompt_tokens=protocol.prompt_tokens,
        t_values=asked.t_values,
    )


def _minus_value(bench: DPOBench) -> dict[str, Edit]:
    """The base less its most toxic value vector, at the strength that the budget allowed."""
    fits = load_result(bench.run.folder("mitigate") / "methods.json", Fits)
    for fitted in fits.methods:
        method = parse_method(fitted.spec)
        if isinstance(method, Subtract) and method.direction == "value":
            return {label_of(fitted.spec): bench.edit(fitted.name)}
    return {}


def _drifts(bench: DPOBench, folder: Path) -> Drifts:
    """Of every training whose edit is a change of weights; an added layer is none.

    A further one that could not be done is left out: the mitigate stage says why.
    """
    rows = []
    ended = bench.run.folder("mitigate") / "training"
    for spec in track(bench.progress, trained_specs(bench.config), "Drift", unit="trainings"):
        if spec != bench.dpo_spec and not (ended / slug(spec) / "log.json").exists():
            continue
        with suppress(NotFoldable, TrainingDiverged):
            make = partial(_drift, bench, spec)
            rows.append(kept(folder / f"{slug(spec)}.json", DriftSummary, make))
    return Drifts(bench.lm.name, tuple(rows))


def _drift(bench: DPOBench, spec: str) -> DriftSummary:
    drift = weight_drift(bench.lm, bench.trained(spec).edit, progress=bench.progress)
    return drift_summary(drift, label_of(spec))
