"""Fitting one method of an audit: its strength, the proof that it acts, and its nulls.

Each is written to ``attempts/NAME.json`` or ``attempts/NAME.NULL.json`` as soon as it is found, so
that a stage that was killed loses one search, and ends with the bytes of one that was not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bezoar.corpus import Corpus
from bezoar.edits import self_test
from bezoar.errors import (
    BezoarError,
    BudgetError,
    RunError,
    ScorerError,
    SiteError,
    StoreError,
)
from bezoar.evaluate import Evaluator, get_protocol
from bezoar.locate import Lexicon, UnitMoments
from bezoar.mitigate import (
    BudgetTrace,
    FitInputs,
    Method,
    fit_to_budget,
    null_inputs,
    parse_method,
)
from bezoar.runs import kept, load_result, parse_budget
from bezoar.runs.usage import Meter, note_fit
from bezoar.studies.audit.asked import needs, null_draws
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.costs import Costs
from bezoar.studies.audit.experts import units
from bezoar.studies.audit.fitted import Attempt, FittedMethod, NullFit
from bezoar.studies.audit.locate import store, telling_tokens
from bezoar.studies.audit.sae import autoencoder, latent_profile
from bezoar.studies.audit.states import toxic_states

BANNED_WORDS = 60
NULL_EVALUATIONS = 8  # the most; begun at the method's strength, and cost is nearly its square
NULL_TOLERANCE = (0.1, 0.1, 0.1, 0.2)  # after four, a fifth below the method's cost is near enough
_NULL_TOKENS = 4_000
_OF_NEURONS = {"values", "svd", "experts"}
_NO_NEURONS = (
    "Not tried: it acts on the neurons of MLPs or along their value vectors, and in a mixture of "
    "experts these are not one set."
)


class Fitting:
    """Fits one method after another.

    Args:
        bench: the audit at work.
        folder: of the mitigate stage.
    """

    def __init__(self, bench: Bench, folder: Path) -> None:
        self.bench = bench
        self.folder = folder
        self.inputs = fit_inputs(bench)
        self.budget = parse_budget(bench.config.mitigate.budget)
        self.cost = Costs(bench, self.budget)
        self.short_cost = Costs(bench, self.budget, _NULL_TOKENS)
        self.selector = _selector(bench)

    def __call__(self, spec: str) -> Attempt:
        """The fit of a method with its nulls, or why there is none."""
        method = parse_method(spec)
        name = slug(method.spec)
        file = self.folder / "attempts" / f"{name}.json"
        attempt = kept(file, Attempt, lambda: self._or_failed(lambda: self._fit(method, name)))
        if attempt.fitted is None:
            return attempt
        return self._or_failed(partial(self._with_nulls, attempt, attempt.fitted))

    def _or_failed(self, fit: Callable[[], Attempt]) -> Attempt:
        """One method that cannot be had must not cost the rest; a broken run or scorer, or a layer
        that the model does not have, must."""
        try:
            return fit()
        except (RunError, ScorerError, SiteError, StoreError):
            raise
        except BudgetError as error:
            trace = error.trace if isinstance(error.trace, BudgetTrace) else None
            return Attempt(trace=trace, failed=str(error))
        except BezoarError as error:
            return Attempt(failed=str(error))

    def _fit(self, method: Method, name: str) -> Attempt:
        if any(getattr(self.inputs, what) is None for what in method.requires & _OF_NEURONS):
            return Attempt(failed=_NO_NEURONS)
        lm, asked = self.bench.lm, self.bench.config.mitigate
        inputs = inputs_for(self.bench, self.inputs, name)
        self._time(method, inputs)
        found = fit_to_budget(
            lm, method, inputs, self.cost, self.budget.limit, asked.max_evaluations
        )
        proof = self_test(found.edit, lm, self.bench.prompts("select")[:4])
        found.edit.save(self.folder / "edits" / name, lm)
        measured = self.selector.measure(found.edit, parts=("toxicity",), keep_texts=False)
        fitted = FittedMethod(
            name=name,
            spec=found.method.spec,
            label=label_of(found.method.spec) + (" (control)" if method.control else ""),
            strength=found.strength,
            cost=float(found.trace.cost or 0.0),
            foldable=proof.fold_reason == "",
            fold_reason=proof.fold_reason,
            logit_change=proof.logit_change,
            select_toxicity=float(np.mean(measured.per_prompt["toxicity"])),
            nulls=(),
        )
        return Attempt(fitted, found.trace, self.short_cost(found.edit))

    def _time(self, method: Method, inputs: FitInputs) -> None:
        """Note what one fit takes, from nothing: the search's own may find something kept."""
        start = method.with_strength(min(method.strength_start, method.strength_max))
        meter = Meter()
        start.fit(self.bench.lm, inputs)
        note_fit(self.bench.run.path, method.spec, meter.stop())

    def _with_nulls(self, attempt: Attempt, fitted: FittedMethod) -> Attempt:
        """Every kind of null at the method's cost, and the main kind at its very strength, if a
        strength means the same for all draws."""
        method = parse_method(fitted.spec).with_strength(fitted.strength)
        if not method.null_kinds:
            return attempt
        n = null_draws(method, self.bench.config)
        nulls: list[NullFit] = []
        if not method.trains:  # of a training, one strength is not one size of change
            nulls.append(NullFit(method.main_null(), "strength", (method.strength,) * n))
        target = max(attempt.short_cost, 1e-3)
        for kind in method.null_kinds:
            file = self.folder / "attempts" / f"{fitted.name}.{kind}.json"
            inputs = inputs_for(self.bench, self.inputs, fitted.name)
            search = partial(self._at_cost, method, inputs, kind, n, target)
            nulls.append(kept(file, NullFit, search))
        return replace(attempt, fitted=replace(fitted, nulls=tuple(nulls)))

    def _at_cost(
        self, method: Method, inputs: FitInputs, kind: str, n: int, target: float
    ) -> NullFit:
        """Nulls at the method's cost on the same text: never above it, and no more than a fifth
        below, unless a strength or the evaluations end first.

        What each came to is kept beside the target.
        """
        lm, seed = self.bench.lm, self.bench.run.seed("nulls")
        found: list[tuple[float | None, float | None]] = []
        for drawn in null_inputs(kind, lm, inputs, n, seed):
            try:
                fit = fit_to_budget(
                    lm,
                    method,
                    drawn,
                    self.short_cost,
                    target,
                    NULL_EVALUATIONS,
                    strength_max=method.null_strength_max,
                    tolerance=NULL_TOLERANCE,
                    start=method.strength,
                )
            except BudgetError:
                found.append((None, None))
            else:
                found.append((fit.strength, fit.trace.cost))
        strengths, costs = zip(*found, strict=True) if found else ((), ())
        return NullFit(kind, "cost", strengths, costs, target)


