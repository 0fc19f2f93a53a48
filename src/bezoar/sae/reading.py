"""One pass over the tokens of many texts, through one autoencoder, for everything that is asked.

Encoding is what costs; a sum more or less does not. So whatever wants to know of latents, such as
their quality, text means or top tokens, is a collector, and all of them share a pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float64, Int64
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from bezoar.activations.rows import finite
from bezoar.errors import CorruptArtefact, DataError
from bezoar.runs.progress import SILENT, Progress
from bezoar.runs.results import atomic_write
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.codes import Codes
from bezoar.sae.token_rows import TextRows, Texts, TokenRows, check_texts

_ENCODED = 2**24
"""Numbers that an encoder may hold at a time: latents of all rows of a block."""
_MOST_ROWS = 8_192


@runtime_checkable
class Collector(Protocol):
    """Takes what passes, and keeps sums of it."""

    def take(self, block: TextRows, codes: Codes) -> None:
        """Whole texts, and the latents of each of their rows; of no text twice."""
        ...


@torch.no_grad()
def read_codes(
    sae: SparseAutoencoder,
    tokens: TokenRows,
    collectors: Sequence[Collector],
    *,
    texts: Texts | None = None,
    progress: Progress | None = None,
) -> None:
    """Encode the tokens of these texts (None: all) once, for all collectors.

    Raises:
        SAEError: if the autoencoder is of another width.
        DataError: if there is no such text.
        ModelError: if a row is not finite.
    """
    chosen = check_texts(texts, len(tokens.lengths))
    total = int(tokens.lengths[chosen].sum())
    with (progress or SILENT).task(f"Reading {tokens.site}", total, "tokens") as tick:
        for block in tokens.blocks(chosen, block_rows(sae)):
            codes = sae.codes(finite(block.rows, tokens.site).to(sae.W_dec.device))
            for collector in collectors:
                collector.take(block, codes)
            tick(len(block.ids))


def block_rows(sae: SparseAutoencoder) -> int:
    """Rows to encode together, so that what an encoder holds stays of one size."""
    return max(64, min(_MOST_ROWS, _ENCODED // sae.d_sae))


class LatentMoments:
    """How often each latent fires, and the sums of it and of its square.

    Attributes:
        tokens: rows seen.
        fired: [d_sae] rows on which the latent was positive.
        sum, square: [d_sae] of activations, float64.
    """

    def __init__(self, d_sae: int) -> None:
        self.tokens = 0
        self.fired: Int64[Tensor, " d_sae"] = torch.zeros(d_sae, dtype=torch.int64)
        self.sum: Float64[Tensor, " d_sae"] = torch.zeros(d_sae, dtype=torch.float64)
        self.square: Float64[Tensor, " d_sae"] = torch.zeros(d_sae, dtype=torch.float64)

    def take(self, block: TextRows, codes: Codes) -> None:
        """See `Collector`."""
        self.add(codes)

    def add(self, codes: Codes) -> None:
        """Add the latents of some rows."""
        indices, values = codes.indices.flatten(), codes.values.flatten()
        if values.device.type == "mps":  # which has no float64
            indices, values = indices.cpu(), values.cpu()
        values, n = values.double(), len(self.sum)
        self.tokens += len(codes.values)
        # An unused place is latent 0 at 0, and adds nothing to any of these.
        fires = (values > 0).double()
        self.fired += torch.bincount(indices, weights=fires, minlength=n).long().cpu()
        self.sum += torch.bincount(indices, weights=values, minlength=n).cpu()
        self.square += torch.bincount(indices, weights=values**2, minlength=n).cpu()

    @property
    def density(self) -> Float64[np.ndarray, " d_sae"]:
        """Share of tokens on which each latent fires.

        Raises:
            DataError: if no token was seen.
        """
        return self.fired.numpy() / self._count()

    @property
    def mean(self) -> Float64[np.ndarray, " d_sae"]:
        """Mean activation over all tokens."""
        return self.sum.numpy() / self._count()

    @property
    def variance(self) -> Float64[np.ndarray, " d_sae"]:
        """Population variance of the activation over all tokens."""
        return np.maximum(self.square.numpy() / self._count() - self.mean**2, 0.0)

    def save(self, path: str | Path) -> None:
        """Write one safetensors file."""
        tensors = {"fired": self.fired, "sum": self.sum, "square": self.square}
        tensors["tokens"] = torch.tensor([self.tokens])
        atomic_write(Path(path), save(tensors))

    @classmethod
    def load(cls, path: str | Path) -> LatentMoments:
        """Read it back.

        Raises:
            CorruptArtefact: if the file holds something else.
        """
        try:
            held = load_file(path)
            found = cls(len(held["sum"]))
            found.tokens = int(held["tokens"])
            for name in ("fired", "sum", "square"):
                setattr(found, name, held[name].to(getattr(found, name)).view(len(found.sum)))
        except (SafetensorError, OSError, KeyError, ValueError, RuntimeError) as error:
            raise CorruptArtefact(
                f"{path} holds no moments of latents: {error}.", hint="Run its stage again."
            ) from error
        return found

    def _count(self) -> int:
        if not self.tokens:
            raise DataError("No token was read.", hint="Give texts.")
        return self.tokens


class RowMeans:
    """The mean row of each text, as a dense probe reads it.

    Attributes:
        means: [texts d] float32, of the source's texts; zeros of those not read.
    """

    def __init__(self, texts: int, d: int) -> None:
        self.means = np.zeros((texts, d), np.float32)

    def take(self, block: TextRows, codes: Codes) -> None:
        """See `Collector`."""
        starts = np.cumsum(block.lengths) - block.lengths
        sums = np.add.reduceat(block.rows.cpu().numpy(), starts, axis=0, dtype=np.float64)
        self.means[block.texts] = sums / block.lengths[:, None]
