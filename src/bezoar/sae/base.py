"""What every sparse autoencoder is: an encoder, a decoder, and where it belongs."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from bezoar.errors import SAEError
from bezoar.models import LanguageModel, Site
from bezoar.sae.codes import Codes, join, sparsify
from bezoar.sae.devices import rows_at_once
from bezoar.sae.info import SAEInfo
from bezoar.sae.kernels import gather_sum

_WEIGHTS = ("W_enc", "b_enc", "W_dec", "b_dec")
_CHUNK = 2**22  # numbers of [rows d_sae] that a CPU holds at once where only few are kept


class Step(NamedTuple):
    """What one batch gave in training.

    Attributes:
        loss: to be differentiated; of sums over dimensions, means over rows.
        error: ``mean‖x − x̂‖²``, detached.
        fired: which latents were active on any row.
        l0: active latents a row.
    """

    loss: Float[Tensor, ""]
    error: Float[Tensor, ""]
    fired: Tensor
    l0: Float[Tensor, ""]


@dataclass(frozen=True, slots=True)
class NoOptions:
    """Of an architecture that has none."""


class SparseAutoencoder(nn.Module, ABC):
    """``f = act((x − b_dec) W_enc + b_enc)``, ``x̂ = f W_dec + b_dec`` with ``f ≥ 0``.

    A subclass is one architecture: `activate` says which latents are active, `training_step` what
    is minimised. Decoder rows have norm 1 in what `train_saes` returns and `save` writes, so that a
    latent's value is a length along its direction, in the unit of the activations.

    Args:
        d_model: width of the site.
        d_sae: latents.
        options: of the architecture; its defaults if None.

    Attributes:
        W_enc: ``[d_model d_sae]``.
        b_enc: ``[d_sae]``.
        W_dec: ``[d_sae d_model]``, a row a latent.
        b_dec: ``[d_model]``, subtracted before encoding, added after decoding.
        info: where it comes from.

    Raises:
        SAEError: if a size is no positive number, or an option does not fit the sizes.
    """

    architecture: ClassVar[str]
    Options: ClassVar[type] = NoOptions
    unit_norm: ClassVar[bool] = True
    """Whether training keeps decoder rows at norm 1 and projects their gradients."""
    in_units: ClassVar[tuple[str, ...]] = ("b_enc", "b_dec")
    """Parameters and buffers that are multiplied with the unit of the inputs."""

    def __init__(self, d_model: int, d_sae: int, options: Any = None) -> None:
        super().__init__()
        if min(d_model, d_sae) < 1:
            raise SAEError(
                f"An autoencoder of {d_sae} latents on {d_model} dimensions.",
                hint="Both must be positive.",
            )
        self.options = self.Options() if options is None else options
        # Stored by latent: a latent's weights lie side by side, as the sparse gradients make them.
        self.W_enc = nn.Parameter(torch.zeros(d_sae, d_model).T)
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.zeros(d_sae, d_model))
        self.b_dec = nn.Parameter(torch.zeros(d_model))
        self.info = SAEInfo(
            self.architecture, "", d_model, d_sae, dict(dataclasses.asdict(self.options))
        )

    @property
    def d_model(self) -> int:
        return self.W_dec.shape[1]

    @property
    def d_sae(self) -> int:
        return self.W_dec.shape[0]

    @property
    def site(self) -> Site | None:
        """What it reads; None if unknown, or no site of ours."""
        return self.info.its_site()

    @abstractmethod
    def activate(self, pre: Float[Tensor, "rows d_sae"]) -> Float[Tensor, "rows d_sae"]:
        """Latents from pre-activations ``(x − b_dec) W_enc + b_enc``, not differentiable."""

    @abstractmethod
    def training_step(
        self, x: Float[Tensor, "rows d_model"], share: float, dead: Int64[Tensor, " dead"]
    ) -> Step:
        """The loss of one batch.

        Args:
            x: scaled inputs.
            share: of the training that is done, in [0, 1); for penalties that are warmed up.
            dead: latents that have not been active for long.
        """

    def encode(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_sae"]:
        """Latents, dense; none is negative. `codes` takes less memory.

        Raises:
            SAEError: if the rows have another width.
        """
        self._check_width(x)
        rows = x.reshape(-1, self.d_model).to(self.W_enc.dtype)
        with torch.no_grad():
            latents = self.activate(self.pre_activations(rows))
        return latents.reshape(*x.shape[:-1], self.d_sae)

    def codes(self, x: Float[Tensor, "rows d_model"]) -> Codes:
        """The active latents alone, without a [rows d_sae] matrix of all rows.

        Raises:
            SAEError: if the rows have another width.
        """
        self._check_width(x)
        return join([sparsify(self.encode(part)) for part in self._chunks(x)])

    def decode(self, latents: Float[Tensor, "*rows d_sae"]) -> Float[Tensor, "*rows d_model"]:
        """``f W_dec + b_dec``."""
        with torch.no_grad():
            return latents @ self.W_dec + self.b_dec

    def decode_codes(self, codes: Codes) -> Float[Tensor, "rows d_model"]:
        """The same from the active latents, by gathering their decoder rows."""
        with torch.no_grad():
            return gather_sum(self.W_dec.detach(), codes.indices, codes.values) + self.b_dec

    def forward(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """The reconstruction x̂.

        Raises:
            SAEError: if the rows have another width.
        """
        self._check_width(x)
        rows = x.reshape(-1, self.d_model).to(self.W_enc.dtype)
        parts = [self.decode_codes(self.codes(part)) for part in self._chunks(rows)]
        return torch.cat(parts).reshape(x.shape) if parts else torch.zeros_like(x)

    def pre_activations(self, x: Float[Tensor, "rows d_model"]) -> Float[Tensor, "rows d_sae"]:
        """``(x − b_dec) W_enc + b_enc``."""
        return torch.addmm(self.b_enc, x - self.b_dec, self.W_enc)

    def set_scale(self, factor: float) -> None:
        """Make inputs and outputs ``factor`` times as large: ``sae(factor · x) = factor · sae(x)``.

        Every architecture is homogeneous, so biases and thresholds alone change.
        """
        with torch.no_grad():
            for name in self.in_units:
                getattr(self, name).mul_(factor)

    def prepare(self, x: Float[Tensor, "rows d_model"]) -> None:
        """Set what is best set by a sample of scaled inputs, before the first step."""

    def project_gradients(self) -> None:
        """Take from the decoder's gradient what would only change the norms of its rows."""
        grad = self.W_dec.grad
        if self.unit_norm and grad is not None:
            along = torch.linalg.vecdot(grad, self.W_dec.detach())
            grad.addcmul_(self.W_dec.detach(), along[:, None], value=-1)

    def constrain(self) -> None:
        """Bring the weights back to where they must be, after each step."""
        if self.unit_norm:
            with torch.no_grad():
                self.W_dec.div_(torch.linalg.vector_norm(self.W_dec, dim=1, keepdim=True))

    def finish(self) -> None:
        """Rewrite the weights, after the last step, so that decoder rows have norm 1."""

    def require(self, lm: LanguageModel, site: Site | str | None = None) -> None:
        """Refuse a model or site that this autoencoder was not made for.

        Raises:
            SAEError: if the model's fingerprint, the site, or the width at the site is another.
        """
        self.info.require(lm, site)

    def exported(self) -> tuple[str, dict[str, Any], dict[str, Tensor]]:
        """The architecture by SAELens' name, what its cfg.json says besides, and its weights."""
        tensors = {name: getattr(self, name).detach() for name in _WEIGHTS}
        return self.architecture, {}, tensors

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        """Take the weights of what `exported` gave.

        Raises:
            SAEError: if one is missing, is there besides, or has another shape.
        """
        fill(self.exported()[2], tensors)  # which are views of the parameters

    def save(self, folder: str | Path) -> None:
        """Write a folder that `load_sae` and SAELens read; see `bezoar.sae.storage`."""
        from bezoar.sae.storage import save_sae

        save_sae(self, folder)

    def extra_repr(self) -> str:
        where = f" at {self.info.site}" if self.info.site else ""
        return f"{self.architecture}, {self.d_model} → {self.d_sae}{where}"

    def _check_width(self, x: Tensor) -> None:
        if x.shape[-1] != self.d_model:
            raise SAEError(
                f"Rows of {x.shape[-1]} dimensions, and this autoencoder reads {self.d_model}.",
                hint=f"Give rows of its site{f', {self.info.site}' if self.info.site else ''}.",
            )

    def _chunks(self, x: Tensor) -> Iterator[Tensor]:
        return iter(x.split(rows_at_once(self.d_sae, self.W_dec.device, _CHUNK)))


def fill(own: dict[str, Tensor], tensors: dict[str, Tensor]) -> None:
    """Copy tensors into those of the same name, all of them.

    Raises:
        SAEError: if one is missing, is there besides, or has another shape.
    """
    if set(own) != set(tensors):
        raise SAEError(
            f"The weights are {', '.join(sorted(tensors)) or 'none'}, and this architecture has "
            f"{', '.join(sorted(own))}.",
            hint="Is the file that of another architecture?",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            if tensors[name].shape != tensor.shape:
                raise SAEError(
                    f"{name} has shape {tuple(tensors[name].shape)}, not {tuple(tensor.shape)}.",
                    hint="Is the file that of another autoencoder?",
                )
            tensor.copy_(tensors[name])
