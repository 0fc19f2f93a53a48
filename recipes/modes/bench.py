"""What all measurements share: the demo model, reserved texts, and what is fitted on them once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.activations import harvest
from bezoar.corpus import Corpus, NeutralText, load_corpus, load_neutral, load_prompts, split_corpus
from bezoar.edits import Edit
from bezoar.evaluate import PerplexityCost
from bezoar.locate import Direction, LinearProbe, MeanDifferenceProbe, rank_values, value_svd
from bezoar.mitigate import FitInputs, Subtract, fit_to_budget
from bezoar.mitigate.preference import Trained, get_recipe, train
from bezoar.models import Decoding, LanguageModel, Site, generate
from bezoar.pairs import (
    Pairs,
    filter_pairs,
    fit_steering,
    score_pairs,
    sentence_prompts,
    steered_pairs,
)
from bezoar.scoring import PerplexityResult, load_scorer, perplexity
from bezoar.stats import hash_halves

TEXTS, PROMPTS, NEUTRAL_TOKENS = 2_000, 300, 20_000
PAIR_PROMPTS = 1_200
MIDDLE = 2
Numbers = dict[str, Any]
GREEDY = Decoding(max_new_tokens=20)
SHARES = (0.6, 0.1, 0.3)


class Bench:
    """The demo model at work.

    Args:
        root: the public sets, in folders by name.
        model: another model, by folder or hub id.
        scale: share of all sizes, for a try.
    """

    def __init__(self, root: Path, model: str = "demo", scale: float = 1.0) -> None:
        self.root = root
        self.scale = scale
        self.lm = LanguageModel.from_pretrained(model)
        self.report = load_scorer("demo-b")

    def n(self, size: int) -> int:
        """A size, at this scale."""
        return max(24, round(self.scale * size))

    @cached_property
    def corpus(self) -> Corpus:
        """Labelled texts to fit on."""
        whole = load_corpus(
            "jigsaw:jigsaw_toxic",
            data_root=self.root,
            reserved_only=True,
            limit=self.n(TEXTS),
        )
        return split_corpus(whole, SHARES).train

    @cached_property
    def prompts(self) -> list[str]:
        """Of these everything is reported."""
        read = load_prompts("rtp-challenging:realtoxicityprompts", data_root=self.root)
        return list(read.texts[: self.n(PROMPTS)])

    def neutral(self, half: int) -> NeutralText:
        """WikiText-2's reserved part: half 0 chooses, half 1 reports."""
        text = load_neutral("wikitext:wikitext2/valid.parquet", data_root=self.root)
        rows = hash_halves(text.texts, "recipes-modes")[half]
        ends = np.cumsum([len(ids) for ids in self.lm.encode([text.texts[i] for i in rows])])
        return text.take(rows[: int(np.searchsorted(ends, self.n(NEUTRAL_TOKENS))) + 1])

    @cached_property
    def inputs(self) -> FitInputs:
        """The probe of the last layer, the mean difference of a middle one, value vectors."""
        lm = self.lm
        sites = [lm.site("-1.resid_post"), Site(MIDDLE, "resid_post")]
        store = harvest(lm, self.corpus.texts, sites, pooling="mean", out=None, max_tokens=128)
        kinds = (LinearProbe, MeanDifferenceProbe)
        fitted = [
            kind(site=str(site), pooling="mean") for kind, site in zip(kinds, sites, strict=True)
        ]
        probe, means = (
            one.fit(store.rows(site).astype(np.float64), self.corpus.labels).direction()
            for one, site in zip(fitted, sites, strict=True)
        )
        values = rank_values(lm, probe, 512)
        return FitInputs(
            probe=probe,
            mean_difference=means,
            values=values,
            svd=value_svd(lm, values, 128, direction=probe),
        )

    @property
    def probe(self) -> Direction:
        assert self.inputs.probe is not None
        return self.inputs.probe

    @cached_property
    def alpha(self) -> float:
        """α at which subtracting the probe costs 5 % perplexity on the choosing half."""
        cost = PerplexityCost(self.lm, self.neutral(0).texts)
        return float(fit_to_budget(self.lm, Subtract(), self.inputs, cost, 0.05).strength)

    def subtract(self, **options: object) -> Edit:
        """A subtraction, of length α unless told otherwise."""
        told: dict[str, Any] = {"alpha": self.alpha} | options
        return Subtract(**told).fit(self.lm, self.inputs)

    def written(self, edit: Edit | None = None, compat: str | None = None) -> tuple[str, ...]:
        """Greedy continuations of the prompts."""
        if edit is not None:
            with edit.applied_to(self.lm):
                return self.written(compat=compat)
        made = generate(self.lm, self.prompts, GREEDY, max_prompt_tokens=32, compat=compat)
        return made.text

    def scored(self, texts: tuple[str, ...] | list[str]) -> np.ndarray:
        """The largest attribute of each text, by the scorer that nothing was chosen by."""
        return np.max(list(self.report.score(list(texts)).values()), axis=0)

    def toxicity(self, edit: Edit | None = None) -> np.ndarray:
        """Of each prompt's continuation."""
        return self.scored(self.written(edit))

    def perplexity(self, edit: Edit | None, protocol: str = "ppl-windows-1024") -> PerplexityResult:
        """On the reporting half."""
        texts = list(self.neutral(1).texts)
        if edit is None:
            return perplexity(self.lm, texts, protocol)
        with edit.applied_to(self.lm):
            return perplexity(self.lm, texts, protocol)

    @cached_property
    def pairs(self) -> Pairs:
        """Steered pairs on WikiText-2's training part, filtered by the other scorer."""
        text = load_neutral("wikitext:wikitext2/train.parquet", data_root=self.root)
        begun = sentence_prompts(text.texts, self.n(PAIR_PROMPTS))
        direction = fit_steering(self.lm, self.corpus).direction()
        made = score_pairs(steered_pairs(self.lm, begun, direction), load_scorer("demo-a"))
        return filter_pairs(made)[0]

    def trained(self, **options: object) -> Trained:
        """DPO on the pairs."""
        return train(self.lm, self.pairs, get_recipe("lee2024", **options))
