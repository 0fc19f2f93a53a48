"""Everything worth knowing of a set of texts before work is put into it.

The three pictures of the SAE safety-probing project (denisalpino/safety_alignment): texts by source
and category, their lengths, and mean lengths by source and category. And what they leave out:
noise, repeats, languages, what gives the labels away, and what reading the texts with a model will
take.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bezoar.corpus.clean import clean
from bezoar.corpus.corpus import Corpus, Unlabelled
from bezoar.corpus.draw import balanced, drawn
from bezoar.corpus.explore import Encoder, Exploration, explore
from bezoar.corpus.explore_cost import Cost, forecast_cost
from bezoar.corpus.explore_language import LanguageCount, count_languages
from bezoar.corpus.explore_lengths import LengthDistribution, describe_lengths
from bezoar.corpus.explore_noise import MIN_CHARACTERS, NoiseReport, find_noise
from bezoar.corpus.explore_repeats import Repeats, find_repeats
from bezoar.corpus.shortcuts import WARN_FROM, either_way, length_scores
from bezoar.corpus.table import counted
from bezoar.errors import DataError
from bezoar.runs.progress import SILENT, Progress, track
from bezoar.runs.results import Result
from bezoar.stats.classification import auroc_interval
from bezoar.stats.intervals import Interval

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST = 100_000
"""Of more texts than this, repeats, languages and labels are looked at in so many of them."""

_FEW = 10


@dataclass(frozen=True, slots=True)
class Cell(Result):
    """The texts of one source and category.

    Attributes:
        source, category: "" where the texts name none.
        n: texts as they were read, save empty ones.
        mean_characters: of these.
        ones: of these, of label 1; None without labels.
    """

    source: str
    category: str
    n: int
    mean_characters: float
    ones: int | None


@dataclass(frozen=True, slots=True)
class SourceBalance(Result):
    """The classes within one source.

    Attributes:
        source: its name.
        n: texts, save noise and repeats.
        ones: of these, of label 1.
        length: AUROC of the length alone within the source, of the longer or the shorter, whichever
            separates; None where a label has fewer than ten texts.
    """

    source: str
    n: int
    ones: int
    length: Interval | None


@dataclass(frozen=True, slots=True, repr=False)
class Survey(Result):
    """What ``survey`` saw.

    Attributes:
        name: of the set.
        spec: what was read.
        rows: rows that were read.
        n: texts that say something; ``rows`` is these and the counts of ``left_out``.
        left_out: rows left out before, and empty ones, by reason.
        notes: what was found, guessed or repaired while reading.
        cells: the texts by source and category, as read.
        characters: their lengths.
        tokens: their lengths in tokens of the model; None without one.
        noise: what the noise filter leaves out.
        languages: what the texts seem to be written in.
        repeats: texts that are there again.
        labelled: what tells the labels apart, without noise and repeats; None without labels.
        balance: the classes within each source, the largest first; empty without labels or with
            one source only.
        cost: what reading the texts with the model takes; None without one.
        warnings: what to mind.
    """

    name: str
    spec: str
    rows: int
    n: int
    left_out: dict[str, int]
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    characters: LengthDistribution
    tokens: LengthDistribution | None
    noise: NoiseReport
    languages: tuple[LanguageCount, ...]
    repeats: Repeats
    labelled: Exploration | None
    balance: tuple[SourceBalance, ...]
    cost: Cost | None
    warnings: tuple[str, ...]

    def __rich__(self) -> RenderableType:
        from bezoar.corpus.explore_survey_table import survey_table

        return survey_table(self)

    @property
    def ones(self) -> int | None:
        """Texts of label 1; None without labels."""
        counts = [cell.ones for cell in self.cells if cell.ones is not None]
        return sum(counts) if len(counts) == len(self.cells) else None


def survey(
    texts: Corpus | Unlabelled,
    lm: Encoder | None = None,
    *,
    min_characters: int = MIN_CHARACTERS,
    seed: int = 0,
    most: int = MOST,
    progress: Progress | None = None,
) -> Survey:
    """Look at texts, with or without labels.

    Args:
        texts: not changed.
        lm: a `bezoar.models.LanguageModel`; gives lengths in its tokens, and what
            reading them with it will take.
        min_characters: of the noise filter.
        seed: of draws and folds.
        most: texts that are looked at for repeats, languages and labels, drawn by hash.
        progress: where to show it.

    Raises:
        DataError: if no text says anything.
    """
    noise = find_noise(texts.texts, min_characters=min_characters)
    empty = len(noise.dropped["empty"])
    if empty == len(texts):
        raise DataError(
            f"All {len(texts)} texts of {texts.name!r} are empty.",
            hint="Is it the right column? --text COLUMN names another.",
        )
    says = np.ones(len(texts), dtype=bool)
    says[list(noise.dropped["empty"])] = False
    said = texts.take(says, left_out="empty") if empty else texts
    some = drawn(said, most, seed, "texts")
    bars = progress or SILENT
    with bars.task("Labels"):
        labelled, balance, why = _labels(texts, noise, lm, seed, most)
    with bars.task("Repeats"):
        labels = some.labels.tolist() if isinstance(some, Corpus) else None
        repeats = find_repeats(some.texts, some.source, labels)
    languages = count_languages(track(progress, some.texts, "Languages", unit="texts"))
    tokens, cost = (None, None) if lm is None else forecast_cost(lm, said.texts, progress)
    seen = Survey(
        name=texts.name,
        spec=texts.origin.spec,
        rows=texts.origin.rows or len(texts),
        n=len(said),
        left_out=said.origin.left_out,
        notes=texts.origin.notes,
        cells=_cells(said),
        characters=describe_lengths([len(text) for text in said.texts]),
        tokens=None if tokens is None else describe_lengths(tokens, "tokens"),
        noise=noise,
        languages=languages,
        repeats=repeats,
        labelled=labelled,
        balance=balance,
        cost=cost,
        warnings=(),
    )
    return replace(seen, warnings=tuple(_warnings(seen, why, most)))


def _cells(texts: Corpus | Unlabelled) -> tuple[Cell, ...]:
    none = ("",) * len(texts)
    names = zip(texts.source or none, texts.category or none, strict=True)
    rows: dict[tuple[str, str], list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return tuple(
        Cell(
            *name,
            n=len(at),
            mean_characters=float(np.mean([len(texts.texts[row]) for row in at])),
            ones=int(texts.labels[at].sum()) if isinstance(texts, Corpus) else None,
        )
        for name, at in sorted(rows.items())
    )


def _labels(
    texts: Corpus | Unlabelled, noise: NoiseReport, lm: Encoder | None, seed: int, most: int
) -> tuple[Exploration | None, tuple[SourceBalance, ...], str]:
    """What tells the labels apart, in all and by source, or why that cannot be said."""
    if not isinstance(texts, Corpus):
        return None, (), ""
    try:
        kept = texts if noise.keep.all() else texts.take(noise.keep, left_out=noise.counts)
        kept.need_both_labels()
        kept, _ = clean(kept)
        few = min(int((kept.labels == label).sum()) for label in (0, 1))
        if few < _FEW:
            told = f"{few} texts of the rarer label: too few to say what tells them apart."
            return None, (), told
        kept = balanced(kept, most, seed)
        return explore(kept, lm, seed=seed), _by_source(kept), ""
    except DataError as error:
        return None, (), error.message


def _by_source(corpus: Corpus) -> tuple[SourceBalance, ...]:
    if corpus.source is None or len(set(corpus.source)) < 2:
        return ()
    found = []
    sources = np.array(corpus.source)
    lengths = length_scores(corpus)
    for name in sorted(set(corpus.source)):
        at = sources == name
        labels = corpus.labels[at]
        ones = int(labels.sum())
        length = None
        if min(ones, len(labels) - ones) >= _FEW:
            length = either_way(auroc_interval(lengths[at], labels))
        found.append(SourceBalance(name, len(labels), ones, length))
    return tuple(sorted(found, key=lambda balance: (-balance.n, balance.source)))


def _warnings(seen: Survey, why: str, most: int) -> list[str]:
    found = [why] if why else []
    if seen.n > most:
        found.append(f"Repeats, languages and labels were looked at in {most:,} texts.")
    if seen.labelled is not None:
        found += seen.labelled.warnings
    repeated = (seen.repeats.exact + seen.repeats.near) / seen.repeats.texts
    if repeated >= 0.05:
        found.append(
            f"{repeated:.0%} of the texts repeat another, nearly or exactly: split by families of "
            "them, not by rows."
        )
    for balance in seen.balance:
        if balance.length is not None and balance.length.low >= WARN_FROM["length"]:
            found.append(
                f"Within {balance.source or 'texts of no source'}, length alone tells the classes "
                f"apart with AUROC {balance.length}: look at that source by itself too."
            )
    if seen.repeats.across_labels and seen.labelled is None:
        found.append(
            f"{seen.repeats.across_labels:,} families of repeats bear both labels: such labels are "
            "noise, or the pairs are meant."
        )
    noisy = seen.noise.rows_in - seen.noise.rows_out
    if noisy >= 0.05 * seen.noise.rows_in:
        found.append(f"The noise filter leaves out {noisy:,} of {seen.noise.rows_in:,} texts.")
    if seen.tokens is not None and seen.cost is not None and seen.tokens.most > seen.cost.context:
        cut = counted(seen.cost.truncated, "text is", "texts are")
        found.append(f"{cut} longer than the model's context.")
    return found
