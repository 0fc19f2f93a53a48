"""Training on preferences, from pairs to an edit: what `bezoar.mitigate.DPO` does."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from bezoar.locate import ValueRanking
from bezoar.mitigate.preference.checkpoint import Checkpoints
from bezoar.mitigate.preference.forward import (
    fused_gelu,
    reads_pairs_in_one,
    reference_logps,
    without_dropout,
)
from bezoar.mitigate.preference.log import Trained
from bezoar.mitigate.preference.masks import Trainable
from bezoar.mitigate.preference.processes import require_agreement
from bezoar.mitigate.preference.recipe import Recipe, get_recipe
from bezoar.mitigate.preference.setup import (
    keep_out,
    known_of,
    recipe_tokens,
    require_step,
    rows_in,
    shared,
)
from bezoar.mitigate.preference.targets import target_of
from bezoar.mitigate.preference.trainer import Trainer
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs
from bezoar.runs.progress import SILENT, Progress
from bezoar.runs.results import to_plain


def train(
    lm: LanguageModel,
    pairs: Pairs,
    recipe: str | Recipe = "lee2024",
    *,
    trainable: str | Trainable = "all",
    values: ValueRanking | None = None,
    validation: Pairs | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train on preferences, and give the model back exactly as it was.

    Args:
        lm: a causal model in float32.
        pairs: what to learn from.
        recipe: by name (`RECIPES`) or as it is.
        trainable: what may move (`Trainable.parse`).
        values: the ranking behind ``trainable="values"``.
        validation: pairs that say when to stop; by default some prompts of ``pairs`` are kept.
            The log counts those whose prompt is learnt from, of which they say too much.
        out: folder of the checkpoint: the run goes on from what is there. Without one, nothing is
            kept of an interrupted run.
        progress: told of the pairs done.

    Returns:
        The edit of the best state, and the log.

    Raises:
        ConfigError, DataError, EditError, ModelError: for what cannot be trained, or on.
        RunConflict: if ``out`` holds another run.
        TrainingDiverged: at a loss or gradient that is not finite; it names the rows of ``pairs``
            that the step read, and carries the best state before.
    """
    recipe, trainable = get_recipe(recipe), Trainable.parse(trainable)
    lm.require_generation()
    target = target_of(lm, trainable, values, recipe.seed)
    world, target = shared(target, recipe, out is not None)
    learnt = pairs
    if validation is None:
        learnt, validation = keep_out(pairs, recipe.eval_pairs)
    known = known_of(learnt, validation)
    data, kept_out = (recipe_tokens(lm, part, recipe) for part in (learnt, validation))
    data = replace(data, rows=rows_in(pairs, learnt.subset(data.rows)))
    require_step(data, recipe, world)
    with ExitStack() as stack:
        stack.enter_context(without_dropout(lm.model))
        stack.enter_context(fused_gelu(lm.model))
        shared_prompts = reads_pairs_in_one(lm, data)
        data, kept_out = (replace(part, shared=shared_prompts) for part in (data, kept_out))
        kept = Path(out or stack.enter_context(TemporaryDirectory(prefix="bezoar-training-")))
        precision = world.mixed_precision
        cache = kept if precision == "no" else kept / precision
        with world.autocast():  # the policy is read in the same precision: they begin equal
            references = [
                reference_logps(
                    lm, part, batch_pairs=recipe.eval_batch, cache=cache, progress=progress
                )
                for part in (data, kept_out)
            ]
        key = {
            "model": lm.fingerprint,
            "recipe": to_plain(recipe),
            "trainable": str(trainable),
            "values": [] if values is None else [str(entry) for entry in values.entries],
            "pairs": data.key(),
            "validation": kept_out.key(),
            "shared prompts": shared_prompts,
            "precision": precision,
        }
        require_agreement(world, key)
        trainer = Trainer(target, recipe, key, data, kept_out, *references)
        trainer.accelerator = world
        trainer.checkpoints = Checkpoints(kept, key)
        with target.training(kept / f"process-{world.process_index}"):
            trained = trainer.run(out is not None, progress or SILENT)
    return replace(trained, log=replace(trained.log, known=known))
