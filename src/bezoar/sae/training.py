"""Train autoencoders on the rows of a site, several in one pass, resumed bit for bit."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bezoar.activations.rows import RowSource, batches_an_epoch
from bezoar.errors import ConfigError, SAEError
from bezoar.runs.progress import SILENT, Progress
from bezoar.sae.beginning import Centre, begin
from bezoar.sae.checkpoint import Checkpoint, corrupt
from bezoar.sae.devices import Precision, ahead, multiplying, place
from bezoar.sae.finished import Trained, finish, folder_name, keep, kept
from bezoar.sae.pupil import Plan, Pupil
from bezoar.sae.spec import SAESpec, distinct
from bezoar.sae.stopping import stop_between_steps

DEAD_AFTER = 10_000_000  # tokens at most (Gao et al. 2024); a tenth of a shorter training
_VERSION = 2  # of what is computed; raise it when equal arguments give other weights


def train_saes(
    specs: Sequence[SAESpec | str],
    rows: RowSource,
    *,
    tokens: int = 1_000_000,
    batch: int = 1_024,
    lr: float = 1e-3,
    warmup: float | int = 0.05,
    decay: float | int = 0.2,
    expansion: float | int = 8,
    centre: Centre = "median",
    seed: int = 0,
    lm_info: tuple[str, str] = ("", ""),
    trained_on: str = "",
    licence_note: str = "",
    out: Path | None = None,
    checkpoint_minutes: float | int = 5,
    device: str | torch.device | None = None,
    precision: Precision = "highest",
    progress: Progress | None = None,
) -> list[Trained]:
    """Train one autoencoder for each spec; every batch is read once for all of them.

    Inputs are scaled so that ``mean‖x‖ = √d``, which is folded into the weights at the end. Adam,
    its rate rising over ``warmup`` and falling over ``decay``. What a spec says of ``seed``,
    ``latents``, ``expansion`` or ``lr`` goes for it alone.

    Args:
        specs: what to train; ``"topk:k=32,seed=1"`` will do.
        rows: of one site.
        tokens: rows to train on, repeated as needed; whole batches, at least one.
        batch: rows a step.
        lr: of Adam.
        warmup, decay: shares of the steps.
        expansion: latents for one dimension.
        centre: what decoder biases begin at.
        seed: of the order of rows, and of the initial weights.
        lm_info: name and fingerprint of the model.
        trained_on: the data, in words.
        licence_note: what its licences say about passing the autoencoders on.
        out: keeps each finished autoencoder in a folder named by `folder_name`, and, while it
            trains, a checkpoint. The same call goes on from there, or reads what is finished.
        checkpoint_minutes: between two checkpoints. Ctrl-C writes one too.
        device: where they are trained, and lie when they come back; the CPU if None. Initial
            weights are those of any other device, and so are checkpoints.
        precision: of products, in torch's words: ``high`` and ``medium`` are faster where the
            device has TF32 or bfloat16, and coarser.
        progress: shows steps.

    Returns:
        In the order of the specs.

    Raises:
        ConfigError: for an unknown spec, one that is there twice, numbers that make no sense, or a
            device that is not there.
        SAEError: if there are more latents than rows, the rows are of another model, constant or
            not finite, or a loss diverges.
        CorruptArtefact: if a checkpoint is damaged.
    """
    chosen = distinct(tuple(SAESpec.parse(s) if isinstance(s, str) else s for s in specs))
    _check_numbers(tokens, batch, lr, warmup, decay)
    steps = max(1, tokens // batch)
    after = max(1, min(DEAD_AFTER, steps * batch // 10))
    plan = Plan(steps, batch, lr, warmup, decay, after, seed, precision)
    where = place(device)
    pupils = [Pupil(spec, rows.d, _latents(spec, rows, expansion), plan, where) for spec in chosen]
    name, fingerprint = lm_info
    _check_model(rows, name, fingerprint)
    info = {"model": name, "fingerprint": fingerprint, "trained_on": trained_on}
    info |= {"licence_note": licence_note, "site": str(rows.site)}
    key = _key(pupils, rows, plan, centre, info)
    folders = [] if out is None else [out / folder_name(str(rows.site), s) for s in chosen]
    if folders and (before := kept(folders, key, where)):
        return before
    checkpoint = None if out is None else Checkpoint(out / f".{rows.site}.checkpoint", key)
    with multiplying(precision):
        scale, seconds = _train(
            pupils, rows, plan, centre, checkpoint, checkpoint_minutes, progress
        )
    trained = [finish(pupil, scale, info, seconds) for pupil in pupils]
    for done, folder in zip(trained, folders, strict=False):  # none without a folder
        keep(done, folder, key)
    if checkpoint is not None:
        checkpoint.remove()
    return trained


def _train(
    pupils: list[Pupil],
    rows: RowSource,
    plan: Plan,
    centre: Centre,
    checkpoint: Checkpoint | None,
    minutes: float | int,
    progress: Progress | None,
) -> tuple[float, float]:
    """Take all steps that are left; the scale of the inputs, and the seconds of all steps."""
    kept = None if checkpoint is None else checkpoint.read()
    if kept is None:
        first, scale, seconds = 0, begin(pupils, rows, plan, centre), 0.0
    else:
        first, scale, seconds = _restore(pupils, kept, checkpoint)
    begun = saved = time.monotonic()

    def save(step: int) -> None:
        if checkpoint is not None:
            tensors = {f"{i}.{k}": t for i, p in enumerate(pupils) for k, t in p.tensors().items()}
            spent = seconds + time.monotonic() - begun
            notes = {"scale": scale, "seconds": spent, "pupils": [p.notes() for p in pupils]}
            checkpoint.write(step, tensors, notes)

    label = f"Training {len(pupils)} autoencoder{'s' * (len(pupils) > 1)} at {rows.site}"
    with (progress or SILENT).task(label, plan.steps * plan.batch, "tokens") as advance:
        advance(first * plan.batch)
        with stop_between_steps() as asked:
            for number, x in ahead(_batches(rows, plan, first), pupils[0].device):
                x = x * scale
                for pupil in pupils:
                    pupil.step(number, x)
                advance(plan.batch)
                if asked() or time.monotonic() - saved > 60 * minutes:
                    save(number + 1)
                    saved = time.monotonic()
                if asked():
                    raise KeyboardInterrupt
    return scale, seconds + time.monotonic() - begun


def _batches(rows: RowSource, plan: Plan, first: int) -> Iterator[tuple[int, Tensor]]:
    """The batches of all steps from ``first`` on, epoch by epoch."""
    an_epoch = batches_an_epoch(rows.n_rows, plan.batch)
    number = first
    while number < plan.steps:
        epoch, start = divmod(number, an_epoch)
        for x in rows.batches(plan.batch, epoch, start, plan.seed):
            yield number, x
            number += 1
            if number == plan.steps:
                return


def _restore(
    pupils: list[Pupil], kept: tuple[int, dict[str, Tensor], Any], checkpoint: Checkpoint | None
) -> tuple[int, float, float]:
    step, tensors, notes = kept
    try:
        for i, pupil in enumerate(pupils):
            own = {k.removeprefix(f"{i}."): t for k, t in tensors.items() if k.startswith(f"{i}.")}
            pupil.restore(own, notes["pupils"][i])
        return step, float(notes["scale"]), float(notes["seconds"])
    except (LookupError, TypeError, ValueError, RuntimeError) as error:
        folder = Path() if checkpoint is None else checkpoint.folder
        raise corrupt(folder, error) from error


def _latents(spec: SAESpec, rows: RowSource, expansion: float | int) -> int:
    """How many, which must not be more than there are rows.

    Raises:
        SAEError: if it is.
    """
    wanted = spec.training.latents or max(1, round(rows.d * (spec.training.expansion or expansion)))
    if wanted > rows.n_rows:
        raise SAEError(
            f"{str(spec)!r} has {wanted:,} latents, and {rows.site} has {rows.n_rows:,} rows.",
            hint="Lower the expansion, or harvest more texts.",
        )
    return wanted


def _check_model(rows: RowSource, name: str, fingerprint: str) -> None:
    """Refuse to write down a model that the rows are not of.

    Raises:
        SAEError: if they are of another.
    """
    if fingerprint and rows.fingerprint and fingerprint != rows.fingerprint:
        raise SAEError(
            f"The rows of {rows.site} are of a model with other weights than {name!r}.",
            hint="Harvest them with this model, or name the model that they are of.",
        )


def _check_numbers(
    tokens: int, batch: int, lr: float, warmup: float | int, decay: float | int
) -> None:
    shares = 0 <= warmup <= 1 and 0 <= decay <= 1
    if min(tokens, batch) < 1 or not 0 < lr < float("inf") or not shares:
        raise ConfigError(
            f"Training on {tokens} tokens, {batch} a step, at a rate of {lr:g}, with shares "
            f"{warmup:g} and {decay:g} of warm-up and decay.",
            hint="Numbers must be positive, and shares between 0 and 1.",
        )


def _key(
    pupils: list[Pupil], rows: RowSource, plan: Plan, centre: Centre, info: dict[str, str]
) -> str:
    """Equal only for trainings that give equal bytes (with equal libraries)."""
    about = {
        "version": _VERSION,
        "specs": [(str(p.spec), p.sae.d_sae, p.seed, p.lr) for p in pupils],
        "rows": rows.digest,
        "plan": asdict(plan),
        "centre": centre,
        "info": info,
    }
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()
