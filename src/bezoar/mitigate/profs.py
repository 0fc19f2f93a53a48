"""Project what MLPs write off the subspace in which preferred and other texts differ (ProFS).

Uppaal et al. 2025, "Model editing as a robust and denoised variant of DPO", algorithm 1. For each
layer, with rows the mean residual stream of every text (the last block's without the final norm):

    T = (X⁺ − X⁻)/2,   T ← T (I − μμᵀ) with μ the first right singular vector of X⁺,
    P = Σ_{r<k} v_r v_rᵀ of the right singular vectors of T,   V ← V (I − P)

for the matrix V of value vectors; the bias stays. Exchanging the sides of a pair turns the sign of
a row of T, and P depends on TᵀT alone: with μ left alone it cannot move, in any bit (rows are put
into one order and sign first). So shuffled sides are no null of this method: its nulls are the
rejected sides of other prompts, and random subspaces.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from bezoar.activations import harvest
from bezoar.edits import ActivationEdit, Affine, At, Edit, Project, WeightEdit
from bezoar.edits.delta import LowRank
from bezoar.edits.places import stores_transposed
from bezoar.errors import ConfigError, DataError
from bezoar.mitigate.directed import layer_sets
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel, Site, out_in_weight
from bezoar.pairs import Pairs

Mode = Literal["correct", "code"]
Rows = Float32[np.ndarray, "n d"]
_MAX_TOKENS, _BATCH, _CODE_SEED = 128, 50, 42
_kept: OrderedDict[tuple[object, ...], dict[Site, Rows]] = OrderedDict()


@register
@dataclass(frozen=True, slots=True)
class ProFS(Method):
    """Project MLP outputs off the directions in which chosen and rejected texts differ.

    Attributes:
        k: directions removed in a layer: 2 in the paper for GPT-2, 10 for larger models. Of 0 the
            edit changes nothing.
        fraction: the strength: 1 removes them, 0.5 half of what is written along them.
        layers: which, from −1 for the last; empty means the upper half.
        pairs: at most so many pairs, the first ones.
        center: take the mean direction of the chosen texts out of the differences first.
        keys: project what the MLPs read as well, which the paper advises against.
        mode: "code" repeats what the released program does with a sample of its pairs: the sides
            are drawn apart, so that a row subtracts unrelated texts, means go over the padding of
            batches of 50, and what does not fill a batch is left out.
    """

    name: ClassVar[str] = "profs"
    k: int = 2
    fraction: float = 1.0
    layers: tuple[int, ...] = ()
    pairs: int = 500
    center: bool = True
    keys: bool = False
    mode: Mode = "correct"

    def __post_init__(self) -> None:
        if self.k < 0 or self.pairs < 2:
            raise ConfigError(
                f"k={self.k} directions of {self.pairs} pairs cannot be removed.",
                hint="k is 0 or more, of two pairs or more.",
            )
        if not 0 <= self.fraction <= 1:
            raise ConfigError(
                f"fraction={self.fraction} of a projection is not between 0 and 1.",
                hint="1 removes the subspace; for more, remove more directions: k.",
            )

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        return {"k": ("", "k=1", "k=5", "k=10", "k=20"), "layers": ("", *layer_sets(lm))}

    @property
    def idle(self) -> str:
        return "k=0" if self.k == 0 else ""

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"pairs"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("mismatched-pairs", "random-subspace")

    @property
    def strength(self) -> float:
        return self.fraction

    @property
    def strength_max(self) -> float:
        return 1.0

    def with_strength(self, strength: float) -> ProFS:
        return dataclasses.replace(self, fraction=strength)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` at ``mlp_raw``; with ``keys`` a `WeightEdit` before it.

        Raises:
            ConfigError: if pairs are missing, or k is larger than their differences span.
            DataError: if fewer than two pairs have a text on both sides.
        """
        pairs: Pairs = inputs.need("pairs", self.name)
        bases = self.bases(lm, pairs, inputs)
        ops = tuple(
            At(site, _projection(basis, self.fraction, lm.w_out_bias(site.layer)))
            for layer, basis in bases.items()
            if len(basis) and (site := lm.site(Site(layer, "mlp_raw"))).layer is not None
        )
        edit = ActivationEdit(
            ops, name="profs", provenance=self.origin(lm, pairs=pairs.name, pairs_n=len(pairs))
        )
        if not self.keys:
            return edit
        deltas = {
            name: delta
            for layer, basis in bases.items()
            for name, delta in _key_deltas(lm, layer, basis, self.fraction).items()
        }
        return WeightEdit(deltas, name="profs keys").then(edit)

    def bases(
        self, lm: LanguageModel, pairs: Pairs, inputs: FitInputs | None = None
    ) -> dict[int, Float[Tensor, "k d_model"]]:
        """The orthonormal rows whose span is removed, by layer; the pairs are read once."""
        layers = self.layers or tuple(range(lm.n_layers // 2, lm.n_layers))
        sites = [lm.site(Site(layer, "resid_post")) for layer in layers]
        if self.k > lm.d_model:
            raise ConfigError(
                f"k={self.k} directions of a residual stream of {lm.d_model}.",
                hint=f"k is {lm.d_model} at most.",
            )
        null = pairs.provenance.get("null")
        if null == "random-subspace":
            seed = int(pairs.provenance.get("seed", 0))
            return {s.layer: _random_basis(self.k, lm.d_model, seed, s) for s in sites}  # type: ignore[misc]
        chosen, rejected = self._sides(pairs)
        rows = _embedded(lm, [*chosen, *rejected], sites, self.mode, inputs)
        n = len(chosen)
        return {
            site.layer: toxic_basis(rows[site][:n], rows[site][n:], self.k, center=self.center)
            for site in sites
            if site.layer is not None
        }

    def _sides(self, pairs: Pairs) -> tuple[list[str], list[str]]:
        both = [(a, b) for a, b in zip(pairs.chosen, pairs.rejected, strict=True) if a and b]
        if len(both) < 2:
            raise DataError(
                f"{len(both)} of {len(pairs)} pairs have a text on both sides.",
                hint="Give more pairs: --set pairs.steered=2000 in an audit.",
            )
        if self.mode == "correct":
            chosen, rejected = zip(*both[: self.pairs], strict=True)
            return list(chosen), list(rejected)
        draw = np.random.default_rng(_CODE_SEED)
        size = min(self.pairs, len(both))
        whole = size // _BATCH * _BATCH or size
        return tuple(  # type: ignore[return-value]
            [both[row][side] for row in draw.permutation(len(both))[:size][:whole]]
            for side in (0, 1)
        )


def toxic_basis(
    chosen: Float[np.ndarray, "n d"], rejected: Float[np.ndarray, "n d"], k: int, *, center: bool
) -> Float[Tensor, "k d"]:
    """The first k right singular vectors of the differences, in float64 until the end.

    Raises:
        ConfigError: if k is larger than the differences can span.
    """
    if k > min(chosen.shape):
        raise ConfigError(
            f"{len(chosen)} pairs span at most {min(chosen.shape)} directions, and k={k} are asked "
            "for.",
            hint="Use a smaller k, or more pairs.",
        )
    good = torch.from_numpy(np.asarray(chosen, np.float64))
    bad = torch.from_numpy(np.asarray(rejected, np.float64))
    rows = (good - bad) / 2
    if center:
        mu = torch.linalg.svd(_ordered(good), full_matrices=False).Vh[0]
        rows = rows - torch.outer(rows @ mu, mu)
    return torch.linalg.svd(_ordered(rows), full_matrices=False).Vh[:k].float().contiguous()


def _ordered(rows: Float64[Tensor, "n d"]) -> Float64[Tensor, "n d"]:
    """The rows in an order and with signs that depend on their values alone.

    Neither moves a right singular vector; but only now does it not, in any bit.
    """
    x = rows.numpy()
    first = np.take_along_axis(x, (x != 0).argmax(1)[:, None], axis=1)
    x = np.where(first < 0, -x, x)
    return torch.from_numpy(x[np.lexsort(x.T[:2])])


def _projection(
    basis: Float[Tensor, "k d"], fraction: float, bias: Float[Tensor, " d"] | None
) -> Affine | Project:
    """x ↦ (I − f·P)(x − b) + b: what W is without P, the bias aside."""
    if bias is None:
        return Project(basis, fraction)
    kept = fraction * (basis.T @ (basis @ bias.detach().to("cpu", torch.float32)))
    return Affine(-fraction * basis.T.contiguous(), basis, kept)


def _key_deltas(
    lm: LanguageModel, layer: int, basis: Float[Tensor, "k d"], fraction: float
) -> dict[str, LowRank]:
    """W ← W (I − f·P) of every map into the MLP of a layer."""
    parts = lm.anatomy[layer]
    names = ("w_gate", "w_up") if parts.gated else ("w_in",)
    deltas = {}
    for module in dict.fromkeys(parts.part(name) for name in names):
        weight = out_in_weight(module).detach().to("cpu", torch.float32)
        A, B = -fraction * (weight @ basis.T), basis
        low = (
            LowRank(B.T.contiguous(), A.T.contiguous())
            if stores_transposed(module)
            else LowRank(A, B)
        )
        deltas[lm.parameter_name(module, "weight")] = low
    return deltas


def _random_basis(k: int, d: int, seed: int, site: Site) -> Float[Tensor, "k d"]:
    rng = np.random.default_rng([seed, site.layer or 0])
    columns = torch.from_numpy(rng.standard_normal((d, k)))
    return torch.linalg.qr(columns).Q.T.float().contiguous()


def _embedded(
    lm: LanguageModel,
    texts: Sequence[str],
    sites: Sequence[Site],
    mode: Mode,
    inputs: FitInputs | None,
) -> dict[Site, Rows]:
    """Pooled rows of texts; those of the last texts are remembered, in whatever order."""
    # With padding in the mean a row depends on its batch, and so on the order.
    read = list(texts) if mode == "code" else sorted({*texts})
    digest = hashlib.sha256("\0".join(read).encode("utf-8", "surrogatepass")).hexdigest()
    key = (lm.fingerprint, digest, mode, tuple(sites))
    if key not in _kept:
        if mode == "code":
            _kept[key] = _with_padding(lm, read, sites)
        else:
            progress = None if inputs is None else inputs.progress
            store = harvest(
                lm, read, sites, pooling="mean", out=None, max_tokens=_MAX_TOKENS, progress=progress
            )
            _kept[key] = {site: np.asarray(store.rows(site), np.float32) for site in sites}
        while len(_kept) > 2:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    found = _kept[key]
    if mode == "code":
        return found
    place = {text: row for row, text in enumerate(read)}
    order = [place[text] for text in texts]
    return {site: rows[order] for site, rows in found.items()}


def _with_padding(
    lm: LanguageModel, texts: Sequence[str], sites: Sequence[Site]
) -> dict[Site, Rows]:
    """Means over every position of batches of 50, padded on the right, padding included."""
    parts: dict[Site, list[Tensor]] = {site: [] for site in sites}
    for start in range(0, len(texts), _BATCH):
        ids = [row[:_MAX_TOKENS] for row in lm.encode(list(texts[start : start + _BATCH]))]
        read = lm.capture(lm.batch(ids), sites, reduce=lambda _, x: x.float().mean(1))
        for site, rows in read.items():
            parts[site].append(rows.cpu())
    return {site: torch.cat(rows).numpy() for site, rows in parts.items()}
