"""A model divided among processes (FSDP): each holds a part of every tensor, and of its optimiser.

What is divided is a copy. The model itself stays whole and untouched in every process: it is what
the trained weights are a change of.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedType
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from bezoar.errors import ConfigError
from bezoar.mitigate.preference.processes import as_divided, gathered
from bezoar.mitigate.preference.targets import State, Target, WeightTarget
from bezoar.models import LanguageModel


def wants_division(world: Accelerator) -> bool:
    """Whether FSDP was asked for; on processors accelerate itself passes that over."""
    asked = os.environ.get("ACCELERATE_USE_FSDP", "").lower() in ("true", "1")
    divided = asked or world.distributed_type is DistributedType.FSDP
    return divided and world.num_processes > 1


class DividedTarget(WeightTarget):
    """Whole parameters of a divided copy of the model.

    Args:
        target: the same of the whole model.
        world: the processes.

    Raises:
        ConfigError: if rows of parameters, adapters or an added layer were to be trained.
    """

    divided = True

    def __init__(self, target: Target, world: Accelerator) -> None:
        if not isinstance(target, WeightTarget) or any(
            part.index is not None for part in target.parts.values()
        ):
            raise ConfigError(
                "Only whole parameters can be trained in a divided model (FSDP): rows of a matrix "
                "lie in several processes, and adapters or a layer are small enough for one.",
                hint="Train 'all', 'late' or 'biases', or start the processes without FSDP.",
            )
        super().__init__(target.lm, tuple(target.parts.values()))
        self._whole, self._world = target.lm, world

    @contextmanager
    def _placed(self, folder: Path) -> Iterator[None]:
        self.lm = divided_copy(self._whole, {*self.parts}, self._world)
        held = dict(self.lm.model.named_parameters())
        self.parameters = {name: held[name] for name in self.parts}
        try:
            yield
        finally:
            self.lm, self.parameters = self._whole, {}

    def base(self) -> State:
        return {name: part.read().cpu() for name, part in self.parts.items()}

    def state(self, here: bool = True) -> dict[str, Tensor]:
        return gathered(super().state(), here)

    @torch.no_grad()
    def load(self, state: State) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(as_divided(state[name], parameter))


def divided_copy(lm: LanguageModel, trained: set[str], world: Accelerator) -> LanguageModel:
    """A copy of a model, divided block by block; in it only the named parameters move."""
    twin = LanguageModel(copy.deepcopy(lm.model), lm.tokenizer, name=lm.name, anatomy=lm.names)
    for name, parameter in twin.model.named_parameters():
        parameter.requires_grad_(name in trained)
    mesh = init_device_mesh(world.device.type, (world.num_processes,))
    for module in (*twin.anatomy.blocks, twin.model):
        # The outermost keeps its parameters whole after a forward pass unless it is told not to,
        # and would go on with those of the step before.
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        if isinstance(module, FSDPModule):
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no mean
    return twin
