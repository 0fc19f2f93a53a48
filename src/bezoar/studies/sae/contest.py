"""Stage contest: latents against plain activations, and both against what needs no model.

Everybody reads the same texts: the label of the corpus is told from those that the explore stage
set aside for training, and measured on the others. Files: ``contest.json`` (a `Contest`), and for
each set of harmless texts ``harmless-N.json``, all of the corpus against that set, with as many
texts of either in both parts; ``harmless-N-matched.json`` is the same with texts of equal length in
tokens on both sides, for harmless texts are often in another style. ``states-N/`` holds the
activations of harmless texts if those of the corpus are kept too, and ``written-N.parquet`` what
the model writes after them if that is what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import cast

import numpy as np
from jaxtyping import Int64
from scipy.sparse import csr_array, vstack

from bezoar.activations import TokenTable, harvest
from bezoar.corpus import Corpus
from bezoar.evaluate.contest import Sizes, contest
from bezoar.evaluate.contest_readers import Reader, text_readers
from bezoar.evaluate.contest_results import Contest
from bezoar.evaluate.contest_rows import pooled_rows
from bezoar.evaluate.contest_tables import Rows
from bezoar.models import Site
from bezoar.runs import kept
from bezoar.sae import TopK
from bezoar.sae.pooled import LatentPooling, PooledLatents, pool_latents
from bezoar.sae.token_rows import RecomputedTokens, StoredTokens, TokenRows
from bezoar.stats import bands, matched_rows
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.explore import harmless_files
from bezoar.studies.sae.harvest import is_stored
from bezoar.studies.sae.quality import PARTS, pooled_of, token_rows
from bezoar.studies.sae.untrained import untrained_reader

BAND = 0.1
"""Texts are of equal length if their tokens differ by about this share."""
FEWEST = 20
"""Texts of either kind that must be left in training, and half as many in the report part."""


def contest_stage(bench: SAEBench) -> None:
    """Hold all contests.

    Raises:
        DataError: if a part lacks a label.
    """
    asked, config = bench.config.contest, bench.config
    key = [asked.model_dump(exclude={"false_alarms"}), config.seed, config.harvest.dtype]
    with bench.run.stage("contest", key=key, after=["explore", "quality"]) as stage:
        if stage.done:
            return
        kept(stage.folder / "contest.json", Contest, partial(_label, bench))
        for number, path in enumerate(harmless_files(bench), start=1):
            task = _Harmless(bench, Corpus.load(path), stage.folder, number)
            for name, hold in (("", task.plain), ("-matched", task.matched)):
                if hold is not None:
                    kept(stage.folder / f"harmless-{number}{name}.json", Contest, hold)


def sizes_of(bench: SAEBench) -> Sizes:
    """How much is tried, as the run asks for."""
    asked = bench.config.contest
    return Sizes(
        sparse=asked.sparse,
        folds=asked.folds,
        penalties=asked.penalties,
        labels=asked.sizes,
        noise=asked.noise,
        draws=asked.draws,
        resamples=asked.resamples,
    )


def readers_of(bench: SAEBench) -> list[Reader]:
    """Readers of latents and of states, of all texts: those of ``train``, then of ``report``."""
    states = _States(lambda site: token_rows(bench, site), tuple(bench.config.contest.poolings))
    return [*_latent_readers(bench, partial(_latents, bench)), *_state_readers(bench, states)]


def _label(bench: SAEBench) -> Contest:
    """Label 1 of the corpus against its label 0."""
    parts = [bench.corpora[part] for part in PARTS]
    train, report = (np.array(bench.rows_of(part)) for part in PARTS)
    texts = [text for part in parts for text in part.texts]
    sources = _joined(parts, "source")
    return contest(
        [*readers_of(bench), *text_readers(texts, train, sources)],
        np.concatenate([part.labels for part in parts]),
        sources,
        train,
        report,
        task=f"label 1 of {parts[0].name} against label 0",
        groups=groups_of(parts),
        untrained=partial(untrained_reader, bench, partial(_untrained, bench)),
        balance=bench.config.contest.balance,
        sizes=sizes_of(bench),
        seed=bench.config.seed,
        progress=bench.progress,
    )


def groups_of(parts: list[Corpus]) -> list[str] | None:
    """Groups of all texts; a text without one is a group of its own."""
    names = _joined(parts, "group")
    return None if names is None else [name or f"text {i}" for i, name in enumerate(names)]


def _joined(parts: list[Corpus], column: str) -> list[str] | None:
    cells = [getattr(part, column) for part in parts]
    return None if None in cells else [cell for part in cells for cell in part]


# What is read

Load = Callable[[str, str], Rows]


def _latent_readers(bench: SAEBench, load: Load) -> Iterator[Reader]:
    for name, (site, _) in bench.names.items():
        for pooling in bench.config.contest.poolings:
            if pooling != "last":  # latents are pooled over all tokens
                given = (str(site), pooling)
                yield Reader(f"{name}, {pooling}", "sae", partial(load, name, pooling), *given)


def _state_readers(bench: SAEBench, load: Callable[[Site, str], Rows]) -> Iterator[Reader]:
    for site in bench.sites:
        for pooling in bench.config.contest.poolings:
            given = (str(site), pooling)
            yield Reader(f"{site}, {pooling}", "dense", partial(load, site, pooling), *given)


def _latents(bench: SAEBench, name: str, pooling: str) -> Rows:
    tables = [pooled_of(bench, name, part).by(cast(LatentPooling, pooling)) for part in PARTS]
    return csr_array(vstack(tables, format="csr"))


def _untrained(bench: SAEBench, sae: TopK, name: str, pooling: str) -> Rows:
    """Latents of all texts of a dictionary that stands in for an autoencoder of the study."""
    tokens = token_rows(bench, bench.names[name][0])
    return pool_latents(sae, tokens, progress=bench.progress).by(cast(LatentPooling, pooling))


class _States:
    """Pooled states of one site at a time: all poolings come from one pass over its tokens."""

    def __init__(self, tokens: Callable[[Site], TokenRows], poolings: tuple[str, ...]) -> None:
        self._tokens, self._poolings = tokens, poolings
        self._held: tuple[Site | None, dict[str, np.ndarray]] = (None, {})

    def __call__(self, site: Site, pooling: str) -> np.ndarray:
        if self._held[0] != site:
            self._held = (site, pooled_rows(self._tokens(site), self._poolings))
        return self._held[1][pooling]


# Harmful against harmless


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Texts of a contest: numbers in the corpus and among the harmless, and which are reported."""

    harmful: Int64[np.ndarray, " m"]
    harmless: Int64[np.ndarray, " n"]
    report: np.ndarray


