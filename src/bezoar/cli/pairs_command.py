"""`bezoar pairs`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bezoar.cli import options as opt
from bezoar.cli.load import SetModel, load_model
from bezoar.cli.outputs import check_new_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bezoar.models import LanguageModel
    from bezoar.pairs import Pairs
    from bezoar.runs import Progress
    from bezoar.runs.sections import DataConfig
    from bezoar.scoring import Scorer


@dataclass(frozen=True, slots=True)
class Sentences:
    """What is drawn of a text to begin pairs with; ``words`` None for as many as in an audit."""

    count: int
    words: int | None
    seed: int

    def of(self, texts: Sequence[str], times: int = 1) -> tuple[str, ...]:
        """Beginnings of sentences, so many times the count at most."""
        from bezoar.pairs import sentence_prompts
        from bezoar.runs.input_sections import PairsConfig

        words = PairsConfig().words if self.words is None else self.words
        return sentence_prompts(texts, times * self.count, words=words, seed=self.seed)


def command(
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Parquet file to write.")],
    model: opt.Model = None,
    how: Annotated[
        Literal["steered", "pplm"] | None,
        typer.Option("--how", help="Steer, or take PPLM's gradients [steered]."),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Prompts to continue [1000].")
    ] = None,
    words: Annotated[
        int | None, typer.Option("--words", min=1, help="Of a sentence that make a prompt [8].")
    ] = None,
    neutral: opt.Neutral = None,
    prompts: opt.Prompts = None,
    data: opt.Data = None,
    data_root: opt.DataRoot = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", help="Pairs that people wrote; none are made."),
    ] = None,
    chosen: Annotated[
        str | None,
        typer.Option("--chosen", metavar="COLUMN", help="Of --file: the less toxic sides."),
    ] = None,
    rejected: Annotated[
        str | None,
        typer.Option("--rejected", metavar="COLUMN", help="Of --file: the more toxic sides."),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", metavar="COLUMN", help="Of --file: the prompts.")
    ] = None,
    leaked: Annotated[
        Literal["raise", "strip", "drop", "keep"] | None,
        typer.Option(
            "--leaked", help="Of --file: what to do about sides with their prompt [raise]."
        ),
    ] = None,
    layer: Annotated[
        int | None, typer.Option("--layer", help="To steer [middle], to probe for PPLM [last].")
    ] = None,
    alpha: Annotated[
        float | None,
        typer.Option("--alpha", min=-10, max=10, help="Shift, in mean residual norms [0.4]."),
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
        "--how": how,
        "--count": count,
        "--words": words,
        "--neutral": neutral,
        "--prompts": prompts,
        "--data": data,
        "--layer": layer,
        "--alpha": alpha,
        "--iterations": iterations,
        "--seed": seed,
        "--device": device,
        "--set": assignments or None,
    }
    of_file = {"--chosen": chosen, "--rejected": rejected, "--prompt": prompt, "--leaked": leaked}
    _check(out, file, how or "steered", of_model, of_file)
    check_new_file(out)
    opt.use_threads(threads)

    from bezoar.cli.show import progress
    from bezoar.pairs import load_pairs
    from bezoar.runs.sections import DataConfig
    from bezoar.scoring import load_scorer

    scorers = [load_scorer(name) for name in (scorer_a, scorer_b)]  # a wrong name, before the work
    if file is not None:
        made = load_pairs(
            file,
            prompt=prompt,
            chosen=chosen,
            rejected=rejected,
            data_root=data_root,
            leaked=leaked or "raise",
        )
    else:
        given = {"data": data, "neutral": neutral, "root": data_root}
        asked = DataConfig(**{key: value for key, value in given.items() if value is not None})
        size = Sentences(count or 1000, words, seed or 0)
        texts = _given(asked, prompts, size)  # a wrong file, before the work
        corpus = _corpus(asked, size.seed)
        lm = load_model(model or "demo", device=device, assignments=assignments)
        texts = _rest(lm, asked, size) if texts is None else texts
        with progress(quiet, json) as bars:
            made = _made(
                lm, how or "steered", texts, corpus, layer, alpha, iterations, size.seed, bars
            )
    _keep(made, scorers, margin, out, json)


def _check(
    out: Path,
    file: str | None,
    how: str,
    of_model: dict[str, object],
    of_file: dict[str, str | None],
) -> None:
    """Refuse what cannot be meant, before anything heavy is imported."""
    from bezoar.errors import ConfigError

    given = [name for name, value in of_model.items() if value is not None]
    columns = [name for name, value in of_file.items() if value is not None]
    if out.suffix != ".parquet":
        raise ConfigError(f"--out {out} is no parquet file.", hint="Name it like pairs.parquet.")
    if file is not None and given:
        raise ConfigError(
            f"--file reads pairs and makes none, so {_joined(given)} {_has(given)} no place.",
            hint=f"Leave --file out, or {_joined(given)}.",
        )
    if file is None and columns:
        raise ConfigError(
            f"{_joined(columns)} {_has(columns)} no place without --file: pairs are made.",
            hint=f"Name the file of pairs: --file FILE, or leave {_joined(columns)} out.",
        )
    for name in ("--neutral", "--words"):
        if "--prompts" in given and name in given:
            raise ConfigError(
                f"--prompts are continued as they are, so {name} has no place.",
                hint="Leave one of them out.",
            )
    if "--alpha" in given and how == "pplm":
        raise ConfigError("--alpha is of --how steered.", hint="Leave one of them out.")
    if "--iterations" in given and how == "steered":
        raise ConfigError("--iterations is of --how pplm.", hint="Leave it out, or say how.")


def _joined(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def _has(names: list[str]) -> str:
    return "has" if len(names) == 1 else "have"


def _keep(made: Pairs, scorers: list[Scorer], margin: float, out: Path, json: bool) -> None:
    """Score, filter and save the pairs, ask the second scorer, and tell."""
    from bezoar.cli.show import show
    from bezoar.corpus.table import counted
    from bezoar.pairs import filter_pairs, judge_pairs, score_pairs
    from bezoar.runs.results import to_plain

    kept, report = filter_pairs(score_pairs(made, scorers[0]), min_margin=margin)
    kept.save(out)
    agreement = judge_pairs(kept, scorers[1]) if len(kept) > 1 else None
    if json:
        found = {"out": str(out), "left_out": kept.origin.left_out, "report": to_plain(report)}
        found["notes"] = list(kept.origin.notes)
        found["agreement"] = agreement and to_plain(agreement)
        show(found, as_json=True)
        return
    show(report, as_json=False)
    if agreement is not None:
        show(agreement, as_json=False)
    for note in kept.origin.notes:
        show(f"Note: {note}.", as_json=False)
    show(f"{counted(len(kept), 'pair')} of {kept.origin.rows:,} in {out}", as_json=False)


def _given(asked: DataConfig, prompts: str | None, size: Sentences) -> tuple[str, ...] | None:
    """The prompts, or sentences of the neutral text, that were named."""
    from bezoar.corpus import load_neutral, load_prompts

    if prompts is not None:
        limit, seed = size.count, size.seed
        return load_prompts(prompts, data_root=asked.root, limit=limit, seed=seed).texts
    if "neutral" not in asked.model_fields_set:
        return None
    return size.of(load_neutral(asked.neutral, data_root=asked.root).texts)


def _rest(lm: LanguageModel, asked: DataConfig, size: Sentences) -> tuple[str, ...]:
    """Sentences of what a default audit leaves over."""
    from bezoar.pairs import unseen_prompts
    from bezoar.studies.audit.rest import rest_of

    rest, seen = rest_of(lm, asked, size.seed)
    drawn = size.of(rest, 3)
    return unseen_prompts(drawn, seen)[0][: size.count]


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
