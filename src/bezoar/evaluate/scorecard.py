"""The scorecard: base, no-op, every method and its nulls, compared prompt by prompt with the no-op.

Measuring (an `Evaluator`, which needs the model) and comparing (`build_scorecard`, which needs only
the measurements) are apart, so that an interrupted audit keeps what it has measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bezoar.edits import Edit
from bezoar.errors import ConfigError
from bezoar.evaluate.front import LIMIT, front_of
from bezoar.evaluate.measure import NULL_PARTS, Evaluator, Measurement
from bezoar.evaluate.metrics import Maker
from bezoar.evaluate.nulls import pooled_null_p, rank_null_p
from bezoar.evaluate.results import Continuation, MethodRow, Scorecard
from bezoar.evaluate.separation import check_separation
from bezoar.runs.progress import Progress, track
from bezoar.scoring import Scorer, scorer_id
from bezoar.stats.comparisons import holm


@dataclass(frozen=True, slots=True)
class Candidate:
    """A fitted edit that is to be compared.

    Attributes:
        method: registry name.
        label: for people; unique on a scorecard.
        edit: the edit.
        nulls: by kind, edits of the same size that should do nothing.
        strength, foldable, fold_reason: see `MethodRow`.
        identity: names of metrics that this edit cannot move by construction.
    """

    method: str
    label: str
    edit: Edit
    nulls: Mapping[str, tuple[Edit, ...]] = field(default_factory=dict)
    strength: float | None = None
    foldable: bool | None = None
    fold_reason: str = ""
    identity: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate after it was measured; fields as in `Candidate`.

    Attributes:
        null_costs: see `MethodRow.null_cost`; by kind, of those that were to cost as much.
    """

    method: str
    label: str
    measurement: Measurement
    nulls: Mapping[str, tuple[Measurement, ...]] = field(default_factory=dict)
    strength: float | None = None
    foldable: bool | None = None
    fold_reason: str = ""
    identity: tuple[str, ...] = ()
    null_costs: Mapping[str, float] = field(default_factory=dict)


def measure_candidate(
    evaluator: Evaluator, candidate: Candidate, *, progress: Progress | None = None
) -> Measured:
    """Measure an edit in full, and its nulls as far as a null is needed."""
    measurement = evaluator.measure(candidate.edit, candidate.label)
    nulls = {
        kind: tuple(
            evaluator.measure(edit, parts=NULL_PARTS, keep_texts=False)
            for edit in track(progress, edits, f"{candidate.label}: {kind}", unit="edits")
        )
        for kind, edits in candidate.nulls.items()
    }
    return Measured(
        method=candidate.method,
        label=candidate.label,
        measurement=measurement,
        nulls=nulls,
        strength=candidate.strength,
        foldable=candidate.foldable,
        fold_reason=candidate.fold_reason,
        identity=candidate.identity,
    )


def build_scorecard(
    base: Measurement,
    no_op: Measurement,
    methods: Sequence[Measured],
    *,
    prompts: Sequence[str],
    report_scorers: Sequence[Scorer],
    selection_prompts: Sequence[str],
    selection_scorer: Scorer,
    continuations: int = 12,
    resamples: int = 10_000,
    seed: int = 0,
    perplexity_limit: float = LIMIT,
) -> Scorecard:
    """Compare measurements.

    Args:
        base: the bare model.
        no_op: an edit that does nothing, through the same code path; what all are compared with.
        methods: the methods with their nulls, all measured by one evaluator.
        prompts: the report prompts.
        report_scorers: the evaluator's scorers; the first made the headline.
        selection_prompts, selection_scorer: what chose the strengths; must be others.
        continuations: how many prompts to show.
        resamples, seed: of the bootstraps.
        perplexity_limit: the rise beyond which a method adds nothing to the front (`Front`).

    Raises:
        DataError: if selection and report share a prompt, or rows are not of the same prompts.
        ConfigError: if they share a scorer, or two rows a label.
    """
    for scorer in report_scorers[:1]:
        check_separation(selection_prompts, prompts, selection_scorer, scorer)
    labels = ["base", "no-op", *(m.label for m in methods)]
    if len({*labels}) < len(labels):
        raise ConfigError(f"Two rows have one label: {', '.join(labels)}.")
    maker = Maker({scorer.name: scorer_id(scorer) for scorer in report_scorers}, resamples, seed)
    rows = [_fixed_row(maker, base, no_op, "base"), _fixed_row(maker, no_op, no_op, "no-op")]
    nulls = [_null_rows(maker, method, no_op) for method in methods]
    for row, drawn in zip(_method_rows(maker, methods, nulls, no_op), nulls, strict=True):
        rows += [row, *drawn]
    shown = [("base", base), *((m.label, m.measurement) for m in methods)]
    return Scorecard(
        protocol=base.protocol,
        rows=tuple(rows),
        prompts_n=len(prompts),
        selection_scorer=scorer_id(selection_scorer),
        report_scorer=scorer_id(report_scorers[0]),
        continuations=_continuations(prompts, shown, continuations, seed),
        prompts=base.prompts,
        prompts_key=base.prompts_key,
        front=front_of(
            [(m.method, m.label, m.measurement) for m in methods],
            no_op,
            limit=perplexity_limit,
            resamples=resamples,
            seed=seed,
        ),
    )


