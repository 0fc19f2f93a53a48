"""What a training run begins with: parts of the pairs, an optimiser, the processes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from accelerate import Accelerator, DistributedType
from torch import nn

from bezoar.corpus.table import counted
from bezoar.errors import ConfigError, DataError
from bezoar.mitigate.preference.batches import TokenPairs, tokenise_pairs
from bezoar.mitigate.preference.divided import DividedTarget, wants_division
from bezoar.mitigate.preference.loss import Preference
from bezoar.mitigate.preference.processes import end_in_order
from bezoar.mitigate.preference.recipe import Recipe
from bezoar.mitigate.preference.targets import Target
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from bezoar.stats.splits import text_key

_KNOWN = (
    DistributedType.NO,
    DistributedType.MULTI_GPU,
    DistributedType.MULTI_CPU,
    DistributedType.FSDP,
)


def shared(target: Target, recipe: Recipe, kept: bool) -> tuple[Accelerator, Target]:
    """The processes that `accelerate launch` started, or this one alone; what each of them trains.

    Raises:
        ConfigError: if a run cannot be shared among them.
    """
    found = Accelerator(device_placement=False)
    n = found.num_processes
    why = ""
    if found.mixed_precision == "fp16":
        raise ConfigError(
            "Training in fp16 would need its gradients scaled, which this loop does not do.",
            hint="Start it with --mixed_precision bf16, or no.",
        )
    if found.distributed_type not in _KNOWN:
        why = f"it does not know how to under {found.distributed_type.value}"
    elif n > 1 and recipe.batch_pairs % n:
        why = f"a batch of {recipe.batch_pairs} pairs does not divide"
    elif n > 1 and not target.in_model:
        why = "an added layer is no part of the model whose gradients they share"
    elif n > 1 and not kept:
        why = "they share the best state through a folder"
    if why:
        raise ConfigError(
            f"Training cannot run in {n} processes: {why}.",
            hint="Give out=, a batch_pairs that divides, or start one process.",
        )
    end_in_order(found)
    return found, DividedTarget(target, found) if wants_division(found) else target


def make_optimiser(recipe: Recipe, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """RMSprop as in Table 5, or AdamW in its fused form; no weight decay."""
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(parameters, lr=recipe.lr)
    return torch.optim.AdamW(parameters, lr=recipe.lr, weight_decay=0.0, fused=True)


_TIE = 1e-4  # in reward: what rounding makes of two equal models on another batch


def accuracy_of(told: Preference) -> float:
    """Share of pairs whose chosen side has the larger reward; ties count a half."""
    margin = told.margin.detach()
    return float(((margin > _TIE).double() + 0.5 * (margin.abs() <= _TIE).double()).mean())


def keep_out(pairs: Pairs, n: int) -> tuple[Pairs, Pairs]:
    """Pairs to learn from, and at most ``n`` (and a quarter) whose prompts are not among those.

    Raises:
        DataError: if they share one prompt, so that none can be kept out.
    """
    share = min(0.25, n / max(1, len(pairs)))
    parts = pairs.split({"learn": 1 - share, "keep": share}, near=None)
    if not len(parts["learn"]) or not len(parts["keep"]):
        raise DataError(
            f"No division of {counted(len(pairs), 'pair')} leaves some to learn from and some that "
            "say when to stop.",
            hint="Give pairs of more than one prompt, or validation=.",
        )
    return parts["learn"], parts["keep"].subset(range(min(n, len(parts["keep"]))))


def known_of(pairs: Pairs, validation: Pairs) -> int:
    """Validation pairs that are learnt from: of one prompt, or without one of one side."""
    learnt = {key for keys in _keys(pairs) for key in keys}
    return sum(not learnt.isdisjoint(keys) for keys in _keys(validation))


def _keys(pairs: Pairs) -> Iterator[set[tuple[str, str]]]:
    """What tells pairs apart: the prompt, or where there is none both sides."""
    for prompt, *sides in _triples(pairs):
        told = [("prompt", prompt)] if prompt else [("side", side) for side in sides]
        yield {(name, text_key(text)) for name, text in told}


def rows_in(pairs: Pairs, part: Pairs) -> tuple[int, ...]:
    """Where in ``pairs`` each of a part of them stands; of equal ones the first."""
    first: dict[tuple[str, str, str], int] = {}
    for row, pair in enumerate(_triples(pairs)):
        first.setdefault(pair, row)
    return tuple(first[pair] for pair in _triples(part))


def _triples(pairs: Pairs) -> Iterator[tuple[str, str, str]]:
    return zip(pairs.prompts, pairs.chosen, pairs.rejected, strict=True)


def require_step(data: TokenPairs, recipe: Recipe, world: Accelerator) -> None:
    """Refuse pairs too few for a step of which every process has its share.

    Raises:
        DataError: if they are.
    """
    if world.num_processes > 1 and len(data) < recipe.step_pairs:
        raise DataError(
            f"{counted(len(data), 'pair')} cannot fill a step of {recipe.step_pairs}, which "
            f"{world.num_processes} processes share.",
            hint="Give more pairs, a smaller batch_pairs, or start one process.",
        )


def recipe_tokens(lm: LanguageModel, pairs: Pairs, recipe: Recipe) -> TokenPairs:
    """`tokenise_pairs` with a recipe's numbers."""
    return tokenise_pairs(
        lm,
        pairs,
        max_prompt_tokens=recipe.max_prompt_tokens,
        max_answer_tokens=recipe.max_answer_tokens,
        mode=recipe.mode,
    )
