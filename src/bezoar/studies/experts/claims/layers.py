"""Whole layers as experts: their clusters against neurons and readers, and where the best ones are.

As the paper compares them, and like for like: both averages or both chosen, both cut without
labels, on the same texts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bezoar.locate import Contest, LayerExperts
from bezoar.stats import Interval
from bezoar.studies.claims.results import Verdict, number
from bezoar.studies.claims.rules import (
    Finding,
    Rule,
    above,
    all_of,
    claim,
    not_measured,
    rare,
)
from bezoar.studies.experts.claims.found import Found

DEPTHS = {"decoder": (0.6, 0.8), "encoder": (0.7, 0.9)}
"""Where the paper has the best quarter of the layers, as shares of all."""
AS_PUBLISHED = ("mean of layers", "mean neuron, as published")
ALIKE = ("mean of layers", "mean neuron, cut in two without labels")
BEST = ("best layer", "best neuron, cut in two without labels")
PROBE = ("best layer", "linear probe")
DIFFERENCE = ("best layer", "mean difference")
LENGTH = ("best layer", "text length, cut in two without labels")
_NO_LAYERS = "No layer was clustered."
_AUROC = "AUROC of the clusters less the rival's, paired by text"


@claim(
    "layers-part",
    "Layers are experts: clusters made without labels tell toxic texts from others.",
    "RQ1",
    "AUROC of the best layer's clusters, the layer chosen on other texts",
)
def layers_part(found: Found) -> Finding:
    """Holds if the interval lies above one half and at most 5 % of shuffled labellings have a layer
    whose clusters match them as well; fails if it lies below one half."""
    one = found.audited
    contest = contest_of(one, BEST)
    if one is None or contest is None:
        return not_measured(_NO_LAYERS)
    best = max(one.layers, key=lambda layer: layer.kmeans.matched.value)
    why = (
        f"Matched as published, layer {best.layer} does best: {best.kmeans.matched} (by chance up "
        f"to {best.kmeans.null_high:.3f})."
    )
    beaten: Verdict = "holds" if rare(one.best_null_p) == "holds" else "undecided"
    verdict = all_of(above(contest.clusters, 0.5), beaten)
    return Finding(verdict, contest.clusters, _with(one, why), one.best_null_p)


def _against(key: str, statement: str, source: str, *pairs: tuple[str, str]) -> Rule:
    """Clusters against rivals, all of which must be beaten."""

    @claim(key, statement, source, _AUROC)
    def rule(found: Found) -> Finding:
        """Holds if the interval lies above zero (against every rival, if there are several; the
        number is of the hardest); fails if one lies below zero."""
        one = found.audited
        contests = [seen for pair in pairs if (seen := contest_of(one, pair)) is not None]
        if one is None or not contests:
            return not_measured(_NO_LAYERS)
        hardest = min(contests, key=lambda contest: contest.difference.value)
        told = [f"{c.layers} {c.clusters.value:.3f}, {c.rival} {c.rival_auroc}" for c in contests]
        told += _others(found, pairs)
        verdict = all_of(*(above(contest.difference) for contest in contests))
        return Finding(verdict, hardest.difference, _with(one, f"{'; '.join(told)}."))

    return rule


def _depth(kind: str) -> Rule:
    low, high = DEPTHS[kind]

    @claim(
        f"depth-{kind}",
        f"In {'an' if kind == 'encoder' else 'a'} {kind} the best layers lie at {low:.0%} to "
        f"{high:.0%} of the depth.",
        "Figure 5",
        "depth of the layer whose k-means clusters do best, over resamples of the texts",
    )
    def rule(found: Found) -> Finding:
        """Holds if 95 % of resamples have their best layer in that range, for every model and
        corpus of the kind; fails if 95 % have it elsewhere for one of them."""
        seen = [one for one in found.layers if one.kind == kind and not one.caveat]
        if not seen:
            return not_measured(f"No {kind} was looked at.")
        told: list[str] = []
        verdicts: list[Verdict] = []
        for one in seen:
            depths = best_depths(one)
            inside = float(np.mean((depths >= low) & (depths <= high)))
            of_all = np.mean([low <= layer.depth <= high for layer in one.layers])
            verdicts.append(
                "holds" if inside >= 0.95 else "fails" if inside <= 0.05 else "undecided"
            )
            told.append(
                f"{one.model} on {one.corpus}: in {inside:.0%} of resamples (of the layers "
                f"{of_all:.0%} lie there)"
            )
        depths = best_depths(seen[0])
        value = Interval(float(depths[0]), *map(float, np.quantile(depths, (0.025, 0.975))))
        return Finding(all_of(*verdicts), value, f"{'; '.join(told)}.")

    return rule


def best_depths(one: LayerExperts) -> np.ndarray:
    """The depth of the best layer by k-means: as observed, then in each resample."""
    ranks = one.ranked_by("k-means")
    if ranks is None:
        return np.array([max(one.layers, key=lambda layer: layer.kmeans.auroc.value).depth])
    depth = np.array([layer.depth for layer in one.layers])
    return np.asarray(depth[np.array([ranks.observed, *ranks.draws]).argmax(axis=1)])


def contest_of(one: LayerExperts | None, pair: tuple[str, str]) -> Contest | None:
    """Clusters against a rival, if that was fought."""
    contests = () if one is None else one.contests
    return next((seen for seen in contests if (seen.layers, seen.rival) == pair), None)


def _others(found: Found, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """The same in further models and on further texts, where something may be claimed."""
    told = []
    for one in found.layers[1:]:
        seen = contest_of(one, pairs[0])
        if seen is not None and not one.caveat:
            told.append(f"{one.model} on {one.corpus} {number(seen.difference)}")
    return told


def _with(one: LayerExperts, why: str) -> str:
    return f"{why} {one.caveat}".strip() if one.caveat else why


CLAIMS = (
    layers_part,
    _against(
        "layers-neurons",
        "Layers beat neurons: on average their clusters do better than the average neuron.",
        "RQ1 (63.3 against 54.7 %)",
        AS_PUBLISHED,
    ),
    _against(
        "layers-neurons-alike",
        "They do so like for like: than the average neuron that is cut in two without labels too.",
        "not in the paper",
        ALIKE,
    ),
    _against(
        "layers-best-neuron",
        "The best layer's clusters beat the best single neuron, like for like.",
        "not in the paper",
        BEST,
    ),
    _against(
        "layers-linear",
        "The best layer's clusters beat a linear probe and a mean difference on the same layer.",
        "not in the paper",
        PROBE,
        DIFFERENCE,
    ),
    _against(
        "layers-length",
        "The best layer's clusters know more than how long a text is.",
        "not in the paper",
        LENGTH,
    ),
    *map(_depth, DEPTHS),
)
