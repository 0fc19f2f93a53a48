"""Two models beside one another, from nothing but labelled texts and prompts.

What `bezoar diff` does: it fits the direction of the behaviour in the base, ranks the value vectors
by it, takes the words that tell the behaviour, and makes every part of `bezoar.compare.models` that
the two models allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bezoar.activations import harvest
from bezoar.attack.digest import digest
from bezoar.compare.models import (
    PARTS,
    CompareInputs,
    CompareSizes,
    ResidualShifts,
    SourcesByLayer,
    check_comparable,
    compare_all,
    load_compared,
)
from bezoar.compare.models.verdicts import verdict
from bezoar.corpus import Corpus, clean, load_corpus, load_prompts, split_corpus
from bezoar.edits import Edit
from bezoar.errors import NoFigure, RunConflict, UnsupportedAnatomy
from bezoar.locate import Direction, LinearProbe, ValueRanking, class_lexicon, rank_values
from bezoar.models import LanguageModel, Site
from bezoar.runs import DataConfig, Progress, Result, load_result, save_result
from bezoar.scoring import Scorer
from bezoar.studies.audit.locate import telling_tokens
from bezoar.studies.audit.prompts import split_prompts

EXAMPLES = 100
"""Prompts that examples are chosen from; nothing is measured on them."""
TEXT_TOKENS = 128
ABOUT = "diff.json"


@dataclass(frozen=True, slots=True)
class About(Result):
    """What a comparison is of.

    Attributes:
        base, edited: names of the models.
        key: hash of both models, texts, prompts, sizes and the seed.
        prompts_n: prompts that are measured on.
        texts_n: labelled texts that the direction was fitted to.
        tokens: ids of the words that tell the behaviour.
    """

    base: str
    edited: str
    key: str
    prompts_n: int
    texts_n: int
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Diff(Result):
    """A comparison of two models, part by part.

    Attributes:
        about: what was compared.
        verdicts: a sentence a part.
        skipped: parts that could not be had, and why.
    """

    about: About
    verdicts: dict[str, str]
    skipped: dict[str, str]


def diff_inputs(
    lm: LanguageModel,
    data: DataConfig,
    *,
    prompts: int = 200,
    scorer: Scorer | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[CompareInputs, Corpus]:
    """What `compare_all` reads, found in the base; and the texts that the direction is fitted to.

    The direction is a linear probe's on the mean of the last layer's residual stream, as an audit's
    is by default. Prompts are those that an audit would report on; examples come from the others.

    Raises:
        DataError: if the texts or prompts cannot be read, or are too few.
    """
    read = load_corpus(data.data, **data.reading(), limit=data.limit, seed=seed)
    corpus = split_corpus(clean(read)[0]).train
    select, report = split_prompts(load_prompts(data.prompts, data_root=data.root), EXAMPLES)
    direction = _direction(lm, corpus, progress)
    values: ValueRanking | None = None
    with suppress(UnsupportedAnatomy):
        values = rank_values(lm, direction)
    tokens: Sequence[int] = ()
    if lm.has_unembedding:
        tokens = telling_tokens(lm, class_lexicon(lm, corpus), corpus)
    inputs = CompareInputs(
        prompts=report.texts[:prompts],
        direction=direction,
        values=values,
        tokens=tokens,
        examples=select.texts,
        scorer=scorer,
    )
    return inputs, corpus


def _direction(lm: LanguageModel, corpus: Corpus, progress: Progress | None) -> Direction:
    site = Site(lm.n_layers - 1, "resid_post")
    store = harvest(
        lm,
        corpus.texts,
        [site],
        pooling="mean",
        out=None,
        max_tokens=TEXT_TOKENS,
        progress=progress,
    )
    probe = LinearProbe(site=str(site), pooling="mean")
    probe.fit(store.rows(site), corpus.labels)
    return probe.direction(trained_on=corpus.hash)


def run_diff(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    data: DataConfig,
    folder: Path,
    *,
    prompts: int = 200,
    scorer: Scorer | None = None,
    sizes: CompareSizes | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Diff:
    """Compare two models and keep every part in a folder; one that was stopped goes on.

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        data: labelled texts and prompts.
        folder: made if it is missing.
        prompts: how many are measured on, at most.
        scorer: of what the models between and beyond the two write; these are not made without.
        sizes: how much of each part.
        seed: of the texts drawn, of bootstraps and random sets.
        progress: where to show it.

    Raises:
        ModelError: if the models differ in shape or tokenizer.
        RunConflict: if the folder holds something else.
        DataError: if the texts or prompts cannot be read, or are too few.
    """
    if isinstance(edited, Edit):
        edited.check(base)
    else:
        check_comparable(base, edited)
    sizes = sizes or CompareSizes()
    inputs, corpus = diff_inputs(
        base, data, prompts=prompts, scorer=scorer, seed=seed, progress=progress
    )
    about = About(
        base=base.name,
        edited=edited.name,
        key=digest(
            *(base.fingerprint, edited if isinstance(edited, Edit) else edited.fingerprint),
            *(corpus.hash, inputs.prompts, inputs.examples, sizes, seed),
            None if scorer is None else scorer.hash,
        ),
        prompts_n=len(inputs.prompts),
        texts_n=len(corpus),
        tokens=tuple(inputs.tokens),
    )
    _claim(folder, about)
    left = {"drop_random"} | ({"interpolation"} if scorer is None else set())
    parts = [name for name in PARTS if name not in left]
    skipped = compare_all(
        base, edited, inputs, folder, parts=parts, sizes=sizes, seed=seed, progress=progress
    )
    found = load_compared(folder)
    said = {name: sentence for name, part in found.items() if (sentence := verdict(part))}
    made = Diff(about, said, skipped.reasons)
    save_result(folder / "verdicts.json", made)
    return made


def _claim(folder: Path, about: About) -> None:
    """Take a folder that is empty or already of this comparison.

    Raises:
        RunConflict: if it holds another, or other files.
    """
    file = folder / ABOUT
    if file.is_file():
        if (old := load_result(file, About)).key != about.key:
            raise RunConflict(
                f"{folder} holds a comparison of {old.base} and {old.edited}, of other models, "
                "texts or options.",
                hint="Give another --out, or remove the folder.",
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise RunConflict(f"{folder} holds other files.", hint="Give --out a new folder.")
    save_result(file, about)


def save_figures(folder: Path, *, unmask: bool = False) -> list[Path]:
    """Draw every part that has a picture as ``FOLDER/figures/NAME.html``; plotly lies beside them.

    Args:
        folder: of the parts.
        unmask: draw profanity and slurs in full.
    """
    from bezoar.report.figures import figure_of

    written = []
    (folder / "figures").mkdir(exist_ok=True)
    for name, part in _pictured(load_compared(folder)):
        with suppress(NoFigure):
            figure = figure_of(part, unmask=unmask)
            file = folder / "figures" / f"{name}.html"
            figure.write_html(file, include_plotlyjs="directory")
            written.append(file)
    return written


def _pictured(parts: dict[str, Result]) -> list[tuple[str, Result]]:
    """Those of several layers one by one."""
    found: list[tuple[str, Result]] = []
    for name, part in parts.items():
        if isinstance(part, ResidualShifts):
            found += [(f"shift_{shift.site}", shift) for shift in part.shifts]
        elif isinstance(part, SourcesByLayer):
            found += [(f"sources_{sources.site}", sources) for sources in part.sources]
        else:
            found.append((name, part))
    return found
