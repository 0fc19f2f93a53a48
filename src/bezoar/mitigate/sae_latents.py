"""Turn down latents of a sparse autoencoder that write towards the behaviour, during generation.

As features are steered by Templeton et al. 2024 ("Scaling monosemanticity") and turned against
what they stand for by Farrell et al. 2024 ("Applying sparse autoencoders to unlearn knowledge in
language models"): x ← x + Σᵢ (g(fᵢ) − fᵢ)·dᵢ, the reconstruction error kept as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from bezoar.edits import ActivationEdit, Edit
from bezoar.errors import ConfigError, EditError, did_you_mean
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.profile import LatentProfile
from bezoar.sae.steering import steer_latents

Choice = Literal["attribution", "cosine", "auroc"]
Mode = Literal["scale", "ablate", "clamp"]
FURTHEST = 32.0
"""Largest s: 1 is ablation, and beyond it a latent writes the other way."""
_NULL_FURTHEST = 512.0  # a random latent of equal density may matter far less
_NEAR = 20  # latents to draw from, nearest in density


@register
@dataclass(frozen=True, slots=True)
class SAELatents(Method):
    """Turn down latents of a sparse autoencoder that write towards the behaviour.

    Attributes:
        choose: which latents: "attribution" (dᵢ · probe times how much more active the latent is
            with the behaviour than without, both positive), "cosine" (of dᵢ with the probe) or
            "auroc" (of its mean activation over a text).
        top: how many, at most.
        mode: "scale" (f ← (1 − s)·f), "ablate" (the same, and no further than s = 1) or "clamp"
            (f ← f + s·(to·m − f) at every token, with m the latent's largest activation).
        s: the strength: 0 does nothing; 1 ablates, or clamps.
        to: what a clamp clamps to, in units of m.
        positions: "all", or "last": the last token of each forward pass.
    """

    name: ClassVar[str] = "sae-latents"
    choose: Choice = "attribution"
    top: int = 32
    mode: Mode = "scale"
    s: float = 1.0
    to: float = -1.0
    positions: Literal["all", "last"] = "all"

    def __post_init__(self) -> None:
        for option, known in (("choose", Choice), ("mode", Mode)):
            if (value := getattr(self, option)) not in get_args(known):
                raise ConfigError(
                    f"{option}={value!r} of {self.name} is not known.",
                    hint=did_you_mean(str(value), get_args(known)),
                )
        if self.top < 1:
            raise ConfigError(f"top={self.top} latents cannot be steered.", hint="Give 1 or more.")
        if not 0 <= self.s <= _NULL_FURTHEST:
            raise ConfigError(f"s={self.s} of {self.name} is not between 0 and {FURTHEST:g}.")

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        return {
            "top": ("", "top=8", "top=128"),
            "choose": ("", "choose=auroc", "choose=cosine"),
            "mode": ("", "mode=clamp"),
        }

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"sae", "latents"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("random-latents",)

    @property
    def strength(self) -> float:
        return self.s

    @property
    def strength_max(self) -> float:
        return 1.0 if self.mode == "ablate" else FURTHEST

    @property
    def null_strength_max(self) -> float:
        return 1.0 if self.mode == "ablate" else _NULL_FURTHEST

    @property
    def strength_start(self) -> float:
        return 0.1 if self.mode == "clamp" else 1.0

    def with_strength(self, strength: float) -> SAELatents:
        return dataclasses.replace(self, s=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` at the site that the autoencoder reads; it does not fold.

        Raises:
            ConfigError: if the autoencoder or the profile of its latents is missing.
            SAEError: if either is not of this model, or they do not belong together.
            EditError: if no latent has to do with the behaviour, or too few are as dense.
        """
        sae: SparseAutoencoder = inputs.need("sae", self.name)
        profile: LatentProfile = inputs.need("latents", self.name)
        sae.require(lm)
        profile.require(sae)
        ids = self.choice(sae, profile)
        target = self.to * profile.largest[ids] if self.mode == "clamp" else 0.0
        op = steer_latents(sae, ids, factor=1 - self.s, value=self.s * target)
        return ActivationEdit.at(
            [lm.site(profile.probe.site)],
            op,
            self.positions,
            name=f"{len(ids)} latents of {sae.architecture} at {profile.probe.site}",
            provenance=self.origin(lm, latents=ids.tolist(), trained_on=profile.trained_on),
        )

    def choice(self, sae: SparseAutoencoder, profile: LatentProfile) -> Int64[Tensor, " k"]:
        """Numbers of the latents that are chosen, best first; at random if the profile says so.

        Raises:
            EditError: if there is none, or too few are as dense.
        """
        scores = latent_scores(sae, profile, self.choose)
        best = scores.argsort(descending=True, stable=True)[: self.top]
        best = best[scores[best] > 0]
        if not len(best):
            raise EditError(
                f"None of {len(profile)} latents writes towards the behaviour and is more active "
                f"with it (choose={self.choose}).",
                hint="Train an autoencoder on more of these texts, or at another site.",
            )
        if profile.drawn is None:
            return best
        return equally_dense(profile.density, best, profile.drawn)


def latent_scores(
    sae: SparseAutoencoder, profile: LatentProfile, choose: Choice
) -> Float[Tensor, " d_sae"]:
    """How much every latent has to do with the behaviour; what is never active scores at most 0.

    Args:
        sae: whose decoder rows d, not of unit norm perhaps.
        profile: of its latents; with its probe v.
        choose: "attribution": max(0, d·v) · max(0, mean with − mean without), the latent's share of
            how far the classes lie apart along the probe; "cosine": of d and v; "auroc": less ½.
    """
    decoder = sae.W_dec.detach().cpu().float()
    along = decoder @ profile.probe.vector
    if choose == "attribution":
        score = along.relu() * (profile.mean[1] - profile.mean[0]).relu()
    elif choose == "cosine":
        score = along / decoder.norm(dim=1).clamp(min=1e-30)
    else:
        score = profile.auroc - 0.5
    return torch.where(profile.density > 0, score, score.clamp(max=0.0))


def equally_dense(
    density: Float[Tensor, " d_sae"], chosen: Int64[Tensor, " k"], seed: int
) -> Int64[Tensor, " k"]:
    """For each of the chosen latents another one, drawn from those nearest in log density.

    Raises:
        EditError: if there are fewer others than chosen ones.
    """
    rng = np.random.default_rng(seed)
    free = (density > 0).numpy().copy()
    free[chosen.numpy()] = False
    if free.sum() < len(chosen):
        raise EditError(
            f"{int(free.sum())} latents are ever active beside the {len(chosen)} chosen ones, too "
            "few to draw as many at random.",
            hint="Choose fewer (top=...), or train an autoencoder with more latents.",
        )
    logs = density.double().clamp(min=1e-30).log().numpy()
    drawn = []
    for latent in chosen.tolist():
        distance = np.where(free, np.abs(logs - logs[latent]), np.inf)
        near = np.argsort(distance, kind="stable")[: min(_NEAR, int(free.sum()))]
        pick = int(rng.choice(near))
        free[pick] = False
        drawn.append(pick)
    return torch.tensor(drawn)
