"""What the decomposition over all neurons returns."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.compare.models.shown import signed
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval

LOWERING = ("TP-", "TN+", "AP+", "AN-")
RAISING = ("TP+", "TN-", "AP-", "AN+")
UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class GroupChange(Result):
    """One of the eight groups: how many neurons, and what they changed together.

    Attributes:
        name: such as "TP-".
        neurons: how many.
        coefficients: Σ Δa·v, what their coefficients did; never positive in a lowering group and
            never negative in its mirror.
        change: Σ Δ(a·v), with what moved value vectors did.
    """

    name: str
    neurons: int
    coefficients: float
    change: float


@dataclass(frozen=True, slots=True)
class LayerChange(Result):
    """One MLP: Δ(mlp_out · ŵ) as measured, and its parts.

    Attributes:
        layer: which.
        measured: paired by prompt.
        coefficients, vectors, both: Σ_i of Δa·v, a·Δv and Δa·Δv.
        constant: of the biases.
        rest: what no neuron and no bias explains (an edit of the output itself).
    """

    layer: int
    measured: Interval
    coefficients: float
    vectors: float
    both: float
    constant: float
    rest: float

    @property
    def neurons(self) -> float:
        """What all neurons changed: Δ(a·v) = Δa·v + a·Δv + Δa·Δv, exactly."""
        return self.coefficients + self.vectors + self.both


@dataclass(frozen=True, slots=True)
class NeuronChange(Result):
    """One neuron: cosine of its value vector, mean coefficients, and the change it makes."""

    layer: int
    index: int
    group: str
    cosine: float
    base: float
    edited: float
    change: float


@dataclass(frozen=True, slots=True)
class CurvePoint(Result):
    """Share of the neurons' whole change that the ``neurons`` most toxic ones make."""

    neurons: int
    share: float


@dataclass(frozen=True, slots=True, repr=False)
class Contributions(Result):
    """The change along a direction, as a sum over all MLP neurons.

    Attributes:
        base_name, edited_name: of the models.
        direction: its name.
        measured: Δ Σ_layers mlp_out · ŵ, mean over positions and prompts, paired by prompt.
        groups: the eight groups, lowering first, and the neurons whose coefficient did not change;
            their changes sum to ``neurons``.
        layers: by MLP.
        top: the neurons that change most, largest first.
        neurons_n: how many there are.
        toxic_n: how many value vectors of largest cosine count as toxic.
        toxic_change: what these changed.
        toxic_share: that, by the change of all neurons; None where that is not clearly of one sign.
        random_shares: the same of as many random neurons, for each draw.
        null_p: how often random neurons explain as much; None without a share.
        curve: the share for other numbers of toxic neurons.
        continuations, prompts_n, new_tokens: what was read.
    """

    base_name: str
    edited_name: str
    direction: str
    measured: Interval
    groups: tuple[GroupChange, ...]
    layers: tuple[LayerChange, ...]
    top: tuple[NeuronChange, ...]
    neurons_n: int
    toxic_n: int
    toxic_change: float
    toxic_share: Interval | None
    random_shares: tuple[float, ...]
    null_p: float | None
    curve: tuple[CurvePoint, ...]
    continuations: str
    prompts_n: int
    new_tokens: int

    @property
    def neurons(self) -> float:
        """What all neurons changed."""
        return sum(layer.neurons for layer in self.layers)

    @property
    def constant(self) -> float:
        """What the biases changed."""
        return sum(layer.constant for layer in self.layers)

    @property
    def rest(self) -> float:
        """What is left of the measured change."""
        return sum(layer.rest for layer in self.layers)

    def __rich__(self) -> Table:
        title = (
            f"change along {self.direction}: {signed(self.measured)}; neurons {self.neurons:+.3g}, "
            f"biases {self.constant:+.3g}, rest {self.rest:+.3g}"
        )
        table = Table("group", "neurons", "by coefficients", "change", title=title)
        for group in self.groups:
            both = f"{group.coefficients:+.3g}", f"{group.change:+.3g}"
            table.add_row(group.name, f"{group.neurons:,}", *both)
        if self.toxic_share is not None:
            p = f" (random: p {self.null_p:.2f})" if self.null_p is not None else ""
            share = f"{self.toxic_share} of all{p}"
            table.add_row(f"{self.toxic_n} most toxic", f"{self.toxic_n:,}", "", share)
        return table
