"""The unembedding taken apart: W_U = U Σ Vᵀ, without its large factor.

Everything that a spectral edit of the unembedding needs is Σ [d] and V [d d]: U [d_vocab d] follows
from them, u_i = W_U v_i / σ_i. Both come from the Gram matrix W_UᵀW_U [d d], summed over blocks of
rows in float64, so that neither a copy of the matrix nor U is ever made.

Squaring costs half of the digits. With ε = 2.2e-16 an eigenvalue is off by some ε σ₁², so σ_i is
off by some ε σ₁² / σ_i² of itself: below 1e-6 as long as σ₁ / σ_i ≤ 3e4, as it is in trained
models. Beyond that the rows go through QR factorisations instead, block by block, whose relative
error is some ε σ₁ / σ_i; what is smaller than ``d_vocab ε σ₁`` is rounding, and counts as no rank.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from bezoar.errors import ConfigError, DataError, ModelError, did_you_mean
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.locate.direction import Direction
from bezoar.locate.unembed_rows import unembedding_rows
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result, one_line

WAYS = ("auto", "gram", "qr")

_PANEL = 256  # columns: a symmetric product needs only its lower triangle
_SQUARED = 1e-9  # least eigenvalue, as a share of the largest, that a Gram matrix still resolves
_SITE = Site(None, "unembed_in")


@dataclass(frozen=True, slots=True)
class Reconstruction(Result):
    """How exactly U Σ Vᵀ is the unembedding.

    Attributes:
        error: ‖W_U − U Σ Vᵀ‖_F.
        relative: the same as a share of ‖W_U‖_F.
        orthonormality: largest entry of |VᵀV − I|.
        sigma: largest relative difference of ‖W_U v_i‖ and σ_i, over the rank of the matrix.
        dtype: in which it was multiplied out. A difference in float32 is float32's own rounding.
    """

    error: float
    relative: float
    orthonormality: float
    sigma: float
    dtype: str


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Unembedding:
    """Singular values and right singular vectors of W_U [d_vocab d_model].

    Attributes:
        singular_values: σ, float64, descending.
        directions: v_i in row i, float64, orthonormal. The sign of a singular vector means nothing,
            so that it is fixed by a rule: the entry of largest size is positive.
        d_vocab: rows of W_U.
        how: "gram" or "qr".
        fingerprint: of the model; "" of a bare matrix, or where not all weights are at hand.
    """

    singular_values: Float[Tensor, " d_model"]
    directions: Float[Tensor, "d_model d_model"]
    d_vocab: int
    how: str = "gram"
    fingerprint: str = ""

    __repr__ = one_line

    def __len__(self) -> int:
        return self.singular_values.shape[0]

    @property
    def norm(self) -> float:
        """‖W_U‖_F."""
        return float(self.singular_values.norm())

    @property
    def rank(self) -> int:
        """How many singular values are more than rounding."""
        least = max(self.d_vocab, len(self)) * torch.finfo(torch.float64).eps
        return int((self.singular_values > least * self.singular_values[0]).sum())

    def truncation_error(self, k: int) -> float:
        """‖W_U − (its k strongest directions)‖_F, which is sqrt(Σ_{i>k} σ_i²)."""
        return float(self.singular_values[k:].norm())

    def direction(self, index: int) -> Direction:
        """v_i, of norm σ_i; `promoted_tokens` of it are the tokens that u_i weighs most.

        Raises:
            ConfigError: if there is none of that number.
        """
        if not 0 <= index < len(self):
            raise ConfigError(
                f"There is no singular direction {index} of {len(self)}.",
                hint=f"Use 0 (the strongest) to {len(self) - 1}.",
            )
        vector, sigma = self.directions[index].float(), float(self.singular_values[index])
        sign = "none: a singular vector has no sign"
        return Direction(vector, sigma, _SITE, sign=sign, name=f"singular direction {index}")

    def left(
        self, source: LanguageModel | Float[Tensor, "d_vocab d_model"], index: int
    ) -> Float[Tensor, " d_vocab"]:
        """u_i = W_U v_i / σ_i, made of the matrix that was taken apart.

        Raises:
            ConfigError: if there is none of that number.
            DataError: if σ_i is zero, so that u_i is not defined.
        """
        sigma = self.direction(index).norm
        if index >= self.rank:
            raise DataError(
                f"Singular value {index} is {sigma:.2g}, which is rounding: it has no left vector.",
                hint=f"The matrix has rank {self.rank}.",
            )
        v = self.directions[index]
        return torch.cat([(rows @ v.to(rows)).cpu() for rows in unembedding_rows(source)]) / sigma

    def save(self, folder: str | Path) -> None:
        """Write ``unembedding.safetensors`` and ``unembedding.json`` into a folder."""
        about = _About(self.d_vocab, self.how, self.fingerprint)
        tensors = {"singular_values": self.singular_values, "directions": self.directions}
        save_artefact(folder, "unembedding", about, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> Unembedding:
        """Read a saved decomposition back.

        Raises:
            CorruptArtefact: if it is damaged, altered, or no decomposition.
        """
        about, tensors = load_artefact(folder, "unembedding", _About)
        sigma, v = tensors.get("singular_values"), tensors.get("directions")
        wide = {t.dtype for t in tensors.values()} == {torch.float64}
        if sigma is None or v is None or not wide or not len(sigma) or sigma.ndim != 1:
            raise corrupt(folder, "unembedding", "its values or vectors are missing")
        if v.shape != (len(sigma), len(sigma)) or _off_identity(v) > 1e-6:
            raise corrupt(folder, "unembedding", "the vectors are not orthonormal")
        if bool((sigma < 0).any()) or bool((sigma.diff() > 0).any()):
            raise corrupt(folder, "unembedding", "the singular values do not descend to zero")
        return cls(sigma, v, about.d_vocab, about.how, about.fingerprint)


@dataclass(frozen=True, slots=True)
class _About:
    d_vocab: int
    how: str
    fingerprint: str


@torch.no_grad()
def decompose(
    source: LanguageModel | Float[Tensor, "d_vocab d_model"],
    *,
    how: str = "auto",
    progress: Progress | None = None,
) -> Unembedding:
    """Exact singular values and right singular vectors of an unembedding.

    Of a model it is the map from ``unembed_in`` to logits, without bias, scale or soft cap. A tied
    matrix is read where it lies, one that is offloaded is fetched, a packed one is dequantised, one
    that is sharded over processes is gathered. It is widened to float64 some rows at a time.

    Args:
        source: a model, or a matrix.
        how: "gram", "qr", or "auto": the Gram matrix, and QR where it cannot resolve the smallest.
        progress: where to show it.

    Raises:
        UnsupportedAnatomy: if the model has no unembedding.
        ModelError: if the matrix is not finite.
        ConfigError: if ``how`` is unknown.
    """
    if how not in WAYS:
        raise ConfigError(f"how={how!r} is not known.", hint=did_you_mean(how, WAYS))
    used = "qr" if how == "qr" else "gram"
    if used == "gram":
        values, vectors = torch.linalg.eigh(_gram(source, progress))
        if how == "auto" and float(values[0]) < _SQUARED * float(values[-1]):
            used = "qr"
        sigma, directions = values.flip(0).clamp(min=0).sqrt(), vectors.T.flip(0)
    if used == "qr":
        _, sigma, directions = torch.linalg.svd(_triangle(source, progress))
    if isinstance(source, LanguageModel):
        d_vocab, fingerprint = source.d_vocab, _print(source)
    else:
        d_vocab, fingerprint = source.shape[0], ""
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    directions = (directions * largest.sign()).contiguous().cpu()
    return Unembedding(sigma.cpu(), directions, d_vocab, used, fingerprint)


_KNOWN: WeakKeyDictionary[LanguageModel, Unembedding] = WeakKeyDictionary()


def unembedding_of(lm: LanguageModel) -> Unembedding:
    """`decompose` of a model, made once and remembered until its weights change."""
    known = _KNOWN.get(lm)
    if known is None or known.fingerprint != _print(lm):
        known = _KNOWN[lm] = decompose(lm)
    return known


def _print(lm: LanguageModel) -> str:
    """The model's fingerprint; "" where not all weights are at hand, which no edit changes then."""
    elsewhere = any(p.is_meta or type(p) is not nn.Parameter for p in lm.model.parameters())
    return "" if elsewhere else lm.fingerprint


