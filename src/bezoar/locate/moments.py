"""Mean and variance of every unit on each class of texts, in one pass that stores no activations.

Enough to carry one distribution of activations to the other unit by unit (`bezoar.mitigate.
Transport`). A difference of means is never zero, so the moments of shuffled labels are gathered in
the same pass: what chance alone moves, at the same sites, from the same texts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike
from torch import Tensor

from bezoar.activations import Pooling
from bezoar.activations.batching import plan_batches
from bezoar.activations.passes import forward_passes
from bezoar.activations.tokens import TokenTable, tokenise
from bezoar.errors import ConfigError, DataError
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import SILENT, Progress
from bezoar.runs.results import one_line
from bezoar.stats import random_directions, shuffled_labels

KIND = "moments"


@dataclass(frozen=True, slots=True)
class _About:
    sites: tuple[str, ...]
    counts: tuple[int, int]
    pooling: Pooling
    trained_on: str
    model: str
    draws: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class UnitMoments:
    """Moments of single units, by site.

    Attributes:
        mean: of each site [2 d]: row 0 of texts without the behaviour, row 1 of those with it.
        variance: the same, with the number of rows less one as divisor.
        counts: rows of either class.
        pooling: of tokens to one row a text; "none": every token is a row.
        trained_on: hash of the texts, if it was given.
        model: fingerprint of the model.
        shuffled_mean, shuffled_variance: of each site [draws 2 d], the same under shuffled labels.
    """

    mean: Mapping[Site, Float64[Tensor, "2 d"]]
    variance: Mapping[Site, Float64[Tensor, "2 d"]]
    counts: tuple[int, int]
    pooling: Pooling = "mean"
    trained_on: str = ""
    model: str = ""
    shuffled_mean: Mapping[Site, Float64[Tensor, "draws 2 d"]] = field(default_factory=dict)
    shuffled_variance: Mapping[Site, Float64[Tensor, "draws 2 d"]] = field(default_factory=dict)

    __repr__ = one_line

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(self.mean)

    @property
    def draws(self) -> int:
        """How many shuffled labellings were kept."""
        return min((len(each) for each in self.shuffled_mean.values()), default=0)

    def at(self, site: Site, by: str) -> tuple[Float64[Tensor, "2 d"], Float64[Tensor, "2 d"]]:
        """Mean and variance at a site.

        Raises:
            ConfigError: if the moments of that site were not gathered; ``by`` needs them.
        """
        if site not in self.mean:
            points = sorted({known.point for known in self.sites})
            raise ConfigError(
                f"{by} needs the moments of {site}, and those of {', '.join(points)} are there.",
                hint=f"Gather them: collect_moments(lm, texts, labels, points=({site.point!r},)), "
                f"or --set moments.points=[{', '.join([*points, site.point])}] in an audit.",
            )
        return self.mean[site], self.variance[site]

    def shuffled(self, draw: int) -> UnitMoments:
        """The moments under one shuffled labelling.

        Raises:
            ConfigError: if not so many were kept.
        """
        if not 0 <= draw < self.draws:
            raise ConfigError(
                f"{draw + 1} shuffled labellings of the moments are asked for, and {self.draws} "
                "were kept.",
                hint="Gather more: collect_moments(..., draws=...).",
            )
        return dataclasses.replace(
            self,
            mean={site: draws[draw] for site, draws in self.shuffled_mean.items()},
            variance={site: draws[draw] for site, draws in self.shuffled_variance.items()},
            trained_on="",
        )

    def turned(self, seed: int) -> UnitMoments:
        """Means that differ along a random direction at every site, by as much as they do.

        The class with the behaviour keeps its moments, the other one takes its variances.
        """
        mean, variance = {}, {}
        for number, (site, rows) in enumerate(self.mean.items()):
            length = float((rows[0] - rows[1]).norm())
            unit = random_directions(1, rows.shape[1], 1.0, seed + 7919 * number)[0]
            other = rows[1] + length * torch.from_numpy(unit).double()
            mean[site] = torch.stack([other, rows[1]])
            variance[site] = self.variance[site][1].expand(2, -1).clone()
        return dataclasses.replace(self, mean=mean, variance=variance, trained_on="")

    def save(self, folder: str | Path) -> None:
        """Write ``moments.safetensors`` and ``moments.json`` into a folder."""
        parts = {
            "mean": self.mean,
            "variance": self.variance,
            "shuffled_mean": self.shuffled_mean,
            "shuffled_variance": self.shuffled_variance,
        }
        tensors = {
            f"{site}.{name}": values
            for name, part in parts.items()
            for site, values in part.items()
        }
        names = tuple(map(str, self.sites))
        about = _About(names, self.counts, self.pooling, self.trained_on, self.model, self.draws)
        save_artefact(folder, KIND, about, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> UnitMoments:
        """Read moments back.

        Raises:
            CorruptArtefact: if they are damaged, altered or incomplete.
        """
        about, tensors = load_artefact(folder, KIND, _About)
        names = ["mean", "variance"] + ["shuffled_mean", "shuffled_variance"] * bool(about.draws)
        if set(tensors) != {f"{site}.{name}" for site in about.sites for name in names}:
            raise corrupt(folder, KIND, f"it holds {sorted(tensors)[:4]} …")
        for key, tensor in tensors.items():
            if tensor.shape[:-1] not in ((2,), (about.draws, 2)):
                raise corrupt(folder, KIND, f"{key} has the shape {tuple(tensor.shape)}")
        parts = [
            {Site.parse(site): tensors[f"{site}.{name}"].double() for site in about.sites}
            for name in names
        ]
        shuffled = parts[2:] or [{}, {}]
        counts = (about.counts[0], about.counts[1])
        return cls(
            parts[0], parts[1], counts, about.pooling, about.trained_on, about.model, *shuffled
        )


def collect_moments(
    lm: LanguageModel,
    texts: Sequence[str] | TokenTable,
    labels: ArrayLike,
    sites: Iterable[Site | str] = (),
    *,
    points: Iterable[str] = (),
    pooling: Pooling = "mean",
    draws: int = 0,
    seed: int = 0,
    trained_on: str = "",
    budget_tokens: int = 4096,
    max_tokens: int | None = 128,
    progress: Progress | None = None,
) -> UnitMoments:
    """Read texts once and keep the mean and variance of every unit on each class.

    Args:
        lm: the model; inside ``edit.applied_to(lm)`` the edited one.
        texts: what to read, or the tokens of it.
        labels: 0/1, one a text; both must be there.
        sites: where, and
        points: where at every layer.
        pooling: of tokens; with "none" every token is a row of its text's class.
        draws: shuffled labellings whose moments are kept too.
        seed: of these.
        trained_on: hash of the texts, to be carried along.
        budget_tokens: padded tokens a batch.
        max_tokens: cut texts there.
        progress: where to show it.

    Raises:
        DataError: if there is not one label a text, or a class has fewer than two rows.
        ConfigError: if no site is named.
    """
    table = texts if isinstance(texts, TokenTable) else tokenise(lm, texts, max_tokens, progress)
    wanted = sorted({*map(lm.site, sites), *lm.sites(points)})
    if not wanted:
        raise ConfigError("Moments of no site are asked for.", hint="Give points=('mlp_out',).")
    groups = _groups(labels, len(table), draws, seed)
    plan = plan_batches(table.lengths, budget_tokens)
    sums = {site: _Sums(len(groups)) for site in wanted}
    passes = forward_passes(lm, table, plan, wanted, pooling, lambda _, x, pool: pool(x))
    with (progress or SILENT).task("Reading", int(plan.tokens.sum()), "tokens") as tick:
        for done in passes:
            lengths = table.lengths[done.texts]
            members = groups[:, done.texts]
            if pooling == "none":
                members = np.repeat(members, lengths, axis=1)
            for site, rows in done.values.items():
                sums[site].update(rows, members)
            tick(int(lengths.sum()))
    found = {site: each.moments() for site, each in sums.items()}
    counts = sums[wanted[0]].count[:2].long().tolist()
    if min(counts) < 2:
        raise DataError(
            f"{counts[1]} rows with the behaviour and {counts[0]} without have no variance.",
            hint="Give at least two texts of each class.",
        )
    return UnitMoments(
        mean={site: mean[:2] for site, (mean, _) in found.items()},
        variance={site: variance[:2] for site, (_, variance) in found.items()},
        counts=(counts[0], counts[1]),
        pooling=pooling,
        trained_on=trained_on,
        model=lm.fingerprint,
        shuffled_mean={s: mean[2:].unflatten(0, (-1, 2)) for s, (mean, _) in found.items()}
        if draws
        else {},
        shuffled_variance={s: var[2:].unflatten(0, (-1, 2)) for s, (_, var) in found.items()}
        if draws
        else {},
    )


def _groups(labels: ArrayLike, n: int, draws: int, seed: int) -> np.ndarray:
    """Who is in which class, [2 + 2 draws, n]: the true labels, then every shuffled labelling."""
    y = np.asarray(labels)
    if y.shape != (n,) or not np.isin(y, (0, 1)).all() or len(np.unique(y)) < 2:
        raise DataError(
            f"Labels of shape {y.shape} with values {np.unique(y)[:4].tolist()} for {n} texts.",
            hint="Give one a text, 1 for the behaviour and 0 without it, and both of them.",
        )
    every = [y, *shuffled_labels(y, draws, seed)]
    return np.stack([row == label for row in every for label in (0, 1)])


class _Sums:
    """Count, mean and scatter of several groups of the same rows, merged batch by batch.

    Chan, Golub & LeVeque 1983, as in `bezoar.activations.statistics`, for all groups at once.
    """

    def __init__(self, groups: int) -> None:
        self.count = torch.zeros(groups, dtype=torch.float64)
        self.mean: Tensor | None = None
        self.scatter: Tensor | None = None

    def update(self, rows: Tensor, members: np.ndarray) -> None:
        """Add rows [n d], of which each group has those that ``members`` [groups n] marks."""
        x = rows.to("cpu", torch.float64)
        weight = torch.from_numpy(members).double()
        count = weight.sum(1)
        centre = x.mean(0)  # squares of what is centred lose nothing beside a large mean
        x = x - centre
        share = weight / count.clamp(min=1)[:, None]
        off = share @ x
        scatter = (weight @ x.square() - count[:, None] * off.square()).clamp(min=0)
        mean = off + centre
        if self.mean is None or self.scatter is None:
            self.count, self.mean, self.scatter = count, mean, scatter
            return
        total = self.count + count
        part = (count / total.clamp(min=1))[:, None]
        delta = mean - self.mean
        # An empty group's mean says nothing: its weight, and so its share of the merge, is zero.
        self.scatter += scatter + delta.square() * self.count[:, None] * part
        self.mean = self.mean + delta * part
        self.count = total

    def moments(self) -> tuple[Tensor, Tensor]:
        """Means and variances, [groups d]."""
        assert self.mean is not None
        assert self.scatter is not None
        return self.mean, self.scatter / (self.count - 1).clamp(min=1)[:, None]
