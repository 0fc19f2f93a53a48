"""Three ways to train: weights of the model, adapters beside them, or a layer that is added.

Each hands the optimiser its parameters, puts the model back exactly as it was, and turns trained
values into an `Edit`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bezoar.edits import Edit, ModuleEdit, WeightEdit
from bezoar.edits.delta import Delta, Dense, LowRank
from bezoar.edits.ops import Bottleneck
from bezoar.edits.places import stores_transposed
from bezoar.errors import ConfigError, EditError
from bezoar.locate import ValueRanking
from bezoar.mitigate.preference.checkpoint import TensorFile, write_tensors
from bezoar.mitigate.preference.masks import Part, Trainable, check_precision, parts_of
from bezoar.models import LanguageModel
from bezoar.models.linear import is_linear, is_plain

State = Mapping[str, Tensor]


class Target(ABC):
    """Something of a model that is trained.

    Attributes:
        lm: the model that is run while it is trained.
        parameters: what the optimiser moves, by name; filled by `training`.
    """

    in_model = True
    """Whether the gradients pass through the model's own parameters (several processes need it)."""
    divided = False
    """Whether each process holds a part of them only."""

    def __init__(self, lm: LanguageModel) -> None:
        self.lm = lm
        self.parameters: dict[str, nn.Parameter] = {}

    @contextmanager
    def training(self, folder: Path) -> Iterator[None]:
        """Make ready for training; afterwards every bit of the model is as it was."""
        flags = [(p, p.requires_grad) for p in self.lm.model.parameters()]
        try:
            for parameter, _ in flags:
                parameter.requires_grad_(False)
            with self._placed(folder):
                yield
        finally:
            for parameter, flag in flags:
                parameter.grad = None
                parameter.requires_grad_(flag)

    @abstractmethod
    def _placed(self, folder: Path) -> Any:
        """Context: put in what is trained, filling ``parameters``, and take it out again."""

    def collect(self) -> None:  # noqa: B027 - most have nothing to bring
        """After a backward pass: bring gradients to ``parameters``."""

    def write(self) -> None:  # noqa: B027
        """After a step: bring ``parameters`` into the model."""

    def state(self, here: bool = True) -> dict[str, Tensor]:
        """The trained values, not copied; of a divided model gathered, so that all processes must
        ask together, and those without ``here`` keep nothing."""
        return {name: parameter.detach() for name, parameter in self.parameters.items()}

    @torch.no_grad()
    def load(self, state: State) -> None:
        """Put values back, as `state` gave them."""
        for name, parameter in self.parameters.items():
            parameter.copy_(state[name])
        self.write()

    @abstractmethod
    def moved(self, state: State) -> tuple[float, float]:
        """‖ΔW‖, and ‖W‖ of what it is a change of (0 if of nothing); call within `training`."""

    @abstractmethod
    def edit(self, state: State, name: str, provenance: Mapping[str, Any]) -> Edit:
        """The edit that turns the untouched model into the trained one; call within `training`."""


class WeightTarget(Target):
    """Parameters, or rows of them. Of rows, only those are ever given to the optimiser.

    What they were is kept in a file, not in memory, until training ends.
    """

    def __init__(self, lm: LanguageModel, parts: tuple[Part, ...]) -> None:
        super().__init__(lm)
        self.parts = {part.names[0]: part for part in parts}
        self._base = Path()

    @contextmanager
    def _placed(self, folder: Path) -> Iterator[None]:
        self._base = folder / "base.safetensors"
        write_tensors(self._base, {name: part.read() for name, part in self.parts.items()})
        for name, part in self.parts.items():
            part.parameter.requires_grad_(True)
            whole = part.index is None
            self.parameters[name] = part.parameter if whole else nn.Parameter(part.read())
        try:
            yield
        finally:
            self.load(TensorFile(self._base))
            self._base.unlink(missing_ok=True)

    def collect(self) -> None:
        for name, part in self.parts.items():
            if part.index is not None and part.parameter.grad is not None:
                rows = part.parameter.grad.index_select(part.axis, part.index)
                held = self.parameters[name]
                held.grad = rows if held.grad is None else held.grad + rows
                part.parameter.grad = None

    @torch.no_grad()
    def write(self) -> None:
        for name, part in self.parts.items():
            if part.index is not None:
                part.parameter.index_copy_(part.axis, part.index, self.parameters[name].detach())

    def base(self) -> State:
        """What they were."""
        return TensorFile(self._base)

    def moved(self, state: State) -> tuple[float, float]:
        base = self.base()
        return norm(state[key].cpu() - base[key] for key in base), norm(base.values())

    def edit(self, state: State, name: str, provenance: Mapping[str, Any]) -> WeightEdit:
        base = self.base()
        deltas: dict[str, Delta] = {}
        for key, part in self.parts.items():
            change = state[key].cpu() - base[key]
            if bool(change.any()):
                delta = Dense(change) if part.index is None else _rows_only(part, change)
                deltas |= dict.fromkeys(part.names, delta)
        return WeightEdit(deltas, name=name, provenance=provenance)


def _rows_only(part: Part, change: Tensor) -> LowRank:
    """A change of some rows or columns, stored as them and where they go."""
    assert part.index is not None
    index = part.index.cpu()
    pick = torch.zeros(len(index), part.parameter.shape[part.axis])
    pick[torch.arange(len(index)), index] = 1
    return LowRank(pick.T.contiguous(), change) if part.axis == 0 else LowRank(change, pick)


