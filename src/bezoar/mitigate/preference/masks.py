"""What of a model is trained: everything, or one of the parts that the paper leaves open (§6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from bezoar.edits import WeightEdit
from bezoar.edits.places import stores_transposed
from bezoar.edits.weight import find_parameter
from bezoar.errors import ConfigError, EditError, UnsupportedAnatomy, did_you_mean
from bezoar.locate import ValueRanking
from bezoar.models import LanguageModel

KINDS = ("all", "values", "random-values", "biases", "late", "lora", "layer")
_DEFAULTS = {"values": 128, "random-values": 128, "lora": 8, "layer": 16}
_WHOLE = ("all", "biases")


@dataclass(frozen=True, slots=True)
class Trainable:
    """What is trained; everything else keeps every bit.

    Attributes:
        kind: "all"; "values" (the first ``count`` value vectors of a `ValueRanking`);
            "random-values" (as many, drawn from all layers); "biases" (every bias); "late" (the
            last ``count`` blocks); "lora" (adapters of rank ``count`` on the blocks' linear maps);
            "layer" (one added layer of width ``count`` behind the last block, a `ModuleEdit`).
        count: 0 for the default: 128 vectors, a third of the blocks, rank 8, width 16. "all" and
            "biases" have none.
        seed: of the random vectors, and of nothing else.

    Raises:
        ConfigError: if the kind is unknown, or a number is negative or of no use to it.
    """

    kind: str = "all"
    count: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"Nothing is called {self.kind!r} that could be trained.",
                hint=did_you_mean(self.kind, KINDS),
            )
        if min(self.count, self.seed) < 0:
            raise ConfigError(
                f"count={self.count} and seed={self.seed} of {self.kind!r}: one is negative.",
                hint="Leave it out for the default.",
            )
        if self.count and self.kind in _WHOLE:
            raise ConfigError(
                f"{self.kind!r} are trained whole, and {self.count} of them were named.",
                hint=f"Write {self.kind}, or values:{self.count} for so many value vectors.",
            )
        if self.seed and self.kind != "random-values":
            raise ConfigError(
                f"seed={self.seed} has no place with {self.kind!r}: it is of random-values.",
                hint="The seed of a training is the recipe's: dpo:seed=3.",
            )

    @classmethod
    def parse(cls, text: str | Trainable) -> Trainable:
        """Read "all", "values:64", "random-values:64:3" (its seed), "late:4", "lora:8" …

        Raises:
            ConfigError: for anything else, for a count of 0, and for a number that has no place.
        """
        if isinstance(text, Trainable):
            return text
        kind, *numbers = text.split(":")
        if len(numbers) > 2 or not all(number.strip().isdecimal() for number in numbers):
            raise ConfigError(
                f"{text!r} does not say what to train.", hint="Write it like values:64 or all."
            )
        asked = cls(kind.strip(), *(int(number) for number in numbers))
        if numbers and not asked.count:
            raise ConfigError(
                f"{text!r} counts 0, which would train nothing.",
                hint=f"Write {asked.kind} for the default, or a number where it has one.",
            )
        return asked

    def __str__(self) -> str:
        parts: list[object] = [self.kind]
        if self.count or self.seed:
            parts.append(self.count or _DEFAULTS[self.kind])
        if self.seed:
            parts.append(self.seed)
        return ":".join(map(str, parts))

    @property
    def label(self) -> str:
        """The same for people; "" for everything."""
        n = self.count or _DEFAULTS.get(self.kind, 0)
        draw = f" (draw {self.seed})" if self.seed else ""
        return {
            "all": "",
            "values": f"top {n} value vectors",
            "random-values": f"{n} random value vectors{draw}",
            "biases": "biases",
            "late": f"last {n} layers" if n else "last third of the layers",
            "lora": f"adapters of rank {n}",
            "layer": f"one added layer of width {n}",
        }[self.kind]

    def size(self, lm: LanguageModel) -> int:
        """``count``, or its default for this model."""
        return self.count or _DEFAULTS.get(self.kind, max(1, lm.n_layers // 3))


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One parameter, or some rows or columns of it.

    Attributes:
        names: all names of the parameter: several if it is tied.
        parameter: the model's own.
        index: which rows (``axis`` 0) or columns (``axis`` 1) of the tensor as stored; None: all.
        axis: see ``index``.
    """

    names: tuple[str, ...]
    parameter: nn.Parameter
    index: Int[Tensor, " k"] | None = None
    axis: int = 0

    def read(self) -> Tensor:
        """The part's values: of a whole parameter not copied."""
        values = self.parameter.detach()
        return values if self.index is None else values.index_select(self.axis, self.index)

    def shape(self) -> list[int]:
        """Of the part, or of the whole parameter."""
        shape = [*self.parameter.shape]
        if self.index is not None:
            shape[self.axis] = len(self.index)
        return shape


def parts_of(
    lm: LanguageModel, trainable: Trainable, values: ValueRanking | None = None
) -> tuple[Part, ...]:
    """The parameters of a model that a mask leaves free; a tied one comes once, with all its names.

    Raises:
        ConfigError: if value vectors are asked for and none are ranked, or more than there are.
        EditError: if a parameter is packed, offloaded or half precision, or there is none.
        UnsupportedAnatomy: if the blocks have no value vectors (a mixture of experts).
    """
    if trainable.kind in ("values", "random-values"):
        parts = _value_rows(lm, _places(lm, trainable, values))
    else:
        parts = _whole(lm, trainable)
    for part in parts:
        find_parameter(lm, part.names[0])
        check_precision(part.names[0], part.parameter)
    if not parts:
        raise EditError(
            f"{lm.name} has no {trainable.kind} to train.",
            hint="Its architecture has none; train 'late' or 'values' instead.",
        )
    return parts


def check_precision(name: str, parameter: Tensor) -> None:
    """Refuse all but float32: in half precision small steps round to nothing.

    Raises:
        EditError: if the parameter is of another dtype.
    """
    if parameter.dtype != torch.float32:
        raise EditError(
            f"{name} is {str(parameter.dtype).removeprefix('torch.')}, and training needs float32: "
            "in half precision the steps of a small learning rate round to nothing.",
            hint="Load the model with dtype='float32'; accelerate's mixed precision still applies.",
        )


def mask_energy(
    lm: LanguageModel,
    edit: WeightEdit,
    trainable: str | Trainable,
    values: ValueRanking | None = None,
) -> float:
    """The share of ‖ΔW‖² that lies inside a mask, whatever was trained; 0 if nothing moved.

    Raises:
        ConfigError, EditError, UnsupportedAnatomy: as `parts_of` does.
    """
    named = {
        name: part
        for part in parts_of(lm, Trainable.parse(trainable), values)
        for name in part.names
    }
    inside = total = 0.0
    seen: set[int] = set()
    for name, delta in edit.deltas.items():
        parameter = find_parameter(lm, name)
        if id(parameter) in seen:  # tied: one matrix, counted once
            continue
        seen.add(id(parameter))
        old = parameter.detach()
        change = (delta.apply(old) - old).double()
        total += float(change.square().sum())
        if (part := named.get(name)) is not None:
            chosen = change if part.index is None else change.index_select(part.axis, part.index)
            inside += float(chosen.square().sum())
    return inside / total if total else 0.0


def _whole(lm: LanguageModel, trainable: Trainable) -> tuple[Part, ...]:
    names: dict[int, list[str]] = {}
    held: dict[int, nn.Parameter] = {}
    for name, parameter in lm.model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
        held[id(parameter)] = parameter
    wanted = set(names)
    if trainable.kind == "late":
        n = trainable.size(lm)
        if n > lm.n_layers:
            raise ConfigError(
                f"The last {n} blocks cannot be trained.", hint=f"{lm.name} has {lm.n_layers}."
            )
        wanted = {id(p) for block in lm.anatomy.blocks[-n:] for p in block.parameters()}
    elif trainable.kind == "biases":
        wanted = {key for key in names if names[key][0].rpartition(".")[2] == "bias"}
    return tuple(Part(tuple(names[key]), held[key]) for key in names if key in wanted)


def _places(
    lm: LanguageModel, trainable: Trainable, values: ValueRanking | None
) -> list[tuple[int, int]]:
    n = trainable.size(lm)
    if trainable.kind == "random-values":
        available = lm.n_layers * lm.d_mlp
        drawn = np.random.default_rng(trainable.seed).permutation(available)[:n]
        places = [divmod(int(place), lm.d_mlp) for place in drawn]
    elif values is None:
        raise ConfigError(
            "Only value vectors were to be trained, and none are ranked.",
            hint="Pass values=rank_values(lm, direction).",
        )
    else:
        available = len(values)
        places = [(entry.layer, entry.index) for entry in values.entries[:n]]
    if n > available:
        raise ConfigError(
            f"{n} value vectors were to be trained, and there are {available}.",
            hint="Rank more with top=, or train fewer.",
        )
    return places


def _value_rows(lm: LanguageModel, places: list[tuple[int, int]]) -> tuple[Part, ...]:
    """Value vector i is column i of a Linear's stored matrix, and row i of a Conv1D's."""
    by_layer: dict[int, list[int]] = {}
    for layer, index in places:
        by_layer.setdefault(layer, []).append(index)
    parts = []
    for layer in sorted(by_layer):
        module = lm.anatomy[layer].part("w_out")
        parameter = module._parameters.get("weight")
        if type(parameter) is not nn.Parameter:
            raise UnsupportedAnatomy(
                f"The value vectors of layer {layer} are packed, so they cannot be trained.",
                hint="Load the model without quantisation.",
            )
        chosen = torch.tensor(sorted(by_layer[layer]), device=parameter.device)
        axis = 0 if stores_transposed(module) else 1
        parts.append(Part((lm.parameter_name(module),), parameter, chosen, axis))
    return tuple(parts)
