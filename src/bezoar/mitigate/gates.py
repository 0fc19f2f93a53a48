"""What the methods share that turn single units down: which units, and the edit that gates them.

A unit is an output of a linear map of an MLP; it is an expert if its AUROC is above one half. A
gate multiplies it at every position of prompt and continuation alike, so that it folds into the
row of the map that writes it, bias included (into the column that reads it, at ``mlp_post``).
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from bezoar.edits import ActivationEdit, At, Edit, Gate
from bezoar.errors import ConfigError, did_you_mean
from bezoar.locate.experts import PAPER, NeuronExperts, Texts, expert_sites
from bezoar.mitigate.directed import layer_sets
from bezoar.mitigate.method import FitInputs, Method
from bezoar.models import LanguageModel, Site
from bezoar.models.sites import POINTS

Values = dict[Site, np.ndarray]
"""A number for each unit [d] of each site."""
Mode = Literal["correct", "code"]


@dataclass(frozen=True, slots=True)
class Gated(Method):
    """Options of the methods that gate experts.

    Attributes:
        points: where units are; "paper" stands for what the MLP's linear maps write (``mlp_pre``
            or ``mlp_gate`` and ``mlp_up``, and ``mlp_raw``).
        layers: which, from −1 for the last; empty means all.
        top_n: only the best so many of all these units; all experts if None, and none for 0: the
            edit then changes nothing.
        texts: whose AUROC counts: on all texts, or on those of equal lengths in both classes.
        mode: "code" picks the best ``top_n`` as the published code does; it matters for ties, and
            where fewer than ``top_n`` units are above one half.
    """

    points: tuple[str, ...] = (PAPER,)
    layers: tuple[int, ...] = ()
    top_n: int | None = None
    texts: Texts = "all"
    mode: Mode = "correct"

    def __post_init__(self) -> None:
        """Refuse options that mean nothing.

        Raises:
            ConfigError: naming the option.
        """
        known = (PAPER, *POINTS)
        for point in self.points:
            if point not in known:
                raise ConfigError(
                    f"points={point!r} of {self.name!r} is no point.",
                    hint=did_you_mean(point, known),
                )
        if not self.points:
            raise ConfigError(f"{self.name!r} has no points.", hint="Give 'paper' or 'mlp_post'.")
        if self.top_n is not None and self.top_n < 0:
            raise ConfigError(f"top_n={self.top_n} of {self.name!r} is negative.")
        if not 0 <= self.strength < np.inf:
            raise ConfigError(f"A strength of {self.strength} of {self.name!r} means nothing.")

    @property
    def idle(self) -> str:
        return "top_n=0" if self.top_n == 0 else ""

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"experts"})

    @property
    def null_kinds(self) -> tuple[str, ...]:
        return ("permuted-gates", "shuffled-experts")

    @property
    def strength_max(self) -> float:
        return 1.0

    @classmethod
    def search_space(cls, lm: LanguageModel) -> dict[str, tuple[str, ...]]:
        return {
            "units": ("", "points=mlp_post"),
            "texts": ("", "texts=matched"),
            "layers": ("", *layer_sets(lm)),
        }

    @abstractmethod
    def gates(self, values: Values, chosen: Values) -> Values:
        """The factor of every unit.

        Args:
            values: AUROC of every unit.
            chosen: whether it is an expert that the options name.
        """

    def fit(self, lm: LanguageModel, inputs: FitInputs) -> Edit:
        """An `ActivationEdit` with a `Gate` at every site of which a unit is turned down.

        Raises:
            ConfigError: if units of these points were not scored, or on a model of other weights.
            SiteError: if the model lacks a layer.
        """
        experts: NeuronExperts = inputs.need("experts", f"The method {self.name!r}")
        if experts.scores.model and experts.scores.model != lm.fingerprint:
            raise ConfigError(
                f"The units were scored in a model with other weights than {lm.name!r}.",
                hint="Score them in this one: bezoar.locate.find_experts.",
            )
        values = {site: experts.auroc(site, self.texts) for site in self.sites(lm)}
        gates = self.gates(values, choose(values, self.top_n, self.mode))
        ops = [
            At(site, Gate(torch.from_numpy(gate).float()))
            for site, gate in gates.items()
            if (gate != 1).any()
        ]
        turned = sum(int((gate != 1).sum()) for gate in gates.values())
        told: dict[str, Any] = {"trained_on": experts.trained_on, "units": turned}
        return ActivationEdit(tuple(ops), name=self.spec, provenance=self.origin(lm, **told))

    def sites(self, lm: LanguageModel) -> list[Site]:
        """The sites whose units are looked at."""
        wanted = {lm.site(Site(layer, "resid_post")).layer for layer in self.layers}
        found = expert_sites(lm, self.points)
        return [site for site in found if not wanted or site.layer in wanted]


@dataclass(frozen=True, slots=True)
class Shared(Gated):
    """A gated method whose strength is a share of all that it could do.

    Attributes:
        share: from 0 (nothing) to 1.
    """

    share: float = 1.0

    @property
    def strength(self) -> float:
        return self.share

    def with_strength(self, strength: float) -> Shared:
        return dataclasses.replace(self, share=strength)


def choose(values: Values, top_n: int | None, mode: Mode = "correct") -> Values:
    """Which units are experts: AUROC above one half, and among the best ``top_n`` of all sites.

    Ties fall to the earlier site and the lower index, so that exactly ``top_n`` are chosen wherever
    as many are above one half. The published code instead takes all that are strictly above the
    value at rank ``top_n``: fewer where that value is tied, and units below one half if it is low.

    Raises:
        ConfigError: in mode "code", if there are not more than ``top_n`` units.
    """
    experts = {site: value > 0.5 for site, value in values.items()}
    if top_n is None:
        return experts
    every = np.concatenate([*values.values()])
    if mode == "code":
        if top_n >= len(every):
            raise ConfigError(
                f"The published code has no threshold for the best {top_n} of {len(every)} units.",
                hint="Give a smaller top_n, or leave mode='code' out.",
            )
        threshold = np.sort(every)[::-1][top_n]
        return {site: value > threshold for site, value in values.items()}
    best = np.zeros(len(every), bool)
    best[np.argsort(-every, kind="stable")[:top_n]] = True
    return {site: part & experts[site] for site, part in _split(best, values).items()}


def ranked(values: Values, chosen: Values) -> tuple[Values, int]:
    """The rank of every chosen unit among all of them, from 0, and how many there are.

    Units that are not chosen have a rank behind these.
    """
    every = np.concatenate([*values.values()])
    mask = np.concatenate([*chosen.values()])
    order = np.argsort(np.where(mask, -every, np.inf), kind="stable")
    ranks = np.empty(len(every), np.int64)
    ranks[order] = np.arange(len(every))
    return _split(ranks, values), int(mask.sum())


def _split(every: np.ndarray, values: Values) -> Values:
    """A flat array in the order of the sites, as one for each site."""
    ends = np.cumsum([len(value) for value in values.values()])[:-1]
    return dict(zip(values, np.split(every, ends), strict=True))
