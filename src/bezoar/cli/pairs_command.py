"""`bezoar pairs`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model

if TYPE_CHECKING:
    from bezoar.models import LanguageModel
    from bezoar.pairs import Pairs
    from bezoar.runs import Progress
    from bezoar.runs.sections import DataConfig


def command(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    model: opt.Model = None,
    how: Annotated[
        Literal["steered", "pplm"], typer.Option("--how", help="Steer, or take PPLM's gradients.")
    ] = "steered",
    count: Annotated[int, typer.Option("--count", min=1, help="Prompts to continue.")] = 1000,
    neutral: opt.Neutral = None,
    prompts: opt.Prompts = None,
    data: opt.Data = None,
    data_root: opt.DataRoot = None,
    layer: Annotated[
        int | None, typer.Option("--layer", help="To steer [middle], to probe for PPLM [last].")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="Shift, in mean residual norms [0.4].")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=0, help="Of PPLM at each token [50].")
    ] = None,
    margin: Annotated[
        float, typer.Option("--margin", min=0, max=1, help="Least difference of scores.")
    ] = 0.05,
    scorer_a: Annotated[
        str, typer.Option("--scorer-a", metavar="SCORER", help="Filters the pairs.")
    ] = "demo-a",
    scorer_b: Annotated[
        str, typer.Option("--scorer-b", metavar="SCORER", help="Judges what is left.")
    ] = "demo-b",
    seed: opt.Seed = None,
    device: opt.Device = None,
    assignments: SetModel = None,
    threads: opt.Threads = None,
    json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Make preference pairs with the model: continuations of which one is less toxic.

    Prompts are beginnings of sentences that a default audit reports on nowhere: of the texts and
    the neutral text that it leaves over, or of the neutral text that is given.
    """
    from bezoar.errors import ConfigError

    if out.suffix != ".parquet":
        raise ConfigError(f"--out {out} is no parquet file.", hint="Name it like pairs.parquet.")
    if alpha is not None and how == "pplm":
        raise ConfigError("--alpha is of --how steered.", hint="Leave one of them out.")
    if iterations is not None and how == "steered":
        raise ConfigError("--iterations is of --how pplm.", hint="Leave it out, or say how.")
    opt.use_threads(threads)

    from bezoar.cli.show import progress, show
    from bezoar.pairs import filter_pairs, judge_pairs, score_pairs
    from bezoar.runs.results import to_plain
    from bezoar.runs.sections import DataConfig
    from bezoar.scoring import load_scorer

    scorers = [load_scorer(name) for name in (scorer_a, scorer_b)]  # a wrong name, before the work
    given = {"data": data, "neutral": neutral, "root": data_root}
    asked = DataConfig(**{key: value for key, value in given.items() if value is not None})
    corpus = _corpus(asked, seed or 0)
    lm = load_model(model or "demo", device=device, assignments=assignments)
    texts = _prompts(lm, asked, prompts, count, seed or 0)
    with progress(quiet, json) as bars:
        made = _made(lm, how, texts, corpus, layer, alpha, iterations, seed or 0, bars)
    kept, report = filter_pairs(score_pairs(made, scorers[0]), min_margin=margin)
    kept.save(out)
    agreement = judge_pairs(kept, scorers[1]) if len(kept) > 1 else None
    if json:
        found = {"out": str(out), "left_out": kept.origin.left_out, "report": to_plain(report)}
        found["agreement"] = agreement and to_plain(agreement)
        show(found, as_json=True)
        return
    show(report, as_json=False)
    if agreement is not None:
        show(agreement, as_json=False)
    show(f"{len(kept)} pairs of {len(texts)} prompts in {out}", as_json=False)


def _prompts(
    lm: LanguageModel, asked: DataConfig, prompts: str | None, count: int, seed: int
) -> tuple[str, ...]:
    from bezoar.corpus import load_neutral, load_prompts
    from bezoar.pairs import sentence_prompts, unseen_prompts
    from bezoar.runs.input_sections import PairsConfig
    from bezoar.studies.audit.rest import rest_of

    if prompts is not None:
        return load_prompts(prompts, data_root=asked.root, limit=count, seed=seed).texts
    words = PairsConfig().words
    if "neutral" in asked.model_fields_set:
        given = load_neutral(asked.neutral, data_root=asked.root).texts
        return sentence_prompts(given, count, words=words, seed=seed)
    rest, seen = rest_of(lm, asked, seed)
    drawn = sentence_prompts(rest, 3 * count, words=words, seed=seed)
    return unseen_prompts(drawn, seen)[0][:count]


def _corpus(asked: DataConfig, seed: int) -> Any:
    """The training part of the labelled texts, as an audit would cut it."""
    from bezoar.corpus import clean, load_corpus, split_corpus

    read = load_corpus(asked.data, **asked.reading(), limit=asked.limit, seed=seed)
    return split_corpus(clean(read)[0]).train


def _made(
    lm: LanguageModel,
    how: str,
    prompts: tuple[str, ...],
    corpus: Any,
    layer: int | None,
    alpha: float | None,
    iterations: int | None,
    seed: int,
    progress: Progress,
) -> Pairs:
    import dataclasses

    from bezoar.pairs import (
        PPLM,
        clean_pairs,
        fit_attribute,
        fit_steering,
        pplm_pairs,
        steered_pairs,
    )
    from bezoar.pairs.steered import ALPHA, STEERED

    if how == "pplm":
        probe = fit_attribute(lm, corpus, layer=layer, progress=progress)
        settings = PPLM() if iterations is None else PPLM(iterations=iterations)
        written = pplm_pairs(lm, prompts, probe, settings, seed=seed, progress=progress)
        return clean_pairs(written, leaked="keep")[0]
    probe = fit_steering(lm, corpus, layer=layer, progress=progress)
    return steered_pairs(
        lm,
        prompts,
        probe.direction(trained_on=corpus.hash),
        alpha=ALPHA if alpha is None else alpha,
        decoding=dataclasses.replace(STEERED, seed=seed),
        progress=progress,
    )
