"""How well every single neuron tells the two classes apart (Suau et al. 2024, "expert" units).

The score of neuron j is the area under its ROC curve: the chance that its pooled coefficient is
larger on a text of the behaviour than on another, ``P(a_j⁺ > a_j⁻) + ½ P(a_j⁺ = a_j⁻)``. It needs
no fit, so it is exact; but the best of 36,864 neurons looks good by luck too. The null is therefore
the best neuron under shuffled labels, over all layers at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import ArrayLike
from rich.table import Table

from bezoar.activations import ActivationStore
from bezoar.errors import ConfigError, DataError, StoreError, did_you_mean
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.models import Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats import null_p_value, separate_columns, shuffled_labels

Order = Literal["auroc", "average_precision", "distance"]
"""``distance``: |AUROC − ½|, which also finds neurons that fall silent on the behaviour."""


@dataclass(frozen=True, slots=True)
class NeuronEntry(Result):
    """One neuron: ``index`` of ``site``, and how well its coefficient separates the classes."""

    rank: int
    site: str
    index: int
    auroc: float
    average_precision: float


@dataclass(frozen=True, slots=True, repr=False)
class NeuronRanking(Result):
    """The neurons that separate best.

    Attributes:
        entries: in rank order, the first having rank 0.
        by: what they are ranked by.
        considered: how many neurons were.
        pooling: of tokens to one coefficient a text.
        texts, positives: how many; a random ranking has an average precision of their ratio.
        null: the value of ``by`` of the best of all neurons under each shuffled labelling.
        null_p: share of labellings, the true one included, whose best neuron is as good.
    """

    entries: tuple[NeuronEntry, ...]
    by: str
    considered: int
    pooling: str
    texts: int
    positives: int
    null: tuple[float, ...]
    null_p: float | None

    def __len__(self) -> int:
        return len(self.entries)

    def __rich__(self) -> Table:
        null = f"; best under shuffled labels {max(self.null):.3f}" if self.null else ""
        title = f"neurons by {self.by} (of {self.considered:,}; {self.pooling} pooling{null})"
        table = Table("rank", "site", "index", "AUROC", "average precision", title=title)
        for e in self.entries[:20]:
            scores = (f"{e.auroc:.3f}", f"{e.average_precision:.3f}")
            table.add_row(str(e.rank), e.site, str(e.index), *scores)
        return table


@dataclass(frozen=True, slots=True)
class _About:
    pooling: str
    texts: int
    positives: int
    model: str
    sites: tuple[str, ...]
    null: dict[str, tuple[float, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class NeuronScores:
    """AUROC and average precision of every neuron.

    Attributes:
        auroc, average_precision: for each site [d], by neuron.
        null: for each `Order`, the best of all neurons under each shuffled labelling.
        pooling, texts, positives: what they were measured on.
        model: fingerprint of the model; empty for a store in memory.
    """

    auroc: dict[Site, Float64[np.ndarray, " d"]]
    average_precision: dict[Site, Float64[np.ndarray, " d"]]
    null: dict[str, tuple[float, ...]]
    pooling: str
    texts: int
    positives: int
    model: str = ""

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(self.auroc)

    def ranking(self, top: int = 128, *, by: str = "auroc") -> NeuronRanking:
        """The best ``top`` neurons of all sites; ties fall to the earlier site, the lower index.

        Raises:
            ConfigError: for an unknown ``by``, or ``top`` below 1.
        """
        if by not in get_args(Order):
            raise ConfigError(f"No order {by!r}.", hint=did_you_mean(by, get_args(Order)))
        if top < 1:
            raise ConfigError(f"The best {top} neurons.", hint="Ask for at least one.")
        auroc = np.concatenate([self.auroc[site] for site in self.sites])
        precision = np.concatenate([self.average_precision[site] for site in self.sites])
        value = _values(auroc, precision)[by]
        ends = np.cumsum([len(self.auroc[site]) for site in self.sites])
        entries = []
        for rank, place in enumerate(np.argsort(-value, kind="stable")[:top].tolist()):
            at = int(np.searchsorted(ends, place, side="right"))
            index = place - int(ends[at - 1] if at else 0)
            both = float(auroc[place]), float(precision[place])
            entries.append(NeuronEntry(rank, str(self.sites[at]), index, *both))
        null = self.null.get(by, ())
        return NeuronRanking(
            entries=tuple(entries),
            by=by,
            considered=len(value),
            pooling=self.pooling,
            texts=self.texts,
            positives=self.positives,
            null=null,
            null_p=null_p_value(float(value.max()), np.array(null)) if null else None,
        )

    def save(self, folder: str | Path) -> None:
        """Write ``neurons.safetensors`` and ``neurons.json`` into a folder."""
        tensors = {}
        for site in self.sites:
            tensors[f"{site}.auroc"] = torch.from_numpy(self.auroc[site])
            tensors[f"{site}.average_precision"] = torch.from_numpy(self.average_precision[site])
        names = tuple(map(str, self.sites))
        counts = (self.pooling, self.texts, self.positives, self.model)
        save_artefact(folder, "neurons", _About(*counts, names, self.null), tensors)

    @classmethod
    def load(cls, folder: str | Path) -> NeuronScores:
        """Read scores back.

        Raises:
            CorruptArtefact: if they are damaged or altered.
        """
        about, tensors = load_artefact(folder, "neurons", _About)
        kinds = ("auroc", "average_precision")
        if set(tensors) != {f"{site}.{kind}" for site in about.sites for kind in kinds}:
            raise corrupt(folder, "neurons", f"it holds {sorted(tensors)[:4]} …")
        auroc, precision = (
            {Site.parse(site): tensors[f"{site}.{kind}"].double().numpy() for site in about.sites}
            for kind in kinds
        )
        counts = (about.pooling, about.texts, about.positives, about.model)
        return cls(auroc, precision, about.null, *counts)


def score_neurons(
    store: ActivationStore,
    labels: ArrayLike,
    sites: Iterable[Site | str] | None = None,
    *,
    shuffles: int = 19,
    seed: int = 0,
    progress: Progress | None = None,
) -> NeuronScores:
    """Score every neuron of a store by how well it alone separates the labels.

    Nothing is read into memory but a block of columns at a time, whatever the number of texts.

    Args:
        store: rows of ``mlp_post``, or of any other point, one a text.
        labels: 0/1, one a text, in the order of the store.
        sites: which; all ``mlp_post`` sites of the store if None.
        shuffles: shuffled labellings of the null; each costs as much as the true one.
        seed: of the shuffles.
        progress: where to show progress.

    Raises:
        DataError: if the store holds a row a token, labels do not fit it or are of one class, or
            an activation is NaN.
        StoreError: if the store lacks a site, or holds no ``mlp_post`` and ``sites`` is None.
    """
    y = _checked(store, labels)
    places = _sites(store, sites)
    draws = [y, *shuffled_labels(y, shuffles, seed)]
    auroc: dict[Site, np.ndarray] = {}
    precision: dict[Site, np.ndarray] = {}
    best = {by: np.full(shuffles, -np.inf) for by in get_args(Order)}
    for site in track(progress, places, "Scoring neurons", unit="sites"):
        parts = list(store.parts(site))
        order = np.concatenate([rows for rows, _ in parts])
        values = [part for _, part in parts]
        for number, drawn in enumerate(draws):
            found = separate_columns(values, drawn[order])
            if number == 0:
                auroc[site], precision[site] = found.auroc, found.average_precision
                continue
            for by, value in _values(found.auroc, found.average_precision).items():
                best[by][number - 1] = max(best[by][number - 1], value.max())
    null = {by: tuple(values.tolist()) for by, values in best.items()}
    m = store.manifest
    return NeuronScores(auroc, precision, null, m.pooling, len(y), int(y.sum()), m.fingerprint)


def _values(auroc: np.ndarray, precision: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "auroc": auroc,
        "average_precision": precision,
        "distance": np.abs(auroc - 0.5),
    }


def _checked(store: ActivationStore, labels: ArrayLike) -> np.ndarray:
    if store.pooling == "none":
        raise DataError(
            "The store holds a row for each token, and labels are of texts.",
            hint="Harvest with pooling='max' (as AurA does), 'mean' or 'last'.",
        )
    y = np.asarray(labels)
    if y.shape != (len(store),):
        raise DataError(
            f"Labels of shape {y.shape} for {len(store)} texts.", hint="Give one label a text."
        )
    return y


def _sites(store: ActivationStore, sites: Iterable[Site | str] | None) -> list[Site]:
    if sites is None:
        found = [site for site in store.sites if site.point == "mlp_post"]
        if not found:
            raise StoreError(
                f"{store!r} holds no mlp_post.",
                hint="Harvest lm.sites(['mlp_post']), or name the sites to score.",
            )
        return found
    return sorted({Site.parse(s) if isinstance(s, str) else s for s in sites})
