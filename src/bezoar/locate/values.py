"""MLP value vectors ranked by cosine to a direction (Lee et al. 2024, section 3.2).

An MLP writes ``Σ_i a_i v_i + b``: neuron i reads with its key, scales by its coefficient ``a_i``
and writes its value vector ``v_i``. The ``v_i`` nearest to a toxicity probe are the candidates for
"toxic neurons". The ranking is exact over all layers: every cosine is computed, none is dropped
before the merge, and ties fall to the earlier layer and the lower index.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64
from rich.table import Table
from torch import Tensor

from bezoar.errors import ConfigError, DataError, UnsupportedAnatomy, did_you_mean
from bezoar.locate.direction import Direction
from bezoar.models import LanguageModel, Site
from bezoar.runs.results import Result

Mode = Literal["correct", "paper", "code"]
MODES = ("correct", "paper", "code")

_ROWS = 4096  # value vectors turned to double at a time: bounds memory, changes no number


@dataclass(frozen=True, slots=True)
class ValueEntry(Result):
    """One value vector: neuron ``index`` of ``layer``, its cosine to the direction, its norm."""

    rank: int
    layer: int
    index: int
    cosine: float
    norm: float

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"


@dataclass(frozen=True, slots=True, repr=False)
class ValueRanking(Result):
    """The value vectors with the largest cosine to a direction, over all layers.

    Attributes:
        entries: in rank order, the first having rank 0.
        direction: name of the direction.
        mode: whose convention; in "code" value vectors are centred before the cosine.
        considered: how many value vectors were ranked.
        model: fingerprint of the model whose weights these are.
    """

    entries: tuple[ValueEntry, ...]
    direction: str
    mode: Mode
    considered: int
    model: str

    def __len__(self) -> int:
        return len(self.entries)

    def vectors(self, lm: LanguageModel) -> Float[Tensor, "n d_model"]:
        """The ranked value vectors, float32 on the CPU (centred if the mode is "code")."""
        rows = self._gather(lm.values, lm)
        return _centred(rows) if self.mode == "code" else rows

    def keys(self, lm: LanguageModel) -> Float[Tensor, "n d_model"]:
        """The keys of the ranked neurons (of a gated MLP: the rows of the up projection)."""
        return self._gather(lm.keys, lm)

    def gates(self, lm: LanguageModel) -> Float[Tensor, "n d_model"]:
        """The gate rows of the ranked neurons.

        Raises:
            UnsupportedAnatomy: if the MLP is not gated.
        """
        if not lm.gated:
            raise UnsupportedAnatomy(
                f"{lm.name} has no gated MLP, so its neurons have keys and no gates.",
                hint="Use keys().",
            )
        return self._gather(lm.gates, lm)

    def at(self, lm: LanguageModel, rank: int = 0) -> Direction:
        """One ranked value vector as a direction at its layer's ``mlp_out``, its norm kept.

        Raises:
            DataError: if fewer vectors were ranked.
        """
        if not 0 <= rank < len(self):
            raise DataError(
                f"Rank {rank} was asked for, and {len(self)} value vectors are ranked.",
                hint="Ranks start at 0; rank more with top=.",
            )
        entry = self.entries[rank]
        vector = lm.values(entry.layer)[entry.index].detach().float().cpu()
        if self.mode == "code":
            vector = _centred(vector[None])[0]
        return Direction.of(
            vector, Site(entry.layer, "mlp_out"), name=f"value {entry.layer}.{entry.index}"
        )

    def _gather(self, rows_of: Callable[[int], Tensor], lm: LanguageModel) -> Tensor:
        by_layer = {e.layer: rows_of(e.layer) for e in self.entries}
        rows = [by_layer[e.layer][e.index].detach().float().cpu() for e in self.entries]
        return torch.stack(rows) if rows else torch.zeros(0, lm.d_model)

    def __rich__(self) -> Table:
        title = f"value vectors nearest to {self.direction} (of {self.considered:,})"
        table = Table("rank", "layer", "index", "cosine", "norm", title=title)
        for e in self.entries[:20]:
            table.add_row(
                str(e.rank), str(e.layer), str(e.index), f"{e.cosine:.3f}", f"{e.norm:.2f}"
            )
        return table


def rank_values(
    lm: LanguageModel, direction: Direction, top: int = 128, *, mode: Mode = "correct"
) -> ValueRanking:
    """Rank every MLP value vector of every layer by its cosine to ``direction``.

    Args:
        lm: the model; its MLPs must have value vectors (no mixture of experts).
        direction: e.g. a probe's ``w_tox``.
        top: how many to keep.
        mode: "correct" takes the stored weights, as the "paper" does. "code" first subtracts from
            each value vector its mean over d_model, as TransformerLens does by default ("centre
            writing weights") and the reference's figures therefore did: cosines and, at the margin,
            ranks differ.

    Raises:
        ConfigError: for an unknown mode or ``top`` below 1.
        DataError: if the direction has another width than the model.
    """
    if top < 1:
        raise ConfigError(f"top={top} value vectors cannot be ranked.", hint="Ask for at least 1.")
    cosine, norm, place = _all_cosines(lm, direction, mode)
    # Rounded for the order only: two equal rows may differ in the last bit of a blocked product.
    order = np.lexsort((place[1], place[0], -np.round(cosine, 12)))[:top]
    entries = _entries(order, cosine, norm, place)
    return ValueRanking(entries, direction.name, mode, len(cosine), lm.fingerprint)


def random_values(
    lm: LanguageModel, direction: Direction, n: int, *, seed: int = 0, mode: Mode = "correct"
) -> ValueRanking:
    """The null of `rank_values`: ``n`` value vectors drawn from all layers without replacement.

    Their "rank" is the order of the draw; the first k of n draws are the k draws of the same seed.

    Raises:
        ConfigError: if there are not as many value vectors, or for an unknown mode.
    """
    cosine, norm, place = _all_cosines(lm, direction, mode)
    if not 1 <= n <= len(cosine):
        raise ConfigError(
            f"{n} value vectors cannot be drawn.", hint=f"{lm.name} has {len(cosine)}."
        )
    drawn = np.random.default_rng(seed).permutation(len(cosine))[:n]
    entries = _entries(drawn, cosine, norm, place)
    return ValueRanking(entries, f"random ({seed})", mode, len(cosine), lm.fingerprint)


def check_width(lm: LanguageModel, vector: Tensor, name: str) -> None:
    """Refuse a vector that does not live in the model's residual stream.

    Raises:
        DataError: if its width is not ``d_model``.
    """
    if vector.shape[-1] != lm.d_model:
        raise DataError(
            f"{name!r} has width {vector.shape[-1]}, and {lm.name} has d_model {lm.d_model}.",
            hint="Take a direction of a residual-stream site (resid_*, attn_out, mlp_out, embed).",
        )


def _all_cosines(
    lm: LanguageModel, direction: Direction, mode: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosine and norm of every value vector, and its (layer, index) in two rows."""
    if mode not in MODES:
        raise ConfigError(f"mode={mode!r} is not known.", hint=did_you_mean(mode, MODES))
    check_width(lm, direction.vector, direction.name)
    cosines, norms, places = [], [], []
    for layer in range(lm.n_layers):
        cosine, norm = _cosines(lm.values(layer), direction.vector.double(), mode == "code")
        cosines.append(cosine)
        norms.append(norm)
        places.append(np.stack([np.full(len(norm), layer), np.arange(len(norm))]))
    return np.concatenate(cosines), np.concatenate(norms), np.concatenate(places, axis=1)


def _entries(
    order: np.ndarray, cosine: np.ndarray, norm: np.ndarray, place: np.ndarray
) -> tuple[ValueEntry, ...]:
    return tuple(
        ValueEntry(rank, int(place[0, i]), int(place[1, i]), float(cosine[i]), float(norm[i]))
        for rank, i in enumerate(order)
    )


def _cosines(
    values: Float[Tensor, "d_mlp d_model"], unit: Float64[Tensor, " d_model"], centre: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and norms of one layer's rows, in double; a zero row has cosine 0."""
    cosines, norms = [], []
    for rows in values.detach().split(_ROWS):
        block = rows.cpu().double()
        if centre:
            block = _centred(block)
        norm = block.norm(dim=-1)
        cosines.append((block @ unit / norm.clamp_min(1e-300)).clamp(-1, 1))
        norms.append(norm)
    return torch.cat(cosines).numpy(), torch.cat(norms).numpy()


def _centred(rows: Tensor) -> Tensor:
    return rows - rows.mean(dim=-1, keepdim=True)
