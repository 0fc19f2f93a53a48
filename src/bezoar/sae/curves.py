"""How a training went."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.runs.results import Result


@dataclass(frozen=True, slots=True, repr=False)
class TrainingCurve(Result):
    """The training of one autoencoder, about a hundred points of it.

    Attributes:
        spec: of the autoencoder.
        site: where its rows come from.
        tokens: trained on until each point.
        loss: of the batch at each point, with its penalties.
        explained: ``1 − Σ‖x − x̂‖² / Σ‖x − x̄‖²`` of the batch; negative early in a training.
        l0: active latents a row.
        dead: share of the latents that have not been active for ``dead_after`` tokens.
        lr: learning rate.
        dead_after: tokens.
        seconds: of all training so far, interruptions left out; of all autoencoders of the pass.
    """

    spec: str
    site: str
    tokens: tuple[int, ...]
    loss: tuple[float, ...]
    explained: tuple[float, ...]
    l0: tuple[float, ...]
    dead: tuple[float, ...]
    lr: tuple[float, ...]
    dead_after: int
    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Curves(Result):
    """How the autoencoders of a study learnt, in the order in which they were asked for."""

    curves: tuple[TrainingCurve, ...]