def _fixed_row(maker: Maker, m: Measurement, no_op: Measurement, kind: str) -> MethodRow:
    """Base and no-op: their change is zero by construction, and marked so."""
    changes = {
        name: replace(metric, identity=True) for name, metric in maker.changes(m, no_op).items()
    }
    return MethodRow(
        method=kind,
        label=kind,
        kind="base" if kind == "base" else "no-op",
        metrics=maker.metrics(m),
        change=changes,
    )


def _method_rows(
    maker: Maker,
    methods: Sequence[Measured],
    nulls: Sequence[Sequence[MethodRow]],
    no_op: Measurement,
) -> list[MethodRow]:
    """A method must beat every kind of its nulls, so its p is the largest of theirs."""
    rows = []
    for m, drawn in zip(methods, nulls, strict=True):
        hardest = max(drawn, key=lambda row: row.null_p or 0.0, default=None)
        rows.append(
            MethodRow(
                method=m.method,
                label=m.label,
                kind="method",
                strength=m.strength,
                foldable=m.foldable,
                fold_reason=m.fold_reason,
                metrics=maker.metrics(m.measurement, m.identity),
                change=maker.changes(m.measurement, no_op, m.identity),
                null_p=None if hardest is None else hardest.null_p,
                rank_p=_rank_among_all(m),
                n_draws=sum(row.n_draws for row in drawn),
                null_cost=min(m.null_costs.values(), default=None),
            )
        )
    tested = [i for i, row in enumerate(rows) if row.null_p is not None]
    adjusted = holm([rows[i].null_p or 0.0 for i in tested]) if tested else np.empty(0)
    for i, corrected in zip(tested, adjusted, strict=True):
        rows[i] = replace(rows[i], holm_p=float(corrected))
    return rows


def _rank_among_all(method: Measured) -> float | None:
    """The method's rank among all of its null draws, of whatever kind."""
    draws = [m.per_prompt["toxicity"] for drawn in method.nulls.values() for m in drawn]
    if not draws:
        return None
    return rank_null_p(np.array(method.measurement.per_prompt["toxicity"]), np.array(draws))


def _null_rows(maker: Maker, method: Measured, no_op: Measurement) -> list[MethodRow]:
    """One row for each kind of null, the hardest to beat first."""
    own = np.array(method.measurement.per_prompt["toxicity"])
    rows = []
    for kind, drawn in method.nulls.items():
        draws = np.array([m.per_prompt["toxicity"] for m in drawn])
        n = len(drawn)
        rows.append(
            MethodRow(
                method=method.method,
                label=f"{method.label}: {n} null{'s' if n > 1 else ''}, {kind}",
                kind="null",
                null_of=method.method,
                strength=method.strength,
                metrics=maker.null_metrics(drawn),
                change=maker.null_changes(drawn, no_op),
                null_p=pooled_null_p(own, draws, resamples=maker.resamples, seed=maker.seed),
                rank_p=rank_null_p(own, draws),
                n_draws=n,
                null_cost=method.null_costs.get(kind),
            )
        )
    return sorted(rows, key=lambda row: -(row.null_p or 0.0))


def _continuations(
    prompts: Sequence[str], rows: Sequence[tuple[str, Measurement]], n: int, seed: int
) -> tuple[Continuation, ...]:
    """First samples of some prompts: half where the base is most toxic, half drawn at random."""
    kept = [(label, m) for label, m in rows if m.texts]
    if not kept or kept[0][0] != "base":
        return ()
    first = np.array([scores[0] for scores in kept[0][1].text_scores])
    worst = np.argsort(-first, kind="stable")[: (n + 1) // 2].tolist()
    others = np.random.default_rng(seed).permutation(len(prompts)).tolist()
    chosen = list(dict.fromkeys([*worst, *others]))[:n]
    return tuple(
        Continuation(
            prompt=prompts[i],
            by_method={label: m.texts[i][0] for label, m in kept},
            scores={label: m.text_scores[i][0] for label, m in kept},
        )
        for i in chosen
    )
