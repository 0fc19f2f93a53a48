"""SAE latents against dense probes, on equal terms.

Everybody reads the same training texts in the same folds, chooses from a path of as many penalties
by the same held-out loss, and is measured once on the same report texts. Whatever is chosen (layer,
autoencoder, pooling, k, penalty) is chosen by cross-validation on the training texts: the choice of
a reader's *kind* as well, so that of each family the one best reader enters the contest itself. The
winner is named only if the interval of the difference excludes zero.

This is what the SAE safety-probing project (denisalpino/safety_alignment) set out to do and did not
publish; see Kantamneni et al. 2025, "Are sparse autoencoders useful?", for how rivals must be
treated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike

from bezoar.errors import ConfigError
from bezoar.evaluate.contest_curves import Curves
from bezoar.evaluate.contest_fit import Fit, Task, fitted
from bezoar.evaluate.contest_metrics import adjusted, difference
from bezoar.evaluate.contest_readers import ALL, DIFFERENCE, Reader
from bezoar.evaluate.contest_results import FAMILIES, Contest, Difference, Family
from bezoar.runs.progress import Progress, track

CURVED = ("words", "length")
_SETTLED_BY = ("auroc", "average_precision", "tpr_at_1")


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is tried.

    Attributes:
        sparse: k of the k-sparse readers.
        folds: of the cross-validation.
        penalties: on each regularisation path.
        labels: training texts in the learning curves.
        noise: shares of wrong labels.
        draws: of each of these.
        resamples: of the bootstrap.
    """

    sparse: tuple[int, ...] = (1, 2, 5, 16)
    folds: int = 5
    penalties: int = 7
    labels: tuple[int, ...] = (50, 100, 200, 500, 1_000, 2_000, 5_000)
    noise: tuple[float, ...] = (0.05, 0.1, 0.2)
    draws: int = 5
    resamples: int = 2_000


def contest(
    readers: Sequence[Reader],
    labels: ArrayLike,
    sources: Sequence[str] | None,
    train: Int[np.ndarray, " m"],
    report: Int[np.ndarray, " n"],
    *,
    task: str = "label 1 against label 0",
    groups: Sequence[object] | None = None,
    untrained: Callable[[Reader], Reader] | None = None,
    balance: str = "subsample",
    sizes: Sizes | None = None,
    curves: bool = True,
    seed: int = 0,
    progress: Progress | None = None,
) -> Contest:
    """Let every reader tell the labels apart, and compare.

    Args:
        readers: of all texts; at least one of the family "sae" and one of "dense".
        labels: 0/1 of all texts.
        sources: of all texts, if known. Folds are stratified by them.
        train, report: numbers of the texts to fit and choose on, and to report on.
        task: what is told apart, for people.
        groups: texts of one group stay in one fold, and are drawn together.
        untrained: gives, of the best reader of SAE latents, the same of a dictionary that was
            never trained, of the family "untrained": what is left between them is what training
            is worth.
        balance: of the classes in training: "subsample" draws as many of either, and the
            intercepts are then corrected to the share that there was (King & Zeng 2001);
            "none" takes all.
        sizes: how much is tried.
        curves: also learning curves, wrong labels and sources left out.
        seed: of draws, folds and resamples.
        progress: where to show it.

    Raises:
        ConfigError: if no reader of a family is there, two have one name, or there is no such
            balance.
        DataError: if a part lacks a label, the parts share a text or a reader has other texts.
    """
    asked = sizes or Sizes()
    _check(readers, balance)
    work = Task.of(labels, sources, train, report, groups, balance, asked.folds, seed)
    fits = [
        fit
        for reader in track(progress, list(readers), "Reading", unit="readers")
        for fit in fitted(work, reader, asked.sparse, asked.penalties, asked.resamples)
    ]
    best: dict[Family, Fit] = {family: _best(fits, family) for family in ("sae", "dense")}
    if untrained is not None:
        fits += _untrained(work, untrained, best["sae"], readers, asked)
    fits = _chosen(fits)
    best = {family: _best(fits, family) for family in best}
    told = _differences(fits, best)
    first, training = told[0], told[1] if untrained is not None else None
    settled = first.interval.excludes_zero
    winner, loser = ("sae", "dense") if first.interval.value > 0 else ("dense", "sae")
    found = Curves(work, asked.labels, asked.noise, asked.draws, asked.penalties)
    if curves:
        shown = [fit for fit in fits if _is_shown(fit, best, max(asked.sparse, default=0))]
        found.add(shown, readers, asked.sparse, progress)
    return Contest(
        task=task,
        rows=tuple(fit.row for fit in fits),
        differences=told,
        efficiency=tuple(found.efficiency),
        noise=tuple(found.noise),
        leave_one_out=tuple(found.sources),
        winner=winner if settled else "",
        loser=loser if settled else "",
        settled=settled,
        verdict=_verdict(first, best, told, training),
        fewest={family: _fewest(fits, family, best["dense"]) for family in best},
        train_n=len(work.train),
        train_positives=int(work.train_labels.sum()),
        report_n=len(work.report),
        report_positives=int(work.report_labels.sum()),
        balance=balance,
        folds=len(work.folds),
        grid=f"{asked.penalties} penalties each: 1 to 0.001 on features of unit variance, 0.01 to "
        "0.000003 on TF-IDF; by held-out log-loss",
    )


