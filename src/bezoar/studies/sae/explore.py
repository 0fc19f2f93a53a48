"""Stage 1, explore: read, filter, clean and look at the texts, and set the report part aside.

Files: ``train.parquet`` and ``report.parquet``, split before anything is trained; ``texts.json``
(how many of what, and what was left out), ``exploration.json``, ``lengths.json`` (in characters),
``doubts.json`` (noise, repeats, languages), ``cleaning.json``, ``dropped.jsonl`` (what the noise
filter left out, text by text); and a ``harmless-N.parquet``, N from 1, for each set of harmless
texts, whose column ``split`` says train or report. In all of them the column ``group`` names
families of near repeats: what reads the parts keeps them in one fold, and draws them together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bezoar.corpus import Corpus, clean, explore, load_corpus
from bezoar.corpus.draw import drawn
from bezoar.corpus.explore_doubts import find_doubts
from bezoar.corpus.explore_lengths import describe_lengths
from bezoar.corpus.explore_load import load_texts
from bezoar.corpus.explore_noise import filter_noise, save_dropped
from bezoar.corpus.stratified import split_stratified, with_families
from bezoar.errors import DataError
from bezoar.runs import Result, save_result
from bezoar.stats import near_duplicates, text_key
from bezoar.studies.audit.explore import content_hash
from bezoar.studies.sae.bench import SAEBench

REPORT_SHARE = 0.2
NEAR = 0.7


@dataclass(frozen=True, slots=True)
class HarmlessTexts(Result):
    """A set of harmless texts: its name, texts of both parts, and what was left out, by reason."""

    spec: str
    name: str
    train: int
    report: int
    dropped: dict[str, int]


@dataclass(frozen=True, slots=True)
class StudyTexts(Result):
    """What the explore stage set aside, before anything was trained.

    Attributes:
        train, report: texts of either part.
        train_ones, report_ones: of these, of label 1.
        sources: texts of each source in train and in report.
        categories: texts of each category in train and in report.
        dropped: texts left out, by reason.
        harmless: the sets of harmless texts, in the order of their files.
        hashes: content hash of each part.
    """

    train: int
    report: int
    train_ones: int
    report_ones: int
    sources: dict[str, tuple[int, int]]
    categories: dict[str, tuple[int, int]]
    dropped: dict[str, int]
    harmless: tuple[HarmlessTexts, ...]
    hashes: dict[str, str]


def explore_stage(bench: SAEBench) -> None:
    """Read, filter, look at and split the texts."""
    config, root = bench.config, bench.data_root
    specs = config.contest.harmless
    key = [config.data.reading(), config.data.data, config.data.limit, config.seed]
    key += [bench.lm.fingerprint, specs, config.contest.harmless_limit]
    key += [content_hash(config.data.data, "corpus_path", root)]
    key += [content_hash(spec, "corpus_path", root) for spec in specs]
    with bench.run.stage("explore", key=key) as stage:
        if stage.done:
            return
        read = load_corpus(
            config.data.data, **config.data.reading(), limit=config.data.limit, seed=config.seed
        )
        whole, noise = filter_noise(read)
        save_dropped(stage.folder / "dropped.jsonl", read, noise)
        save_result(stage.folder / "doubts.json", find_doubts(whole, noise))
        corpus, cleaning = clean(whole)
        corpus = with_families(corpus, NEAR)
        train, report = split_stratified(corpus, REPORT_SHARE, near=NEAR)
        parts = {"train": train, "report": report}
        for name, part in parts.items():
            part.save(stage.folder / f"{name}.parquet")
        sets = [
            _harmless(bench, spec, corpus, stage.folder / f"harmless-{number}.parquet")
            for number, spec in enumerate(specs, start=1)
        ]
        save_result(stage.folder / "cleaning.json", cleaning)
        save_result(stage.folder / "exploration.json", explore(corpus, bench.lm))
        lengths = describe_lengths([len(text) for text in corpus.texts])
        save_result(stage.folder / "lengths.json", lengths)
        save_result(stage.folder / "texts.json", _counted(corpus, parts, tuple(sets)))


def harmless_files(bench: SAEBench) -> list[Path]:
    """The files of the harmless sets, in the order that they were asked for in."""
    folder = bench.run.folder("explore")
    asked = bench.config.contest.harmless
    return [folder / f"harmless-{number}.parquet" for number in range(1, len(asked) + 1)]


def _harmless(bench: SAEBench, spec: str, corpus: Corpus, file: Path) -> HarmlessTexts:
    """Read a set of harmless texts, and save it split as the corpus is.

    Of a labelled set only label 0 counts. Texts that the corpus has too, or nearly, are left out:
    they would stand on both sides.

    Raises:
        DataError: if too little is left.
    """
    config = bench.config
    texts = load_texts(spec, data_root=bench.data_root, seed=config.seed)
    if not isinstance(texts, Corpus):
        texts = Corpus(
            texts=texts.texts,
            labels=np.zeros(len(texts), dtype=np.int8),
            source=texts.source,
            name=texts.name,
            origin=texts.origin,
        )
    elif texts.labels.any():
        texts = texts.take(texts.labels == 0, left_out="of label 1")
    if not len(texts):
        raise DataError(f"{spec} has no text of label 0.", hint="Name a set of harmless texts.")
    texts, _ = filter_noise(texts)
    texts, _ = clean(texts)
    apart = np.ones(len(texts), dtype=bool)
    apart[list(near_duplicates(texts.texts, corpus.texts, NEAR).a)] = False
    keys = {text_key(text) for text in corpus.texts}
    apart &= np.array([text_key(text) not in keys for text in texts.texts], dtype=bool)
    if not apart.all():
        texts = texts.take(apart, left_out="repeats a text of the corpus")
    texts = drawn(texts, config.contest.harmless_limit, config.seed, "texts")
    parts = split_stratified(texts, REPORT_SHARE, near=NEAR, both_labels=False)
    aside = set(parts[1].texts)
    split = tuple("report" if text in aside else "train" for text in texts.texts)
    replace(with_families(texts, NEAR), split=split).save(file)
    return HarmlessTexts(
        spec=texts.origin.spec,
        name=texts.name,
        train=len(parts[0]),
        report=len(parts[1]),
        dropped=texts.origin.left_out,
    )


def _counted(
    corpus: Corpus, parts: dict[str, Corpus], harmless: tuple[HarmlessTexts, ...]
) -> StudyTexts:
    return StudyTexts(
        train=len(parts["train"]),
        report=len(parts["report"]),
        train_ones=int(parts["train"].labels.sum()),
        report_ones=int(parts["report"].labels.sum()),
        sources=_names(parts, "source"),
        categories=_names(parts, "category"),
        dropped=corpus.origin.left_out,
        harmless=harmless,
        hashes={name: part.hash for name, part in parts.items()},
    )


def _names(parts: dict[str, Corpus], column: str) -> dict[str, tuple[int, int]]:
    """How many texts of each name either part has."""
    cells = [list(getattr(part, column) or ()) for part in parts.values()]
    return {
        name: (cells[0].count(name), cells[1].count(name))
        for name in sorted({*cells[0], *cells[1]} - {""})
    }
