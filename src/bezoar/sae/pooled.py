"""Latents of whole texts: the mean and the largest activation of each over a text's tokens.

Of thousands of latents a text has a few hundred that fire at all, so these tables are sparse. The
mean and the maximum of a latent are zero together: one pattern of columns serves both.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array

from bezoar.activations import ActivationStore
from bezoar.errors import ConfigError, CorruptArtefact
from bezoar.runs.progress import Progress
from bezoar.runs.results import atomic_write
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.codes import Codes
from bezoar.sae.reading import read_codes
from bezoar.sae.token_rows import TextRows, Texts, TokenRows, check_texts, tokens_of

LatentPooling = Literal["mean", "max"]
_POOLINGS = ("mean", "max")


def check_latent_pooling(pooling: str) -> None:
    """Refuse a name that is no pooling of latents."""
    if pooling not in _POOLINGS:
        raise ConfigError(f"Latents are not pooled by {pooling!r}.", hint="Use mean or max.")


@dataclass(frozen=True, slots=True, eq=False)
class PooledLatents:
    """Latents of texts, pooled over their tokens in both ways.

    Attributes:
        mean, max: [texts d_sae] float32, with the same places filled.
    """

    mean: csr_array
    max: csr_array

    def __len__(self) -> int:
        return int(self.mean.shape[0])

    def by(self, pooling: LatentPooling) -> csr_array:
        """One of the two tables.

        Raises:
            ConfigError: if there is no such pooling.
        """
        check_latent_pooling(pooling)
        return self.mean if pooling == "mean" else self.max

    def take(self, texts: Int64[np.ndarray, " some"]) -> PooledLatents:
        """Some of the texts, in the order named."""
        return PooledLatents(self.mean[texts], self.max[texts])

    def save(self, path: str | Path) -> None:
        """Write one safetensors file: rows, columns, and both values of each filled place."""
        mean, largest = self.mean, self.max
        tensors = {
            "offsets": mean.indptr.astype(np.int64),
            "latents": mean.indices.astype(np.int32),
            "mean": mean.data.astype(np.float32),
            "max": largest.data.astype(np.float32),
            "shape": np.array(mean.shape, np.int64),
        }
        atomic_write(Path(path), save(tensors))

    @classmethod
    def load(cls, path: str | Path) -> PooledLatents:
        """Read it back.

        Raises:
            CorruptArtefact: if the file holds something else.
        """
        try:
            held = load_file(path)
            shape = tuple(int(n) for n in held["shape"])
            pattern = held["latents"], held["offsets"]
            mean, largest = (csr_array((held[kind], *pattern), shape=shape) for kind in _POOLINGS)
            mean.check_format()
        except (SafetensorError, OSError, KeyError, ValueError, IndexError) as error:
            raise CorruptArtefact(
                f"{path} holds no pooled latents: {error}.", hint="Run its stage again."
            ) from error
        return cls(mean, largest)


class Pooler:
    """Collects the pooled latents of texts.

    Args:
        d_sae: number of latents.
        texts: in the order in which they are wanted.
    """

    def __init__(self, d_sae: int, texts: Int64[np.ndarray, " texts"]) -> None:
        self._d_sae = d_sae
        self._texts = texts
        self._read: list[np.ndarray] = []
        self._parts: list[PooledLatents] = []

    def take(self, block: TextRows, codes: Codes) -> None:
        """See `bezoar.sae.reading.Collector`."""
        n, d = len(block.texts), self._d_sae
        of_row = torch.from_numpy(block.of_row).to(codes.indices.device)
        places = (of_row[:, None] * d + codes.indices).flatten()
        values = codes.values.flatten()
        sums = values.new_zeros(n * d).scatter_add_(0, places, values)
        largest = values.new_zeros(n * d).scatter_reduce_(0, places, values, "amax")
        filled = largest.nonzero().flatten()
        text, latent = (filled // d).cpu().numpy(), (filled % d).cpu().numpy().astype(np.int32)
        offsets = np.searchsorted(text, np.arange(n + 1))
        means = sums[filled].cpu().numpy() / block.lengths[text].astype(np.float32)
        tables = (
            csr_array((data, latent, offsets), shape=(n, d))
            for data in (means, largest[filled].cpu().numpy())
        )
        self._read.append(block.texts)
        self._parts.append(PooledLatents(*tables))

    def result(self) -> PooledLatents:
        """All texts, in the order asked for."""
        place = {text: row for row, text in enumerate(np.concatenate(self._read).tolist())}
        order = np.array([place[text] for text in self._texts.tolist()])
        return PooledLatents(
            _stacked([part.mean for part in self._parts])[order],
            _stacked([part.max for part in self._parts])[order],
        )


def _stacked(parts: list[csr_array]) -> csr_array:
    """Tables one below the other."""
    ends = np.cumsum([0, *(part.nnz for part in parts)])
    offsets = [part.indptr[:-1] + end for part, end in zip(parts, ends, strict=False)]
    return csr_array(
        (
            np.concatenate([part.data for part in parts]),
            np.concatenate([part.indices for part in parts]),
            np.concatenate([*offsets, ends[-1:]]),
        ),
        shape=(sum(part.shape[0] for part in parts), parts[0].shape[1]),
    )


def pooled_latents(
    sae: SparseAutoencoder,
    tokens: TokenRows | ActivationStore,
    pooling: LatentPooling = "mean",
    texts: Texts | None = None,
    progress: Progress | None = None,
) -> csr_array:
    """Latents [texts d_sae] of texts, pooled over their tokens; see `pool_latents` for both ways.

    Args:
        sae: whose latents.
        tokens: one row a token; of a store the autoencoder's own site.
        pooling: ``mean`` or ``max``.
        texts: which, and in which order; None for all.
        progress: shows tokens done.

    Raises:
        SAEError: if the autoencoder is of another width.
        StoreError: if the store has no such site, or one row a text.
        ConfigError: if there is no such pooling.
    """
    check_latent_pooling(pooling)
    return pool_latents(sae, tokens, texts, progress).by(pooling)


def pool_latents(
    sae: SparseAutoencoder,
    tokens: TokenRows | ActivationStore,
    texts: Texts | None = None,
    progress: Progress | None = None,
) -> PooledLatents:
    """As `pooled_latents`, in both ways from one pass."""
    tokens = tokens_of(sae, tokens)
    chosen = check_texts(texts, len(tokens.lengths))
    pooler = Pooler(sae.d_sae, chosen)
    read_codes(sae, tokens, [pooler], texts=chosen, progress=progress)
    return pooler.result()
