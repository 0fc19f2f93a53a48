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
    from bezoar.scoring import Scorer


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
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Pairs that people wrote; none are made."),
    ] = None,
    leaked: Annotated[
        Literal["raise", "strip", "drop", "keep"],
        typer.Option("--leaked", help="Of --file: what to do about sides with their prompt."),
    ] = "raise",
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
    the neutral text that it leaves over, or of the neutral text that is given. With --file no model
    is asked: pairs that people wrote are scored, filtered and judged alike.
    """
    of_model: dict[str, object] = {
        "MODEL": model,
        "--neutral": neutral,
        "--prompts": prompts,
        "--data": data,
    }
    of_model |= {"--layer": layer, "--alpha": alpha, "--iterations": iterations}
    _check(out, how, file, of_model)
    opt.use_threads(threads)

    from bezoar.cli.show import progress
    from bezoar.pairs import load_pairs
    from bezoar.runs.sections import DataConfig
    from bezoar.scoring import load_scorer

    scorers = [load_scorer(name) for name in (scorer_a, scorer_b)]  # a wrong name, before the work
    if file is not None:
        made = load_pairs(file, data_root=data_root, leaked=leaked)
    else:
        given = {"data": data, "neutral": neutral, "root": data_root}
        asked = DataConfig(**{key: value for key, value in given.items() if value is not None})
        texts = _given(asked, prompts, count, seed or 0)  # a wrong file, before the work
        corpus = _corpus(asked, seed or 0)
        lm = load_model(model or "demo", device=device, assignments=assignments)
        texts = _rest(lm, asked, count, seed or 0) if texts is None else texts
        with progress(quiet, json) as bars:
            made = _made(lm, how, texts, corpus, layer, alpha, iterations, seed or 0, bars)
    _keep(made, scorers, margin, out, json)


def _check(out: Path, how: str, file: str | None, of_model: dict[str, object]) -> None:
    """Refuse what cannot be meant, before anything heavy is imported."""
    from bezoar.errors import ConfigError

    given = [name for name, value in of_model.items() if value is not None]
    if out.suffix != ".parquet":
        raise ConfigError(f"--out {out} is no parquet file.", hint="Name it like pairs.parquet.")
    if file is not None and given:
        raise ConfigError(
            f"--file reads pairs and makes none, so {given[0]} has no place.",
            hint="Leave one of them out.",
        )
    if "--alpha" in given and how == "pplm":
        raise ConfigError("--alpha is of --how steered.", hint="Leave one of them out.")
    if "--iterations" in given and how == "steered":
        raise ConfigError("--iterations is of --how pplm.", hint="Leave it out, or say how.")


def _keep(made: Pairs, scorers: list[Scorer], margin: float, out: Path, json: bool) -> None:
    """Score, filter and save the pairs, ask the second scorer, and tell."""
    from bezoar.cli.show import show
    from bezoar.pairs import filter_pairs, judge_pairs, score_pairs
    from bezoar.runs.results import to_plain

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
    show(f"{len(kept)} pairs of {kept.origin.rows} in {out}", as_json=False)


def _given(asked: DataConfig, prompts: str | None, count: int, seed: int) -> tuple[str, ...] | None:
    """The prompts, or sentences of the neutral text, that were named."""
    from bezoar.corpus import load_neutral, load_prompts
    from bezoar.pairs import sentence_prompts
    from bezoar.runs.input_sections import PairsConfig

    if prompts is not None:
        return load_prompts(prompts, data_root=asked.root, limit=count, seed=seed).texts
    if "neutral" not in asked.model_fields_set:
        return None
    given = load_neutral(asked.neutral, data_root=asked.root).texts
    return sentence_prompts(given, count, words=PairsConfig().words, seed=seed)


def _rest(lm: LanguageModel, asked: DataConfig, count: int, seed: int) -> tuple[str, ...]:
    """Sentences of what a default audit leaves over."""
    from bezoar.pairs import sentence_prompts, unseen_prompts
    from bezoar.runs.input_sections import PairsConfig
    from bezoar.studies.audit.rest import rest_of

    rest, seen = rest_of(lm, asked, seed)
    drawn = sentence_prompts(rest, 3 * count, words=PairsConfig().words, seed=seed)
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