class LoraTarget(Target):
    """Low-rank adapters (peft) on the linear maps of all blocks; they end as plain deltas."""

    def __init__(self, lm: LanguageModel, rank: int, seed: int) -> None:
        super().__init__(lm)
        try:
            peft: Any = import_module("peft")
        except ImportError as error:
            raise ConfigError(
                "Training adapters (lora) needs the package peft, which is not installed.",
                hint="pip install 'bezoar[lora]', or train something else: late, biases, all.",
            ) from error
        self._peft = peft
        self._rank, self._seed = rank, seed
        inside = {id(m) for block in lm.anatomy.blocks for m in block.modules()}
        linear = [(n, m) for n, m in lm.model.named_modules() if id(m) in inside and is_linear(m)]
        packed = next((n for n, m in linear if not is_plain(m)), None)
        if packed is not None:
            raise EditError(
                f"{packed} is packed, and adapters on it would not become plain weights.",
                hint="Load the model without quantisation.",
            )
        self._modules = dict(linear)
        self._layers: dict[str, Any] = {}
        for name, module in linear:
            check_precision(name, module.weight)  # type: ignore[arg-type]

    @contextmanager
    def _placed(self, folder: Path) -> Iterator[None]:
        config = self._peft.LoraConfig(
            r=self._rank,
            lora_alpha=2 * self._rank,
            target_modules=[*self._modules],
            fan_in_fan_out=any(stores_transposed(m) for m in self._modules.values()),
        )
        model = self.lm.model
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            try:
                self._peft.inject_adapter_in_model(config, model)
                self._layers = {n: model.get_submodule(n) for n in self._modules}
                for name, layer in self._layers.items():
                    self.parameters[f"{name}.A"] = layer.lora_A["default"].weight
                    self.parameters[f"{name}.B"] = layer.lora_B["default"].weight
                for parameter in self.parameters.values():
                    parameter.requires_grad_(True)
                model.eval()
                yield
            finally:
                for name, module in self._modules.items():
                    path, _, leaf = name.rpartition(".")
                    setattr(model.get_submodule(path), leaf, module)

    def _factors(self, state: State, key: str) -> tuple[Tensor, Tensor]:
        """[out r] and [r in] of a map's change."""
        scale = float(self._layers[key].scaling["default"])
        return scale * state[f"{key}.B"].detach().cpu(), state[f"{key}.A"].detach().cpu()

    def moved(self, state: State) -> tuple[float, float]:
        factors = (self._factors(state, key) for key in self._modules)
        whole = (module.weight.detach() for module in self._modules.values())
        return norm(write @ read for write, read in factors), norm(whole)  # type: ignore[arg-type]

    def edit(self, state: State, name: str, provenance: Mapping[str, Any]) -> WeightEdit:
        deltas: dict[str, Delta] = {}
        for key, module in self._modules.items():
            write, read = self._factors(state, key)
            if not bool(write.any()):
                continue
            low = LowRank(write, read.clone())
            if stores_transposed(module):
                low = LowRank(read.T.contiguous(), write.T.contiguous())
            deltas[f"{key}.weight"] = low
        return WeightEdit(deltas, name=name, provenance=provenance)


class LayerTarget(Target):
    """One suppression layer, x ← x + up · gelu(down x + bias), behind the last block."""

    in_model = False

    def __init__(self, lm: LanguageModel, width: int, seed: int) -> None:
        super().__init__(lm)
        self._site = lm.site("-1.resid_post")
        check_precision("The residual stream", torch.empty(0, dtype=lm.dtype))
        generator = torch.Generator().manual_seed(seed)
        down = torch.randn(width, lm.d_model, generator=generator) / lm.d_model**0.5
        start = {
            "down": down,
            "bias": torch.zeros(width),
            "up": torch.zeros(lm.d_model, width),  # so that it begins as no layer at all
        }
        self.parameters = {
            name: nn.Parameter(value.to(lm.device, lm.dtype)) for name, value in start.items()
        }

    @contextmanager
    def _placed(self, folder: Path) -> Iterator[None]:
        with ModuleEdit(self._site, Bottleneck(**self.parameters)).applied_to(self.lm):
            yield

    def moved(self, state: State) -> tuple[float, float]:
        return norm([state["up"]]), 0.0

    def edit(self, state: State, name: str, provenance: Mapping[str, Any]) -> ModuleEdit:
        layer = Bottleneck(**{key: value.detach().cpu().clone() for key, value in state.items()})
        return ModuleEdit(self._site, layer, name=name, provenance=provenance)


def norm(tensors: Iterable[Tensor]) -> float:
    """The Frobenius norm of several tensors together."""
    return math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors))


def target_of(
    lm: LanguageModel, trainable: Trainable, values: ValueRanking | None, seed: int
) -> Target:
    """What a mask trains.

    Raises:
        ConfigError, EditError, UnsupportedAnatomy: as `parts_of`, or if peft is missing.
    """
    if trainable.kind == "lora":
        return LoraTarget(lm, trainable.size(lm), seed)
    if trainable.kind == "layer":
        return LayerTarget(lm, trainable.size(lm), seed)
    return WeightTarget(lm, parts_of(lm, trainable, values))
