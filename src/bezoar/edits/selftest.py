"""Proof that an edit acts: the first thing users of steering tools ask for, and seldom get."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.edits.edit import Edit, NoOp
from bezoar.errors import DataError, EditError, EditHasNoEffect, NotFoldable
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.runs.results import Result

TOLERANCE = 1e-5
"""How far folded and hooked logits may differ, relative to the largest logit (float32)."""

_BANNED = -1e4  # stands for a logit of minus infinity, so that differences stay numbers


@dataclass(frozen=True, slots=True)
class SelfTest(Result):
    """What a self-test saw.

    Attributes:
        edit: its name.
        forward_passes: of the model while the edit was applied, single tokens included.
        hook_calls: how often the edit's hooks ran in them.
        expected_calls: how often they had to.
        logit_change: largest change of a next-token logit.
        folded_max_difference: largest difference of folded and hooked next-token logits, relative
            to the largest logit; None if the edit does not fold.
        fold_reason: why it does not fold, "" if it does.
        restored_exactly: logits after the edit are those before it, bit for bit.
    """

    edit: str
    forward_passes: int
    hook_calls: int
    expected_calls: int
    logit_change: float
    folded_max_difference: float | None
    fold_reason: str
    restored_exactly: bool


def self_test(edit: Edit, lm: LanguageModel, prompts: Sequence[str]) -> SelfTest:
    """Apply an edit, watch it act in a forward pass and while generating, fold it, undo it.

    Args:
        edit: what to test.
        lm: the model.
        prompts: a few texts; next-token logits after each are compared.

    Raises:
        EditHasNoEffect: if no logit changed (unless the edit is a `NoOp`) or a hook was silent.
        EditError: if folded and hooked logits differ, or the model was not restored.
    """
    if not prompts:
        raise DataError("A self-test needs at least one prompt.")
    hooks_before = count_hooks(lm)
    before = next_logits(lm, prompts)
    with edit.applied_to(lm) as applied, _counted_passes(lm) as passes:
        edited = next_logits(lm, prompts)
        generate(lm, list(prompts[:1]), Decoding(max_new_tokens=3))
    after = next_logits(lm, prompts)
    change = float((edited - before).abs().max())
    expected = {name: calls * passes[0] for name, calls in edit.hooks(lm).items()}
    folded, reason = _folded_difference(edit, lm, prompts, edited)
    result = SelfTest(
        edit=edit.name,
        forward_passes=passes[0],
        hook_calls=sum(applied.calls.values()),
        expected_calls=sum(expected.values()),
        logit_change=change,
        folded_max_difference=folded,
        fold_reason=reason,
        restored_exactly=bool(torch.equal(before, after)) and count_hooks(lm) == hooks_before,
    )
    _judge(result, edit, applied.calls, expected, lm.dtype)
    return result


def _judge(
    result: SelfTest,
    edit: Edit,
    calls: Counter[str],
    expected: dict[str, int],
    dtype: torch.dtype,
) -> None:
    for name, count in expected.items():
        if calls[name] != count:
            raise EditHasNoEffect(
                f"The hook of {edit.name!r} at {name} ran {calls[name]} times in "
                f"{result.forward_passes} forward passes, where {count} were due.",
                hint="Something bypasses the hooked module (a fused kernel, a compiled model).",
            )
    if result.logit_change == 0 and not isinstance(edit, NoOp):
        raise EditHasNoEffect(
            f"{edit.name!r} changed no next-token logit.",
            hint="Is its strength 0, or its site after what the model reads?",
        )
    allowed = rounding(dtype)
    if result.folded_max_difference is not None and not result.folded_max_difference <= allowed:
        raise EditError(
            f"Folded weights of {edit.name!r} do not do what its hooks do: logits differ by "
            f"{result.folded_max_difference:.1e} of their size (allowed {allowed:.0e}).",
            hint="Keep the hooked form, and report the architecture.",
        )
    if not result.restored_exactly:
        raise EditError(f"The model was not restored after {edit.name!r}.")


def rounding(*dtypes: torch.dtype) -> float:
    """How far logits may differ that were computed in two orders in the coarsest of the dtypes."""
    return max(TOLERANCE, *(8 * torch.finfo(dtype).eps for dtype in dtypes))


@torch.no_grad()
def next_logits(lm: LanguageModel, prompts: Sequence[str]) -> Float[Tensor, "prompt d_vocab"]:
    """Logits of the token after each prompt; a banned one is very low instead of −∞."""
    rows = [row[: lm.context] for row in lm.encode(prompts)]
    logits = lm.logits(lm.batch(rows, side="left"))[:, -1].float()
    return torch.nan_to_num(logits, nan=float("nan"), neginf=_BANNED)


def count_hooks(lm: LanguageModel) -> int:
    """How many forward hooks and logits processors are attached to a model."""
    return len(lm.logits_processors) + sum(
        len(module._forward_hooks) + len(module._forward_pre_hooks) for module in lm.model.modules()
    )


def _folded_difference(
    edit: Edit, lm: LanguageModel, prompts: Sequence[str], edited: Tensor
) -> tuple[float | None, str]:
    try:
        weights = edit.fold(lm)
    except NotFoldable as error:
        return None, error.message
    with weights.applied_to(lm):
        folded = next_logits(lm, prompts)
    size = max(float(edited.abs().max()), 1e-12)
    return float((folded - edited).abs().max()) / size, ""


@contextmanager
def _counted_passes(lm: LanguageModel) -> Iterator[list[int]]:
    passes = [0]

    def count(module: Any, args: Any) -> None:
        passes[0] += 1

    handle = lm.anatomy.blocks[-1].register_forward_pre_hook(count)
    try:
        yield passes
    finally:
        handle.remove()
