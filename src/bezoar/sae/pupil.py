"""One autoencoder while it is trained: its optimiser, its dead latents, its curve."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import SAEError
from bezoar.sae.base import SparseAutoencoder
from bezoar.sae.curves import TrainingCurve
from bezoar.sae.devices import Precision, fused
from bezoar.sae.registry import get_architecture
from bezoar.sae.spec import SAESpec

POINTS = 100  # of a curve
_SCALED_ON = 1_024  # rows
_NEW_SCALE = 0.2  # norm of a new encoder row, × the mean of those in use (Bricken et al. 2023)
_BY_LATENT = ("b_enc", "b_mag", "r_mag")  # what a latent that begins anew has at zero


@dataclass(frozen=True, slots=True)
class Plan:
    """What all autoencoders of a pass share.

    Attributes:
        steps: in all.
        batch: rows a step.
        lr: of Adam.
        warmup, decay: shares of the steps in which it rises from zero, and falls to it.
        dead_after: tokens without activity that make a latent dead.
        seed: of the order of rows, and of what is drawn in training.
        precision: of products.
    """

    steps: int
    batch: int
    lr: float
    warmup: float
    decay: float
    dead_after: int
    seed: int
    precision: Precision = "highest"

    def rate(self, step: int, lr: float) -> float:
        """The learning rate of a step, counted from 0."""
        up = (step + 1) / max(1.0, self.warmup * self.steps)
        down = (self.steps - step) / max(1.0, self.decay * self.steps)
        return lr * min(1.0, up, down)


class Pupil:
    """An autoencoder in training.

    Args:
        spec: what to train.
        d_model: width of the rows.
        d_sae: latents.
        plan: of the pass.
        device: where it is trained; the CPU if None.
    """

    def __init__(
        self,
        spec: SAESpec,
        d_model: int,
        d_sae: int,
        plan: Plan,
        device: torch.device | None = None,
    ) -> None:
        self.spec, self.plan = spec, plan
        self.seed = plan.seed if spec.training.seed is None else spec.training.seed
        self.lr = spec.training.lr or plan.lr
        self.device = torch.device("cpu") if device is None else device
        made: SparseAutoencoder = get_architecture(spec.architecture)(d_model, d_sae, spec.own)
        self.sae = made.to(self.device)
        self.parameters = dict(self.sae.named_parameters())
        quick = fused(self.device)
        self.optimiser = torch.optim.Adam(self.parameters.values(), lr=self.lr, fused=quick)
        # Tokens since each latent was active.
        self.silent = torch.zeros(d_sae, dtype=torch.int64, device=self.device)
        self.points: list[tuple[int, float, float, float, float, float]] = []
        self.tokens = 0

    def begin(
        self, sample: Float[Tensor, "rows d_model"], centre: Float[Tensor, " d_model"]
    ) -> None:
        """Initial weights: random directions, the centre subtracted, the encoder their transpose.

        The transpose is scaled to the least error on the sample: many directions overlap, and
        would write several times what they read.

        Args:
            sample: scaled rows, on a CPU.
            centre: their geometric median, or another point.
        """
        generator = torch.Generator().manual_seed(self.seed)
        sae = self.sae
        with torch.no_grad():
            drawn = torch.randn(sae.d_sae, sae.d_model, generator=generator, device="cpu")
            sae.W_dec.copy_(drawn.div_(drawn.norm(dim=1, keepdim=True)))
            sae.W_enc.copy_(sae.W_dec.T)
            sae.b_dec.copy_(centre)
            sample = sample.to(self.device)
            some = sample[:_SCALED_ON]
            written, wanted = sae(some) - sae.b_dec, some - sae.b_dec
            fit = float((written * wanted).sum() / written.square().sum().clamp_min(1e-30))
            sae.W_enc.mul_(fit if fit > 0 else 1.0)
        sae.prepare(sample)

    def step(self, number: int, x: Float[Tensor, "rows d_model"]) -> None:
        """Learn from one batch.

        Raises:
            SAEError: if the loss is no longer a number.
        """
        plan, sae = self.plan, self.sae
        done = sae.training_step(x, number / plan.steps, self.dead(number))
        loss = float(done.loss.detach())
        if not math.isfinite(loss):
            if not bool(torch.isfinite(x).all()):
                raise SAEError(
                    f"The batch of step {number} of {plan.steps} has rows that are not finite.",
                    hint="Harvest again in float32.",
                )
            raise SAEError(
                f"The loss of {str(self.spec)!r} became {loss:g} at step {number} of {plan.steps}.",
                hint="Lower the learning rate.",
            )
        torch.autograd.backward(done.loss)
        sae.project_gradients()
        rate = plan.rate(number, self.lr)
        self.optimiser.param_groups[0]["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad()
        sae.constrain()
        self.tokens += len(x)
        self.silent.add_(len(x)).masked_fill_(done.fired, 0)
        if number % max(1, plan.steps // POINTS) == 0 or number == plan.steps - 1:
            spread = float((x - x.mean(0)).square().sum(1).mean())
            explained = 1 - float(done.error) / spread if spread else 0.0
            dead = float((self.silent >= plan.dead_after).float().mean())
            self.points.append((self.tokens, loss, explained, float(done.l0), dead, rate))
        if number + 1 in self._resamplings():
            self.resample(number, x)

    def dead(self, number: int = 0) -> Tensor:
        """Latents that have not been active for long; others at the front at every step.

        Where only the first of them are looked at, all have their turn.
        """
        dead = (self.silent >= self.plan.dead_after).nonzero().flatten()
        return dead.roll(-number * 2 * self.sae.d_model)

    @torch.no_grad()
    def resample(self, number: int, x: Float[Tensor, "rows d_model"]) -> None:
        """Let dead latents begin anew, at rows that are badly reconstructed (Bricken et al. 2023).

        Rows are drawn with probability ∝ ‖x − x̂‖⁴, their squared loss, none twice: latents that
        begin alike learn alike, and stay one. Each becomes a decoder row and, at a fifth of the
        norm of those in use, an encoder row; latents for which no row is left stay dead. Adam
        forgets what it knew.
        """
        dead, sae = self.dead(), self.sae
        if not len(dead) or len(dead) == sae.d_sae:
            return
        x = x.unique(dim=0)  # texts that begin alike give equal rows
        chance = (x - sae(x)).square().sum(1).cpu().double().square()
        n = min(len(dead), int((chance > 0).sum()))
        if not n:
            return
        used = torch.ones_like(self.silent, dtype=torch.bool).index_fill(0, dead, False)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        drawn, dead = torch.multinomial(chance, n, generator=generator), dead[:n]
        rows = x[drawn.to(self.device)] - sae.b_dec
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
        sae.W_dec[dead] = rows
        sae.W_enc.T[dead] = rows * (_NEW_SCALE * sae.W_enc.T[used].norm(dim=1).mean())
        for name, parameter in self.parameters.items():
            if name in _BY_LATENT:
                parameter[dead] = 0
            for moment in ("exp_avg", "exp_avg_sq"):
                table = self.optimiser.state[parameter][moment]
                if name != "b_dec":
                    (table.T if name == "W_enc" else table)[dead] = 0
        self.silent[dead] = 0

    def curve(self, site: str, seconds: float) -> TrainingCurve:
        """What was noted."""
        columns: Any = list(zip(*self.points, strict=True))
        tokens, loss, explained, l0, dead, lr = columns
        dead_after = self.plan.dead_after
        return TrainingCurve(
            str(self.spec), site, tokens, loss, explained, l0, dead, lr, dead_after, seconds
        )

    def tensors(self) -> dict[str, Tensor]:
        """All that a checkpoint must hold of it."""
        found = {f"sae.{key}": value for key, value in self.sae.state_dict().items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                found[f"adam.{key}.{name}"] = value
        return found | {"silent": self.silent}

    def restore(self, tensors: dict[str, Tensor], notes: dict[str, Any]) -> None:
        """Go on from what `tensors` and `notes` gave.

        Raises:
            LookupError, ValueError, TypeError: if they are not of this autoencoder.
        """
        for name, value in self.tensors().items():
            if tensors[name].shape != value.shape:
                raise ValueError(f"{name} has shape {tuple(tensors[name].shape)}")
            with torch.no_grad():
                value.copy_(tensors[name])
        for name, parameter in self.parameters.items():
            state = {}
            for key in ("step", "exp_avg", "exp_avg_sq"):
                value = tensors[f"adam.{key}.{name}"]
                # In the layout of the parameter and where Adam made it: only a fused one counts
                # its steps on the device.
                here = self.device if fused(self.device) else torch.device("cpu")
                like = torch.empty((), device=here) if key == "step" else parameter.detach()
                state[key] = torch.empty_like(like).copy_(value)
            self.optimiser.state[parameter] = state
        self.points = [tuple(point) for point in notes["points"]]  # type: ignore[misc]
        self.tokens = int(notes["tokens"])

    def notes(self) -> dict[str, Any]:
        """What a checkpoint must hold besides."""
        return {"spec": str(self.spec), "points": self.points, "tokens": self.tokens}

    def _resamplings(self) -> set[int]:
        """The steps after which dead latents begin anew: spread over the first half."""
        times = getattr(self.spec.own, "resample", 0)
        return {self.plan.steps * (i + 1) // (2 * times) for i in range(times)}
