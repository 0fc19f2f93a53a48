"""Stage detector: the winner of the contest as a small artefact, for `bezoar detect`.

If the contest is not settled it is the best reader of plain activations, which needs no
autoencoder. Files: ``detector.json`` and ``detector.safetensors`` (a `Detector`); neither where the
study read what the model writes, since a detector reads the texts that it is given. It is then
tried on every set of harmless texts, which had no part in it, as whoever asks it would.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from bezoar.corpus import Corpus
from bezoar.corpus.adapters import ADAPTERS
from bezoar.errors import DataError
from bezoar.evaluate.contest_fit import Task
from bezoar.evaluate.contest_results import Contest, ContestRow
from bezoar.evaluate.detector import Detector
from bezoar.evaluate.detector_fit import Fitted, fit_detector, share
from bezoar.evaluate.detector_results import DetectorInfo, Tried
from bezoar.runs import load_result
from bezoar.sae.steering import steer_latents
from bezoar.studies.audit.about import licences
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.contest import groups_of, readers_of
from bezoar.studies.sae.explore import harmless_files
from bezoar.studies.sae.quality import PARTS

_UNSETTLED = "The contest is not settled, so this is the best reader of plain activations. "
_OPEN = ("apache", "mit", "cc0", "cc-by-4.0", "odc-by", "public domain")


def detector_stage(bench: SAEBench) -> None:
    """Fit the winner anew, with a threshold at the rate of false alarms that was asked for.

    Raises:
        DataError: if too few texts are left to calibrate on.
    """
    asked = bench.config.contest
    key = [asked.false_alarms, asked.sparse, bench.config.seed, bench.lm.fingerprint]
    with bench.run.stage("detector", key=key, after=["contest"]) as stage:
        if stage.done or bench.config.sae.tokens_of == "generated":
            return
        found = load_result(bench.run.folder("contest") / "contest.json", Contest)
        row = found.best("sae" if found.winner == "sae" else "dense")
        if row is None:
            raise DataError("The contest has no reader.", hint="Run the stage contest again.")
        made, fitted = _made(bench, found, row)
        tried = (*_harmless(bench, made), *_categories(bench, fitted))
        replace(made, info=replace(made.info, tried=tried)).save(stage.folder)


def _made(bench: SAEBench, found: Contest, row: ContestRow) -> tuple[Detector, Fitted]:
    asked, parts = bench.config.contest, [bench.corpora[part] for part in PARTS]
    train, report = (np.array(bench.rows_of(part)) for part in PARTS)
    labels = np.concatenate([part.labels for part in parts])
    given = (labels, None, train, report, groups_of(parts), "none")
    task = Task.of(*given, asked.folds, bench.config.seed)
    reader = next(reader for reader in readers_of(bench) if reader.name == row.reader)
    fitted = fit_detector(task, reader, row, sparse=asked.sparse, false_alarms=asked.false_alarms)
    weights = torch.from_numpy(fitted.weights).float()
    info = _info(bench, found, row, fitted)
    if row.family == "dense":
        whole = torch.zeros(bench.lm.site_width(bench.lm.site(row.site)))
        whole[torch.from_numpy(fitted.features)] = weights
        return Detector(info, whole), fitted
    name = next(name for name in bench.names if row.reader == f"{name}, {row.pooling}")
    encoder = steer_latents(bench.sae(name), torch.from_numpy(fitted.features), factor=1.0)
    read = replace(info, latents=encoder.ids, active=encoder.active, autoencoder=name)
    return Detector(read, weights, encoder), fitted


def _harmless(bench: SAEBench, made: Detector) -> Iterator[Tried]:
    """What it flags of each set of harmless texts: all of them, for it has seen none."""
    for path in harmless_files(bench):
        texts = Corpus.load(path)
        read = made.stream(bench.lm, texts.texts, progress=bench.progress)
        flagged = np.array([verdict.flagged for verdict in read])
        yield Tried(texts.name, 0, len(texts), share(flagged, groups_of([texts])))


def _categories(bench: SAEBench, fitted: Fitted) -> Iterator[Tried]:
    """What it flags of the report part, category by category, those of label 0 first."""
    report = bench.corpora["report"]
    if report.category is None:
        return
    groups = np.array(groups_of([report]) or range(len(report)))
    cells = list(zip(report.labels.tolist(), report.category, strict=True))
    for label, name in sorted(set(cells)):
        rows = np.array([cell == (label, name) for cell in cells])
        seen = share(fitted.flagged[rows], groups[rows])
        yield Tried(name or "no category", label, int(rows.sum()), seen)


def _info(bench: SAEBench, found: Contest, row: ContestRow, fitted: Fitted) -> DetectorInfo:
    config = bench.config
    return DetectorInfo(
        site=row.site,
        pooling=row.pooling,
        reads="latents" if row.family == "sae" else "states",
        reader=row.label,
        intercept=fitted.intercept,
        threshold=fitted.threshold,
        asked=config.contest.false_alarms,
        false_alarms=fitted.false_alarms,
        hits=fitted.hits,
        calibration=fitted.calibration,
        reported_false_alarms=fitted.reported_false_alarms,
        reported_hits=fitted.reported_hits,
        auroc=fitted.auroc,
        model=config.model.name,
        fingerprint=bench.lm.fingerprint,
        chat=config.model.chat,
        max_tokens=config.sae.max_tokens,
        trained_on=f"{len(bench.corpora['train']):,} texts of {config.data.data}",
        licence_note=licence_note(bench),
        note=("" if found.settled else _UNSETTLED) + found.verdict,
    )


def licence_note(bench: SAEBench) -> str:
    """What is known of the licence of the texts, and what follows for what is made of them."""
    spec = bench.config.data.data
    adapter = ADAPTERS.get(spec.partition(":")[0])
    told = licences(bench).get("labelled texts", "")
    if not told and adapter is not None and "(" in adapter.what:
        told = adapter.what[adapter.what.rindex("(") + 1 :].rstrip(")")
    if told.lower().startswith(_OPEN):
        return f"The texts it was made from are under {told}."
    named = f"are under: {told}" if told else "name no licence that was found"
    return f"The texts it was made from {named}. Do not pass it on unless they allow it."
