"""The parts of a comparison, each made of the same inputs by the function it is named for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

from bezoar.compare.models.activations import ActivationDrop, activation_drop, random_sets
from bezoar.compare.models.contribution_results import Contributions
from bezoar.compare.models.contributions import contributions
from bezoar.compare.models.drift import WeightDrift, weight_drift
from bezoar.compare.models.heads import HeadContributions, head_contributions
from bezoar.compare.models.inputs import CompareInputs, CompareSizes
from bezoar.compare.models.interpolation import (
    Interpolation,
    Measure,
    interpolation,
    protocol_measure,
)
from bezoar.compare.models.lens import LensComparison, lens_comparison, telling_prompts
from bezoar.compare.models.parameters import scaled_edit, weight_differences
from bezoar.compare.models.passes import Reading, readings
from bezoar.compare.models.qualitative import Qualitative, qualitative
from bezoar.compare.models.shift import ResidualShift, ResidualShifts, residual_shift
from bezoar.compare.models.side import sides_of
from bezoar.compare.models.sources import ShiftSources, SourcesByLayer, shift_sources
from bezoar.compare.models.values import ValuesKept, values_kept
from bezoar.edits import Edit
from bezoar.locate import ValueRanking
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress

_STILL = 1e-6  # of the states' norm: a shift below it is rounding


class NotGiven(Exception):
    """What a part needs and the inputs do not hold."""


class Parts:
    """Makes the parts: a method each, of the part's name."""

    def __init__(
        self,
        base: LanguageModel,
        edited: LanguageModel | Edit,
        inputs: CompareInputs,
        sizes: CompareSizes,
        seed: int,
        progress: Progress | None,
    ) -> None:
        self.sides = sides_of(base, edited)
        self.base = base
        self.edited = edited
        self.inputs = inputs
        self.sizes = sizes
        self.seed = seed
        self.progress = progress

    def drift(self) -> WeightDrift:
        return weight_drift(self.base, self.edited, progress=self.progress)

    def values(self) -> ValuesKept:
        return values_kept(
            self.base,
            self.edited,
            self.inputs.direction,
            self._ranking(),
            top=self.sizes.vectors,
            draws=self.sizes.draws,
            seed=self.seed,
        )

    def lens(self) -> LensComparison:
        return self._lens(self.edited)

    def lens_reversed(self) -> LensComparison:
        differences = weight_differences(self.base, self.edited)
        return self._lens(scaled_edit(differences, -1.0, f"{self.sides[1].name} reversed"))

    def _lens(self, edited: LanguageModel | Edit) -> LensComparison:
        prompts = [self.inputs.prompts[row] for row in self._eliciting]
        return lens_comparison(
            self.base,
            edited,
            prompts,
            self._tokens(),
            max_tokens=self.sizes.prompt_tokens,
            seed=self.seed,
            progress=self.progress,
        )

    @cached_property
    def _eliciting(self) -> list[int]:
        return telling_prompts(
            self.base,
            self.inputs.prompts,
            self._tokens(),
            most=self.sizes.lens_prompts,
            max_tokens=self.sizes.prompt_tokens,
        )

    def drop(self) -> ActivationDrop:
        return self._drop(self._toxic(), "own")

    def drop_shared(self) -> ActivationDrop:
        return self._drop(self._toxic(), "shared")

    def drop_random(self) -> ActivationDrop:
        drawn = random_sets(self.base, self._toxic(), 1, seed=self.seed + 1)
        if not drawn:
            raise NotGiven("A layer has more toxic neurons than others to draw from.")
        return self._drop(drawn[0], "own")

    def _drop(
        self, neurons: Sequence[tuple[int, int]], continuations: Literal["own", "shared"]
    ) -> ActivationDrop:
        own = self._written
        written = own if continuations == "own" else (own[1], own[1])
        return activation_drop(
            self.base,
            self.edited,
            self.inputs.prompts,
            neurons,
            continuations=continuations,
            draws=self.sizes.draws,
            new_tokens=self.sizes.new_tokens,
            written=written,
            seed=self.seed,
            progress=self.progress,
        )

    @cached_property
    def _written(self) -> tuple[Reading, Reading]:
        """What either side writes after every prompt: generated once, read by several parts."""
        return readings(
            *self.sides,
            list(self.inputs.prompts),
            "own",
            new_tokens=self.sizes.new_tokens,
            max_prompt_tokens=self.sizes.prompt_tokens,
            progress=self.progress,
        )

    def shifts(self) -> ResidualShifts:
        return self._shifts

    @cached_property
    def _shifts(self) -> ResidualShifts:
        """At the layers of the most toxic value vectors, as far as the stream moved there."""
        found: list[ResidualShift] = []
        for layer, neuron in self._places():
            shift = residual_shift(
                self.base,
                self.edited,
                self.inputs.prompts,
                layer,
                neuron,
                point=self._point,
                max_tokens=self.sizes.prompt_tokens,
                seed=self.seed,
                progress=self.progress,
            )
            if shift.relative > _STILL or not found:
                found = [*(s for s in found if s.relative > _STILL), shift]
            if len(found) == self.sizes.shifts:
                break
        return ResidualShifts(tuple(found))

    def _places(self) -> list[tuple[int, int | None]]:
        """The best-ranked neuron of each layer but the first, before which nothing was shifted, in
        the order of their ranks. Without neurons, the layers, the last first."""
        n = self.base.n_layers
        if self.inputs.values is None:
            return [(layer, None) for layer in reversed(range(n > 1, n))]
        best: dict[int, int | None] = {}
        for entry in self.inputs.values.entries:
            best.setdefault(entry.layer, entry.index)
        return [place for place in best.items() if place[0] or n == 1]

    @property
    def _point(self) -> str:
        """What an MLP reads; where it runs beside attention, what both read."""
        return "resid_pre" if self.base.anatomy.parallel else "resid_mid"

    def sources(self) -> SourcesByLayer:
        """At the layers of the shifts first, then at others, the last first."""
        if self.base.n_layers < 2:
            raise NotGiven("One layer has no earlier ones.")
        first = [Site.parse(shift.site).layer or 0 for shift in self._shifts.shifts]
        others = reversed(range(1, self.base.n_layers))
        layers = [layer for layer in dict.fromkeys([*first, *others]) if layer]
        return SourcesByLayer(tuple(self._sources(layer) for layer in layers[: self.sizes.sources]))

    def _sources(self, layer: int) -> ShiftSources:
        return shift_sources(
            self.base,
            self.edited,
            self.inputs.prompts,
            layer,
            point=self._point,
            max_tokens=self.sizes.prompt_tokens,
            seed=self.seed,
            progress=self.progress,
        )

    def contributions(self) -> Contributions:
        ranking = self._ranking()
        return contributions(
            self.base,
            self.edited,
            self.inputs.prompts,
            self.inputs.direction,
            toxic=min(self.sizes.vectors, len(ranking)),
            draws=self.sizes.draws,
            new_tokens=self.sizes.new_tokens,
            max_prompt_tokens=self.sizes.prompt_tokens,
            written=self._written,
            seed=self.seed,
            progress=self.progress,
        )

    def heads(self) -> HeadContributions:
        return head_contributions(
            self.base,
            self.edited,
            self.inputs.prompts,
            self.inputs.direction,
            max_tokens=self.sizes.prompt_tokens,
            seed=self.seed,
            progress=self.progress,
        )

    def interpolation(self) -> Interpolation:
        scorer, protocol = self.inputs.scorer, self.inputs.protocol
        if scorer is None:
            raise NotGiven("No scorer was given.")
        measure: Measure = (scorer, self.inputs.prompts)
        name = ""
        if protocol is not None:
            measure = protocol_measure(self.base, self.inputs.prompts, scorer, protocol)
            statistic = protocol.statistic.replace("_", " ")
            name = f"toxicity ({statistic}, {protocol.name}, {scorer.name})"
        return interpolation(
            self.base,
            self.edited,
            measure,
            self.sizes.t_values,
            name=name,
            max_prompt_tokens=self.sizes.prompt_tokens,
            progress=self.progress,
        )

    def qualitative(self) -> Qualitative:
        prompts, n = self.inputs.examples or self.inputs.prompts, self.sizes.examples
        limit = self.sizes.prompt_tokens
        chosen = telling_prompts(
            self.base, prompts, self._tokens(), most=n, least=n, max_tokens=limit
        )
        edits = dict(self.inputs.others) | {self.sides[1].name: self.edited}
        return qualitative(
            self.base,
            edits,
            [prompts[row] for row in chosen],
            new_tokens=self.sizes.new_tokens,
            max_prompt_tokens=limit,
        )

    def _ranking(self) -> ValueRanking:
        if self.inputs.values is None:
            raise NotGiven(f"{self.base.name} has no value vectors that are one set.")
        return self.inputs.values

    def _toxic(self) -> list[tuple[int, int]]:
        entries = self._ranking().entries[: self.sizes.neurons]
        return [(entry.layer, entry.index) for entry in entries]

    def _tokens(self) -> list[int]:
        tokens = list(self.inputs.tokens)
        if not tokens:
            raise NotGiven("No tokens to follow were given.")
        return tokens
