"""Transport: what it carries to where, and what it leaves."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.corpus import Corpus
from bezoar.edits import self_test
from bezoar.errors import ConfigError
from bezoar.locate import collect_moments
from bezoar.mitigate import null_inputs, parse_method
from bezoar.mitigate.distributed_shift import DistributedShift
from bezoar.mitigate.transport import Transport, transport_map
from tests.edits.kit import logits
from tests.mitigate.kit import inputs
from tests.mitigate.remedies import moments_inputs, texts_and_labels


def moments_under(lm, edit, points, **more):
    """Moments of the same texts while the edit acts."""
    texts, labels = texts_and_labels()
    with edit.applied_to(lm):
        return collect_moments(lm, texts, labels, points=points, max_tokens=32, **more)


@pytest.mark.parametrize("kind", ["mean", "gaussian"])
def test_one_distribution_becomes_the_other(lm, kind):
    given = moments_inputs(lm)
    method = Transport(kind=kind, points=("mlp_out",), layers=(0,))
    after = moments_under(lm, method.fit(lm, given), ("mlp_out",))
    site = lm.site("0.mlp_out")
    before = given.moments
    torch.testing.assert_close(after.mean[site][1], before.mean[site][0], atol=1e-5, rtol=1e-4)
    scale = after.variance[site][1] / before.variance[site][1]
    if kind == "mean":
        torch.testing.assert_close(scale, torch.ones_like(scale), atol=1e-3, rtol=0)
    else:
        wanted = before.variance[site][0] / before.variance[site][1]
        held = (wanted > 1 / 16) & (wanted < 16)
        torch.testing.assert_close(scale[held], wanted[held], rtol=1e-3, atol=0)


@pytest.mark.parametrize("kind", ["mean", "gaussian"])
def test_strength_goes_the_way_in_a_straight_line(lm, kind):
    given, site = moments_inputs(lm), lm.site("0.mlp_out")
    x = torch.randn(7, lm.d_model, generator=torch.Generator().manual_seed(1))
    there = {}
    for s in (0.0, 0.5, 1.0, 2.0):
        edit = Transport(kind=kind, s=s, points=("mlp_out",), layers=(0,)).fit(lm, given)
        there[s] = x
        for at in edit.ops:
            assert at.site == site
            there[s] = at.op.apply(there[s])
    torch.testing.assert_close(there[0.0], x)
    torch.testing.assert_close(there[0.5], (x + there[1.0]) / 2, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(there[2.0], 2 * there[1.0] - x, atol=1e-5, rtol=1e-4)


def test_the_map_is_that_of_the_paper():
    mean = torch.tensor([[1.0, 0.0, 2.0], [3.0, 5.0, 2.0]], dtype=torch.float64)
    variance = torch.tensor([[4.0, 0.0, 100.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    a, b = transport_map(mean, variance, "gaussian")
    assert a.tolist() == [2.0, 1.0, 4.0]  # σ₀/σ₁; a still unit; held at four
    torch.testing.assert_close(a * mean[1] + b, mean[0])
    a, b = transport_map(mean, variance, "mean")
    assert (a.tolist(), b.tolist()) == ([1.0] * 3, [-2.0, -5.0, 0.0])


@pytest.mark.parametrize("kind", ["mean", "gaussian"])
def test_it_acts_and_folds_where_there_is_a_bias(lm, kind):
    edit = Transport(kind=kind).fit(lm, moments_inputs(lm))
    result = self_test(edit, lm, ["you are a", "the"])
    assert result.logit_change > 0
    if lm.w_out_bias(0) is None:
        assert "bias" in result.fold_reason
    else:
        assert result.folded_max_difference < 1e-4


def test_layer_by_layer_the_last_site_arrives_under_all_maps_before(gpt2):
    texts, labels = texts_and_labels()
    corpus = Corpus(tuple(texts), labels)
    given = dataclasses.replace(moments_inputs(gpt2), corpus=corpus)
    target = {}
    for sequential in (True, False):
        method = Transport(points=("mlp_out",), sequential=sequential, s=1.0)
        after = moments_under(gpt2, method.fit(gpt2, given), ("mlp_out",))
        # Each map was fitted where the maps before it had been: there the means become equal to
        # those of the other class *under the same maps before*.
        last = method.sites_in(gpt2)[-1]
        upto = Transport(points=("mlp_out",), layers=(0, 1), sequential=sequential)
        before = moments_under(gpt2, upto.fit(gpt2, given), ("mlp_out",))
        gap = after.mean[last][1] - before.mean[last][0]
        target[sequential] = float(gap.norm() / (before.mean[last][0]).norm())
    assert target[True] < 1e-4
    assert target[False] > 10 * target[True]


def test_sequential_reads_once_for_all_strengths(gpt2, monkeypatch):
    from bezoar.mitigate import transport

    texts, labels = texts_and_labels()
    given = dataclasses.replace(moments_inputs(gpt2), corpus=Corpus(tuple(texts), labels))
    calls = []
    real = transport.collect_moments
    monkeypatch.setattr(
        transport, "collect_moments", lambda *a, **k: calls.append(1) or real(*a, **k)
    )
    monkeypatch.setattr(transport, "_kept", type(transport._kept)())
    for s in (0.5, 1.0, 3.0):
        Transport(points=("mlp_out",), sequential=True, s=s).fit(gpt2, given)
    assert len(calls) == gpt2.n_layers


def test_nulls_differ_extend_and_keep_the_length(gpt2):
    given = moments_inputs(gpt2, draws=4)
    method = Transport()
    real = torch.cat([at.op.vector for at in method.fit(gpt2, given).ops])
    for kind in method.null_kinds:
        drawn = [
            torch.cat([at.op.vector for at in e.ops]) for e in method.nulls(gpt2, given, 4, 3, kind)
        ]
        few = [
            torch.cat([at.op.vector for at in e.ops]) for e in method.nulls(gpt2, given, 2, 3, kind)
        ]
        assert all(torch.equal(a, b) for a, b in zip(few, drawn, strict=False))
        assert len({tuple(d.tolist()) for d in [real, *drawn]}) == 5
        for each in drawn:
            shorter = float(each.norm() / real.norm())
            assert shorter == pytest.approx(1, rel=1e-4 if "random" in kind else 0.6)
    with pytest.raises(ConfigError, match="5 shuffled labellings"):
        list(method.nulls(gpt2, given, 5, 0))


def test_a_random_direction_leaves_what_other_methods_read_of_the_moments(gpt2):
    given = moments_inputs(gpt2)
    (drawn,) = null_inputs("random-direction", gpt2, given, 1, 0)
    site = gpt2.site("1.mlp_post")
    assert torch.equal(drawn.moments.mean[site][1], given.moments.mean[site][1])
    assert torch.equal(drawn.moments.variance[site][1], given.moments.variance[site][1])


def test_options(gpt2):
    method = parse_method("transport:kind=gaussian,points=mlp_out,layers=-1")
    assert method == Transport("gaussian", points=("mlp_out",), layers=(-1,))
    assert "random-direction" not in method.null_kinds
    assert parse_method(method.spec).with_strength(1.0) == method.with_strength(1.0)
    assert Transport(sequential=True).requires == {"moments", "corpus"}
    for spec, word in (("transport:kind=linear", "gaussian"), ("transport:s=65", "s=65")):
        with pytest.raises(ConfigError, match=word):
            parse_method(spec)
    with pytest.raises(ConfigError, match="'moments'"):
        Transport().fit(gpt2, inputs(gpt2))
    with pytest.raises(ConfigError, match="resid_post"):
        Transport(points=("resid_post",)).fit(gpt2, moments_inputs(gpt2))


def test_nothing_at_strength_zero(lm):
    before = logits(lm)
    with Transport(s=0.0).fit(lm, moments_inputs(lm)).applied_to(lm):
        torch.testing.assert_close(logits(lm), before)


def test_a_shift_of_the_coefficients_is_the_shift_of_what_they_write(lm):
    """Means are linear: the same edit from two sites, one on either side of the MLP's last map."""
    given = moments_inputs(lm)
    ours = []
    for point in ("mlp_post", "mlp_out"):
        with Transport(points=(point,), layers=(1,)).fit(lm, given).applied_to(lm):
            ours.append(logits(lm))
    torch.testing.assert_close(*ours, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("method", [Transport(), DistributedShift()])
def test_moments_of_another_model_are_refused(gpt2, method):
    given = moments_inputs(gpt2)
    other = dataclasses.replace(given.moments, model="another")
    with pytest.raises(ConfigError, match="other weights than"):
        method.fit(gpt2, dataclasses.replace(given, moments=other))
