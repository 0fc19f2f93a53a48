"""The room that trainings take, on the disk and in memory, and whether the disk has it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from math import prod
from pathlib import Path

from bezoar.activations.forecast import least_memory, size
from bezoar.errors import EditError, RunError, UnsupportedAnatomy
from bezoar.mitigate import DPO, parse_method
from bezoar.mitigate.preference.masks import Trainable, parts_of
from bezoar.mitigate.preference.recipe import Recipe
from bezoar.models import LanguageModel
from bezoar.pairs.steered import STEERED
from bezoar.runs.environment import free_bytes
from bezoar.studies.audit.asked import null_draws, specs_of
from bezoar.studies.audit.bench import Bench

PAGE = 5_000_000
"""Bytes of a page, most of them the program that draws its figures; so much again is `figures/`."""
_NUMBER = 4  # bytes: trainings are in float32
_REMEMBERED = 2  # trainings whose edits stay in memory


@dataclass(frozen=True, slots=True)
class TrainingRoom:
    """What the trainings of a run take.

    Attributes:
        kept: bytes on disk in the end: each as trained, its nulls, and what was fitted of it.
        checkpoint: bytes on disk while one is trained: what the weights were, the best state and
            the last with the optimiser's memory, each beside the one that takes its place.
        memory: bytes: the weights; of what is trained gradients, the optimiser's memory and the
            edits of trainings before; one batch. 0 if nothing is trained.
    """

    kept: int = 0
    checkpoint: int = 0
    memory: int = 0


def room_of(bench: Bench) -> TrainingRoom:
    """What the trainings of a run take, from the sizes of the model and of what is trained."""
    lm, config = bench.lm, bench.config
    kept = checkpoint = memory = 0
    for method in map(parse_method, specs_of(config.mitigate.methods)):
        if not isinstance(method, DPO):
            continue
        free, saved = _sizes(lm, Trainable.parse(method.trainable))
        times, recipe = 1 + null_draws(method, config), method.recipe_for(lm)
        moments = 2 if recipe.optimiser == "adamw" else 1
        kept += (times + 1) * saved
        checkpoint = max(checkpoint, free * (1 + 2 + 2 * (1 + moments)))
        held = free * (1 + moments + min(_REMEMBERED, times - 1))
        memory = max(memory, least_memory(lm, 0) + held + _batch(bench, recipe))
    return TrainingRoom(kept, checkpoint, memory)


def check_room(bench: Bench) -> None:
    """Refuse trainings that the disk has no room for, before any work.

    Raises:
        RunError: with what is needed and what there is.
    """
    if bench.run.settled("mitigate"):
        return
    room, folder = room_of(bench), bench.run.folder("mitigate")
    needed = room.kept + room.checkpoint + PAGE - sum(_bytes(folder))
    free = free_bytes(bench.run.path)
    if needed > free:
        raise RunError(
            f"About {size(needed)} are still to be written to {bench.run.path}, and the disk has "
            f"{size(free)}.",
            hint="Free some space, name another folder with --out, or train less: fewer --methods, "
            "a smaller mitigate.trained_nulls, or a mask such as dpo:trainable=late.",
        )


def _sizes(lm: LanguageModel, mask: Trainable) -> tuple[int, int]:
    """Bytes of what a mask leaves free, and of the edit that comes of it; 0 where it has nothing.

    A tied matrix is trained once, and stands in the edit under each of its names.
    """
    n = mask.size(lm)
    if mask.kind == "layer":
        return (_NUMBER * n * (2 * lm.d_model + 1),) * 2
    if mask.kind == "lora":
        maps = [p.shape for block in lm.anatomy.blocks for p in block.parameters() if p.ndim == 2]
        return (_NUMBER * n * sum(map(sum, maps)),) * 2
    if mask.kind == "values":  # which ones is not known yet
        mask = Trainable("random-values", n)
    free = saved = 0
    with suppress(EditError, UnsupportedAnatomy):
        for part in parts_of(lm, mask):
            numbers = _NUMBER * prod(part.shape())
            free += numbers
            if part.index is None:
                saved += numbers * len(part.names)
            else:  # the rows, and where they go
                saved += numbers + _NUMBER * len(part.index) * part.parameter.shape[part.axis]
    return free, saved


def _batch(bench: Bench, recipe: Recipe) -> int:
    """Bytes that the two sides of a batch of pairs need forward and back, about."""
    lm, asked = bench.lm, bench.config.pairs
    longest = recipe.max_prompt_tokens + recipe.max_answer_tokens
    side = longest if asked.file else min(longest, 2 * asked.words + STEERED.max_new_tokens)
    tokens = 2 * recipe.batch_pairs * side
    block = least_memory(lm, tokens) - least_memory(lm, 0)
    logits = 2 * _NUMBER * tokens * int(lm.model.config.get_text_config().vocab_size)
    return lm.n_layers * block + logits


def _bytes(folder: Path) -> Iterator[int]:
    return (path.stat().st_size for path in folder.rglob("*") if path.is_file())
