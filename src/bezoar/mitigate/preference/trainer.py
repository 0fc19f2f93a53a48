"""One loop for DPO and supervised fine-tuning: few lines, resumable bit for bit.

Under `accelerate launch` every process runs this same code; each takes its share of every batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from bezoar.errors import TrainingDiverged
from bezoar.mitigate.preference.batches import PairBatch, TokenPairs, collate
from bezoar.mitigate.preference.checkpoint import (
    Checkpoints,
    TensorFile,
    optimiser_tensors,
    restore_optimiser,
)
from bezoar.mitigate.preference.forward import Reference, answer_logps
from bezoar.mitigate.preference.log import LOW_ENOUGH, Step, Trained, TrainingLog, Validation
from bezoar.mitigate.preference.loss import Preference, dpo_loss, sampled_kl, sequence_logps
from bezoar.mitigate.preference.processes import clip, gathered, mean_of_all
from bezoar.mitigate.preference.recipe import Recipe
from bezoar.mitigate.preference.setup import accuracy_of, make_optimiser
from bezoar.mitigate.preference.targets import State, Target
from bezoar.runs.progress import Progress
from bezoar.runs.results import one_line, to_plain


class Trainer:
    """One run; ``target.training`` is open around it."""

    def __init__(
        self,
        target: Target,
        recipe: Recipe,
        key: Mapping[str, Any],
        data: TokenPairs,
        kept_out: TokenPairs,
        reference: Reference,
        kept_reference: Reference,
    ) -> None:
        self.target, self.recipe, self.key = target, recipe, key
        self.data, self.kept_out = data, kept_out
        self.reference, self.kept_reference = reference, kept_reference
        self.step = self.best_step = 0
        self.steps: list[Step] = []
        self.validations: list[Validation] = []

    accelerator: Accelerator
    checkpoints: Checkpoints

    def run(self, keep: bool, progress: Progress) -> Trained:
        self.optimiser = make_optimiser(self.recipe, [*self.target.parameters.values()])
        self.lm = self.target.lm
        self.model: Callable[..., Any] = self.lm.model
        if self.accelerator.num_processes > 1 and not self.target.divided:
            self.model = self.accelerator.prepare_model(self.lm.model)
        if not self._resumed():
            self._validate()
            self._save(keep)
        total = self._steps_in_all()
        with progress.task("Training", total * self.recipe.step_pairs, "pairs") as advance:
            advance(self.step * self.recipe.step_pairs)
            while self.step < total and not self._ended():
                self._train_step()
                advance(self.recipe.step_pairs)
                if self.step % self.recipe.eval_steps == 0 or self.step == total:
                    self._validate()
                    self._save(keep)
        return self._result(self._ended() or "end of the pairs")

    # One step

    def _train_step(self) -> None:
        indices = self._indices(self.step)
        batches = [
            indices[i : i + self.recipe.batch_pairs]
            for i in range(0, len(indices), self.recipe.batch_pairs)
        ]
        weights = self._weights(batches)
        found = [self._learn(*batch) for batch in zip(batches, weights, strict=True)]
        told = np.average(found, axis=0, weights=weights)
        loss, accuracy, margin = mean_of_all(self.accelerator, told)
        norm = clip(self.target.parameters.values(), self.recipe.clip)
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise self._diverged(indices, loss, norm)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.target.write()
        self.step += 1
        if self.recipe.objective == "sft":
            self.steps.append(Step(self.step, loss, None, None, norm))
        else:
            self.steps.append(Step(self.step, loss, accuracy, margin, norm))

    def _weights(self, batches: Sequence[Sequence[int]]) -> list[float]:
        """The share that each batch has in its step: DPO is a mean over pairs, SFT over tokens."""
        sizes = [len(batch) for batch in batches]
        if self.recipe.objective == "sft" and len(batches) > 1:
            sizes = [
                len(collate(self.lm, self.data, batch, chosen_only=True).targets)
                for batch in batches
            ]
        return [size / sum(sizes) for size in sizes]

    def _learn(self, indices: Sequence[int], share: float) -> tuple[float, float, float]:
        """Add a batch's gradient, weighted by its share of the step; loss, accuracy, margin.

        What a process finds of its pairs is weighted so that the mean over processes is that of
        the whole batch.
        """
        world, alone = self.accelerator, self.recipe.objective == "sft"
        mine = indices[world.process_index :: world.num_processes]
        batch = collate(self.lm, self.data, mine, chosen_only=alone)
        weight = len(mine) * world.num_processes / len(indices)
        if alone and world.num_processes > 1:  # a mean over tokens, and answers differ in length
            whole = collate(self.lm, self.data, indices, chosen_only=True)
            weight = len(batch.targets) * world.num_processes / len(whole.targets)
        with world.autocast():
            logps = answer_logps(self.lm, batch, self.model)
        if alone:
            loss, accuracy, margin = -logps.mean(), math.nan, math.nan
        else:
            told = self._preference(batch, logps, self.reference)
            loss = told.loss.mean()
            accuracy, margin = accuracy_of(told), float(told.margin.detach().mean())
        world.backward(loss * (share * weight))
        self.target.collect()
        return weight * float(loss.detach()), weight * accuracy, weight * margin

    def _preference(self, batch: PairBatch, logps: Tensor, reference: Reference) -> Preference:
        chosen, rejected = sequence_logps(logps, batch.rows, batch.n_rows).chunk(2)
        return dpo_loss(chosen, rejected, *reference.of(batch), self.recipe.beta)

    def _indices(self, step: int) -> tuple[int, ...]:
        """The pairs of a step: a shuffled order a pass, a function of seed and step alone."""
        epoch, place = divmod(step, self._steps_in_pass())
        order = np.random.default_rng([self.recipe.seed, epoch]).permutation(len(self.data))
        first = place * self.recipe.step_pairs
        return tuple(order[first : first + self.recipe.step_pairs].tolist())

    def _steps_in_pass(self) -> int:
        return max(1, len(self.data) // self.recipe.step_pairs)

    def _steps_in_all(self) -> int:
        steps = self._steps_in_pass() * self.recipe.epochs
        return min(steps, self.recipe.steps or steps)

    # Validation, and what it decides

    @torch.no_grad()
    def _validate(self) -> None:
        size, n = self.recipe.eval_batch, len(self.kept_out)
        batches = [range(start, min(start + size, n)) for start in range(0, n, size)]
        columns = np.average(
            [self._judge(batch) for batch in batches], axis=0, weights=[len(b) for b in batches]
        )
        loss, accuracy, chosen, rejected, kl = columns.tolist()
        if not math.isfinite(loss):
            raise self._diverged((), loss, 0.0)
        best = min((point.loss for point in self.validations), default=math.inf)
        self.validations.append(
            Validation(self.step, loss, accuracy, chosen - rejected, chosen, rejected, kl)
        )
        if loss < best:
            self.best_step = self.step
            main = self.accelerator.is_main_process
            state = self.target.state(here=main)
            self.checkpoints.keep_best(self.step, state if main else None)

    def _judge(self, indices: Sequence[int]) -> tuple[float, float, float, float, float]:
        """Loss, accuracy, chosen and rejected reward, KL of some validation pairs."""
        batch = collate(self.lm, self.kept_out, indices)
        with self.accelerator.autocast():
            logps = answer_logps(self.lm, batch)
        told = self._preference(batch, logps, self.kept_reference)
        loss = told.loss.mean()
        if self.recipe.objective == "sft":
            loss = -logps[batch.rows < len(indices)].mean()
        rewards = float(told.chosen_reward.mean()), float(told.rejected_reward.mean())
        kl = sampled_kl(logps, self.kept_reference.tokens_of(batch))
        return float(loss), accuracy_of(told), *rewards, float(kl)

    def _ended(self) -> str:
        """Why training stops before its last step, or ""."""
        if self.recipe.keep == "last":
            return ""
        if self.recipe.objective == "dpo" and self.validations[-1].loss <= self.recipe.enough:
            return LOW_ENOUGH
        since = sum(point.step > self.best_step for point in self.validations)
        return "patience" if since >= self.recipe.patience_used else ""

    # Checkpoints

    def _save(self, keep: bool) -> None:
        if not keep:
            self.checkpoints.forget({self.checkpoints.best_path().name})
            return
        main = self.accelerator.is_main_process
        tensors, numbers = optimiser_tensors(self.optimiser)
        tensors = {**self.target.state(here=main), **gathered(tensors, here=main)}
        if not main:
            return
        plain = {
            "step": self.step,
            "best_step": self.best_step,
            "steps": [to_plain(step) for step in self.steps],
            "validations": [to_plain(point) for point in self.validations],
            "optimiser": numbers,
        }
        self.checkpoints.save(self.step, tensors, plain)

    def _resumed(self) -> bool:
        saved = self.checkpoints.load()
        if saved is None:
            return False
        plain = saved.plain
        self.step, self.best_step = plain["step"], plain["best_step"]
        self.steps = [Step(**row) for row in plain["steps"]]
        self.validations = [Validation(**row) for row in plain["validations"]]
        self.target.load(saved.current)
        restore_optimiser(self.optimiser, saved.current, plain["optimiser"])
        return True

    # The end

    def _diverged(self, indices: Sequence[int], loss: float, norm: float) -> TrainingDiverged:
        rows = [self.data.rows[i] for i in indices]
        where = f"step {self.step + 1}, pairs {rows}" if rows else f"validation at step {self.step}"
        what = f"loss {loss}" + (f", gradient norm {norm}" if rows else "")
        error = TrainingDiverged(
            f"Training left the finite numbers at {where} ({what}).",
            hint="Use a smaller lr or clip, or look at those pairs.",
        )
        if self.validations:
            error.trained = self._result(f"not finite: {where}")
        return error

    def _result(self, reason: str) -> Trained:
        self.accelerator.wait_for_everyone()
        # Done with, and large: the edit is made in their place.
        self.optimiser.state.clear()
        self.optimiser.zero_grad(set_to_none=True)
        best: State = TensorFile(self.checkpoints.best_path())
        if self.recipe.keep == "last" and not reason.startswith("not finite"):
            best, self.best_step = self.target.state(), self.step
        moved, size = self.target.moved(best)
        log = TrainingLog(
            objective=self.recipe.objective,
            recipe=one_line(self.recipe),
            trainable=self.key["trainable"],
            steps=tuple(self.steps),
            validation=tuple(self.validations),
            best_step=self.best_step,
            stop_reason=reason,
            pairs=len(self.data),
            validation_pairs=len(self.kept_out),
            equal=self.data.equal + self.kept_out.equal,
            cut_prompts=self.data.cut_prompts + self.kept_out.cut_prompts,
            cut_answers=self.data.cut_answers + self.kept_out.cut_answers,
            trained=sum(value.numel() for value in best.values()),
            norm=moved,
            relative=moved / size if size else 0.0,
        )
        origin = {**self.key, "step": self.best_step, "validation_loss": log.best.loss}
        name = f"{self.recipe.objective} ({self.key['trainable']})"
        return Trained(self.target.edit(best, name, origin), log)