def _check(readers: Sequence[Reader], balance: str) -> None:
    if balance not in ("subsample", "none"):
        raise ConfigError(f"There is no balance {balance!r}.", hint="Say subsample or none.")
    names = [reader.name for reader in readers]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ConfigError(f"Two readers are called {twice!r}.", hint="Give each its own name.")
    for family in ("sae", "dense"):
        if not any(reader.family == family for reader in readers):
            raise ConfigError(
                f"No reader of {FAMILIES[family]} takes part.",
                hint="A contest needs at least one of SAE latents and one of dense activations.",
            )


def _chosen(fits: Sequence[Fit]) -> list[Fit]:
    """The same, with the best of each family and kind marked."""
    best: dict[tuple[str, str], Fit] = {}
    for fit in fits:
        key = (fit.row.family, fit.row.kind)
        if key not in best or fit.row.cv_auroc > best[key].row.cv_auroc:
            best[key] = fit
    marked = {id(fit) for fit in best.values()}
    return [replace(fit, row=replace(fit.row, chosen=id(fit) in marked)) for fit in fits]


def _best(fits: Sequence[Fit], family: Family) -> Fit:
    return max((f for f in fits if f.row.family == family), key=lambda f: f.row.cv_auroc)


def _untrained(
    task: Task,
    make: Callable[[Reader], Reader],
    best: Fit,
    readers: Sequence[Reader],
    sizes: Sizes,
) -> list[Fit]:
    """The best reader of latents once more, of a dictionary that was never trained."""
    reader = make(next(one for one in readers if one.name == best.row.reader))
    kinds = (ALL, best.row.kind)
    return list(fitted(task, reader, sizes.sparse, sizes.penalties, sizes.resamples, kinds))


def _differences(fits: Sequence[Fit], best: dict[Family, Fit]) -> tuple[Difference, ...]:
    sae, dense = best["sae"], best["dense"]
    pairs = [(sae, dense)]
    for fit in fits:
        if fit.row.family == "untrained" and fit.row.kind == sae.row.kind:
            pairs += [(sae, fit), (fit, dense)]
    chosen = [fit for fit in fits if fit.row.chosen]
    for fit in chosen:
        if fit.row.family == "sae" and fit is not sae:
            pairs.append((fit, dense))
        if fit.row.family == "dense" and fit is not dense:
            pairs.append((sae, fit))
        if fit.row.family == "baseline":
            pairs += [(sae, fit), (dense, fit)]
    few = {(f.row.family, f.row.kind): f for f in chosen if f.row.kind.startswith("k=")}
    pairs += [  # as few latents against as few coordinates
        (fit, few["dense", kind])
        for (family, kind), fit in few.items()
        if family == "sae" and ("dense", kind) in few and few["dense", kind] is not dense
        and fit is not sae
    ]  # fmt: skip
    return adjusted(
        [
            difference(a.row.label, a.verdict, b.row.label, b.verdict, metric)
            for metric in _SETTLED_BY
            for a, b in pairs
        ]
    )


def _verdict(
    first: Difference,
    best: dict[Family, Fit],
    differences: Sequence[Difference],
    training: Difference | None,
) -> str:
    """Who won, whether by training the dictionary, and whether winning was worth anything."""
    value = f"{first.interval.value:+.3f} [{first.interval.low:+.3f}, {first.interval.high:+.3f}]"
    if not first.interval.excludes_zero:
        said = f"Not settled: SAE latents minus dense activations is {value} in AUROC."
    elif first.interval.value > 0:
        said = f"SAE latents win against dense activations: {value} in AUROC."
    else:
        said = f"SAE latents lose against dense activations: {value} in AUROC."
    said += f" Compared: {first.a}, and {first.b}."
    if training is not None:
        said += f" {_trained(training)}"
    words = {one.a: one for one in differences if one.metric == "auroc" and one.b == "words"}
    for family, fit in best.items():
        one = words.get(fit.row.label)
        if one is None or (one.settled and one.interval.value > 0):
            continue
        lost = "loses to" if one.settled else "does not measurably beat"
        said += f" The best reader of {FAMILIES[family]} {lost} a bag of words."
    return said


def _trained(one: Difference) -> str:
    """What training the dictionary is worth."""
    seen = one.interval
    value = f"{seen.value:+.3f} [{seen.low:+.3f}, {seen.high:+.3f}]"
    if not seen.excludes_zero:
        return f"Whether training the dictionary helps is not settled: {value}."
    helps = "helps" if seen.value > 0 else "does harm"
    return f"Training the dictionary {helps}: {value} against the same untrained."


def _fewest(fits: Sequence[Fit], family: Family, dense: Fit) -> int | None:
    """The least k whose interval to the best dense reader reaches zero."""
    found = [
        fit.row.n_features
        for fit in fits
        if fit.row.chosen and fit.row.family == family and fit.row.kind.startswith("k=")
        and difference("", fit.verdict, "", dense.verdict, "auroc").interval.high >= 0
    ]  # fmt: skip
    return min(found, default=None)


def _is_shown(fit: Fit, best: dict[Family, Fit], most: int) -> bool:
    """Whether a row has curves: the best of each family, and some of its chosen kinds."""
    if fit is best["sae"] or fit is best["dense"]:
        return True
    kinds = (ALL, DIFFERENCE, f"k={most}", *CURVED)
    return fit.row.chosen and fit.row.kind in kinds
