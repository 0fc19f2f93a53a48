"""What single latents have to do with a labelled behaviour: enough to choose some, and no more."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from bezoar.activations import ActivationStore
from bezoar.errors import DataError, SAEError
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.locate.direction import Direction
from bezoar.locate.probe import LinearProbe
from bezoar.runs.progress import Progress
from bezoar.runs.results import one_line
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.labelled import class_means, latent_aurocs
from bezoar.sae.pooled import Pooler
from bezoar.sae.reading import LatentMoments, RowMeans, read_codes
from bezoar.sae.token_rows import StoredTokens, Texts, TokenRows, check_texts
from bezoar.stats.classification import binary_labels

KIND = "latents"
_TENSORS = ("density", "mean", "auroc", "largest")


@dataclass(frozen=True, slots=True)
class _About:
    site: str
    tokens: int
    texts: int
    model: str
    trained_on: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LatentProfile:
    """Latents of an autoencoder on labelled texts.

    Attributes:
        density: share of tokens on which each is active.
        mean: mean over texts of a text's mean activation; row 0 of those without the behaviour,
            row 1 of those with it.
        auroc: of a text's mean activation.
        largest: largest activation on any token.
        probe: direction of a logistic probe at the same site, on the same texts.
        tokens, texts: that these numbers are from.
        model: fingerprint of the model, as the autoencoder has it.
        trained_on: hash of the texts, if it was given.
        drawn: a seed: whoever chooses latents by this profile takes others, as dense as these.
    """

    density: Float[Tensor, " d_sae"]
    mean: Float[Tensor, "2 d_sae"]
    auroc: Float[Tensor, " d_sae"]
    largest: Float[Tensor, " d_sae"]
    probe: Direction
    tokens: int
    texts: int
    model: str = ""
    trained_on: str = ""
    drawn: int | None = None

    __repr__ = one_line

    def __len__(self) -> int:
        return len(self.density)

    def at_random(self, seed: int) -> LatentProfile:
        """The same, for a choice that says nothing."""
        return dataclasses.replace(self, drawn=seed)

    def require(self, sae: SparseAutoencoder) -> None:
        """Refuse a profile of other latents.

        Raises:
            SAEError: if it is of another site, number of latents or model.
        """
        here = (str(self.probe.site), len(self), self.model)
        there = (sae.info.site, sae.d_sae, sae.info.fingerprint)
        if here != there:
            raise SAEError(
                f"The profile is of {here[1]} latents at {here[0]}, and the autoencoder has "
                f"{there[1]} at {there[0]}"
                + (", of another model." if here[:2] == there[:2] else "."),
                hint="Measure it on this autoencoder: bezoar.sae.profile_latents.",
            )

    def save(self, folder: str | Path) -> None:
        """Write ``latents.safetensors``, ``latents.json`` and ``probe/`` into a folder."""
        about = _About(str(self.probe.site), self.tokens, self.texts, self.model, self.trained_on)
        save_artefact(folder, KIND, about, {name: getattr(self, name) for name in _TENSORS})
        self.probe.save(Path(folder) / "probe")

    @classmethod
    def load(cls, folder: str | Path) -> LatentProfile:
        """Read it back.

        Raises:
            CorruptArtefact: if it is damaged, altered or incomplete.
        """
        about, tensors = load_artefact(folder, KIND, _About)
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        n = shapes.get("density", (0,))[-1]
        if shapes != {"density": (n,), "mean": (2, n), "auroc": (n,), "largest": (n,)}:
            raise corrupt(folder, KIND, f"it holds {shapes}")
        probe = Direction.load(Path(folder) / "probe")
        density, mean, auroc, largest = (tensors[name] for name in _TENSORS)
        told = about.tokens, about.texts, about.model, about.trained_on
        return cls(density, mean, auroc, largest, probe, *told)


def profile_latents(
    sae: SparseAutoencoder,
    tokens: TokenRows | ActivationStore,
    labels: ArrayLike,
    texts: Texts | None = None,
    *,
    trained_on: str = "",
    seed: int = 0,
    progress: Progress | None = None,
) -> LatentProfile:
    """Read labelled texts once and say of each latent how it differs between the classes.

    Args:
        sae: whose latents.
        tokens: one row a token; of a store the autoencoder's own site.
        labels: 0/1, one for each text that is read.
        texts: which, by number; None for all.
        trained_on: hash of the texts, to be carried along.
        seed: of the folds of the probe.
        progress: shows tokens done.

    Raises:
        SAEError: if the autoencoder is of another width.
        StoreError: if the store has no such site, or one row a text.
        DataError: if there is not one label a text, or a class is missing.
    """
    if isinstance(tokens, ActivationStore):
        tokens = StoredTokens(tokens, sae.info.site)
    chosen = check_texts(texts, len(tokens.lengths))
    toxic = binary_labels(labels)
    if len(toxic) != len(chosen):
        raise DataError(f"{len(toxic)} labels for {len(chosen)} texts.", hint="Give one a text.")
    moments, pooler = LatentMoments(sae.d_sae), Pooler(sae.d_sae, chosen)
    rows = RowMeans(len(tokens.lengths), tokens.d)
    read_codes(sae, tokens, [moments, pooler, rows], texts=chosen, progress=progress)
    pooled = pooler.result()
    probe = LinearProbe(random_state=seed).fit(rows.means[chosen], toxic)
    with_it, without = class_means(pooled.mean, toxic)
    return LatentProfile(
        density=torch.from_numpy(moments.density).float(),
        mean=torch.from_numpy(np.stack([without, with_it])).float(),
        auroc=torch.from_numpy(latent_aurocs(pooled.mean, toxic)).float(),
        largest=torch.from_numpy(pooled.max.max(axis=0).toarray().ravel()).float(),
        probe=probe.direction(tokens.site, pooling="mean", trained_on=trained_on),
        tokens=moments.tokens,
        texts=len(chosen),
        model=sae.info.fingerprint,
        trained_on=trained_on,
    )
