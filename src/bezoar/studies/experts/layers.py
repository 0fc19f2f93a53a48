"""Stage layers: whole layers as experts, in the audited model and beside it.

The audited model on the audit's own texts, then every further model and every further set of texts
that was named, each pair kept in ``parts/`` as soon as it is there. File: ``layers.json``, a
`LayersReport`, the audited model on the audit's texts first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import cast

from bezoar.corpus import Corpus, clean, load_corpus, split_corpus
from bezoar.corpus.draw import balanced
from bezoar.corpus.spec import find
from bezoar.errors import ConfigError
from bezoar.locate.layer_experts import layer_experts
from bezoar.locate.layer_results import LayerExperts, LayersReport
from bezoar.models import LanguageModel
from bezoar.models.checkpoint import Checkpoint
from bezoar.models.load import resolve
from bezoar.runs import ExpertsStudyConfig, kept, save_result
from bezoar.runs.stages import file_hash
from bezoar.runs.study_sections import LayersConfig
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.explore import content_hash
from bezoar.studies.audit.fitting import slug

_DRAWN = 4  # times the texts that are asked for, of which the parts of a further set are cut

Halves = tuple[Corpus, Corpus]
"""Texts to learn from, and texts to report on."""


def check_layers(config: ExpertsStudyConfig) -> None:
    """Refuse further models and texts that are not there, and those named twice.

    Raises:
        ConfigError: if two models, or two sets of texts, have one name.
        ModelError: if there is no such folder or hub id, or it is no model.
        DataError: if there is no such file, or it is of no known kind.
    """
    asked = config.layers
    models = [config.model.name, *(name for name, _ in map(named, asked.others))]
    for what, names in (("others", models), ("corpora", [config.data.data, *asked.corpora])):
        if len(set(names)) < len(names):
            raise ConfigError(
                f"layers.{what} names one of {', '.join(names)} twice.",
                hint="What is audited is always there; further models may be given as NAME=PATH.",
            )
    root = None if config.data.root is None else Path(config.data.root)
    for _, place in map(named, asked.others):  # it is hours until they are loaded
        Checkpoint.open("model", resolve(place)).config()
    for spec in asked.corpora:
        if not content_hash(spec, "corpus_path", root):
            find(spec, root)


def layers_stage(bench: Bench) -> None:
    """Part the texts by every layer, beside everything that this must beat."""
    config, asked = bench.config, _asked(bench)
    key = [asked, config.harvest.max_tokens, config.data.reserved_only, config.seed]
    key += [config.model, bench.lm.fingerprint]
    key += [_weights(place) for _, place in map(named, asked.others)]
    key += [content_hash(spec, "corpus_path", bench.data_root) for spec in asked.corpora]
    with bench.run.stage("layers", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        found = []
        models: dict[str, Callable[[], LanguageModel]] = {config.model.name: lambda: bench.lm}
        for name, place in map(named, asked.others):
            models[name] = cache(partial(_load, bench, name, place))
        texts = {spec: _halves(bench, spec) for spec in (config.data.data, *asked.corpora)}
        for name, load in models.items():
            for spec, halves in texts.items():
                path = stage.folder / "parts" / f"{slug(f'{name} on {spec}')}.json"
                make = partial(_experts, bench, load, halves)
                found.append(kept(path, LayerExperts, make))
            models[name] = lambda: bench.lm  # what was loaded may go
        save_result(stage.folder / "layers.json", LayersReport(tuple(found)))


def named(other: str) -> tuple[str, str]:
    """``NAME=PATH`` as its two halves; a path alone is called by its last part."""
    name, equals, place = other.partition("=")
    return (name, place) if equals else (Path(other).name, other)


def _asked(bench: Bench) -> LayersConfig:
    return cast(ExpertsStudyConfig, bench.config).layers


def _load(bench: Bench, name: str, place: str) -> LanguageModel:
    lm = LanguageModel.from_pretrained(place, device=bench.config.model.device)
    lm.name = name
    return lm


def _weights(place: str) -> list[str]:
    """Hashes of a model's files, for a folder may hold others tomorrow; an id's name."""
    folder = Path(resolve(place))
    files = sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")])
    return [place, *map(file_hash, files)]


def _halves(bench: Bench, spec: str) -> Halves:
    """The audit's own parts, or those of a further set, either with as many texts as asked for."""
    config, texts = bench.config, _asked(bench).texts
    if spec == config.data.data:
        parts = bench.corpus("train"), bench.corpus("report")
    else:
        read = load_corpus(
            spec,
            data_root=bench.data_root,
            reserved_only=config.data.reserved_only,
            limit=_DRAWN * texts,
            seed=config.seed,
        )
        cut = split_corpus(clean(read)[0])
        parts = cut.train, cut.report
    train, report = (balanced(part, texts, config.seed) for part in parts)
    return train, report


def _experts(bench: Bench, load: Callable[[], LanguageModel], halves: Halves) -> LayerExperts:
    config, asked = bench.config, _asked(bench)
    return layer_experts(
        load(),
        *halves,
        point=asked.point,
        neurons=asked.neurons,
        pooling=asked.pooling,
        linkage=asked.linkage,
        null_draws=asked.null_draws,
        resamples=asked.resamples,
        budget_tokens=config.harvest.budget_tokens,
        max_tokens=config.harvest.max_tokens,
        seed=config.seed,
        progress=bench.progress,
    )
