"""Turn edits of activations into plain weights, where an architecture allows it.

A site is either what a linear map writes or what it reads. An affine operation x ↦ Mx + c there is

    on the output:  W' = M W,  b' = M b + c
    on the input:   W' = W M,  b' = b + W c

so the only questions are whether the site touches such a map and whether a bias exists to hold
the constant. A constant added at ``resid_post`` (or the next ``resid_pre``) is one at ``mlp_out``;
where the stream itself is normed (post-LN) it is one of that norm's bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bezoar.edits.activation import ActivationEdit, At
from bezoar.edits.delta import ColumnScale, Delta, Dense, LowRank, RowScale, chain
from bezoar.edits.edit import Edit
from bezoar.edits.ops import AffineMap
from bezoar.edits.places import (
    Side,
    at_module,
    linear_at,
    stores_transposed,
    stream_norm,
    writing_site,
)
from bezoar.edits.weight import WeightEdit, find_parameter
from bezoar.errors import EditError, NotFoldable, UnsupportedAnatomy
from bezoar.models import LanguageModel, Site


def fold_all(
    edits: Iterable[Edit],
    lm: LanguageModel,
    *,
    name: str,
    provenance: Mapping[str, Any],
) -> WeightEdit:
    """Fold a composition: weights in their order, then the activations on those weights.

    Raises:
        NotFoldable: if a part does not fold.
    """
    first: list[Edit] = []
    ops: list[At] = []
    rest: list[Edit] = []
    for edit in edits:
        if type(edit) is ActivationEdit:
            ops.extend(edit.ops)
        elif edit.kind in ("weight", "no-op"):
            first.append(edit)
        else:
            rest.append(edit)
    deltas: dict[str, Delta] = {}
    with ExitStack() as stack:
        for edit in [*first, ActivationEdit(tuple(ops)), *rest]:
            part = edit.fold(lm)
            stack.enter_context(part.applied_to(lm))
            _append(deltas, part)
    return WeightEdit(deltas, name=name, provenance=provenance)


def fold_activation(edit: ActivationEdit, lm: LanguageModel) -> WeightEdit:
    """Fold an activation edit, one operation after the other as data flows.

    Raises:
        NotFoldable: saying in plain words which operation no weights express, and why.
    """
    deltas: dict[str, Delta] = {}
    with ExitStack() as stack:
        for at in sorted(edit.resolved(lm), key=lambda at: at.site):
            part = WeightEdit(_fold_one(lm, at))
            stack.enter_context(part.applied_to(lm))
            _append(deltas, part)
    return WeightEdit(deltas, name=edit.name, provenance=edit.provenance)


def _append(deltas: dict[str, Delta], part: WeightEdit) -> None:
    for name, delta in part.deltas.items():
        deltas[name] = chain(deltas[name], delta) if name in deltas else delta


def _fold_one(lm: LanguageModel, at: At) -> dict[str, Delta]:
    affine = at.op.affine()
    if affine is None:
        raise NotFoldable(
            f"A {at.op.tag} at {at.site} is not an affine map, so no fixed weights compute it.",
            hint="Keep it as an activation edit.",
        )
    if at.positions == "last" and not _last_is_all(lm, at.site):
        raise NotFoldable(
            f"The edit at {at.site} acts on the last position only, and weights act on every one.",
            hint="Inside the last block, after its input, the two are the same for generation; "
            "elsewhere use positions='all'.",
        )
    try:
        site = writing_site(lm, at.site, affine)
        if (norm := stream_norm(lm, site)) is not None:
            return _norm_deltas(lm, site, norm, affine)
        module, side = linear_at(lm, site)
        affine = at_module(affine, lm.anatomy.hook_point(site), module)
    except UnsupportedAnatomy as error:
        raise NotFoldable(error.message, hint=error.hint) from error
    return _deltas(lm, at.site, module, side, affine)


def _last_is_all(lm: LanguageModel, site: Site) -> bool:
    """Whether nothing that generates the next token reads earlier positions of the site."""
    in_last_block = site.layer == lm.n_layers - 1 and site.point != "resid_pre"
    return in_last_block or site.point == "unembed_in"


def _norm_deltas(
    lm: LanguageModel, site: Site, norm: nn.Module, affine: AffineMap
) -> dict[str, Delta]:
    if affine.scale is not None or affine.left is not None:
        raise NotFoldable(
            f"A norm writes {site}, and only a constant can be folded into one.",
            hint="Keep it as an activation edit.",
        )
    if affine.shift is None:
        return {}
    if getattr(norm, "bias", None) is None:
        raise NotFoldable(
            f"The edit adds a constant at {site}, which needs a bias, and the norm that writes it "
            "has none in this architecture.",
            hint="Keep it as an activation edit.",
        )
    name = lm.parameter_name(norm, "bias")
    return {name: Dense(affine.shift.to(_values(lm, name)))}


def _deltas(
    lm: LanguageModel, site: Site, module: nn.Module, side: Side, affine: AffineMap
) -> dict[str, Delta]:
    transposed = stores_transposed(module)
    name = lm.parameter_name(module, "weight")
    stored = _values(lm, name)
    weight = stored.T if transposed else stored
    device = weight.device
    affine = AffineMap(
        *(
            None if part is None else part.to(device, weight.dtype)
            for part in (affine.scale, affine.left, affine.right, affine.shift)
        )
    )
    deltas: dict[str, Delta] = {}
    change = _weight_delta(weight, side, affine, transposed)
    if change is not None:
        deltas[name] = change
    bias = getattr(module, "bias", None)
    constant = affine.shift
    if constant is not None and side == "input":
        constant = weight @ constant
    if bias is None:
        if constant is not None:
            raise NotFoldable(
                f"The edit adds a constant at {site}, which needs a bias, and "
                f"{name.removesuffix('.weight')} has none in this architecture.",
                hint="Keep it as an activation edit, or project instead of subtracting.",
            )
        return deltas
    bias_name = lm.parameter_name(module, "bias")
    shift = _bias_shift(_values(lm, bias_name), side, affine, constant)
    if shift is not None:
        deltas[bias_name] = Dense(shift)
    return deltas


def _weight_delta(
    weight: Float[Tensor, "out in"], side: Side, affine: AffineMap, transposed: bool
) -> Delta | None:
    change: Delta | None = None
    if affine.scale is not None:
        on_rows = (side == "output") != transposed
        change = RowScale(affine.scale) if on_rows else ColumnScale(affine.scale)
    if affine.left is not None and affine.right is not None:
        if side == "output":
            A, B = affine.left, affine.right @ weight
        else:
            A, B = weight @ affine.left, affine.right
        low = LowRank(B.T.contiguous(), A.T.contiguous()) if transposed else LowRank(A, B)
        if change is not None:
            raise NotFoldable("A map that both scales and mixes has to be given as two operations.")
        change = low
    return change


def _bias_shift(
    bias: Float[Tensor, " out"],
    side: Side,
    affine: AffineMap,
    constant: Float[Tensor, " out"] | None,
) -> Float[Tensor, " out"] | None:
    """b' − b."""
    new = bias
    if side == "output":
        if affine.scale is not None:
            new = new * affine.scale
        if affine.left is not None and affine.right is not None:
            new = new + affine.left @ (affine.right @ bias)
    if constant is not None:
        new = new + constant
    return None if new is bias else new - bias


def _values(lm: LanguageModel, name: str) -> Tensor:
    try:
        parameter = find_parameter(lm, name).detach()
    except EditError as error:
        raise NotFoldable(error.message, hint=error.hint) from error
    return parameter.to(torch.promote_types(parameter.dtype, torch.float32))