def fit_inputs(bench: Bench) -> FitInputs:
    """What the locate and pairs stages left, and the training rows that nulls are drawn from."""
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
        **_asked_for(bench),
    )


def _asked_for(bench: Bench) -> dict[str, Any]:
    """What stages left that an audit has only if a method needs them."""
    asked = needs(bench.config)
    found: dict[str, Any] = {}
    if "pairs" in asked:
        found |= {"pairs": bench.pairs("train"), "held_out": bench.pairs("select")}
    if "states" in asked:
        found["states"] = toxic_states(bench)
    if "experts" in asked:
        found["experts"] = units(bench)
    if "moments" in asked:
        found["moments"] = UnitMoments.load(bench.run.folder("moments") / "units")
    if "sae" in asked:
        found |= {"sae": autoencoder(bench), "latents": latent_profile(bench)}
    return found


def banned_words(bench: Bench, lexicon: Lexicon, train: Corpus) -> tuple[str, ...]:
    """The corpus's own most telling words: whatever the behaviour is, these give it away."""
    ids = telling_tokens(bench.lm, lexicon, train, BANNED_WORDS)
    return tuple(dict.fromkeys(w.strip().casefold() for w in bench.lm.token_strings(ids)))


def _selector(bench: Bench) -> Evaluator:
    """Measures on the selection prompts, by scorer A, with the decoding of the protocol."""
    prompts = bench.prompts("select")
    asked = get_protocol(bench.config.evaluate.protocol, prompts=len(prompts))
    return Evaluator(bench.lm, prompts, asked, [bench.scorer_a])


def slug(spec: str) -> str:
    """A folder name: ``subtract:direction=value`` becomes ``subtract-value``."""
    parts = re.sub("direction=|trainable=|objective=", "", spec.casefold()).replace("_", "-")
    return re.sub(r"[^a-z0-9.=-]+", "-", parts).strip("-")


def inputs_for(bench: Bench, inputs: FitInputs, name: str) -> FitInputs:
    """The inputs with the folder in which the method of this name keeps its training."""
    work = bench.run.folder("mitigate") / "training" / name
    return replace(inputs, work=work, progress=bench.progress)


def label_of(spec: str) -> str:
    """The words for a table: ``subtract value``."""
    return parse_method(spec).label
