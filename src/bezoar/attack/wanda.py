"""Pruning by weight times activation: the model stays whole where magnitude would break it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bezoar.attack.attack import Attack, OnTop, Setting, at_least, rising, some_texts
from bezoar.attack.matrices import block_matrices, changed_matrices
from bezoar.edits import Edit
from bezoar.errors import DataError
from bezoar.models import Batch, LanguageModel, out_in_weight


@dataclass(frozen=True, slots=True, repr=False)
class WandaPruning(Attack):
    """Zero the weights with the smallest ``|W_ij| · ‖x_j‖`` of every output (Sun et al. 2024).

    ``‖x_j‖`` is the norm of input j over the tokens of calibration texts, read on the edited model
    as a whole. Wei et al. (2024, arXiv:2402.05162) prune alignment away with such scores.

    Attributes:
        texts: for calibration; harmless, and none that is reported on.
        shares: of the weights of each output, in [0, 1).
        max_tokens: texts are cut there.
    """

    axis: ClassVar[str] = "share of weights removed"
    texts: tuple[str, ...]
    shares: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)
    max_tokens: int = 64
    name: str = "pruning by activation"

    def __post_init__(self) -> None:
        some_texts(self.texts, "to calibrate the pruning on")
        at_least(1, max_tokens=self.max_tokens)

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        """Raises DataError if no text has a token."""
        self._rows(lm)
        shares = rising(self.shares, "A share to prune", 0, 0.999)
        return tuple(Setting(s, f"{100 * s:g} %", values={"share": s}) for s in shares)

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        rows = self._rows(lm)
        with remedy.applied_to(lm):
            norms = input_norms(lm, lm.batch(rows))

        def edit(setting: Setting) -> Edit:
            return changed_matrices(
                lm,
                remedy,
                lambda weight, name: pruned_by_input(weight, norms[name], setting.budget),
                name=f"prune {setting.label} by activation",
                provenance={"attack": self.name, "share": setting.budget},
            )

        return edit

    def _rows(self, lm: LanguageModel) -> list[list[int]]:
        rows = [ids for ids in lm.encode(list(self.texts), min(self.max_tokens, lm.context)) if ids]
        if not rows:
            raise DataError(
                "None of the texts to calibrate the pruning on has a token.",
                hint="Give some plain prose.",
            )
        return rows


def pruned_by_input(
    weight: Float[Tensor, "d_out d_in"], norms: Float[Tensor, " d_in"], share: float
) -> Float[Tensor, "d_out d_in"]:
    """The matrix without the ``round(share · d_in)`` least entries of each row."""
    order = (weight.abs() * norms.to(weight)).argsort(dim=1, stable=True)
    gone = order[:, : round(share * weight.shape[1])]
    return weight.scatter(1, gone, 0.0)


def input_norms(lm: LanguageModel, batch: Batch) -> dict[str, Float[Tensor, " d_in"]]:
    """The norm of every input of each block matrix over real tokens, by parameter.

    A map that no token reached (an expert) counts all its inputs alike.
    """
    with _squares(lm, batch) as squares:
        lm.run(batch)
    return {
        name: squares[name].sqrt()
        if name in squares
        else torch.ones(out_in_weight(module).shape[1])
        for name, module in block_matrices(lm).items()
    }


@contextmanager
def _squares(lm: LanguageModel, batch: Batch) -> Iterator[dict[str, Tensor]]:
    """Sums of squared inputs, filled while the model runs."""
    found: dict[str, Tensor] = {}

    def read(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Tensor, ...]) -> None:
            x = given[0].detach().float()
            # Experts see tokens without their places, padding among them.
            x = x[batch.mask] if x.shape[:2] == batch.mask.shape else x.flatten(0, -2)
            found[name] = found.get(name, 0.0) + x.square().sum(0)

        return hook

    handles = [m.register_forward_pre_hook(read(n)) for n, m in block_matrices(lm).items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
