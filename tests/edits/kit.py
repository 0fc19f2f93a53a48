"""What the tests of edits share."""

from __future__ import annotations

import torch
from torch import Tensor

from bezoar.edits import ActivationEdit, Add, Affine, At, Gate, Op, Project
from bezoar.models import LanguageModel, Site

PROMPTS = ("the fool is not so good", "a tree", "I think that you will know the river")


def batch(lm: LanguageModel, side: str = "right"):
    return lm.batch(lm.encode(PROMPTS), side=side)


def logits(lm: LanguageModel, side: str = "right") -> Tensor:
    """Logits at real positions, one row each."""
    b = batch(lm, side)
    return lm.logits(b)[b.mask]


def last_logits(lm: LanguageModel) -> Tensor:
    return lm.logits(batch(lm, "left"))[:, -1]


def unit(d: int, seed: int = 0) -> Tensor:
    return torch.nn.functional.normalize(noise(d, seed=seed), dim=0)


def noise(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def orthonormal(k: int, d: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(d, k, seed=seed))[0].T.contiguous()


def affine_ops(d: int) -> dict[str, Op]:
    """One of every affine operation."""
    return {
        "add": Add(noise(d, seed=1)),
        "project": Project(orthonormal(3, d, seed=2), 0.7),
        "affine": Affine(noise(d, 2, seed=3, scale=0.3), noise(2, d, seed=4), noise(d, seed=5)),
        "gate": Gate(1 + noise(d, seed=6, scale=0.5)),
    }


def one(site: Site | str, op: Op, positions: str = "all") -> ActivationEdit:
    site = Site.parse(site) if isinstance(site, str) else site
    return ActivationEdit((At(site, op, positions),))
