"""Stage 5, mitigate: fit every method to the budget, prove that its edit acts, and choose one.

Files: ``methods.json`` (what was fitted, with its nulls' strengths), ``fitted.json`` (how each
strength was found), ``edits/NAME/``, ``selection.json``. Everything here sees only the training
texts, the selection prompts, the selection half of the neutral text, and scorer A.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bezoar.corpus import Corpus
from bezoar.edits import Edit, NoOp, self_test
from bezoar.errors import BezoarError, BudgetError, ConfigError
from bezoar.evaluate import Evaluator, everywhere, get_protocol
from bezoar.evaluate.cost import PerplexityMeter
from bezoar.locate import Lexicon
from bezoar.mitigate import (
    DEFAULT_METHODS,
    BudgetTrace,
    FitInputs,
    Method,
    fit_to_budget,
    null_inputs,
    parse_method,
)
from bezoar.runs import Budget, Result, load_result, parse_budget, save_result, track
from bezoar.scoring import KLMeter, plan_windows
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.locate import store, telling_tokens

BANNED_WORDS = 60
_NULL_EVALUATIONS = 4  # begun at the method's strength, and cost is nearly its square
_NULL_TOKENS = 4_000


@dataclass(frozen=True, slots=True)
class NullFit(Result):
    """Null edits of a method: of which kind, held equal in what, how strong and how dear each is.

    A draw that no strength makes as cheap as the method has the strength None, and is left out.
    """

    kind: str
    equal: str
    strengths: tuple[float | None, ...]
    costs: tuple[float | None, ...] = ()

    @property
    def label(self) -> str:
        return f"{self.kind}, equal {self.equal}"


@dataclass(frozen=True, slots=True)
class FittedMethod(Result):
    """A method at the strength that the budget allows.

    Attributes:
        name: its folder below ``edits``.
        spec: what `parse_method` reads.
        label: for people.
        strength, cost: what was chosen, on the selection half.
        foldable, fold_reason: whether it becomes plain weights, and if not, why.
        logit_change: largest change of a next-token logit in the self-test.
        select_toxicity: mean score by scorer A over the selection prompts.
        nulls: its null edits.
    """

    name: str
    spec: str
    label: str
    strength: float
    cost: float
    foldable: bool
    fold_reason: str
    logit_change: float
    select_toxicity: float
    nulls: tuple[NullFit, ...]


@dataclass(frozen=True, slots=True)
class Fits(Result):
    """All methods that were tried.

    Attributes:
        methods: those that met the budget.
        failed: spec of each other one, and why.
        best: name of the one that lowers toxicity most on the selection prompts and folds.
        select_toxicity: of the unedited model.
    """

    methods: tuple[FittedMethod, ...]
    failed: dict[str, str]
    best: str | None
    select_toxicity: float


class Costs:
    """What an edit costs on the selection half, in the units of the budget."""

    def __init__(self, bench: Bench, budget: Budget, tokens: int | None = None) -> None:
        lm, texts = bench.lm, list(bench.neutral("select").texts)
        if tokens is not None:
            ends = np.cumsum([len(ids) for ids in lm.encode(texts)])
            texts = texts[: int(np.searchsorted(ends, tokens)) + 1]
        self._budget = budget
        if budget.measure == "kl":
            self._kl = KLMeter(lm, texts, bench.config.evaluate.kl_tokens)
            return
        protocol = "bpb-1024" if budget.measure == "bits_per_byte" else bench.protocol.perplexity
        self._meter = PerplexityMeter(lm, plan_windows(lm, texts, protocol))
        self._base = self._meter.measure(None).value

    def __call__(self, edit: Edit) -> float:
        if self._budget.measure == "kl":
            return self._kl.measure(everywhere(edit)).value
        return self._budget.cost(self._base, self._meter.measure(edit).value)


def mitigate_stage(bench: Bench) -> None:
    """Fit, prove and choose."""
    config = bench.config
    key = [config.model, config.mitigate, config.evaluate, config.locate.site, config.seed]
    key += [bench.scorer_a.hash]
    with bench.run.stage("mitigate", key=key, after=["explore", "harvest", "locate"]) as stage:
        if stage.done:
            return
        inputs, budget = fit_inputs(bench), parse_budget(config.mitigate.budget)
        costs = Costs(bench, budget), Costs(bench, budget, _NULL_TOKENS)
        selector = _selector(bench)
        fitted: list[FittedMethod] = []
        traces: list[BudgetTrace] = []
        failed: dict[str, str] = {}
        specs = [s for m in config.mitigate.methods for s in _expand(m)]
        for spec in track(bench.progress, specs, "Fitting methods", unit="methods"):
            try:
                method, trace = _fit(bench, parse_method(spec), inputs, costs, budget, selector)
            except BezoarError as error:  # one method that cannot be had must not cost the rest
                failed[spec] = str(error)
                continue
            fitted.append(method)
            traces.append(trace)
        base = selector.measure(NoOp(), parts=("toxicity",), keep_texts=False)
        toxicity = float(np.mean(base.per_prompt["mean_score"]))
        save_result(stage.folder / "fitted.json", tuple(traces))
        save_result(
            stage.folder / "methods.json",
            Fits(tuple(fitted), failed, _best(fitted, toxicity), toxicity),
        )


def _expand(name: str) -> tuple[str, ...]:
    return DEFAULT_METHODS if name == "default" else (name,)


def _selector(bench: Bench) -> Evaluator:
    """Measures on the selection prompts, by scorer A, with the decoding of the protocol."""
    prompts = bench.prompts("select")
    asked = get_protocol(bench.config.evaluate.protocol, prompts=len(prompts))
    return Evaluator(bench.lm, prompts, asked, [bench.scorer_a])


def fit_inputs(bench: Bench) -> FitInputs:
    """What the locate stage found, and the training rows that nulls are drawn from."""
    train = bench.corpus("train")
    site = bench.lm.site(bench.config.locate.site)
    words: tuple[str, ...] = ()
    if bench.lm.has_unembedding:
        lexicon = load_result(bench.run.folder("locate") / "lexicon.json", Lexicon)
        words = banned_words(bench, lexicon, train)
    return FitInputs(
        probe=bench.direction,
        mean_difference=bench.mean_difference,
        values=bench.values,
        svd=bench.svd,
        words=words,
        corpus=train,
        rows=store(bench, "train").rows(site).astype(np.float64),
        labels=train.labels,
    )


def banned_words(bench: Bench, lexicon: Lexicon, train: Corpus) -> tuple[str, ...]:
    """The corpus's own most telling words: whatever the behaviour is, these give it away."""
    ids = telling_tokens(bench.lm, lexicon, train, BANNED_WORDS)
    return tuple(dict.fromkeys(w.strip().casefold() for w in bench.lm.token_strings(ids)))


