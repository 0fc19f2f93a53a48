"""Stages 2-4: harvest activations, locate what reads and writes the behaviour, follow it.

Files of ``locate``: ``sweep.json`` (probe map), ``direction/``, ``probe/``, ``mean_difference/``,
``values.json``, ``n_sweep.json``, ``svd/``, ``tokens.json``, ``lexicon.json``, ``share.json``. A
mixture of experts, whose neurons are not one set, leaves out ``values``, ``n_sweep``, ``svd`` and
``share``.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bezoar.activations import ActivationStore, harvest
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, UnsupportedAnatomy
from bezoar.locate import (
    Direction,
    Lexicon,
    LinearProbe,
    MeanDifferenceProbe,
    ProbeSweep,
    TokenList,
    ValueRanking,
    class_lexicon,
    component_attribution,
    has_twin,
    lexicon_share,
    likeliest_prompts,
    logit_lens,
    n_sweep,
    name_writers,
    probe_sweep,
    promoted_tokens,
    rank_values,
    sub_update_attribution,
    value_svd,
)
from bezoar.models import LanguageModel, Site
from bezoar.runs import Result, load_result, save_result
from bezoar.stats import joint_groups, text_key
from bezoar.studies.audit.bench import Bench

PARTS = ("train", "report")
SHOWN_VALUES = 7  # as in Table 1 of Lee et al.


@dataclass(frozen=True, slots=True)
class TokenLists(Result):
    """The tokens of several directions: the probe, the top value vectors, their SVD basis."""

    lists: tuple[TokenList, ...]


def sites_of(bench: Bench) -> list[Site]:
    """The sites that are read: the points asked for, the embedding, and the probe's own."""
    lm = bench.lm
    asked = lm.sites([*bench.config.harvest.points, "embed"])
    return sorted({*asked, lm.site(bench.config.locate.site)})


