"""Direct preference optimisation as a method (Rafailov et al. 2023; Lee et al. 2024, section 4)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from bezoar.edits import Edit, ModuleEdit, WeightEdit
from bezoar.edits.delta import Delta, Dense, LowRank
from bezoar.errors import ConfigError
from bezoar.locate import ValueRanking
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.mitigate.preference.batches import Mode
from bezoar.mitigate.preference.kept import trained_once
from bezoar.mitigate.preference.log import Trained, TrainingLog
from bezoar.mitigate.preference.masks import Trainable
from bezoar.mitigate.preference.recipe import Objective, Recipe, get_recipe
from bezoar.mitigate.preference.training import train
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from bezoar.runs.results import load_result, to_plain

FURTHEST = 32.0
"""Largest |t|."""
SMALL = 100_000_000
"""Parameters below which ``recipe="auto"`` is "small"."""
_KEPT = 2


@register
@dataclass(frozen=True, slots=True)
class DPO(Method):
    """Train on preference pairs (DPO), then go a way towards the trained weights: W + t·ΔW.

    Attributes:
        recipe: "lee2024" (the paper's Table 5), "small", or "auto": "small" for a model of fewer
            than 100 million parameters.
        trainable: what may move, as `Trainable.parse` reads it: "all", "values:64", "biases" …
        objective: "dpo", or "sft" on the chosen sides.
        beta: β of DPO.
        mode: where the paper and its code differ (`Recipe`).
        seed: of the training.
        lr: learning rate; None for the recipe's. A mask that leaves little free needs a larger one.
        steps: train for exactly so many, whatever validation says, so that trainings which differ
            in one option are of one length; None to stop as the recipe says.
        t: the strength: 0 is the untouched model, 1 the trained one, above 1 beyond it. A search
            for a strength trains once.
    """

    name: ClassVar[str] = "dpo"
    trains: ClassVar[bool] = True
    recipe: Literal["auto", "lee2024", "small"] = "auto"
    trainable: str = "all"
    objective: Objective = "dpo"
    beta: float = 0.1
    mode: Mode = "correct"
    seed: int = 42
    lr: float | None = None
    steps: int | None = None
    t: float = 1.0

    def __post_init__(self) -> None:
        if not abs(self.t) <= FURTHEST:
            raise ConfigError(f"t={self.t} of dpo is not between -{FURTHEST:g} and {FURTHEST:g}.")
        Trainable.parse(self.trainable)
        if self.steps is not None and self.steps < 1:
            raise ConfigError(f"steps={self.steps} of dpo is no number of steps.")
        get_recipe("small", **self._numbers)

    @property
    def requires(self) -> frozenset[str]:
        ranked = Trainable.parse(self.trainable).kind == "values"
        return frozenset({"pairs", "values"} if ranked else {"pairs"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("shuffled-pairs",)

    @property
    def strength(self) -> float:
        return self.t

    @property
    def strength_max(self) -> float:
        return 2.0

    @property
    def null_strength_max(self) -> float:
        """Trained on pairs that say nothing, weights move less: they are taken further."""
        return FURTHEST

    def with_strength(self, strength: float) -> DPO:
        return dataclasses.replace(self, t=strength)

    @property
    def label(self) -> str:
        default = DPO()
        parts = ["sft on chosen sides" if self.objective == "sft" else self.name]
        parts.append(Trainable.parse(self.trainable).label)
        parts += [f"β {self.beta:g}"] * (self.beta != default.beta)
        parts += [] if self.lr is None else [f"rate {self.lr:g}"]
        if self.steps is not None:
            parts.append(f"{self.steps} steps")
        for name in ("recipe", "mode", "seed"):
            if (value := getattr(self, name)) != getattr(default, name):
                parts.append(f"{name} {value}")
        return ", ".join(filter(None, parts))

    def recipe_for(self, lm: LanguageModel) -> Recipe:
        """The recipe with this method's options."""
        name: str = self.recipe
        if name == "auto":
            name = "small" if sum(p.numel() for p in lm.model.parameters()) < SMALL else "lee2024"
        options = self._numbers
        if self.steps is not None:
            options |= {"steps": self.steps, "enough": 0.0, "keep": "last"}
        return get_recipe(name, **options, seed=self.seed)

    @property
    def _numbers(self) -> dict[str, Any]:
        """What is asked for of a recipe, whichever it is."""
        asked = {"objective": self.objective, "beta": self.beta, "mode": self.mode}
        return asked if self.lr is None else asked | {"lr": self.lr}

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """A `WeightEdit` (of an added layer a `ModuleEdit`); `trained` has the log too."""
        return scaled(
            self.trained(lm, inputs).edit, self.t, name=self.spec, provenance=self.origin(lm)
        )

    def trained(self, lm: LanguageModel, inputs: FitInputs) -> Trained:
        """The training itself, at t = 1; the last two are remembered.

        With ``inputs.work`` it is kept there, goes on there if it was interrupted, and is read
        from there if it had ended. Pairs that are a null ("shuffled-pairs") are trained on to the
        end, or as long as the training that lies above them was: nothing is to be learnt from
        them, so that the best state would be the untouched model, which could not win.

        Raises:
            ConfigError: if an input is missing.
            RunConflict: if ``inputs.work`` holds another training.
            BezoarError: as `bezoar.mitigate.preference.train`.
        """
        pairs: Pairs = inputs.need("pairs", self.name)
        recipe = self.recipe_for(lm)
        if "null" in pairs.provenance:
            steps = _steps_of(inputs.work.parent) if inputs.work else None
            recipe = dataclasses.replace(recipe, keep="last", steps=steps)
        kind = Trainable.parse(self.trainable).kind
        values: ValueRanking | None = inputs.need("values", self.name) if kind == "values" else None
        stop = inputs.held_out
        if stop is not None:
            stop = stop.subset(range(min(recipe.eval_pairs, len(stop)))) if len(stop) else None
        key = {
            "model": lm.fingerprint,
            "recipe": to_plain(recipe),
            "trainable": self.trainable,
            "values": [] if values is None else [str(entry) for entry in values.entries],
            "pairs": _hash(pairs),
            "held out": _hash(stop),
        }
        name = json.dumps([key, str(inputs.work)])

        def make(out: Path | None) -> Trained:
            return train(
                lm,
                pairs,
                recipe,
                trainable=self.trainable,
                values=values,
                validation=stop,
                out=out,
                progress=inputs.progress,
            )

        if name not in _LAST:
            work = inputs.work
            _LAST[name] = make(None) if work is None else trained_once(lm, work, key, make)
            while len(_LAST) > _KEPT:
                _LAST.popitem(last=False)
        return _LAST[name]


_LAST: OrderedDict[str, Trained] = OrderedDict()


def _hash(pairs: Pairs | None) -> str:
    if pairs is None:
        return ""
    sides = (pairs.prompts, pairs.chosen, pairs.rejected)
    return hashlib.sha256(repr(sides).encode(errors="surrogatepass")).hexdigest()


def _steps_of(folder: Path) -> int | None:
    """How many steps the training in a folder took; None if there is none."""
    path = folder / "log.json"
    return len(load_result(path, TrainingLog).steps) if path.exists() else None


def scaled(
    edit: Edit, t: float, *, name: str | None = None, provenance: dict[str, Any] | None = None
) -> Edit:
    """A trained edit at W + t·ΔW; an added layer writes t times as much.

    Raises:
        ConfigError: for an edit of another kind.
    """
    more: dict[str, Any] = {
        "name": name or edit.name,
        "provenance": {"t": t, "training": dict(edit.provenance), **(provenance or {})},
    }
    if isinstance(edit, WeightEdit):
        done: dict[int, Delta] = {}  # a tied parameter's one delta stays one
        deltas = {key: done.setdefault(id(d), _times(d, t)) for key, d in edit.deltas.items()}
        return dataclasses.replace(edit, deltas=deltas, **more)
    if isinstance(edit, ModuleEdit):
        layer = dataclasses.replace(edit.layer, up=t * edit.layer.up)
        return dataclasses.replace(edit, layer=layer, **more)
    raise ConfigError(f"A {edit.kind} edit has no difference of weights to scale.")


def _times(delta: Delta, t: float) -> Delta:
    if isinstance(delta, Dense):
        return Dense(t * delta.delta)
    if isinstance(delta, LowRank):
        return LowRank(t * delta.A, delta.B)
    raise ConfigError(f"A {delta.tag} change is no difference of weights.")
