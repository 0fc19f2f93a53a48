"""Parameters of a model before and after, one at a time, and the way between the two."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from bezoar.compare.models.side import check_comparable
from bezoar.edits import Dense, Edit, WeightEdit
from bezoar.errors import ModelError
from bezoar.models import LanguageModel

Pair = tuple[tuple[str, ...], Tensor, Tensor]
"""Names of a parameter (several if it is tied), its old and its new values."""


def parameter_pairs(base: LanguageModel, edited: LanguageModel | Edit) -> Iterator[Pair]:
    """Every parameter before and after; only one new tensor is made at a time.

    A parameter that is tied on both sides comes once, with all its names; one that was untied
    comes under each.

    Raises:
        NotFoldable: if the edit is no change of weights.
        ModelError: if a parameter is missing on one side, or of another shape.
    """
    if isinstance(edited, Edit):
        yield from _edited_pairs(base, edited.fold(base))
    else:
        check_comparable(base, edited)
        yield from _model_pairs(base, edited)


def _edited_pairs(lm: LanguageModel, edit: WeightEdit) -> Iterator[Pair]:
    edit.check(lm)
    tied: dict[int, list[str]] = {}
    for name, old in lm.model.named_parameters(remove_duplicate=False):
        tied.setdefault(id(old), []).append(name)
    for names in tied.values():
        old = lm.model.get_parameter(names[0]).detach()
        deltas = {name: edit.deltas[name] for name in names if name in edit.deltas}
        values = WeightEdit(deltas).new_values(lm)
        alike: dict[int, list[str]] = {}  # an edit may name one side of a tied weight, or both
        for name in names:
            alike.setdefault(id(values.get(name, old)), []).append(name)
        for same in alike.values():
            yield tuple(same), old, values.get(same[0], old)


def _model_pairs(base: LanguageModel, edited: LanguageModel) -> Iterator[Pair]:
    before = dict(base.model.named_parameters(remove_duplicate=False))
    after = dict(edited.model.named_parameters(remove_duplicate=False))
    odd = sorted(before.keys() ^ after.keys()) or sorted(
        name for name in before if before[name].shape != after[name].shape
    )
    if odd:
        raise ModelError(
            f"{base.name!r} and {edited.name!r} do not have the same parameters: {odd[0]!r} is "
            f"missing or of another shape, one of {len(odd)}.",
            hint="Merge adapters into the checkpoint first.",
        )
    names: dict[tuple[int, int], list[str]] = {}
    for name in before:
        names.setdefault((id(before[name]), id(after[name])), []).append(name)
    for same in names.values():
        yield tuple(same), before[same[0]].detach(), after[same[0]].detach()


def weight_differences(base: LanguageModel, edited: LanguageModel | Edit) -> dict[str, Tensor]:
    """W' - W of the parameters that changed, in at least float32, under each of their names.

    Raises:
        NotFoldable: if the edit is no change of weights.
        ModelError: if the models do not have the same parameters.
    """
    changed: dict[str, Tensor] = {}
    for names, old, new in parameter_pairs(base, edited):
        difference = new.to(old.device).float() - old.float()
        if bool(difference.any()):
            changed.update(dict.fromkeys(names, difference))
    return changed


def scaled_edit(differences: dict[str, Tensor], t: float, name: str = "") -> WeightEdit:
    """The edit W ↦ W + t (W' - W): nothing at t = 0, the edited model at t = 1."""
    made: dict[int, Dense] = {}  # by tensor, so that a tied parameter's is made once
    for difference in differences.values():
        if id(difference) not in made:
            made[id(difference)] = Dense(t * difference)
    deltas = {key: made[id(value)] for key, value in differences.items()}
    return WeightEdit(deltas, name=name or f"weight difference × {t:g}")
