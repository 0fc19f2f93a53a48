"""Steering by the latents of a sparse autoencoder, as an operation at the site that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from bezoar.edits.ops import Op
from bezoar.errors import EditError
from bezoar.runs.results import one_line


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class SteerLatents(Op):
    """Change chosen latents and nothing else: x ↦ x + Σᵢ (g(fᵢ(x)) − fᵢ(x)) · decoderᵢ.

    What the autoencoder does not reconstruct, x − x̂, stays as it is, and so do the other latents:
    with g the identity nothing changes, however bad the reconstruction. Here g(f) = factor · f +
    value: factor 0 ablates a latent, another one scales it, and factor 0 with a value clamps it,
    active or not. A chosen latent is

        pᵢ = encoderᵢ · x + biasᵢ,   fᵢ = max(0, gainᵢ · pᵢ + shiftᵢ) where pᵢ > thresholdᵢ, else 0

    and, if ``active`` is not 0, only where pᵢ is among that many largest of all p (TopK). ReLU,
    JumpReLU, TopK, thresholded BatchTopK and gated latents are all of this form.

    Attributes:
        encoder, bias: of the chosen latents; of *all* latents, the chosen ones first, if ``active``
            is not 0, since which are active cannot be told from the chosen ones alone.
        decoder: what a chosen latent writes when it is 1.
        threshold, gain, shift: see above; 0, 1 and 0 for ReLU and TopK.
        factor, value: what becomes of a latent.
        active: how many latents are active at once; 0 if they do not compete.
        ids: numbers of the chosen latents in the autoencoder, for people.

    Raises:
        EditError: if the sizes do not belong together.
    """

    tag: ClassVar[str] = "latent-steering"
    encoder: Float[Tensor, "n d"]
    bias: Float[Tensor, " n"]
    decoder: Float[Tensor, "k d"]
    threshold: Float[Tensor, " k"]
    gain: Float[Tensor, " k"]
    shift: Float[Tensor, " k"]
    factor: Float[Tensor, " k"]
    value: Float[Tensor, " k"]
    active: int = 0
    ids: tuple[int, ...] = ()

    __repr__ = one_line

    def __post_init__(self) -> None:
        n, k = len(self.encoder), len(self.decoder)
        if self.active < 0 or (self.active and not self.active <= n):
            raise EditError(f"{self.active} of {n} latents cannot be active at once.")
        if n < k or (n > k and not self.active):
            raise EditError(
                f"{k} latents are steered by the encoder of {n}.",
                hint="Keep the chosen rows of the encoder, or all of them where latents compete.",
            )
        if self.ids and len(self.ids) != k:
            raise EditError(f"{len(self.ids)} numbers were given for {k} latents.")

    @property
    def width(self) -> int:
        return self.encoder.shape[1]

    def latents(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows k"]:
        """The chosen latents, fᵢ(x)."""
        every = x @ self.encoder.T + self.bias
        chosen = every[..., : len(self.decoder)]
        fires = chosen > self.threshold
        if self.active:
            least = every.topk(self.active, dim=-1, sorted=True).values[..., -1:]
            fires = fires & (chosen >= least)
        return (self.gain * chosen + self.shift).relu() * fires

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        change = (self.factor - 1) * self.latents(x) + self.value
        return x + change @ self.decoder
