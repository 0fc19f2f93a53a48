"""Stage experts: how well every single neuron tells the classes apart, for methods that gate them.

Runs only if a method is fitted from experts, or a study looks at them. Files: ``units/`` (the
scores) and ``report.json`` (how many there are, with the controls). Pooled activations lie in
``pooled/`` while the stage runs, so that a killed one goes on where it was, and are then removed.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np

from bezoar.corpus import Corpus, load_corpus
from bezoar.errors import UnsupportedAnatomy
from bezoar.locate.expert_search import find_experts
from bezoar.locate.experts import NeuronExperts, expert_sites
from bezoar.runs import save_result
from bezoar.studies.audit.asked import needs
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.explore import content_hash


def experts_stage(bench: Bench) -> None:
    """Score every unit on the training texts; nothing if no one asks for it, or if the units of a
    mixture of experts are not one set.

    Raises:
        DataError: if the second corpus has one class only.
    """
    config, asked = bench.config, bench.config.experts
    if "experts" not in needs(config):
        return
    shuffles, kept = _shuffles(bench)
    key = [asked, shuffles, kept, config.harvest.budget_tokens, config.seed, bench.lm.fingerprint]
    if asked.other:
        key.append(content_hash(asked.other, "data", bench.data_root))
    with bench.run.stage("experts", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        with suppress(UnsupportedAnatomy):
            expert_sites(bench.lm, asked.points)
            _score(bench, stage.folder)


def units(bench: Bench) -> NeuronExperts | None:
    """What the stage found; None for a mixture of experts."""
    folder = bench.run.folder("experts") / "units"
    return NeuronExperts.load(folder) if folder.exists() else None


def balanced(corpus: Corpus, most: int, seed: int) -> Corpus:
    """At most so many of the texts, as many of each label as there are, in their order."""
    rng = np.random.default_rng(seed)
    negative, positive = (rng.permutation(np.flatnonzero(corpus.labels == i)) for i in (0, 1))
    ones = min(len(positive), max(most // 2, most - len(negative)))
    rows = np.concatenate([positive[:ones], negative[: most - ones]])
    return corpus.take(np.sort(rows), left_out="not needed")


def _shuffles(bench: Bench) -> tuple[int, int]:
    """How many shuffles of the labels there are, and how many of them are kept unit by unit: at
    least one for each null of a method."""
    asked = bench.config.experts
    kept = max(asked.kept, bench.config.mitigate.null_draws)
    return max(asked.shuffles, kept), kept


def _score(bench: Bench, folder: Path) -> None:
    asked, seed = bench.config.experts, bench.run.seed("experts")
    shuffles, kept = _shuffles(bench)
    experts, report = find_experts(
        bench.lm,
        balanced(bench.corpus("train"), asked.texts, seed),
        asked.points,
        other=_other(bench, seed),
        pooling=asked.pooling,
        max_tokens=asked.max_tokens,
        shuffles=shuffles,
        kept=kept,
        halves=asked.halves,
        top=asked.top,
        seed=seed,
        out=folder / "pooled",
        budget_tokens=bench.config.harvest.budget_tokens,
        dtype=asked.dtype,
        progress=bench.progress,
    )
    experts.save(folder / "units")
    save_result(folder / "report.json", report)
    shutil.rmtree(folder / "pooled")


def _other(bench: Bench, seed: int) -> Corpus | None:
    """The second corpus, if one was named."""
    asked, data = bench.config.experts, bench.config.data
    if asked.other is None:
        return None
    return load_corpus(
        asked.other,
        data_root=data.root,
        reserved_only=data.reserved_only,
        limit=asked.texts,
        seed=seed,
    )
