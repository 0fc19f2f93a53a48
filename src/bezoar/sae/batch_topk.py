"""BatchTopK: the k · rows largest latents of a whole batch are kept (Bussmann et al. 2024)."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import SAEError
from bezoar.sae.base import SparseAutoencoder, fill
from bezoar.sae.codes import Codes
from bezoar.sae.registry import register
from bezoar.sae.topk import Selecting

_RATE = 0.05  # of the running mean: the least of k · rows values hardly varies by chance


@register
class BatchTopK(Selecting):
    """A row may have more than k latents where another has fewer; all share one threshold.

    Training selects across the batch. A text's latents must not depend on what it is read with, so
    afterwards a latent is active above a threshold: the running mean of the least value selected.

    Attributes:
        threshold: learned; 0 before training.
    """

    architecture: ClassVar[str] = "batch_topk"
    in_units: ClassVar[tuple[str, ...]] = ("b_enc", "b_dec", "threshold")
    threshold: Tensor

    def __init__(self, d_model: int, d_sae: int, options: Any = None) -> None:
        super().__init__(d_model, d_sae, options)
        self.register_buffer("threshold", torch.zeros(()))

    def activate(self, pre: Float[Tensor, "rows d_sae"]) -> Float[Tensor, "rows d_sae"]:
        return torch.where(pre > self.threshold, pre, 0).relu()

    def select(self, centred: Float[Tensor, "rows d_model"]) -> Codes:
        codes = self.batch_codes(centred)
        active = codes.values[codes.values > 0]
        if len(active):
            least = active.min()
            self.threshold.copy_(
                torch.lerp(self.threshold, least, _RATE) if self.threshold > 0 else least
            )
        return codes

    def batch_codes(self, centred: Float[Tensor, "rows d_model"]) -> Codes:
        """The k · rows largest latents of all rows.

        Of each row some times k are looked at; more, until no row could have had another.
        """
        keep, width = self.options.k * len(centred), min(4 * self.options.k, self.d_sae)
        while True:
            codes = self.largest_codes(centred, width)
            flat = codes.values.flatten()
            best = flat.topk(keep, sorted=False)
            values = torch.zeros_like(flat).index_copy(0, best.indices, best.values)
            values = values.view_as(codes.values)
            if width == self.d_sae or not bool((values > 0).all(1).any()):
                return Codes(codes.indices.masked_fill(values == 0, 0), values)
            width = min(4 * width, self.d_sae)

    def exported(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        tensors = SparseAutoencoder.exported(self)[2]
        thresholds = self.threshold.detach().expand(self.d_sae)
        return "jumprelu", {}, tensors | {"threshold": thresholds}

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        thresholds = tensors.get("threshold", torch.zeros(0))
        if not len(thresholds) or float(thresholds.max() - thresholds.min()):
            raise SAEError(
                f"{self.architecture} has one threshold for all latents.",
                hint="Is the file that of another autoencoder?",
            )
        fill({"threshold": self.threshold}, {"threshold": thresholds[0]})
        rest = {name: tensor for name, tensor in tensors.items() if name != "threshold"}
        fill(SparseAutoencoder.exported(self)[2], rest)
