"""Scale a few singular directions of the unembedding (EigenShift, 2025).

W_U = U Σ Vᵀ writes token logits as Σ_i u_i σ_i (v_iᵀh): each right singular vector v_i is one
"choice" that the last state h can make. Those that tell the states Φ before toxic tokens from
others Ψ are scaled: σ_i ← α σ_i. No factorisation has to be put together again for that, because

    W' = U Σ' Vᵀ = W_U (I − (1 − α) P_T),   P_T = Σ_{i ∈ T} v_i v_iᵀ,

is a projection of the unembedding's input, ``h ← h − (1 − α) P_T h``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from jaxtyping import Float, Int
from torch import Tensor

from bezoar.edits import ActivationEdit, Edit, Project
from bezoar.errors import ConfigError, EditError, did_you_mean
from bezoar.locate import ToxicStates, Unembedding, unembedding_of
from bezoar.mitigate.method import FitInputs, Method, register
from bezoar.models import LanguageModel, Site

Score = Literal["abs", "squared", "sigma", "signed"]
Mode = Literal["correct", "paper", "code"]

_SITE = Site(None, "unembed_in")


@register
@dataclass(frozen=True, slots=True)
class EigenShift(Method):
    """Scale the singular directions of the unembedding that toxic states differ in: σ ← α σ.

    The strength is 1 − α: 1 deletes the directions, 2 turns them round.

    Attributes:
        alpha: α; 1 does nothing, 0 deletes, −1 reflects (and leaves WᵀW as it was).
        k: how many directions; by ``percentile`` if None. Of 0 the edit changes nothing.
        percentile: q, in per cent: k = ⌈d_model (1 − q / 100)⌉.
        score: what is large for a chosen direction, with Δ_i = v_iᵀ(μ_Φ − μ_Ψ): "abs" |Δ_i|,
            "squared" Δ_i² (the same order), "sigma" σ_i |Δ_i|, how far it moves logits, or
            "signed" Δ_i, although the sign of a singular vector means nothing.
        mode: "paper" is signed, as printed. "code" is signed, and projects with V in the place of
            Vᵀ, as the published program does; it also takes d_model − k, if those are fewer.
    """

    name: ClassVar[str] = "eigenshift"
    alpha: float = 0.0
    k: int | None = None
    percentile: float = 75.0
    score: Score = "abs"
    mode: Mode = "correct"

    def __post_init__(self) -> None:
        for name, kinds in (("score", Score), ("mode", Mode)):
            if (seen := getattr(self, name)) not in get_args(kinds):
                raise ConfigError(
                    f"{name}={seen!r} is not known.", hint=did_you_mean(str(seen), get_args(kinds))
                )
        if not math.isfinite(self.alpha):
            raise ConfigError(
                f"alpha={self.alpha} cannot scale a singular value.",
                hint="1 does nothing, 0 deletes a direction, -1 turns it round.",
            )
        if not 0 <= self.percentile <= 100:
            raise ConfigError(
                f"percentile={self.percentile} is not between 0 and 100.",
                hint="75 takes the upper quarter of the directions, 99 the upper hundredth.",
            )
        if self.k is not None and self.k < 0:
            raise ConfigError(f"k={self.k} directions cannot be chosen.", hint="Give 0 or more.")
        if self.mode != "correct" and self.score not in ("abs", "signed"):
            raise ConfigError(
                f"mode={self.mode!r} scores as published, and score={self.score!r} is ours.",
                hint="Leave the score out, or the mode.",
            )

    @classmethod
    def search_space(cls, lm: LanguageModel) -> Mapping[str, tuple[str, ...]]:
        shares = [f"percentile={q}" for q in (50, 90, 95, 99, 99.5)]
        return {"directions": ("", *shares), "score": ("", "score=sigma")}

    @property
    def idle(self) -> str:
        if self.k is None:
            return f"percentile={self.percentile:g}" if self.percentile == 100 else ""
        return "k=0" if self.k == 0 else ""

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"states"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("random-choices", "shuffled-states")

    @property
    def strength(self) -> float:
        return 1 - self.alpha

    @property
    def strength_max(self) -> float:
        return 3.0  # α = −2, the furthest that was published

    def with_strength(self, strength: float) -> EigenShift:
        return dataclasses.replace(self, alpha=1 - strength)

    def size(self, d_model: int) -> int:
        """How many directions are chosen of so many.

        Raises:
            ConfigError: if there are not so many.
        """
        if self.k is None:  # 200 · 0.05 is a hair above 10 in floating point
            return math.ceil(d_model * (1 - self.percentile / 100) - 1e-9)
        if self.k > d_model:
            raise ConfigError(
                f"k={self.k} directions were asked for, and the model has d_model {d_model}.",
                hint="Use a smaller k, or a percentile, which fits any model.",
            )
        return self.k

    def choose(self, parts: Unembedding, states: ToxicStates) -> Int[Tensor, " k"]:
        """The numbers of the chosen directions, best first.

        Raises:
            EditError: if the states are not as wide as the model.
        """
        delta = states.difference
        if len(delta) != len(parts):
            raise EditError(
                f"The states have width {len(delta)}, and the unembedding reads {len(parts)}.",
                hint="Collect them from this model.",
            )
        scores = direction_scores(parts, delta, self.score, self.mode)
        return top_directions(scores, self.size(len(parts)), self.mode)

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` at ``unembed_in``; it folds into the unembedding alone.

        Raises:
            ConfigError: if the states are missing, or k is more than d_model.
            EditError: if the states are not of this model.
            UnsupportedAnatomy: if the model has no unembedding.
        """
        states: ToxicStates = inputs.need("states", self.name)
        made_of = states.found.model
        if made_of and made_of != lm.fingerprint:
            raise EditError(
                f"The states were collected from a model with other weights than {lm.name!r}.",
                hint="Collect them from this one: bezoar.locate.collect_states.",
            )
        parts = unembedding_of(lm)
        chosen = self.choose(parts, states)
        return eigen_edit(
            parts,
            chosen,
            self.alpha,
            name=f"eigenshift of {len(chosen)} directions",
            provenance=self.origin(lm, directions=len(chosen)),
        )