class _Harmless:
    """All of the corpus against one set of harmless texts."""

    def __init__(self, bench: SAEBench, harmless: Corpus, folder: Path, number: int) -> None:
        self._bench, self._set = bench, harmless
        self._states = folder / f"states-{number}"
        texts = list(harmless.texts)
        if bench.config.model.chat:
            texts = bench.lm.chat(texts)
        self._table = bench.tokens_of(texts, folder / f"written-{number}.parquet")
        first = len(bench.corpora["train"])
        reported = [np.arange(len(bench.tokens)) >= first]
        reported += [np.array([name == "report" for name in harmless.split or ()], dtype=bool)]
        self._reported = np.concatenate(reported)
        self._harmful = np.arange(len(self._reported)) < len(bench.tokens)

    def plain(self) -> Contest:
        """As many texts of either, in both parts."""
        return self._held(self._draw(np.zeros(len(self._reported))), "")

    @property
    def matched(self) -> Callable[[], Contest] | None:
        """The same with equal lengths; None where too few texts have their like."""
        lengths = np.concatenate([_lengths(self._bench.tokens), _lengths(self._table)])
        drawn = self._draw(bands(lengths, BAND))
        left = [int((drawn.report[len(drawn.harmful) :] == part).sum()) for part in (False, True)]
        if left[0] < FEWEST or left[1] < FEWEST // 2:
            return None
        return lambda: self._held(drawn, ", equal lengths")

    def _draw(self, strata: np.ndarray) -> _Drawn:
        seed, rows = self._bench.config.seed, list[np.ndarray]()
        for part in (False, True):
            here = np.flatnonzero(self._reported == part)
            rows.append(here[matched_rows(strata[here], self._harmful[here], seed)])
        chosen = np.sort(np.concatenate(rows))  # the corpus comes first
        harmful = chosen[self._harmful[chosen]]
        harmless = chosen[~self._harmful[chosen]] - len(self._bench.tokens)
        return _Drawn(harmful, harmless, self._reported[chosen])

    def _held(self, drawn: _Drawn, how: str) -> Contest:
        bench = self._bench
        ours = [text for part in PARTS for text in bench.corpora[part].texts]
        texts = [ours[i] for i in drawn.harmful.tolist()]
        texts += [self._set.texts[i] for i in drawn.harmless.tolist()]
        train, report = (np.flatnonzero(drawn.report == part) for part in (False, True))
        groups = groups_of([bench.corpora[part] for part in PARTS])
        names = None
        if groups is not None:
            names = [groups[i] for i in drawn.harmful.tolist()]
            others = self._set.group or tuple(map(str, range(len(self._set))))
            names += [f"harmless {others[i]}" for i in drawn.harmless.tolist()]
        return contest(
            [*self._readers(drawn), *text_readers(texts, train)],
            np.repeat([1, 0], [len(drawn.harmful), len(drawn.harmless)]),
            None,
            train,
            report,
            task=f"all of {bench.corpora['train'].name} against {self._set.name}{how}",
            groups=names,
            untrained=partial(untrained_reader, bench, partial(self._untrained, drawn)),
            balance=bench.config.contest.balance,
            sizes=sizes_of(bench),
            curves=False,
            seed=bench.config.seed,
            progress=bench.progress,
        )

    @cached_property
    def _tokens(self) -> Callable[[Site], TokenRows]:
        """Rows of the harmless texts at a site, got as those of the corpus are: in one precision,
        and on disk only where these are."""
        bench = self._bench
        if not is_stored(bench):
            return lambda site: RecomputedTokens(bench.lm, self._table, site)
        store = harvest(
            bench.lm,
            self._table,
            bench.sites,
            pooling="none",
            out=self._states,
            dtype=bench.config.harvest.dtype,
            budget_tokens=bench.config.harvest.budget_tokens,
            progress=bench.progress,
        )
        return lambda site: StoredTokens(store, site)

    def _untrained(self, drawn: _Drawn, sae: TopK, name: str, pooling: str) -> Rows:
        site = self._bench.names[name][0]
        ours = pool_latents(sae, token_rows(self._bench, site), drawn.harmful)
        theirs = pool_latents(sae, self._tokens(site), drawn.harmless)
        both = (pooled.by(cast(LatentPooling, pooling)) for pooled in (ours, theirs))
        return csr_array(vstack(list(both)))

    def _readers(self, drawn: _Drawn) -> Iterator[Reader]:
        bench = self._bench
        poolings = tuple(bench.config.contest.poolings)
        ours = _States(partial(token_rows, bench), poolings)
        theirs = _States(self._tokens, poolings)

        @lru_cache(maxsize=1)
        def pooled(name: str) -> PooledLatents:
            tokens = self._tokens(bench.names[name][0])
            return pool_latents(bench.sae(name), tokens, drawn.harmless)

        def latents(name: str, pooling: str) -> Rows:
            other = pooled(name).by(cast(LatentPooling, pooling))
            return csr_array(vstack([_latents(bench, name, pooling)[drawn.harmful], other]))

        def states(site: Site, pooling: str) -> Rows:
            rows = ours(site, pooling)[drawn.harmful], theirs(site, pooling)[drawn.harmless]
            return np.concatenate(rows)

        yield from _latent_readers(bench, latents)
        yield from _state_readers(bench, states)


def _lengths(table: TokenTable) -> Int64[np.ndarray, " texts"]:
    """Tokens of each text itself, whether it is read or what the model writes after it."""
    return table.lengths if table.starts is None else table.starts
