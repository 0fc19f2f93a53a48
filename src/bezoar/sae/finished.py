"""Autoencoders at the end of their training, and those that an equal call finished before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from bezoar.errors import CorruptArtefact
from bezoar.runs.results import load_result, save_result
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.curves import TrainingCurve
from bezoar.sae.pupil import Pupil
from bezoar.sae.spec import SAESpec
from bezoar.sae.storage import load_sae

CURVE = "training.json"


@dataclass(frozen=True, slots=True)
class Trained:
    """An autoencoder and how it was trained."""

    sae: SparseAutoencoder
    curve: TrainingCurve


@dataclass(frozen=True, slots=True)
class _Kept:
    """What lies beside a finished autoencoder: of which call it is."""

    key: str
    curve: TrainingCurve


def folder_name(site: str, spec: SAESpec | str) -> str:
    """The folder of an autoencoder: ``3.resid_post_topk_k32``."""
    return f"{site}_{(SAESpec.parse(spec) if isinstance(spec, str) else spec).slug}"


def finish(pupil: Pupil, scale: float, info: dict[str, str], seconds: float) -> Trained:
    """Fold the scale in, and say where it comes from."""
    sae = pupil.sae.requires_grad_(False).eval()
    sae.finish()
    sae.set_scale(1 / scale)
    options = sae.info.options | {"lr": pupil.lr, "batch": pupil.plan.batch}
    options |= {"warmup": pupil.plan.warmup, "decay": pupil.plan.decay}
    sae.info = replace(
        replace(sae.info, **info),  # type: ignore[arg-type]
        options=options,
        tokens=pupil.tokens,
        seed=pupil.seed,
        scale=scale,
    )
    return Trained(sae, pupil.curve(info["site"], seconds))


def keep(trained: Trained, folder: Path, key: str) -> None:
    """Write one, with the call that it is of beside it."""
    trained.sae.save(folder)
    save_result(folder / CURVE, _Kept(key, trained.curve))


def kept(folders: Sequence[Path], key: str, device: torch.device) -> list[Trained] | None:
    """What an equal call has trained before, if all of it is there and whole."""
    found = []
    for folder in folders:
        try:
            held = load_result(folder / CURVE, _Kept)
            if held.key != key:
                return None
            found.append(Trained(load_sae(folder).to(device), held.curve))
        except CorruptArtefact:
            return None
    return found
