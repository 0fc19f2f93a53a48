"""The shift of all neurons: who moves which way, and what comes of it."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.edits import self_test
from bezoar.errors import ConfigError, EditError
from bezoar.locate import Direction
from bezoar.mitigate import parse_method
from bezoar.mitigate.distributed_shift import (
    GROUPS,
    DistributedShift,
    alignment,
    neuron_groups,
)
from bezoar.models import Site
from tests.mitigate.kit import inputs
from tests.mitigate.remedies import moments_inputs


def moved(edit):
    return {at.site: at.op.vector for at in edit.ops}


@pytest.mark.parametrize("s", [float("nan"), float("inf"), -1.0])
def test_a_strength_that_means_nothing_is_refused(s):
    with pytest.raises(ConfigError, match="mean nothing"):
        DistributedShift(s=s)


def test_neurons_that_write_the_probe_fall_and_others_rise(lm):
    given = moments_inputs(lm)
    found = moved(DistributedShift(s=0.7).fit(lm, given))
    assert list(found) == lm.sites(["mlp_post"])
    for site, shift in found.items():
        cosine = alignment(lm, site.layer, given.probe.vector)
        spread = given.moments.variance[site][1].sqrt()
        assert bool((shift[cosine > 0] <= 0).all())
        assert bool((shift[cosine < 0] >= 0).all())
        torch.testing.assert_close(shift, (-0.7 * cosine * spread).float())


def test_every_neuron_writes_less_along_the_probe(lm):
    """The sum over neurons is −s Σ c²σ‖v‖, and the MLP's output moves by just that."""
    given, layer = moments_inputs(lm), lm.n_layers - 1
    site, w = Site(layer, "mlp_post"), given.probe.vector
    edit = DistributedShift(s=2.0, layers=(layer,)).fit(lm, given)
    batch = lm.batch(lm.encode(["you are a fool", "the tree"]))
    raw = Site(layer, "mlp_raw")
    before = lm.capture(batch, [raw])[raw][batch.mask]
    with edit.applied_to(lm):
        after = lm.capture(batch, [raw])[raw][batch.mask]
    change = (after - before) @ w
    values = lm.values(layer).detach()
    cosine = alignment(lm, layer, w).float()
    spread = given.moments.variance[site][1].sqrt().float()
    expected = -2.0 * (cosine.square() * spread * values.norm(dim=1)).sum()
    assert float(expected) < 0
    torch.testing.assert_close(change, expected.expand_as(change), atol=1e-4, rtol=1e-4)


def test_the_groups_part_the_neurons(lm):
    given, site = moments_inputs(lm), lm.site("0.mlp_post")
    cosine = alignment(lm, 0, given.probe.vector)
    groups = neuron_groups(cosine, given.moments.mean[site][1])
    assert tuple(groups) == GROUPS
    assert bool((sum(each.int() for each in groups.values()) == 1).all())
    whole = moved(DistributedShift(layers=(0,)).fit(lm, given))[site]
    parts = [
        moved(DistributedShift(groups=(group,), layers=(0,)).fit(lm, given))[site]
        for group in GROUPS
    ]
    torch.testing.assert_close(sum(parts), whole)
    assert all(bool((part[~groups[g]] == 0).all()) for g, part in zip(GROUPS, parts, strict=True))


def test_it_becomes_a_bias_where_there_is_one(lm):
    edit = DistributedShift().fit(lm, moments_inputs(lm))
    result = self_test(edit, lm, ["you are a", "the"])
    assert result.logit_change > 0
    if lm.w_out_bias(0) is None:
        assert "bias" in result.fold_reason
        return
    assert result.folded_max_difference < 1e-4
    deltas = edit.fold(lm).deltas
    assert len(deltas) == lm.n_layers
    assert all(name.endswith("bias") for name in deltas)


def test_it_stays_before_the_place_of_the_probe(gpt2):
    given = moments_inputs(gpt2)
    early = Direction.of(given.probe.raw, Site(1, "resid_post"))
    edit = DistributedShift().fit(gpt2, dataclasses.replace(given, probe=early))
    assert [at.site.layer for at in edit.ops] == [0, 1]


def test_nulls_move_other_neurons_as_far(gpt2):
    given, method = moments_inputs(gpt2), DistributedShift()
    real = torch.cat([*moved(method.fit(gpt2, given)).values()])
    for kind in method.null_kinds:
        drawn = [torch.cat([*moved(e).values()]) for e in method.nulls(gpt2, given, 3, 1, kind)]
        assert len({tuple(each.tolist()) for each in (real, *drawn)}) == 4
        for each in drawn:
            assert float(each.norm() / real.norm()) == pytest.approx(1, abs=0.5)


def test_options(gpt2):
    method = parse_method("distributed-shift:groups=TP-/AP+,layers=-1")
    assert method == DistributedShift(groups=("TP-", "AP+"), layers=(-1,))
    assert parse_method(method.spec).with_strength(1.0) == method.with_strength(1.0)
    for spec in ("distributed-shift:groups=TP", "distributed-shift:groups="):
        with pytest.raises(ConfigError, match="group"):
            parse_method(spec)
    with pytest.raises(ConfigError, match="'moments'"):
        DistributedShift().fit(gpt2, inputs(gpt2))
    narrow = dataclasses.replace(
        moments_inputs(gpt2), probe=Direction.of(torch.ones(5), Site(2, "resid_post"))
    )
    with pytest.raises(EditError, match="width 5"):
        DistributedShift().fit(gpt2, narrow)
