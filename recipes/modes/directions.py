"""Finding and subtracting directions: value vectors, their SVD, positions, controls."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from recipes.modes.bench import MIDDLE, Bench, Numbers
from recipes.modes.rows import computed, row, sampled

from bezoar.edits import ActivationEdit, Add
from bezoar.evaluate import PerplexityCost
from bezoar.locate import rank_values, value_svd
from bezoar.models import Site
from bezoar.stats import random_directions

GROUP = "Finding and subtracting directions"
TOP = 128
CONTROLS = 10
AFTER = "toxicity after the subtraction"


def directions(bench: Bench) -> list[Numbers]:
    """The rows of this group."""
    return [*ranking(bench), *basis(bench), *positions(bench), *controls(bench)]


def ranking(bench: Bench) -> list[Numbers]:
    """Figures of the paper rank value vectors after their mean was taken off."""
    ours = rank_values(bench.lm, bench.probe, TOP)
    theirs = rank_values(bench.lm, bench.probe, TOP, mode="code")
    mine, other = ({(e.layer, e.index) for e in r.entries} for r in (ours, theirs))
    shared = len(mine & other) / len(mine)
    top = ours.entries[0].cosine, theirs.entries[0].cosine
    told = partial(row, group=GROUP, differs="value vectors are centred before they are ranked")
    return [
        told("centred", measure=f"share of our top {TOP}", found=computed(1.0, shared)),
        told("centred-cosine", measure="cosine of the first to the probe", found=computed(*top)),
    ]


def basis(bench: Bench) -> list[Numbers]:
    """The first singular vector: of how many value vectors, and of which sign."""
    values = bench.inputs.values
    assert values is not None
    few, many = (value_svd(bench.lm, values, n, direction=bench.probe) for n in (128, 512))
    first, second = few.direction(0), many.direction(0)
    rows = values.vectors(bench.lm)[:128].double().numpy()
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    raw = np.linalg.svd(unit.T, full_matrices=False)[0][:, 0]
    cosine = float(raw @ bench.probe.vector.double().numpy())
    ours = bench.toxicity(along(bench, first.vector))
    told = partial(row, group=GROUP)
    size, chance = "SVD of 512 value vectors, not of 128", "the sign of u₀ is left to chance"
    turned = (
        bench.toxicity(along(bench, second.vector)),
        bench.toxicity(along(bench, -first.vector)),
    )
    cosines = computed(1.0, abs(first.cosine(second))), computed(first.cosine(bench.probe), cosine)
    return [
        told("svd-n", differs=size, measure="cosine of u₀ to ours", found=cosines[0]),
        told("svd-n-toxicity", differs=size, measure=AFTER, found=sampled(ours, turned[0])),
        told("svd-sign", differs=chance, measure="cosine of u₀ to the probe", found=cosines[1]),
        told("svd-flipped", differs="u₀ of the other sign", measure=AFTER,
             found=sampled(ours, turned[1])),
    ]  # fmt: skip


def along(bench: Bench, vector: torch.Tensor) -> ActivationEdit:
    """Subtract α of a unit vector from what the last MLP writes."""
    site = bench.lm.site("-1.mlp_out")
    return ActivationEdit.at([site], Add(-bench.alpha * vector), name="subtraction")


def positions(bench: Bench) -> list[Numbers]:
    """At the last position of each pass, or at all: in the last layer, and in a middle one."""
    rows = []
    norm = middle_norm(bench)
    for name, options in (
        ("last", {}),
        ("middle", {"direction": "mean_difference", "layers": (MIDDLE,), "point": "resid_post"}),
    ):
        scale = {"alpha": 0.4 * norm} if options else {}
        edits = (bench.subtract(**options | scale, positions=p) for p in ("all", "last"))
        ours, theirs = (bench.toxicity(edit) for edit in edits)
        where = "last layer" if name == "last" else f"layer {MIDDLE}, along the mean difference"
        differs = f"subtracted at the last position only ({where})"
        found = sampled(ours, theirs)
        rows.append(row(f"positions-{name}", GROUP, differs, AFTER, found))
    return rows


def middle_norm(bench: Bench) -> float:
    """Mean norm of the middle layer's stream at the prompts' last tokens."""
    site = Site(MIDDLE, "resid_post")
    lm, few = bench.lm, bench.prompts[:64]
    batches = (lm.batch([ids]) for ids in lm.encode(few, 32))
    with torch.no_grad():
        return float(np.mean([float(lm.capture(b, [site])[site][0, -1].norm()) for b in batches]))


def controls(bench: Bench) -> list[Numbers]:
    """A control of random numbers between 0 and 1 lies near a line that the final norm removes."""
    lm, rng = bench.lm, np.random.default_rng(0)
    fair = torch.from_numpy(random_directions(CONTROLS, lm.d_model, 1.0, 0))
    drawn = torch.from_numpy(rng.random((CONTROLS, lm.d_model), dtype=np.float32))
    theirs = drawn / drawn.norm(dim=1, keepdim=True)
    price = PerplexityCost(lm, bench.neutral(1).texts)
    costs = [np.array([1 + price(along(bench, v)) for v in vectors]) for vectors in (fair, theirs)]
    differs = "the random control is uniform on [0, 1), here of equal norm"
    measure = f"perplexity over the base's, mean of {CONTROLS} draws"
    return [row("control", GROUP, differs, measure, sampled(*costs))]
