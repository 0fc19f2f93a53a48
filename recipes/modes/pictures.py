"""Pictures of what DPO changed: whose continuations, which activation, which positions."""

from __future__ import annotations

import numpy as np
from recipes.modes.bench import Bench, Numbers
from recipes.modes.rows import computed, effects, plain, row

from bezoar.compare.models import activation_drop, residual_shift, shift_sources
from bezoar.edits import Edit
from bezoar.studies.claims.rules import difference

GROUP = "Pictures of the trained model"
NEURONS, SHIFTED = 64, 52


def pictures(bench: Bench, edit: Edit) -> list[Numbers]:
    """The rows of this group, of DPO as trained."""
    return [*shared(bench, edit), *shifts(bench, edit), *padded(bench, edit)]


def shared(bench: Bench, edit: Edit) -> list[Numbers]:
    """Figure 2: a variable is overwritten, so that both models read what DPO wrote."""
    values = bench.inputs.values
    assert values is not None
    neurons = [(e.layer, e.index) for e in values.entries[:NEURONS]]
    found = [
        activation_drop(bench.lm, edit, bench.prompts, neurons, continuations=mode)
        for mode in ("own", "shared")
    ]
    differs = "both models read the trained model's continuations (Figure 2)"
    changes = [drop.change for drop in found]
    told = computed(*(change.value for change in changes))
    told |= {"change": plain(difference(changes[1], changes[0])), "n": len(bench.prompts)}
    told |= {"ours_change": plain(changes[0]), "theirs_change": plain(changes[1])}
    measure = f"change of the mean coefficient of {NEURONS} toxic neurons"
    return [row("continuations", GROUP, differs, measure, told)]


def shifts(bench: Bench, edit: Edit) -> list[Numbers]:
    """Figure 4: the length of its axis, and the "activation" that colours it."""
    values = bench.inputs.values
    assert values is not None
    entry = next(e for e in values.entries if e.layer > 0)
    prompts = bench.prompts[:SHIFTED]
    fair, code = (
        residual_shift(bench.lm, edit, prompts, entry.layer, entry.index, mode=mode)
        for mode in ("correct", "code")
    )
    columns = [
        (
            np.array([p.base_coefficient for p in found.points], dtype=np.float64),
            np.array([p.edited_coefficient for p in found.points], dtype=np.float64),
        )
        for found in (fair, code)
    ]
    apart = [np.mean([p.edited_x - p.base_x for p in found.points]) for found in (fair, code)]
    neuron = "the activation is act(state · key): no norm, no bias (Figure 4)"
    means = [float(before.mean()) for before, _ in columns]
    return [
        row("axis", GROUP, "δ is no unit vector (Figure 4)", "distance of the two clouds",
            computed(*map(float, apart))),
        row("activation", GROUP, neuron, "mean activation in the base", computed(*means)),
        row("activation-change", GROUP, neuron, "its change by DPO", effects(*columns)),
    ]  # fmt: skip


def padded(bench: Bench, edit: Edit) -> list[Numbers]:
    """Figure 5: padding counts in both averages."""
    layer = bench.lm.n_layers - 1
    fair, code = (
        shift_sources(bench.lm, edit, bench.prompts, layer, mode=mode, max_tokens=32)
        for mode in ("correct", "code")
    )
    differs = "padding counts in the averages (Figure 5)"
    opposing = [
        float(np.mean([s.opposing for s in found.layers if s.opposing is not None]))
        for found in (fair, code)
    ]
    negative = [float(np.mean([s.negative for s in found.layers])) for found in (fair, code)]
    return [
        row("pads-shift", GROUP, differs, "‖δ‖", computed(fair.norm, code.norm)),
        row("pads-opposing", GROUP, differs, "share of value vectors that moved against δ",
            computed(*opposing)),
        row("pads-negative", GROUP, differs, "share of neurons that are negative on average",
            computed(*negative)),
    ]  # fmt: skip
