"""Toxic value vectors remain: they point where they did, and say what they said (section 5.1)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from rich.table import Table
from torch import Tensor

from bezoar.compare.models.activations import random_sets
from bezoar.compare.models.shown import ROWS, near_one, p_value
from bezoar.compare.models.side import Side, sides_of
from bezoar.edits import Edit
from bezoar.errors import DataError
from bezoar.locate import Direction, ValueRanking, rank_values
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval
from bezoar.stats.intervals import Interval
from bezoar.stats.nulls import null_p_value

_ROWS = 64  # vectors projected onto the vocabulary at a time
Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class KeptValue(Result):
    """One value vector before and after.

    Attributes:
        layer, index: which.
        rank: among the base's, by cosine to the direction; the first has 0.
        edited_rank: among the edited model's; None if it is no more among as many.
        cosine: of the vector before and after.
        relative: ‖v' - v‖ / ‖v‖.
        toxic, edited_toxic: cosine to the direction, before and after.
        tokens: share of the tokens it promoted most that it still promotes most; None without an
            unembedding.
    """

    layer: int
    index: int
    rank: int
    edited_rank: int | None
    cosine: float
    relative: float
    toxic: float
    edited_toxic: float
    tokens: float | None

    def __str__(self) -> str:
        return f"{self.layer}.{self.index}"


@dataclass(frozen=True, slots=True, repr=False)
class ValuesKept(Result):
    """The value vectors nearest to a direction, before and after.

    Attributes:
        base_name, edited_name: of the models.
        direction: its name.
        vectors: in the base's order.
        cosine: of a vector before and after, mean over the vectors (bootstrapped over them).
        tokens: share of promoted tokens that stayed, likewise; None without an unembedding.
        ranking: share of these vectors that are among as many of the edited model, ranked anew by
            the same direction.
        random_cosine, random_tokens: the means of as many random vectors of the same layers, for
            each draw; empty where a layer has too few others.
        null_p: how often random vectors moved as far (by cosine); None without them. Small: it was
            the toxic vectors that moved. Large: they moved no more than any.
        promoted: how many tokens of a vector.
        identity: no value vector changed at all, so that nothing here could have been otherwise.
    """

    base_name: str
    edited_name: str
    direction: str
    vectors: tuple[KeptValue, ...]
    cosine: Interval
    tokens: Interval | None
    ranking: float
    random_cosine: tuple[float, ...]
    random_tokens: tuple[float, ...]
    null_p: float | None
    promoted: int
    identity: bool

    def __rich__(self) -> Table:
        n = len(self.vectors)
        title = (
            f"{n} value vectors nearest to {self.direction}, before and after: "
            f"{self.ranking:.0%} are among the nearest {n} of {self.edited_name}"
        )
        table = Table("vector", "cosine", "moved", "to direction", "tokens kept", title=title)
        for v in self.vectors[:ROWS]:
            toxic = f"{v.toxic:.3f} → {v.edited_toxic:.3f}"
            told = near_one(v.cosine), f"{v.relative:.2%}", toxic, _share(v.tokens)
            table.add_row(str(v), *told)
        tokens = _share(None if self.tokens is None else self.tokens.value)
        table.add_row(f"mean of {n}", near_one(self.cosine.value), "", "", tokens)
        if self.null_p is not None:
            mean, p = near_one(float(np.mean(self.random_cosine))), f"p {p_value(self.null_p)}"
            kept = _share(float(np.mean(self.random_tokens)) if self.random_tokens else None)
            table.add_row(f"{n} random, {len(self.random_cosine)} ×", mean, p, "", kept)
        return table


@torch.no_grad()
def values_kept(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    direction: Direction,
    ranking: ValueRanking | None = None,
    *,
    top: int = 128,
    promoted: int = 10,
    draws: int = 39,
    seed: int = 0,
) -> ValuesKept:
    """Compare the value vectors nearest to a direction before and after, beside random ones.

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        direction: such as the probe's; both sides are ranked by it.
        ranking: the base's; its first ``top`` are followed. Ranked here if None.
        top: how many.
        promoted: tokens of a vector, the largest of ``W_U v`` on either side.
        draws: sets of as many random value vectors of the same layers.
        seed: of the random vectors and the bootstrap.

    Raises:
        UnsupportedAnatomy: if a layer has no value vectors (a mixture of experts).
        ConfigError: if ``draws`` is below 0.
        DataError: if fewer than two are ranked, or the direction has another width.
        ModelError: if the models differ in shape or tokenizer.
    """
    sides = sides_of(base, edited)
    found = ranking or rank_values(base, direction, top)
    toxic = [(entry.layer, entry.index) for entry in found.entries[:top]]
    if len(toxic) < 2:
        raise DataError(f"{len(toxic)} value vectors.", hint="Rank at least two: 128 are usual.")
    sets = random_sets(base, toxic, draws, seed=seed)
    places = list(dict.fromkeys([*toxic, *(place for one in sets for place in one)]))
    promoted = min(promoted, base.d_vocab)
    (old, first, _), (new, second, after) = (
        _seen(side, places, direction, promoted, len(toxic)) for side in sides
    )
    cosine = _cosines(old, new)
    kept = None if first is None or second is None else _overlap(first, second)
    at = {place: row for row, place in enumerate(places)}
    rows = [[at[place] for place in one] for one in sets]
    drawn = np.array([cosine[row].mean() for row in rows])
    n = len(toxic)
    return ValuesKept(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        direction=direction.name,
        vectors=_vectors(toxic, old[:n], new[:n], cosine, kept, after, direction),
        cosine=mean_interval(cosine[:n], seed=seed),
        tokens=None if kept is None else mean_interval(kept[:n], seed=seed),
        ranking=sum(place in after for place in toxic) / n,
        random_cosine=tuple(drawn.tolist()),
        random_tokens=() if kept is None else tuple(float(kept[row].mean()) for row in rows),
        null_p=null_p_value(float(cosine[:n].mean()), drawn, "less") if sets else None,
        promoted=promoted,
        identity=_same_values(*sides),
    )


def _seen(
    side: Side, places: Sequence[Place], direction: Direction, promoted: int, top: int
) -> tuple[
    Float64[Tensor, "vectors d_model"], Int[np.ndarray, "vectors promoted"] | None, dict[Place, int]
]:
    """The vectors of one side, the tokens they promote most, and the ranks of its nearest."""
    with side.opened() as lm:
        rows = torch.empty(len(places), lm.d_model, dtype=torch.float64)
        by_layer: dict[int, list[int]] = {}
        for row, (layer, _) in enumerate(places):
            by_layer.setdefault(layer, []).append(row)
        for layer, chosen in by_layer.items():
            index = [places[row][1] for row in chosen]
            rows[chosen] = lm.values(layer)[index].double().cpu()
        tokens = _promoted(lm, rows.float(), promoted) if lm.has_unembedding else None
        nearest = rank_values(lm, direction, top).entries
    return rows, tokens, {(entry.layer, entry.index): entry.rank for entry in nearest}


def _promoted(
    lm: LanguageModel, rows: Float[Tensor, "vectors d_model"], k: int
) -> Int[np.ndarray, "vectors k"]:
    blocks = (block.to(lm.W_U) @ lm.W_U.T for block in rows.split(_ROWS))
    return torch.cat([block.topk(k, dim=-1).indices.cpu() for block in blocks]).numpy()


def _cosines(
    old: Float64[Tensor, "vectors d_model"], new: Float64[Tensor, "vectors d_model"]
) -> Float64[np.ndarray, " vectors"]:
    """Exactly 1 for a vector that stayed, a zero vector included."""
    size = old.norm(dim=1) * new.norm(dim=1)
    cosine = (old * new).sum(dim=1) / torch.where(size > 0, size, 1.0)
    return torch.where((old == new).all(dim=1), 1.0, cosine.clamp(-1, 1)).numpy()


def _overlap(
    first: Int[np.ndarray, "vectors k"], second: Int[np.ndarray, "vectors k"]
) -> Float64[np.ndarray, " vectors"]:
    pairs = zip(first.tolist(), second.tolist(), strict=True)
    return np.array([len(set(a).intersection(b)) / len(a) for a, b in pairs])


def _vectors(
    toxic: Sequence[Place],
    old: Float64[Tensor, "vectors d_model"],
    new: Float64[Tensor, "vectors d_model"],
    cosine: Float64[np.ndarray, " all"],
    kept: Float64[np.ndarray, " all"] | None,
    ranks: dict[Place, int],
    direction: Direction,
) -> tuple[KeptValue, ...]:
    unit = direction.vector.double()
    norm = old.norm(dim=1).clamp_min(1e-300)
    moved = ((new - old).norm(dim=1) / norm).tolist()
    before = (old @ unit / norm).tolist()
    after = (new @ unit / new.norm(dim=1).clamp_min(1e-300)).tolist()
    return tuple(
        KeptValue(
            *place,
            rank=i,
            edited_rank=ranks.get(place),
            cosine=float(cosine[i]),
            relative=moved[i],
            toxic=before[i],
            edited_toxic=after[i],
            tokens=None if kept is None else float(kept[i]),
        )
        for i, place in enumerate(toxic)
    )


def _same_values(base: Side, edited: Side) -> bool:
    """Whether every value vector of every layer is the same number on both sides."""
    if edited.edit is None:
        pairs = zip(_values(base.model), _values(edited.model), strict=True)
        return all(torch.equal(a, b.to(a.device)) for a, b in pairs)
    old = [values.clone() for values in _values(base.model)]  # the edit is of this very model
    with edited.opened() as lm:
        return all(torch.equal(a, b) for a, b in zip(old, _values(lm), strict=True))


def _values(lm: LanguageModel) -> Iterator[Tensor]:
    return (lm.values(layer).detach() for layer in range(lm.n_layers))


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