def _fit(
    bench: Bench,
    method: Method,
    inputs: FitInputs,
    costs: tuple[Costs, Costs],
    budget: Budget,
    selector: Evaluator,
) -> tuple[FittedMethod, BudgetTrace]:
    lm, asked = bench.lm, bench.config.mitigate
    found = fit_to_budget(lm, method, inputs, costs[0], budget.limit, asked.max_evaluations)
    proof = self_test(found.edit, lm, bench.prompts("select")[:4])
    name = slug(found.method.spec)
    found.edit.save(bench.run.folder("mitigate") / "edits" / name, lm)
    measured = selector.measure(found.edit, parts=("toxicity",), keep_texts=False)
    cost = float(found.trace.cost or 0.0)
    return FittedMethod(
        name=name,
        spec=found.method.spec,
        label=label_of(found.method.spec),
        strength=found.strength,
        cost=cost,
        foldable=proof.fold_reason == "",
        fold_reason=proof.fold_reason,
        logit_change=proof.logit_change,
        select_toxicity=float(np.mean(measured.per_prompt["mean_score"])),
        nulls=tuple(_nulls(bench, found.method, inputs, costs[1], costs[1](found.edit))),
    ), found.trace


def _nulls(
    bench: Bench, method: Method, inputs: FitInputs, cost: Costs, target: float
) -> Iterator[NullFit]:
    """Every kind of null at the method's cost, and the main kind at its very strength."""
    n, seed = bench.config.mitigate.null_draws, bench.run.seed("nulls")
    yield NullFit(method.null_kinds[0], "strength", (method.strength,) * n)
    for kind in method.null_kinds:
        found = [
            _at_cost(bench, method, drawn, cost, max(target, 1e-3))
            for drawn in null_inputs(kind, bench.lm, inputs, n, seed)
        ]
        yield NullFit(kind, "cost", tuple(s for s, _ in found), tuple(c for _, c in found))


def _at_cost(
    bench: Bench, method: Method, inputs: FitInputs, cost: Costs, target: float
) -> tuple[float | None, float | None]:
    """Strength and cost of a null that costs what the method costs, on the same text."""
    try:
        found = fit_to_budget(
            bench.lm, method, inputs, cost, target, _NULL_EVALUATIONS, start=method.strength
        )
    except BudgetError:
        return None, None
    return found.strength, found.trace.cost


def null_edits(bench: Bench, fitted: FittedMethod, null: NullFit, inputs: FitInputs) -> list[Edit]:
    """The null edits again: inputs drawn from the run's seed, strengths as recorded."""
    method = parse_method(fitted.spec)
    seed = bench.run.seed("nulls")
    drawn = null_inputs(null.kind, bench.lm, inputs, len(null.strengths), seed)
    return [
        method.with_strength(strength).fit(bench.lm, each)
        for strength, each in zip(null.strengths, drawn, strict=True)
        if strength is not None
    ]


def _best(fitted: list[FittedMethod], base: float) -> str | None:
    """Lowest selection toxicity among those that fold, if any is below the unedited model's."""
    folding = [m for m in fitted if m.foldable and m.select_toxicity < base]
    return min(folding, key=lambda m: m.select_toxicity).name if folding else None


def slug(spec: str) -> str:
    """A folder name: ``subtract:direction=value`` becomes ``subtract-value``."""
    parts = spec.casefold().replace("direction=", "").replace("_", "-")
    return re.sub(r"[^a-z0-9.=-]+", "-", parts).strip("-")


def label_of(spec: str) -> str:
    """The words for a table: ``subtract value``."""
    name, _, options = spec.partition(":")
    if name in ("subtract", "project-out") and "direction=" not in options:
        options = ",".join(filter(None, ("probe", options)))
    words = f"{name.replace('-', ' ')} {options}".replace("direction=", "").replace("_", " ")
    return words.replace(",", ", ").strip()


def check_methods(names: tuple[str, ...]) -> None:
    """Refuse unknown methods before any work.

    Raises:
        ConfigError: with the nearest names.
    """
    specs = [s for name in names for s in _expand(name)]
    slugs = [slug(parse_method(spec).spec) for spec in specs]
    twice = sorted({name for name in slugs if slugs.count(name) > 1})
    if twice:
        raise ConfigError(f"The method {twice[0]!r} is named twice.", hint="Leave one out.")
