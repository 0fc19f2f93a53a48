"""Stage detect: detection is not generation, tested on every edit that was measured.

Each edit's change of what the model writes (the scorecard's) beside its change of what can be read
in the model: probes are fitted on training texts, and their AUROC is taken on report texts. Files:
``parts/`` (each edit, kept as soon as it is measured) and ``detect.json``, a `Detection`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property, partial
from typing import cast

from bezoar.corpus.draw import balanced
from bezoar.edits import Edit
from bezoar.errors import ConfigError
from bezoar.evaluate import MethodRow, Scorecard
from bezoar.evaluate.detection import DetectionMeter
from bezoar.evaluate.detection_results import Detection, EditDetection
from bezoar.locate import Lexicon
from bezoar.mitigate import parse_method
from bezoar.runs import ExpertsStudyConfig, kept, load_result, save_result, track
from bezoar.stats import Interval
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitting import BANNED_WORDS, slug
from bezoar.studies.audit.locate import telling_tokens
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.experts.evaluate import given

TOKENS = 200
"""Of the lexicon, read by the detector through the logits."""


def detect_stage(bench: Bench) -> None:
    """Measure every edit of the scorecard as a reader of labelled texts.

    Raises:
        ConfigError: if activations were harvested without pooling.
    """
    config, asked = bench.config, cast(ExpertsStudyConfig, bench.config).detect
    key = [asked, config.harvest, config.locate.site, config.model, config.seed, TOKENS]
    after = ["explore", "locate", "mitigate", "evaluate"]
    with bench.run.stage("detect", key=key, after=after) as stage:
        if stage.done:
            return
        card = load_result(bench.run.folder("evaluate") / "scorecard.json", Scorecard)
        rows = {row.label: row for row in card.rows if row.kind == "method"}
        reader = _Reader(bench, asked.texts)
        found = []
        for name, spec, label, edit in track(bench.progress, [*_edits(bench)], "Reading as edited"):
            measure = partial(_measured, reader, name, spec, label, edit, rows.get(label))
            found.append(kept(stage.folder / "parts" / f"{name}.json", EditDetection, measure))
        detection = Detection(
            protocol=card.measured,
            scorer=card.report_scorer,
            site=str(reader.meter.site),
            pooling=config.harvest.pooling,
            train=len(reader.train),
            test=len(reader.test),
            base=reader.meter.base(),
            edits=tuple(found),
        )
        save_result(stage.folder / "detect.json", detection)


class _Reader:
    """The texts, and the meter once something is to be measured."""

    def __init__(self, bench: Bench, texts: int) -> None:
        self._bench = bench
        self.train, self.test = (
            balanced(bench.corpus(part), 2 * texts, bench.config.seed)
            for part in ("train", "report")
        )

    @cached_property
    def meter(self) -> DetectionMeter:
        bench, asked = self._bench, self._bench.config.harvest
        if asked.pooling == "none":
            raise ConfigError(
                "A detector needs one row a text, and harvest.pooling is 'none'.",
                hint="Set it to mean, max or last.",
            )
        lexicon = load_result(bench.run.folder("locate") / "lexicon.json", Lexicon)
        return DetectionMeter(
            bench.lm,
            self.train,
            self.test,
            site=bench.config.locate.site,
            telling=telling_tokens(bench.lm, lexicon, bench.corpus("train"), BANNED_WORDS),
            tokens=[token.id for token in lexicon.tokens[:TOKENS]],
            pooling=asked.pooling,
            max_tokens=asked.max_tokens,
            progress=bench.progress,
        )


def _edits(bench: Bench) -> Iterator[tuple[str, str, str, Edit]]:
    """Name, spec, label and edit of everything that the scorecard has as a method."""
    fits = load_result(bench.run.folder("mitigate") / "methods.json", Fits)
    for fitted in fits.methods:
        yield fitted.name, fitted.spec, fitted.label, bench.edit(fitted.name)
    for one in given(bench):
        yield slug(one.name), one.method, one.label, one.edit


def _measured(
    reader: _Reader, name: str, spec: str, label: str, edit: Edit, row: MethodRow | None
) -> EditDetection:
    change = row.change.get("toxicity") if row is not None else None
    return EditDetection(
        name=name,
        label=label,
        control=parse_method(spec).control,
        toxicity=None if change is None else Interval(change.value, change.low, change.high),
        scores=reader.meter.measure(edit),
    )
