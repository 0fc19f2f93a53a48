"""The direction a method acts along, and the places where acting along it makes sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from bezoar.edits import stream_site
from bezoar.errors import ConfigError, EditError, SiteMismatch, did_you_mean
from bezoar.locate import Direction, Subspace, ValueRanking
from bezoar.locate.moments import UnitMoments
from bezoar.mitigate.method import FitInputs
from bezoar.models import LanguageModel, Site

Source = Literal["probe", "value", "svd", "mean_difference"]
SOURCES: tuple[str, ...] = get_args(Source)
INPUT_OF: dict[str, str] = {"value": "values"}
"""The field of `FitInputs` a source is taken from, where it has another name."""

NULLS: dict[str, tuple[str, ...]] = {
    "probe": ("random-direction", "shuffled-labels"),
    "mean_difference": ("random-direction", "shuffled-labels"),
    "value": ("random-values", "shuffled-labels"),
    "svd": ("random-values", "random-direction", "shuffled-labels"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """Vectors to act along.

    Attributes:
        basis: unit rows.
        norm: of the first row before it was made a unit vector.
        site: where it was *fitted*; None for a value vector, which is read off the weights and is a
            direction of the residual stream as such.
        name: for tables.
        trained_on: hash of the data behind it.
    """

    basis: Float[Tensor, "k d"]
    norm: float
    site: Site | None
    name: str
    trained_on: str = ""


def layer_sets(lm: LanguageModel, most: int = 8) -> tuple[str, ...]:
    """Sets of layers for a search, as pieces of a spec: the last, the last quarter and half, all,
    and single ones evenly over the depth."""
    n = lm.n_layers
    spans = [range(n - 1, n), range(n - max(1, n // 4), n), range(n // 2, n), range(n)]
    step = max(1, -(-n // most))
    spans += [range(layer, layer + 1) for layer in range(n - 1, -1, -step)]
    return tuple(dict.fromkeys("layers=" + "/".join(map(str, span)) for span in spans))


def check_source(source: str) -> None:
    """Refuse an unknown source of directions.

    Raises:
        ConfigError: with the nearest names.
    """
    if source not in SOURCES:
        raise ConfigError(f"direction={source!r} is not known.", hint=did_you_mean(source, SOURCES))


def choose(
    source: str, rank: int, lm: LanguageModel, inputs: FitInputs, by: str, dims: int = 1
) -> Chosen:
    """The direction of a source; of an SVD, ``dims`` of them from ``rank`` on.

    Raises:
        ConfigError: if the input is missing, or has no such rank.
        EditError: if its width is not the model's.
    """
    found = inputs.need(INPUT_OF.get(source, source), by)
    if isinstance(found, Direction):
        chosen = Chosen(found.vector[None], found.norm, found.site, found.name, found.trained_on)
    elif isinstance(found, Subspace):
        _check_rank(rank + dims - 1, len(found), by)
        basis = found.basis[rank : rank + dims]
        name = f"{found.name}[{rank}]" if dims == 1 else f"{found.name}[{rank}:{rank + dims}]"
        chosen = Chosen(basis, 1.0, found.site, name, found.trained_on)
    else:
        chosen = _value(found, rank, lm, by)
    if chosen.basis.shape[1] != lm.d_model:
        raise EditError(
            f"{chosen.name!r} has width {chosen.basis.shape[1]}, and {lm.name} has d_model "
            f"{lm.d_model}.",
            hint="Fit the direction on this model, at a site of the residual stream.",
        )
    return chosen


def _value(ranking: ValueRanking, rank: int, lm: LanguageModel, by: str) -> Chosen:
    _check_rank(rank, len(ranking), by)
    value = ranking.at(lm, rank)
    return Chosen(value.vector[None], value.norm, None, value.name)


def _check_rank(rank: int, n: int, by: str) -> None:
    if not 0 <= rank < n:
        raise ConfigError(
            f"{by} wants number {rank}, and there are {n}.", hint="Use a smaller rank, from 0."
        )


def require_same_place(lm: LanguageModel, chosen: Chosen, targets: list[Site]) -> None:
    """Refuse to shift a place along a direction that was fitted at another one.

    A constant added at ``l.mlp_out`` shifts ``l.resid_post`` by exactly that constant, so sites
    that write the same state of the residual stream are one place (`bezoar.edits.stream_site`):
    a probe on the last residual may be subtracted at the last MLP, as in Lee et al. 2024.

    Raises:
        SiteMismatch: naming both places.
    """
    if chosen.site is None:
        return
    fitted = stream_site(lm, chosen.site)
    for target in targets:
        if stream_site(lm, target) != fitted:
            raise SiteMismatch(
                f"{chosen.name!r} was fitted at {fitted} and would act at {target}, where other "
                "numbers live.",
                hint="Fit a direction there, or pass mode='code' to do it anyway.",
            )


def moments_of(lm: LanguageModel, inputs: FitInputs, by: str) -> UnitMoments:
    """The moments of units that a method needs, of this model.

    Raises:
        ConfigError: if there are none, or they are of other weights.
    """
    moments: UnitMoments = inputs.need("moments", by)
    if moments.model and moments.model != lm.fingerprint:
        raise ConfigError(
            f"The moments were gathered in a model with other weights than {lm.name!r}.",
            hint="Gather them in this one: bezoar.locate.collect_moments.",
        )
    return moments
