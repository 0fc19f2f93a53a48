"""Single neurons as experts of a behaviour (Suau et al. 2024), every one of a model in one pass.

A unit is one output of a linear map of an MLP, its score the AUROC of its largest value over a
text's tokens. A share of units above one half says little by itself: the maximum grows with the
number of tokens, units move together, and half of them lie above one half when labels mean nothing.
So `find_experts` also scores every unit under shuffled labels, on texts of equal length, on random
halves of the texts and on a second corpus.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float64

from bezoar.errors import ConfigError, DataError, UnsupportedAnatomy, did_you_mean
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.locate.neurons import NeuronScores
from bezoar.models import LanguageModel, Site
from bezoar.runs.results import one_line

PAPER = "paper"
"""Stands for the points of the paper: what the linear maps of an MLP write."""
_MAPS = ("mlp_pre", "mlp_gate", "mlp_up", "mlp_raw")
Texts = Literal["all", "matched"]
"""Which texts a score was taken on: all, or those of equal lengths in both classes."""


@dataclass(frozen=True, slots=True)
class _About:
    pooling: str
    texts: int
    positives: int
    model: str
    sites: tuple[str, ...]
    max_tokens: int
    trained_on: str
    matched: bool
    shuffles: int


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class NeuronExperts:
    """How well every unit of some sites tells the two classes apart.

    Attributes:
        scores: AUROC and average precision on all texts.
        matched: for each site [d], the AUROC on texts of equal lengths; empty if too few match.
        shuffled: for each site [draws d], the AUROC under shuffled labels: what a null is made of.
        max_tokens: where texts were cut.
        trained_on: hash of the texts.
    """

    scores: NeuronScores
    matched: dict[Site, Float[np.ndarray, " d"]]
    shuffled: dict[Site, Float[np.ndarray, "draws d"]]
    max_tokens: int
    trained_on: str

    __repr__ = one_line

    @property
    def sites(self) -> tuple[Site, ...]:
        """The sites, in order of execution."""
        return self.scores.sites

    @property
    def draws(self) -> int:
        """How many shuffles there are."""
        return min(map(len, self.shuffled.values()), default=0)

    def auroc(self, site: Site, texts: Texts = "all") -> Float64[np.ndarray, " d"]:
        """AUROC of every unit of a site.

        Raises:
            ConfigError: if the site was not scored.
            DataError: if too few texts are of equal lengths.
        """
        if site not in self.scores.auroc:
            names = tuple(map(str, self.sites))
            raise ConfigError(
                f"The units of {site} were not scored.",
                hint=f"Score them too (experts.points). {did_you_mean(str(site), names)}",
            )
        if texts == "all":
            return self.scores.auroc[site]
        if site not in self.matched:
            raise DataError(
                "Too few texts of the two classes are of equal lengths to score units on them.",
                hint="Use all texts, or give more.",
            )
        return self.matched[site].astype(np.float64)

    def permuted(self, *seed: int) -> NeuronExperts:
        """The same scores, each given to another unit of its site."""
        rng = np.random.default_rng(seed)
        places = {site: rng.permutation(len(self.scores.auroc[site])) for site in self.sites}
        return self._with(
            {site: self.scores.auroc[site][place] for site, place in places.items()},
            {site: self.matched[site][places[site]] for site in self.matched},
        )

    def under_shuffle(self, draw: int) -> NeuronExperts:
        """The scores that the units got when the labels meant nothing.

        Raises:
            ConfigError: if fewer shuffles were kept.
        """
        if draw >= self.draws:
            raise ConfigError(
                f"Shuffle {draw + 1} of the labels is asked for, and {self.draws} were kept.",
                hint="Keep more of them: experts.kept.",
            )
        drawn = {site: self.shuffled[site][draw].astype(np.float64) for site in self.sites}
        return self._with(drawn, {site: drawn[site] for site in self.matched})

    def _with(
        self, auroc: dict[Site, np.ndarray], matched: dict[Site, np.ndarray]
    ) -> NeuronExperts:
        scores = dataclasses.replace(self.scores, auroc=auroc)
        return dataclasses.replace(self, scores=scores, matched=matched, trained_on="")

    def save(self, folder: str | Path) -> None:
        """Write ``experts.safetensors`` and ``experts.json`` into a folder."""
        tensors: dict[str, torch.Tensor] = {}
        for site in self.sites:
            of_site = {
                "auroc": self.scores.auroc[site],
                "average_precision": self.scores.average_precision[site],
                "shuffled": self.shuffled[site].astype(np.float32),
            }
            if self.matched:
                of_site["matched"] = self.matched[site]
            tensors |= {f"{site}.{kind}": torch.from_numpy(v) for kind, v in of_site.items()}
        s = self.scores
        about = _About(
            *(s.pooling, s.texts, s.positives, s.model, tuple(map(str, s.sites))),
            *(self.max_tokens, self.trained_on, bool(self.matched), self.draws),
        )
        save_artefact(folder, "experts", about, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> NeuronExperts:
        """Read scores back.

        Raises:
            CorruptArtefact: if they are damaged or altered.
        """
        about, tensors = load_artefact(folder, "experts", _About)
        kinds = ["auroc", "average_precision", "shuffled", *(["matched"] if about.matched else [])]
        if set(tensors) != {f"{site}.{kind}" for site in about.sites for kind in kinds}:
            raise corrupt(folder, "experts", f"it holds {sorted(tensors)[:4]} …")
        by_kind = {
            kind: {Site.parse(site): tensors[f"{site}.{kind}"].numpy() for site in about.sites}
            for kind in kinds
        }
        counts = (about.pooling, about.texts, about.positives, about.model)
        scores = NeuronScores(by_kind["auroc"], by_kind["average_precision"], {}, *counts)
        matched = by_kind.get("matched", {})
        return cls(scores, matched, by_kind["shuffled"], about.max_tokens, about.trained_on)


def paper_sites(lm: LanguageModel) -> list[Site]:
    """What the linear maps of the MLPs write, as AurA scores and scales it.

    ``mlp_pre`` (or ``mlp_gate`` and ``mlp_up``) and ``mlp_raw`` of every layer.

    Raises:
        UnsupportedAnatomy: if the model has no such sites (a mixture of experts).
    """
    points = [point for point in _MAPS if point in lm.anatomy.points()]
    if not points:
        raise UnsupportedAnatomy(
            f"{lm.name!r} has no one set of linear maps in its MLPs whose outputs were units.",
            hint="A mixture of experts has none; score units of 'mlp_out' instead.",
        )
    return lm.sites(points)


def expert_sites(lm: LanguageModel, points: Iterable[str] = (PAPER, "mlp_post")) -> list[Site]:
    """The sites of some points of every layer, "paper" standing for those of `paper_sites`."""
    found: set[Site] = set()
    for point in points:
        found.update(paper_sites(lm) if point == PAPER else lm.sites([point]))
    return sorted(found)