def direction_scores(
    parts: Unembedding,
    difference: Float[Tensor, " d_model"],
    score: Score = "abs",
    mode: Mode = "correct",
) -> Float[Tensor, " d_model"]:
    """How much each singular direction tells the two sets of states apart; see `EigenShift`.

    Args:
        parts: of the unembedding.
        difference: μ_Φ − μ_Ψ.
        score: of Δ = Vᵀ(μ_Φ − μ_Ψ).
        mode: other than "correct", signed; for "code", of V(μ_Φ − μ_Ψ).
    """
    wide = difference.to(parts.directions)
    if mode == "code":
        return parts.directions.T @ wide
    delta = parts.directions @ wide
    if mode == "paper" or score == "signed":
        return delta
    weight = parts.singular_values if score == "sigma" else 1.0
    return (delta.abs() if score != "squared" else delta.square()) * weight


def top_directions(
    scores: Float[Tensor, " d_model"], k: int, mode: Mode = "correct"
) -> Int[Tensor, " k"]:
    """The ``k`` largest scores, best first; for "code" at most ``d_model − k`` of them.

    The published program leaves the k smallest out and takes k of the rest, of which there may be
    fewer.
    """
    order = scores.argsort(descending=True, stable=True)
    return order[: min(k, len(scores) - k) if mode == "code" else k]


def eigen_edit(
    parts: Unembedding,
    chosen: Int[Tensor, " k"],
    alpha: float,
    *,
    name: str = "eigenshift",
    provenance: dict[str, object] | None = None,
) -> ActivationEdit:
    """Scale chosen directions of the unembedding by α: ``h ← h − (1 − α) P h`` at its input."""
    basis = parts.directions[chosen].float()
    op = Project(basis, 1 - alpha)
    return ActivationEdit.at([_SITE], op, name=name, provenance=provenance)
