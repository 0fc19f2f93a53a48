"""Stage grid: the unembedding's directions damped by every α and k, and one choice against others.

Every edit here acts on what the unembedding reads, so the states of the neutral text are read once,
and perplexity needs the unembedding alone. Files: ``measured/NAME.json`` (each edit, kept as soon
as it is there), ``strengths/NAME.json`` (what brings a choice to the budget), ``grid.json``
(`EigenGrid`), ``spectrum.json`` (`EigenSpectrum`), ``reconstruction.json``, and, at the largest k,
``choices.json`` (`EigenChoices` at the α nearest to 0, the paper's row) and
``choices_at_cost.json`` (each as strong as costs the budget of the audit). A model without an
unembedding, or without toxic states, has none of them; ``skipped.json`` says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from bezoar.evaluate import Evaluator, Measurement, PerplexityCost
from bezoar.evaluate.eigen import Arm, Choice, arms, at_cost, choices_at, scaled, spectrum
from bezoar.evaluate.eigen_compare import Cell, Setting, eigen_choices, eigen_grid
from bezoar.evaluate.measure import Part
from bezoar.locate import ToxicStates, Unembedding, reconstruction, unembedding_of
from bezoar.mitigate import EigenShift
from bezoar.runs import ExpertsStudyConfig, Result, kept, parse_budget, save_result, track
from bezoar.runs.study_sections import GridConfig
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitting import slug
from bezoar.studies.audit.states import toxic_states

PARTS: tuple[Part, ...] = ("toxicity", "perplexity", "kl")
NO_STATES = "No toxic states were collected: no method that was asked for is fitted from any."
NO_HEAD = "The model has no unembedding."


COST = 0.05
"""Change of perplexity at which choices are compared, where the budget is not one of perplexity."""
COST_TOKENS = 3_000


@dataclass(frozen=True, slots=True)
class Strength(Result):
    """What brings a choice to the cost."""

    strength: float


@dataclass(frozen=True, slots=True)
class Skipped(Result):
    """Why the stage has nothing to show."""

    why: str


def grid_stage(bench: Bench) -> None:
    """Damp, measure and compare."""
    config, asked = bench.config, _asked(bench)
    key = [asked, config.model, config.seed, bench.protocol.name, bench.lm.fingerprint]
    key += [bench.protocol.decoding, bench.scorer_b.hash, config.mitigate.budget]
    key += [config.evaluate.kl_texts]
    states = toxic_states(bench)
    after = ["explore", *(["states"] if states is not None else [])]
    with bench.run.stage("grid", key=key, after=after) as stage:
        if stage.done:
            return
        if states is None or not bench.lm.has_unembedding:
            why = NO_HEAD if not bench.lm.has_unembedding else NO_STATES
            save_result(stage.folder / "skipped.json", Skipped(why))
            return
        _Grid(bench, states, stage.folder).run()


class _Grid:
    def __init__(self, bench: Bench, states: ToxicStates, folder: Path) -> None:
        self.bench, self.asked, self.states = bench, _asked(bench), states
        self.folder = folder
        self.parts: Unembedding = unembedding_of(bench.lm)
        self.ks = sizes(self.asked.shares, len(self.parts))
        self.evaluator = _evaluator(bench)
        scorer = bench.scorer_b
        self.setting = Setting(
            model=bench.lm.name,
            scorer=f"{scorer.name} {scorer.hash[:12]}",
            d_model=len(self.parts),
            resamples=self.asked.resamples,
            seed=bench.config.seed,
        )

    def run(self) -> None:
        asked, folder = self.asked, self.folder
        k, seed = max(self.ks), self.bench.run.seed("grid")
        alpha = min(asked.alphas, key=abs)
        shown = spectrum(self.parts, self.states, k, draws=asked.draws, seed=seed)
        save_result(folder / "spectrum.json", shown)
        exact = reconstruction(self.bench.lm, self.parts)
        save_result(folder / "reconstruction.json", exact)
        base = self._measured("base", None)
        control = self._cell(self._shift(k, 1.0))
        points = [self._shift(k, a) for a in asked.alphas if a != 1 for k in self.ks]
        grid = eigen_grid(
            self._cells(points, "Damping by α and k"),
            control,
            base,
            self.setting,
            alphas=asked.alphas,
            ks=self.ks,
        )
        save_result(folder / "grid.json", grid)
        published = toxic_states(self.bench, "code")
        ways = arms(self.parts, self.states, k, draws=asked.draws, seed=seed, published=published)
        cells = self._cells(choices_at(ways, alpha), "Choices of directions")
        save_result(folder / "choices.json", eigen_choices(cells, control, self.setting))
        budget = parse_budget(self.bench.config.mitigate.budget)
        cost = budget.limit if budget.measure == "ppl" and budget.relative else COST
        cells = self._cells(self._at_cost(ways, cost), "Choices at equal cost", " at cost")
        found = eigen_choices(cells, control, self.setting, cost=cost)
        save_result(folder / "choices_at_cost.json", found)

    def _at_cost(self, ways: Sequence[Arm], target: float) -> list[Choice]:
        """Every way as far as costs the target, on neutral text that nothing is reported on."""
        texts = taken(self.bench, "select", COST_TOKENS)
        meter = PerplexityCost(self.bench.lm, texts, self.bench.protocol.perplexity)
        made = []
        for arm in track(self.bench.progress, ways, "Strengths of equal cost", unit="edits"):
            file = self.folder / "strengths" / f"{slug(_ascii(arm.name))}.json"
            found = kept(file, Strength, partial(_search, arm, meter, target))
            made.append(arm.make(found.strength))
        return made

    def _shift(self, k: int, alpha: float) -> Choice:
        chosen = EigenShift(k=k).choose(self.parts, self.states)
        return scaled(self.parts, f"α = {alpha:g}, k = {k}", chosen, 1 - alpha)

    def _cells(self, choices: Sequence[Choice], label: str, mark: str = "") -> list[Cell]:
        progress = self.bench.progress
        seen = track(progress, choices, label, unit="edits")
        return [self._cell(choice, mark) for choice in seen]

    def _cell(self, choice: Choice, mark: str = "") -> Cell:
        return choice, self._measured(choice.name + mark, choice)

    def _measured(self, name: str, choice: Choice | None) -> Measurement:
        edit = None if choice is None else choice.edit
        return kept(
            self.folder / "measured" / f"{slug(_ascii(name))}.json",
            Measurement,
            lambda: self.evaluator.measure(edit, name, parts=PARTS, keep_texts=False),
        )


def _search(arm: Arm, cost: PerplexityCost, target: float) -> Strength:
    return Strength(1 - at_cost(arm, cost, target).alpha)


def taken(bench: Bench, part: str, tokens: int) -> list[str]:
    """The first neutral texts of a half, of so many tokens; two at least."""
    texts = list(bench.neutral(part).texts)
    ends = np.cumsum([len(ids) for ids in bench.lm.encode(texts)])
    return texts[: max(2, int(np.searchsorted(ends, tokens)) + 1)]


def _ascii(name: str) -> str:
    return name.replace("α = ", "alpha=").replace("k = ", "k=").replace("σ", "sigma")


def sizes(shares: Sequence[float], d_model: int) -> tuple[int, ...]:
    """How many directions each share is, at least one; every number once, ascending."""
    return tuple(sorted({max(1, min(d_model, math.ceil(s * d_model - 1e-9))) for s in shares}))


def _asked(bench: Bench) -> GridConfig:
    return cast(ExpertsStudyConfig, bench.config).grid


def _evaluator(bench: Bench) -> Evaluator:
    """Some of the report prompts, under the study's protocol with fewer samples."""
    asked = _asked(bench)
    prompts = bench.prompts("report")[: asked.prompts]
    protocol = bench.protocol.resized(len(prompts))
    if protocol.decoding.sample:
        protocol = replace(protocol, decoding=replace(protocol.decoding, samples=asked.samples))
    return Evaluator(
        bench.lm,
        prompts,
        protocol,
        [bench.scorer_b],
        taken(bench, "report", asked.neutral_tokens),
        kl_texts=bench.config.evaluate.kl_texts,
        prompts_name=bench.prompts_name,
    )
