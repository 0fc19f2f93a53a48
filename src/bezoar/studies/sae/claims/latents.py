"""Claims on the autoencoders, and on what the published scores of their latents are worth."""

from __future__ import annotations

import math

import numpy as np

from bezoar.stats import Interval
from bezoar.studies.claims.rules import Finding, above, below, claim, exactly, not_measured
from bezoar.studies.sae.claims.found import Found

NOT_IN_SOURCE = "not in the source"
DEAD = 0.1
FAITHFUL = 0.9
_Z = 1.96


@claim(
    "few-tokens-kill",
    "On so few tokens many latents never come alive: a tenth or more are dead.",
    "README (limitations)",
    "share of latents that fired on no token of the training texts",
)
def dead(found: Found) -> Finding:
    """Holds if the autoencoder whose latents were read has a tenth or more of them dead; fails
    otherwise. All latents are counted, so that there is no interval."""
    row = found.read
    if row is None:
        return not_measured("No autoencoder was measured.")
    share = exactly(row.trained.dead_share)
    others = ", ".join(f"{r.name} {r.trained.dead_share:.1%}" for r in _others(found))
    why = f"{row.d_sae:,} latents, {row.trained.tokens:,} tokens." + (
        f" Others: {others}." if others else ""
    )
    return Finding("holds" if share.value >= DEAD else "fails", share, why)


def _others(found: Found) -> list:  # type: ignore[type-arg]
    table = found.quality
    return [] if table is None else [row for row in table.rows if row.name != table.chosen]


@claim(
    "faithful",
    "The model goes on from reconstructions nearly as it does from its own activations.",
    NOT_IN_SOURCE,
    "share of the loss that reconstructions recover, of what zeros in their place cost",
)
def faithful(found: Found) -> Finding:
    """Holds if nine tenths of the loss are recovered on texts that it was not trained on; fails
    otherwise."""
    row = found.read
    if row is None or row.loss is None:
        return not_measured("No model went on from reconstructions.")
    why = (
        f"Cross-entropy {row.loss.base:.3f}, from reconstructions {row.loss.spliced:.3f}, from the "
        f"mean {row.loss.mean:.3f}, from zeros {row.loss.zero:.3f} nats; of what the mean costs, "
        f"{row.loss.recovered_of_mean:.1%} are recovered. Explained variance "
        f"{row.held_out.explained_variance:.3f} at {row.held_out.l0:.1f} latents a token."
    )
    share = exactly(row.loss.recovered)
    return Finding("holds" if share.value >= FAITHFUL else "fails", share, why)


@claim(
    "score-finds-readers",
    "The published interpretability score prefers latents that say something about the label.",
    "analysis code (interpretability score)",
    "rank correlation of the score with |AUROC − 1/2|, over latents that fire",
)
def score(found: Found) -> Finding:
    """Holds if the rank correlation lies above zero, interval (Fisher's, with Fieller's variance)
    and all; fails if below."""
    table = found.features
    alive = [] if table is None else [i for i, d in enumerate(table.density) if d > 0]
    if table is None or len(alive) < 10:
        return not_measured("Fewer than ten latents fired.")
    told = np.abs(np.asarray(table.auroc)[alive] - 0.5)
    value = spearman(np.asarray(table.interpretability)[alive], told)
    best = max(alive, key=lambda i: abs(table.auroc[i] - 0.5))
    why = (
        f"{len(alive):,} latents. The most telling is {table.id[best]}: AUROC "
        f"{table.auroc[best]:.3f}, score {table.interpretability[best]:.2f}."
    )
    return Finding(above(value), value, why)


def spearman(a: np.ndarray, b: np.ndarray) -> Interval:
    """Rank correlation with a 95 % interval: Fisher's z with Fieller et al.'s (1957) variance."""
    from scipy.stats import spearmanr

    rho = float(spearmanr(a, b).statistic)
    if math.isnan(rho):
        return Interval(0.0, -1.0, 1.0)
    z, error = math.atanh(max(-0.999999, min(0.999999, rho))), math.sqrt(1.06 / (len(a) - 3))
    return Interval(rho, math.tanh(z - _Z * error), math.tanh(z + _Z * error))


@claim(
    "kind-of-latent",
    "Which latents tell the label is written in their decoder: they point along the dense probe.",
    NOT_IN_SOURCE,
    "rank correlation of the cosine to the probe with the AUROC, over latents that fire",
)
def along_probe(found: Found) -> Finding:
    """Holds if the rank correlation lies above zero, interval (Fisher's, with Fieller's variance)
    and all; fails if below."""
    table = found.features
    if table is None or not table.probe_cosine:
        return not_measured("No dense probe at the site of the latents.")
    alive = [i for i, d in enumerate(table.density) if d > 0]
    if len(alive) < 10:
        return not_measured("Fewer than ten latents fired.")
    value = spearman(np.asarray(table.probe_cosine)[alive], np.asarray(table.auroc)[alive])
    return Finding(above(value), value, f"{len(alive):,} latents.")


@claim(
    "seeds-agree",
    "Autoencoders trained from other seeds are as good: they explain as much.",
    NOT_IN_SOURCE,
    "largest difference of explained variance between seeds at one site",
)
def seeds(found: Found) -> Finding:
    """Holds if seeds of one architecture, options and site differ by less than .01 of the
    variance; fails otherwise."""
    groups: dict[tuple[str, str, str], list[float]] = {}
    for row in () if found.quality is None else found.quality.rows:
        options = {name: v for name, v in row.options.items() if name != "seed"}
        key = (row.architecture, row.site, str(sorted(options.items())))
        groups.setdefault(key, []).append(row.held_out.explained_variance)
    several = {key: seen for key, seen in groups.items() if len(seen) > 1}
    if not several:
        return not_measured("One seed was trained.")
    spread = {key: max(seen) - min(seen) for key, seen in several.items()}
    worst = max(spread, key=lambda key: spread[key])
    value = exactly(spread[worst])
    verdict = below(value, 0.01)
    return Finding(verdict, value, f"{len(several[worst])} seeds of {worst[0]} at {worst[1]}.")


CLAIMS = (dead, faithful, score, along_probe, seeds)