def harvest_stage(bench: Bench) -> None:
    """Read pooled activations of the labelled texts, all sites in one pass, and keep them."""
    asked = bench.config.harvest
    key = [asked, bench.config.locate.site, bench.lm.fingerprint]
    with bench.run.stage("harvest", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        for part in PARTS:
            harvest(
                bench.lm,
                bench.corpus(part).texts,
                sites_of(bench),
                pooling=asked.pooling,
                out=stage.folder / part,
                budget_tokens=asked.budget_tokens,
                max_tokens=asked.max_tokens,
                dtype=asked.dtype,
                progress=bench.progress,
            )


def store(bench: Bench, part: str) -> ActivationStore:
    """The harvested activations of the ``train`` or ``report`` texts."""
    return ActivationStore.open(bench.run.folder("harvest") / part)


def locate_stage(bench: Bench) -> None:
    """Where can it be read, what writes it, and what does that say?"""
    config = bench.config.locate
    key = [config, bench.config.harvest, bench.config.seed, "untrained twin"]
    with bench.run.stage("locate", key=key, after=["explore", "harvest"]) as stage:
        if stage.done:
            return
        lm, train, report = bench.lm, bench.corpus("train"), bench.corpus("report")
        save_result(stage.folder / "sweep.json", _sweep(bench, train, report))
        direction, difference = _directions(bench, train)
        direction.save(stage.folder / "direction")
        difference.save(stage.folder / "mean_difference")
        named = [direction, difference]
        values: ValueRanking | None = None
        with suppress(UnsupportedAnatomy):
            values = rank_values(lm, direction, config.top_values)
            named += _value_vectors(bench, stage.folder, direction, values)
        if not lm.has_unembedding:
            return
        lists = tuple(promoted_tokens(lm, d, config.promoted) for d in named)
        save_result(stage.folder / "tokens.json", TokenLists(lists))
        lexicon = class_lexicon(lm, train)
        save_result(stage.folder / "lexicon.json", lexicon)
        if values is not None:
            share = lexicon_share(lm, values, lexicon, seed=bench.config.seed)
            save_result(stage.folder / "share.json", share)


def _value_vectors(
    bench: Bench, folder: Path, direction: Direction, values: ValueRanking
) -> list[Direction]:
    """Save the ranking and its SVD; the directions of either whose tokens are shown."""
    lm, config = bench.lm, bench.config.locate
    svd = value_svd(lm, values, direction=direction)
    svd.save(folder / "svd")
    save_result(folder / "values.json", values)
    sizes = [n for n in (32, 64, 128, 256, 512) if n <= values.considered]
    if sizes:
        save_result(folder / "n_sweep.json", n_sweep(lm, direction, sizes))
    shown = [values.at(lm, rank) for rank in range(min(SHOWN_VALUES, len(values)))]
    return shown + [svd.direction(i) for i in range(min(config.svd_rank, len(svd)))]


def _sweep(bench: Bench, train: Corpus, report: Corpus) -> ProbeSweep:
    config = bench.config
    return probe_sweep(
        bench.lm,
        train,
        report,
        sites_of(bench),
        pooling=config.harvest.pooling,
        stores=(store(bench, "train"), store(bench, "report")),
        folds=config.locate.folds,
        shuffles=config.locate.shuffles,
        resamples=config.locate.resamples,
        untrained=has_twin(bench.lm),
        budget_tokens=config.harvest.budget_tokens,
        max_tokens=config.harvest.max_tokens,
        seed=config.seed,
        progress=bench.progress,
    )


def _directions(bench: Bench, train: Corpus) -> tuple[Direction, Direction]:
    """The probe's direction and the mean difference, both at the site asked for."""
    site = bench.lm.site(bench.config.locate.site)
    pooling = bench.config.harvest.pooling
    if pooling == "none":
        raise ConfigError(
            "A probe needs one row a text, and harvest.pooling is 'none'.",
            hint="Set it to mean, max or last.",
        )
    rows = store(bench, "train").rows(site).astype(np.float64)
    groups = joint_groups([text_key(text) for text in train.texts]).tolist()
    kinds = (LinearProbe, MeanDifferenceProbe)
    probes = [kind(site=str(site), pooling=pooling) for kind in kinds]
    for probe in probes:
        probe.fit(rows, train.labels, groups=groups)
    probes[0].save(bench.run.folder("locate") / "probe")
    first, second = (probe.direction(trained_on=train.hash) for probe in probes)
    return first, second


def lens_stage(bench: Bench) -> None:
    """When does a telling token become likely, and what writes it?

    Files: ``lens.json``, ``frozen.json`` (the lens with the final state's scale),
    ``components.json``, ``writers.json``. A model whose final norm or MLP allows no such split has
    the first alone.
    """
    config = bench.config
    if not bench.lm.has_unembedding:
        return
    key = [config.model, config.locate, config.seed, "both lenses"]
    with bench.run.stage("lens", key=key, after=["locate"]) as stage:
        if stage.done:
            return
        lm, seed = bench.lm, config.seed
        lexicon = load_result(bench.run.folder("locate") / "lexicon.json", Lexicon)
        tokens = telling_tokens(lm, lexicon, bench.corpus("train"))
        prompts = bench.prompts("select")
        chosen = likeliest_prompts(lm, prompts, tokens, config.locate.lens_prompts)
        read = [prompts[i] for i in chosen]
        save_result(stage.folder / "lens.json", logit_lens(lm, read, tokens, seed=seed))
        every = range(lm.d_vocab)
        with suppress(UnsupportedAnatomy):
            frozen = logit_lens(lm, read, tokens, "frozen_scale", example=None, seed=seed)
            save_result(stage.folder / "frozen.json", frozen)
            parts = component_attribution(lm, read, tokens, against=every, seed=seed)
            save_result(stage.folder / "components.json", parts)
            neurons = sub_update_attribution(lm, read, tokens, against=every)
            writers = name_writers(lm, neurons, bench.direction)
            save_result(stage.folder / "writers.json", writers)


def telling_tokens(lm: LanguageModel, lexicon: Lexicon, corpus: Corpus, n: int = 20) -> list[int]:
    """The lexicon's strongest tokens that begin a word and are rare in texts without the behaviour.

    The lexicon's z-scores also find words that are merely commoner in one class ("you"), or shouted
    in it ("THE"): a token counts here if its word, however it is capitalised, is held by at least
    four times as large a share of the positive texts.
    """
    tokens = [t for t in lexicon.tokens if t.token[:1].isspace() and t.token.strip().isalpha()]
    words = {t.id: t.token.strip().casefold() for t in tokens if len(t.token.strip()) > 2}
    told = set(words.values())
    forms = {
        i: word
        for i, text in enumerate(lm.token_strings(range(lm.d_vocab)))
        if text[:1].isspace() and (word := text.strip().casefold()) in told
    }
    held: tuple[Counter[str], Counter[str]] = (Counter(), Counter())
    for ids, label in zip(lm.encode(list(corpus.texts)), corpus.labels, strict=True):
        held[label].update({forms[i] for i in set(ids) if i in forms})
    n_0, n_1 = np.bincount(corpus.labels, minlength=2)
    telling = [i for i, word in words.items() if held[1][word] * n_0 >= 4 * held[0][word] * n_1]
    return (telling or [t.id for t in lexicon.tokens])[:n]
