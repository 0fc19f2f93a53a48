"""What damping the unembedding's directions did: by α and k, and by how they are chosen."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True, repr=False)
class EigenSpectrum(Result):
    """Where in the unembedding's spectrum the toxic states differ from others.

    Attributes:
        sigma: singular values, descending.
        delta: Δ_i = v_iᵀ(μ_Φ − μ_Ψ) of each.
        null_high: of |Δ_i|, the 95th percentile with shuffled states.
        k: how many are chosen.
        chosen, published: by |Δ_i|, and by the published program's product.
        captured: share of ‖Δ‖² that lies in the chosen directions, by name of the choice; k of d
            directions hold k / d of it where there is nothing to find.
        states: how many toxic ones, and how many others.
    """

    sigma: tuple[float, ...]
    delta: tuple[float, ...]
    null_high: tuple[float, ...]
    k: int
    chosen: tuple[int, ...]
    published: tuple[int, ...]
    captured: dict[str, float]
    states: tuple[int, int]


@dataclass(frozen=True, slots=True, repr=False)
class EigenPoint(Result):
    """One edit of the unembedding, measured.

    Attributes:
        name: of the choice.
        alpha: factor of the chosen singular values.
        k: how many are chosen; 0 where nothing is.
        size: ‖W' − W‖_F / ‖W‖_F.
        toxicity: the protocol's statistic.
        change: toxicity minus that of the control, paired by prompt.
        reduction: the same as a share of the control's; None if the control's may be zero.
        perplexity: of neutral text.
        perplexity_change: as a share of the control's, paired by window.
        kl: to the base, nats per token; None if it was not measured.
        tph: toxicity-perplexity harmonic mean, as published.
    """

    name: str
    alpha: float
    k: int
    size: float
    toxicity: Interval
    change: Interval
    reduction: Interval | None
    perplexity: float
    perplexity_change: Interval
    kl: float | None
    tph: float


@dataclass(frozen=True, slots=True, repr=False)
class EigenGrid(Result):
    """α × k from one decomposition.

    Attributes:
        model: name of the model.
        protocol: id of the protocol.
        perplexity_protocol: of the perplexity.
        scorer: name and hash.
        prompts: name of their set.
        d_model: how many directions there are.
        alphas, ks: the axes.
        control: α = 1 through the same pipeline; every change is measured against it.
        control_is_base: whether the control does to every prompt what the unedited model does.
        points: row by row of α, each with every k; those of α = 1 are the control.
    """

    model: str
    protocol: str
    perplexity_protocol: str
    scorer: str
    prompts: str
    d_model: int
    alphas: tuple[float, ...]
    ks: tuple[int, ...]
    control: EigenPoint
    control_is_base: bool
    points: tuple[EigenPoint, ...]

    def at(self, alpha: float, k: int) -> EigenPoint:
        """The point of one cell."""
        return next(p for p in self.points if p.k == k and p.alpha == alpha)

    def __rich__(self) -> Table:
        title = f"toxicity and change of perplexity by α and k ({self.d_model} directions)"
        table = Table(title=title, caption=self.protocol, box=None, padding=(0, 2, 0, 0))
        table.add_column("α")
        for k in self.ks:
            table.add_column(f"k = {k}", justify="right", no_wrap=True)
        for alpha in self.alphas:
            row = [self.at(alpha, k) for k in self.ks]
            cells = (f"{p.toxicity.value:.3f} {p.perplexity_change.value:+.1%}" for p in row)
            table.add_row(f"{alpha:g}", *cells)
        return table


@dataclass(frozen=True, slots=True, repr=False)
class EigenChoice(Result):
    """One way to choose the directions, against random ones.

    Attributes:
        point: what it did.
        overlap: share of its directions that "correct" chooses too; None where it chooses none.
        as_good: share of the random draws whose toxicity is at most this one's.
        p: (1 + such draws) / (1 + draws).
        beyond_random: toxicity minus the mean of the random draws, over prompts and draws.
    """

    point: EigenPoint
    overlap: float | None
    as_good: float
    p: float
    beyond_random: Interval


@dataclass(frozen=True, slots=True, repr=False)
class EigenChoices(Result):
    """Which directions are damped, with everything else equal: does the choice matter?

    Attributes:
        model, protocol, perplexity_protocol, scorer, prompts, d_model, control: as in `EigenGrid`.
        alpha: of every choice that chooses; None where each has its own, of equal cost.
        k: how many directions each of these takes.
        cost: the change of perplexity that all were brought to, on other text; None at one α.
        choices: by name.
        draws: random choices of k directions.
    """

    model: str
    protocol: str
    perplexity_protocol: str
    scorer: str
    prompts: str
    d_model: int
    control: EigenPoint
    alpha: float | None
    k: int
    choices: tuple[EigenChoice, ...]
    draws: tuple[EigenPoint, ...]
    cost: float | None = None

    def __rich__(self) -> Table:
        equal = f"α = {self.alpha:g}" if self.cost is None else f"perplexity {self.cost:+.0%}"
        title = f"choices of {self.k} of {self.d_model} directions at {equal}"
        table = Table(title=title, caption=self.protocol, box=None, padding=(0, 2, 0, 0))
        table.add_column("choice")
        for name in ("toxicity", "reduction", "perplexity", "size", "random as good"):
            table.add_column(name, justify="right", no_wrap=True)
        for each in self.choices:
            p = each.point
            less = "" if p.reduction is None else f"{p.reduction.value:+.0%}"
            cells = (f"{p.toxicity.value:.3f}", less, f"{p.perplexity_change.value:+.1%}")
            table.add_row(p.name, *cells, f"{p.size:.3f}", f"{each.as_good:.0%}")
        return table
