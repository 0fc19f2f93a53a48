"""Stage 5, pairs: preferences to learn from, made of text that nothing is reported on.

Runs only if a method learns from pairs. Files: ``prompts.json`` and ``prompts.parquet``,
``steering/`` (the direction), ``parts/`` (what was written, kept as soon as it is there),
``pairs.parquet`` and ``report.json`` (what the rules left, scored by scorer A, and what they
dropped), the same of PPLM as ``pplm.parquet`` and ``pplm_report.json``; ``agreement.json`` and
``pplm_agreement.json``, what scorer B says of either, belong to the stage ``agreement``: who
reports decides nothing that is learnt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from bezoar.corpus import Prompts, load_corpus, load_neutral
from bezoar.corpus.table import counted
from bezoar.errors import DataError
from bezoar.interrupts import check
from bezoar.locate import Direction
from bezoar.pairs import (
    PPLM,
    Pairs,
    drop_seen,
    filter_pairs,
    fit_attribute,
    fit_steering,
    judge_pairs,
    load_pairs,
    mean_norms,
    pplm_pairs,
    score_pairs,
    sentence_prompts,
    steered_pairs,
    unseen_prompts,
)
from bezoar.pairs.steered import STEERED
from bezoar.runs import Result, save_result
from bezoar.runs.input_sections import PairsConfig
from bezoar.studies.audit.asked import learns_from_pairs
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.explore import content_hash
from bezoar.studies.audit.rest import left_over, untouched

FEWEST = 20
"""Pairs, and prompts, that there is any sense in learning from."""
_STEERED, _PPLM = 512, 32  # prompts that go together, and of which a kill costs the work


@dataclass(frozen=True, slots=True)
class PairPrompts(Result):
    """What was continued.

    Attributes:
        source: where the sentences are from.
        sentences: how many were drawn.
        seen: those that repeat a text of the run, by what it is for; they are left out.
        prompts: how many were taken of the others.
    """

    source: str
    sentences: int
    seen: dict[str, int]
    prompts: int


def pairs_stage(bench: Bench) -> None:
    """Make, score, filter and judge the pairs; nothing if no method learns from any."""
    config = bench.config
    if not learns_from_pairs(config):
        return
    asked, root = config.pairs, bench.data_root
    told = asked.model_dump(mode="json", exclude={*_OF_FILES})  # they say nothing without one
    key = [told, config.model, config.seed, bench.scorer_a.hash]
    key += [part for part in _of_file(asked).items() if asked.file]
    key += [content_hash(spec, "neutral_path", root) for spec in (asked.source, asked.file) if spec]
    with bench.run.stage("pairs", key=key, after=["explore"]) as stage:
        if not stage.done:
            _make(bench, stage.folder)
    folder = bench.run.folder("pairs")
    with bench.run.stage("agreement", key=[bench.scorer_b.hash], after=["pairs"]) as stage:
        for name, prefix in () if stage.done else (("pairs", ""), ("pplm", "pplm_")):
            path = folder / f"{name}.parquet"
            if path.exists() and len(pairs := Pairs.load(path)) > 1:
                judged = folder / f"{prefix}agreement.json"
                save_result(judged, judge_pairs(pairs, bench.scorer_b))
                stage.include(judged)


def _make(bench: Bench, folder: Path) -> None:
    asked = bench.config.pairs
    prompts = _prompts(bench, folder) if asked.pplm or asked.file is None else ()
    made = _human(bench) if asked.file else _steered(bench, folder, prompts)
    scored = score_pairs(made, bench.scorer_a)
    pairs, report = filter_pairs(scored, min_margin=asked.margin, none_left=True)
    if len(pairs) < FEWEST:
        raise _too_few(asked, pairs, str(report), asked.margin)
    save_result(folder / "report.json", report)
    pairs.save(folder / "pairs.parquet")
    if asked.pplm:
        scored = score_pairs(_pplm(bench, folder, prompts[: asked.pplm]), bench.scorer_a)
        pairs, report = filter_pairs(scored, min_margin=asked.margin, none_left=True)
        save_result(folder / "pplm_report.json", report)
        pairs.save(folder / "pplm.parquet")


def check_pairs(bench: Bench) -> None:
    """Refuse a file of pairs that cannot be learnt from, before any work.

    Raises:
        DataError: as `load_pairs`, or if it has too few pairs.
    """
    asked, config = bench.config.pairs, bench.config
    if asked.file is None or not learns_from_pairs(config) or bench.run.settled("explore"):
        return  # once explored, it was looked at
    pairs = human_pairs(bench)
    if len(pairs) < FEWEST:
        rows = counted(pairs.origin.rows, "row")
        raise _too_few(asked, pairs, f"{asked.file} has {rows}, and {FEWEST} pairs are the fewest")


def _too_few(asked: PairsConfig, pairs: Pairs, why: str, margin: float = 0.0) -> DataError:
    are = "is" if len(pairs) == 1 else "are"
    smaller = f", or a margin smaller than pairs.margin={margin:g}" if margin else ""
    more = "Give more prompts (--set pairs.steered=2000), another text (pairs.source)"
    if asked.file is not None:
        more = f"Give a file with more pairs than {asked.file} (--set pairs.file=FILE)"
    return DataError(
        f"{counted(len(pairs), 'preference pair')} {are} too few to learn from: {why}.",
        hint=f"{more}{smaller}.",
    )


# Prompts


def _prompts(bench: Bench, folder: Path) -> tuple[str, ...]:
    """Beginnings of sentences that repeat nothing of the run."""
    asked = bench.config.pairs
    path = folder / "prompts.parquet"
    if path.exists():
        return Prompts.load(path).texts
    count = max(asked.steered, asked.pplm)
    drawn = sentences(bench, 3 * count)
    left, seen = unseen_prompts(drawn, _seen(bench))
    prompts = left[:count]
    if len(prompts) < FEWEST:
        raise DataError(
            f"The text of pairs.source={asked.source!r} has {len(prompts)} sentences that repeat "
            f"nothing of the run, and {FEWEST} are the fewest to make preference pairs of.",
            hint="Give other prose: --set pairs.source=wikitext:wikitext2/train.parquet.",
        )
    save_result(folder / "prompts.json", PairPrompts(asked.source, len(drawn), seen, len(prompts)))
    texts = bench.lm.chat(prompts) if bench.config.model.chat else prompts
    Prompts(tuple(texts), name=f"sentences of {asked.source}").save(path)
    return tuple(texts)


def sentences(bench: Bench, count: int) -> tuple[str, ...]:
    """At most so many beginnings of sentences, of the text that pairs are made of."""
    words, seed = bench.config.pairs.words, bench.run.seed("pairs")
    return sentence_prompts(_source(bench), count, words=words, seed=seed)


def _source(bench: Bench) -> list[str]:
    """The text that is asked for, less all that the explore stage took of it."""
    data, root = bench.config.data, bench.data_root
    asked = bench.config.pairs.source
    spec = data.neutral if asked == "rest" else asked
    neutral = load_neutral(spec, data_root=root, reserved_only=data.reserved_only)
    found = untouched(neutral, chain(*(bench.neutral(part).texts for part in _HALVES)))
    if asked == "rest":
        corpus = load_corpus(data.data, **data.reading())
        found += left_over(corpus, chain(*(bench.corpus(part).texts for part in _CUT)))
    return found


_HALVES = ("select", "report")
_CUT = ("train", "report")


def _seen(bench: Bench) -> dict[str, Sequence[str]]:
    """All texts of the run, by what they are for."""
    folder = bench.run.folder("explore")
    prompts = {part: Prompts.load(folder / f"prompts-{part}.parquet").texts for part in _HALVES}
    return {
        "prompts reported on": prompts["report"],
        "prompts chosen by": prompts["select"],
        "labelled texts reported on": bench.corpus("report").texts,
        "labelled texts learnt from": bench.corpus("train").texts,
        "neutral text reported on": bench.neutral("report").texts,
        "neutral text chosen by": bench.neutral("select").texts,
    }


# Pairs


def human_pairs(bench: Bench) -> Pairs:
    """The pairs of ``pairs.file``, as they were asked for."""
    asked = bench.config.pairs
    return load_pairs(asked.file or "", data_root=bench.data_root, **_of_file(asked))


_OF_FILES = ("prompt", "chosen", "rejected", "leaked")


def _of_file(asked: PairsConfig) -> dict[str, Any]:
    """How a file of pairs is read, where that is not as by itself."""
    return asked.model_dump(mode="json", include={*_OF_FILES}, exclude_defaults=True)


def _human(bench: Bench) -> Pairs:
    """Pairs that people wrote, less those that repeat a text of the run."""
    return drop_seen(human_pairs(bench), [*chain(*_seen(bench).values())])[0]


def _steered(bench: Bench, folder: Path, prompts: Sequence[str]) -> Pairs:
    lm, asked = bench.lm, bench.config.pairs
    if not (folder / "steering").exists():
        train = bench.corpus("train")
        probe = fit_steering(lm, train, layer=asked.layer, progress=bench.progress)
        probe.direction(trained_on=train.hash).save(folder / "steering")
    direction = Direction.load(folder / "steering")
    norms = mean_norms(lm, prompts, [direction.site])
    decoding = replace(STEERED, samples=asked.samples, seed=bench.run.seed("pairs"))

    def made(some: Sequence[str]) -> Pairs:
        return steered_pairs(
            lm,
            some,
            direction,
            alpha=asked.alpha,
            decoding=decoding,
            norms=norms,
            progress=bench.progress,
        )

    return _joined([*_in_parts(folder / "parts" / "steered", prompts, _STEERED, made)])


def _pplm(bench: Bench, folder: Path, prompts: Sequence[str]) -> Pairs:
    """Table 6 of Lee et al. 2024, on the first of the same prompts."""
    lm, asked = bench.lm, bench.config.pairs
    probe = fit_attribute(lm, bench.corpus("train"), progress=bench.progress)
    settings = PPLM(iterations=asked.pplm_iterations)

    def made(some: Sequence[str]) -> Pairs:
        seed = bench.run.seed("pairs")
        return pplm_pairs(lm, some, probe, settings, seed=seed, progress=bench.progress)

    return _joined([*_in_parts(folder / "parts" / "pplm", prompts, _PPLM, made)])


def _in_parts(
    folder: Path, prompts: Sequence[str], size: int, make: Callable[[Sequence[str]], Pairs]
) -> Iterator[Pairs]:
    """The pairs of some prompts at a time, each part read from its file if it is there."""
    for start in range(0, len(prompts), size):
        path = folder / f"{start}.parquet"
        if path.exists():
            yield Pairs.load(path)
            continue
        pairs = make(prompts[start : start + size])
        check()
        pairs.save(path)
        yield pairs


def _joined(parts: Sequence[Pairs]) -> Pairs:
    left_out: Counter[str] = Counter()
    for part in parts:
        left_out.update(part.origin.left_out)
    rows = sum(part.origin.rows for part in parts)
    origin = replace(parts[0].origin, rows=rows, left_out=dict(left_out))
    return replace(
        parts[0],
        prompts=tuple(chain(*(part.prompts for part in parts))),
        chosen=tuple(chain(*(part.chosen for part in parts))),
        rejected=tuple(chain(*(part.rejected for part in parts))),
        origin=origin,
    )