@torch.no_grad()
def reconstruction(
    source: LanguageModel | Float[Tensor, "d_vocab d_model"],
    parts: Unembedding,
    *,
    dtype: Literal["float64", "float32"] = "float64",
) -> Reconstruction:
    """Multiply a decomposition out again and compare it with the matrix, row by row.

    Args:
        source: what was taken apart.
        parts: by `decompose`.
        dtype: to multiply in.
    """
    v = parts.directions.to(getattr(torch, dtype))
    missed, norms = 0.0, torch.zeros(len(parts), dtype=torch.float64)
    for rows in unembedding_rows(source):
        wide = rows.cpu()
        along = wide.to(v) @ v.T  # the rows of U Σ
        missed += float((wide - (along @ v).double()).square().sum())
        norms += along.double().square().sum(dim=0)
    rank = parts.rank
    sigma = parts.singular_values[:rank]
    off = (norms[:rank].sqrt() / sigma - 1).abs().max()
    error = math.sqrt(missed)
    return Reconstruction(error, error / parts.norm, _off_identity(v.double()), float(off), dtype)


def _off_identity(v: Float[Tensor, "d_model d_model"]) -> float:
    return float((v @ v.T - torch.eye(len(v), dtype=v.dtype)).abs().max())


def _gram(source: LanguageModel | Tensor, progress: Progress | None) -> Tensor:
    """W_UᵀW_U in float64; both triangles, of which one is computed."""
    gram: Tensor | None = None
    for rows in track(progress, unembedding_rows(source), "Unembedding", unit="blocks"):
        d = rows.shape[1]
        gram = rows.new_zeros(d, d) if gram is None else gram
        for start in range(0, d, _PANEL):
            end = min(start + _PANEL, d)
            gram[start:, start:end].addmm_(rows[:, start:].T, rows[:, start:end])
    assert gram is not None  # a matrix has rows
    return _finite(gram.tril() + gram.tril(-1).T)


def _triangle(source: LanguageModel | Tensor, progress: Progress | None) -> Tensor:
    """R [d d] with RᵀR = W_UᵀW_U, of one QR factorisation after another."""
    triangle: Tensor | None = None
    for rows in track(progress, unembedding_rows(source), "Unembedding", unit="blocks"):
        stacked = rows if triangle is None else torch.cat([triangle, rows])
        triangle = torch.linalg.qr(_finite(stacked), mode="r").R
    assert triangle is not None
    short = triangle.shape[1] - triangle.shape[0]  # fewer tokens than dimensions
    return torch.cat([triangle, triangle.new_zeros(short, triangle.shape[1])])


def _finite(values: Tensor) -> Tensor:
    if not bool(torch.isfinite(values).all()):
        raise ModelError(
            "The unembedding holds numbers that are infinite or NaN.",
            hint="The checkpoint is damaged, or an edit broke it.",
        )
    return values
