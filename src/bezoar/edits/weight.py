"""Edits of weights: deltas by parameter name, swapped in and swapped out again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bezoar.edits.delta import Delta, Dense
from bezoar.edits.edit import Applied, Edit
from bezoar.errors import EditError, did_you_mean
from bezoar.models import LanguageModel


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WeightEdit(Edit):
    """New values for some parameters.

    While the edit is applied, the module holds a *new* parameter and the old tensor is kept
    untouched, so undoing is exact and cannot fail half way. A parameter that is tied to another
    (GPT-2's unembedding and input embedding) is edited only where it is named: the other one keeps
    the old tensor, and an export of the edited model is untied. Under both names with equal deltas
    it stays one tensor.

    Attributes:
        deltas: by full parameter name (`LanguageModel.parameter_name`).
    """

    kind: ClassVar[str] = "weight"
    deltas: Mapping[str, Delta]
    name: str = "weight edit"
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "deltas", MappingProxyType(dict(self.deltas)))

    @property
    def foldable(self) -> bool:
        return True

    def check(self, lm: LanguageModel) -> None:
        for name, delta in self.deltas.items():
            delta.check(tuple(find_parameter(lm, name).shape), name)

    def hooks(self, lm: LanguageModel) -> Mapping[str, int]:
        return {}

    def fold(self, lm: LanguageModel) -> WeightEdit:
        return self

    def new_values(self, lm: LanguageModel) -> dict[str, Tensor]:
        """The parameters after the edit, in the dtype of the model (computed in ≥ float32).

        Raises:
            EditError: for an unknown, packed, offloaded or differently shaped parameter, or a
                result that is not finite.
        """
        values: dict[str, Tensor] = {}
        first: dict[int, str] = {}  # name under which a parameter came, by the parameter
        for name, delta in self.deltas.items():
            twin = first.setdefault(id(find_parameter(lm, name)), name)
            tied = twin != name and _equal(self.deltas[twin], delta)
            values[name] = values[twin] if tied else _changed(lm, name, delta)
        return values

    @contextmanager
    def _entered(self, lm: LanguageModel, applied: Applied) -> Iterator[None]:
        values = self.new_values(lm)  # all of them before the first swap: a misfit changes nothing
        # What was known of these weights is known again afterwards, and what was learnt of the new
        # ones is forgotten with them: their addresses, by which it is remembered, will be reused.
        known = lm._fingerprint
        with ExitStack() as stack:
            stack.callback(setattr, lm, "_fingerprint", known)
            new: dict[int, nn.Parameter] = {}
            for name, value in values.items():
                needs_grad = find_parameter(lm, name).requires_grad
                parameter = new.setdefault(id(value), nn.Parameter(value, needs_grad))
                stack.enter_context(_swapped(lm, name, parameter))
            yield


@contextmanager
def _swapped(lm: LanguageModel, name: str, new: nn.Parameter) -> Iterator[None]:
    path, _, leaf = name.rpartition(".")
    module = lm.model.get_submodule(path)
    old = module._parameters[leaf]
    module._parameters[leaf] = new
    try:
        yield
    finally:
        module._parameters[leaf] = old


def _equal(a: Delta, b: Delta) -> bool:
    """Whether two deltas are one, or dense and equal (as they are once read from a file)."""
    return a is b or (
        isinstance(a, Dense) and isinstance(b, Dense) and torch.equal(a.delta, b.delta)
    )


def find_parameter(lm: LanguageModel, name: str) -> Tensor:
    """The parameter of that name, if its values can be edited.

    Raises:
        EditError: if there is none, or its values are packed (quantised) or not in memory.
    """
    path, _, leaf = name.rpartition(".")
    try:
        parameter = lm.model.get_submodule(path)._parameters.get(leaf)
    except AttributeError:
        parameter = None
    if parameter is None:
        names = [known for known, _ in lm.model.named_parameters(remove_duplicate=False)]
        raise EditError(f"{lm.name} has no parameter {name!r}.", hint=did_you_mean(name, names))
    if parameter.is_meta:
        raise EditError(
            f"{name} is offloaded, so its values cannot be edited here.",
            hint="Load the model without offloading, or use an activation edit.",
        )
    packed = not parameter.is_floating_point() or parameter.element_size() < 2
    if packed or type(parameter) is not nn.Parameter:
        raise EditError(
            f"{name} is packed ({parameter.dtype}, {type(parameter).__name__}); a delta of its "
            "stored numbers would mean nothing.",
            hint="Use the activation form of the edit, or load the model without quantisation.",
        )
    return parameter


@torch.no_grad()
def _changed(lm: LanguageModel, name: str, delta: Delta) -> Tensor:
    old = find_parameter(lm, name)
    delta.check(tuple(old.shape), name)
    wide = old.detach().to(torch.promote_types(old.dtype, torch.float32))
    value = delta.apply(wide).to(old.dtype)
    if not bool(torch.isfinite(value).all()):
        raise EditError(
            f"The edit would make {name} infinite or NaN.", hint="Use a smaller strength."
        )
    return value
