"""What every MLP neuron adds along a direction while text is generated.

Neuron i adds ``a_i v_i`` to the MLP's output, hence ``a_i (v_i · ŵ)`` along ŵ. Where a norm stands
between the MLP and the stream it is linear once its scale s is taken as it was at each position:
the coefficient is then ``a_i / s`` and ŵ is pulled back through the norm's gain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from bezoar.compare.models.passes import Reading
from bezoar.locate.norm import Norm
from bezoar.models import LanguageModel, Site
from bezoar.models.batch import Batch
from bezoar.runs.progress import Progress, track


@dataclass(frozen=True, slots=True, eq=False)
class NeuronReadings:
    """Coefficients and readings of all neurons of one side, layer by layer.

    Attributes:
        coefficient: mean over prompts of the mean over positions [d_mlp].
        reading: ``v_i · ŵ`` [d_mlp].
        cosine: of v_i and what reads it [d_mlp].
        constant: what the MLP's bias and a norm's bias add, mean over prompts, by layer.
        measured: ``mlp_out · ŵ``, mean over positions [prompts layers].
        by_set: Σ of contributions over chosen sets of neurons [prompts sets].
    """

    coefficient: tuple[Float64[np.ndarray, " d_mlp"], ...]
    reading: tuple[Float64[np.ndarray, " d_mlp"], ...]
    cosine: tuple[Float64[np.ndarray, " d_mlp"], ...]
    constant: Float64[np.ndarray, " layers"]
    measured: Float64[np.ndarray, "prompts layers"]
    by_set: Float64[np.ndarray, "prompts sets"]


@dataclass(frozen=True, slots=True, eq=False)
class LayerReader:
    """How one layer's neurons are read along a direction.

    Attributes:
        pulled: the direction as the MLP's raw output is read, times the model's factor [d_model].
        norm: the norm between the MLP and the stream, if there is one.
        constant: what the norm's bias adds.
    """

    pulled: Float[Tensor, " d_model"]
    norm: Norm | None
    constant: float

    @classmethod
    def of(cls, lm: LanguageModel, layer: int, unit: Float[Tensor, " d_model"]) -> LayerReader:
        """The reader of a layer along a unit vector."""
        parts = lm.anatomy[layer]
        if parts.mlp_post_norm is None:
            return cls(parts.mlp_factor * unit, None, 0.0)
        norm = Norm.of(parts.mlp_post_norm, unit)
        pulled = parts.mlp_factor * norm.pull_back(unit)
        return cls(pulled, norm, parts.mlp_factor * float(norm.bias @ unit))

    def sites(self, layer: int) -> list[Site]:
        """What has to be captured."""
        points = (
            ("mlp_post", "mlp_out") if self.norm is None else ("mlp_post", "mlp_raw", "mlp_out")
        )
        return [Site(layer, point) for point in points]


def value_readings(
    lm: LanguageModel, unit: Float[Tensor, " d_model"]
) -> list[tuple[Float64[Tensor, " d_mlp"], Float64[Tensor, " d_mlp"]]]:
    """``v_i · ŵ`` and the cosine to what reads it, of every neuron, layer by layer."""
    found = []
    for layer in range(lm.n_layers):
        reader = LayerReader.of(lm, layer, unit).pulled.double()
        values = lm.values(layer)
        reading = torch.cat([rows.double() @ reader for rows in values.split(4096)])
        norms = torch.cat([rows.double().norm(dim=1) for rows in values.split(4096)])
        size = norms * reader.norm()
        found.append((reading.cpu(), (reading / torch.where(size > 0, size, 1.0)).cpu()))
    return found


def read_neurons(
    lm: LanguageModel,
    reading: Reading,
    unit: Float[Tensor, " d_model"],
    sets: Sequence[Float[Tensor, "d_mlp sets"]],
    budget_tokens: int,
    progress: Progress | None,
) -> NeuronReadings:
    """Read one side.

    Args:
        lm: the model of the side, opened.
        reading: token ids and positions.
        unit: the direction.
        sets: for each layer, which neurons are in which set (0 or 1).
        budget_tokens: padded tokens of a batch.
        progress: where to show it.
    """
    unit = unit.to(lm.device, torch.float32)
    readers = [LayerReader.of(lm, layer, unit) for layer in range(lm.n_layers)]
    values = value_readings(lm, unit)
    weighted = [(r[:, None] * s.double()).float() for (r, _), s in zip(values, sets, strict=True)]
    sums = [torch.zeros(len(r), dtype=torch.float64) for r, _ in values]
    constant = np.zeros(lm.n_layers)
    measured = np.empty((len(reading), lm.n_layers))
    by_set = np.zeros((len(reading), sets[0].shape[1]))
    batches = list(reading.batches(lm, budget_tokens))
    for rows, batch, where in track(progress, batches, "Reading neurons", unit="batches"):
        share = where.float() / where.sum(-1, keepdim=True)
        for layer, got in enumerate(_capture(lm, batch, share, unit, readers)):
            coefficients, out, one = got
            sums[layer] += coefficients.double().sum(0)
            measured[rows, layer] = out.double()
            by_set[rows] += (coefficients @ weighted[layer]).double().numpy()
            bias = lm.w_out_bias(layer)
            fixed = 0.0 if bias is None else float(bias.float() @ readers[layer].pulled)
            constant[layer] += float(one.double().sum()) * fixed
    n = len(reading)
    return NeuronReadings(
        coefficient=tuple((total / n).numpy() for total in sums),
        reading=tuple(r.numpy() for r, _ in values),
        cosine=tuple(c.numpy() for _, c in values),
        constant=constant / n + [reader.constant for reader in readers],
        measured=measured,
        by_set=by_set,
    )


def _capture(
    lm: LanguageModel,
    batch: Batch,
    share: Float[Tensor, "rows pos"],
    unit: Float[Tensor, " d_model"],
    readers: Sequence[LayerReader],
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """For each layer: coefficients [rows d_mlp], output along ŵ [rows], mean of 1/s [rows].

    All are means over the positions, with the weights of ``share``.
    """

    def reduced(site: Site, value: Tensor) -> Tensor:
        if readers[site.layer or 0].norm is not None:
            return value
        if site.point == "mlp_out":
            return ((value.float() @ unit) * share).sum(-1)
        return torch.einsum("bp,bpd->bd", share, value.float())

    sites = [site for layer, reader in enumerate(readers) for site in reader.sites(layer)]
    values = lm.capture(batch, sites, reduce=reduced)
    found = []
    for layer, reader in enumerate(readers):
        post, out = values[Site(layer, "mlp_post")], values[Site(layer, "mlp_out")]
        one = share.sum(-1)
        if reader.norm is not None:
            scale = reader.norm.scale(values[Site(layer, "mlp_raw")])[..., 0]
            weights = share / torch.where(share > 0, scale, 1.0)
            post = torch.einsum("bp,bpd->bd", weights, post.float())
            out = ((out.float() @ unit) * share).sum(-1)
            one = weights.sum(-1)
        found.append((post.cpu(), out.cpu(), one.cpu()))
    return found
