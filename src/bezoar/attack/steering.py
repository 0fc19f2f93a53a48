"""Steer the edited model along the behaviour: the cheapest attack, no weight is touched."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch

from bezoar.activations import class_moments
from bezoar.attack.attack import Attack, OnTop, Setting, at_least, rising
from bezoar.corpus import Corpus
from bezoar.edits import ActivationEdit, Add, Edit
from bezoar.errors import ConfigError
from bezoar.locate import Direction
from bezoar.locate.values import check_width
from bezoar.models import LanguageModel, Site
from bezoar.stats import random_directions


@dataclass(frozen=True, slots=True, repr=False)
class Steering(Attack):
    """Add ``c · r · û`` to the residual after a layer, at every position.

    ``r`` is the mean norm of the residual there, at the last token of the corpus's texts (first
    tokens have norms of their own). The unit vector ``û`` is the toxic direction (a probe's, say),
    and the difference of the class means *fitted anew on the edited model*; the worst of both, over
    the layers, counts. Nulls are random directions.

    Attributes:
        corpus: labelled texts that the means and norms are taken on; prompts that are reported on
            do not belong here.
        direction: the toxic direction; None for the mean difference alone.
        coefficients: the c, in units of the residual norm.
        layers: where; None for every third layer, beginning with the third.
        null_draws, seed: random directions, one norm and site with the attack's.
        max_tokens: texts are cut there.
    """

    axis: ClassVar[str] = "coefficient (× residual norm)"
    corpus: Corpus
    direction: Direction | None = None
    coefficients: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0)
    layers: tuple[int, ...] | None = None
    null_draws: int = 1
    seed: int = 0
    max_tokens: int = 64
    name: str = "steering"

    def __post_init__(self) -> None:
        if self.layers is not None and not self.layers:
            raise ConfigError(
                "There is no layer to steer at.", hint="Name some, or pass None for every third."
            )
        at_least(0, null_draws=self.null_draws, seed=self.seed)
        at_least(1, max_tokens=self.max_tokens)

    def sites(self, lm: LanguageModel) -> list[Site]:
        """The residual after each layer that is steered."""
        layers = self.layers
        if layers is None:
            layers = tuple(range(2, lm.n_layers, 3)) or (lm.n_layers - 1,)
        return [lm.site(Site(layer, "resid_post")) for layer in layers]

    def settings(self, lm: LanguageModel) -> tuple[Setting, ...]:
        """Raises DataError for a direction of another width, or a corpus that lacks one label."""
        self._check(lm)
        kinds = ["mean difference"] + (["direction"] if self.direction is not None else [])
        tries = [(kind, None) for kind in kinds] + [("random", i) for i in range(self.null_draws)]
        return tuple(
            Setting(
                c,
                f"{c:g} × norm",
                f"{kind} at {site}" + ("" if draw is None else f", draw {draw}"),
                draw is not None,
                {"kind": kind, "site": str(site), "draw": draw},
            )
            for c in rising(self.coefficients, "A coefficient", 0, 1e3)
            for site in self.sites(lm)
            for kind, draw in tries
        )

    def _check(self, lm: LanguageModel) -> None:
        if self.direction is not None:
            check_width(lm, self.direction.vector, self.direction.name)
        self.corpus.need_both_labels()

    def against(self, lm: LanguageModel, remedy: Edit) -> OnTop:
        self._check(lm)
        means, norms = self._fit(lm, remedy)

        def edit(setting: Setting) -> Edit:
            site = lm.site(str(setting.values["site"]))
            if setting.values["kind"] == "direction" and self.direction is not None:
                unit = self.direction.vector
            elif setting.values["kind"] == "random":
                draw = int(setting.values["draw"] or 0)
                unit = torch.from_numpy(random_directions(draw + 1, lm.d_model, 1.0, self.seed))[-1]
            else:
                unit = means[site]
            return ActivationEdit.at(
                [site],
                Add(setting.budget * norms[site] * unit),
                name=f"steer {setting.label} along {setting.variant}",
                provenance={"attack": self.name, "coefficient": setting.budget, **setting.values},
            )

        return edit

    def _fit(
        self, lm: LanguageModel, remedy: Edit
    ) -> tuple[dict[Site, torch.Tensor], dict[Site, float]]:
        """Unit mean differences and mean norms, read on the edited model."""
        sites, texts, labels = self.sites(lm), self.corpus.texts, self.corpus.labels
        read = partial(class_moments, lm, covariance=False, max_tokens=self.max_tokens)
        with remedy.applied_to(lm):
            pooled = read(texts, labels, sites, pooling="mean")
            last = read(texts, [0] * len(texts), sites, pooling="last")
        means = {
            site: Direction.of((by[1].mean - by[0].mean).float(), site, pooling="mean").vector
            for site, by in pooled.items()
        }
        return means, {site: by[0].norm_mean for site, by in last.items()}
