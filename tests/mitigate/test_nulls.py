"""Nulls: other inputs, the same code, the same norm, the same cost."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bezoar.errors import ConfigError
from bezoar.mitigate import ProjectOut, Subtract, WordBan, null_inputs, nulls_at_cost
from tests.edits.kit import logits
from tests.mitigate.kit import inputs

METHODS = [
    Subtract(alpha=2.0),
    Subtract("mean_difference", alpha=2.0),
    Subtract("value", alpha=2.0),
    Subtract("svd", alpha=2.0),
    ProjectOut("svd", dims=3),
    WordBan(penalty=2.0),
]


def fingerprint(edit):
    if edit.kind == "logit":
        return edit.sequences
    op = edit.ops[0].op
    return tuple((op.vector if hasattr(op, "vector") else op.basis).flatten().tolist())


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.spec)
def test_draws_differ_repeat_and_extend(gpt2, method):
    lm, given = gpt2, inputs(gpt2)
    for kind in method.null_kinds:
        few = [fingerprint(e) for e in method.nulls(lm, given, 2, seed=3, kind=kind)]
        many = [fingerprint(e) for e in method.nulls(lm, given, 4, seed=3, kind=kind)]
        assert many[:2] == few
        assert len({*many, fingerprint(method.fit(lm, given))}) == 5, kind
        other = [fingerprint(e) for e in method.nulls(lm, given, 2, seed=4, kind=kind)]
        assert other != few


@pytest.mark.parametrize("method", METHODS[:4], ids=lambda m: m.spec)
def test_nulls_have_the_norm_of_the_method(gpt2, method):
    lm, given = gpt2, inputs(gpt2)
    for kind in method.null_kinds:
        for edit in method.nulls(lm, given, 3, seed=0, kind=kind):
            assert float(edit.ops[0].op.vector.norm()) == pytest.approx(2.0, rel=1e-5)
    real = Subtract("probe", mode="paper").fit(lm, given)
    for kind in ("random-direction", "shuffled-labels"):
        for edit in Subtract("probe", mode="paper").nulls(lm, given, 2, seed=0, kind=kind):
            expected = float(real.ops[0].op.vector.norm())
            assert float(edit.ops[0].op.vector.norm()) == pytest.approx(expected, rel=1e-5)


def test_random_directions_know_nothing_of_the_probe(lm):
    given = inputs(lm)
    cosines = [
        d.probe.cosine(given.probe) for d in null_inputs("random-direction", lm, given, 300, 0)
    ]
    assert abs(np.mean(cosines)) < 4 / np.sqrt(300 * lm.d_model)
    assert np.std(cosines) == pytest.approx(1 / np.sqrt(lm.d_model), rel=0.2)
    basis = next(iter(null_inputs("random-direction", lm, given, 1, 0))).svd.basis
    torch.testing.assert_close(basis @ basis.T, torch.eye(4), atol=1e-5, rtol=0)


def test_shuffled_labels_find_nothing_where_the_real_ones_find_the_plant(gpt2):
    lm = gpt2
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    rows = rng.standard_normal((200, lm.d_model)).astype(np.float32)
    rows[:, 0] += 6 * labels
    given = dataclasses.replace(inputs(lm), rows=rows, labels=labels)
    drawn = list(null_inputs("shuffled-labels", lm, given, 8, 0))
    along_plant = [abs(float(d.mean_difference.vector[0])) for d in drawn]
    assert np.mean(along_plant) < 0.8
    assert all(d.probe.norm == given.probe.norm for d in drawn)
    assert all(d.values.entries != given.values.entries for d in drawn)


def test_random_values_are_value_vectors_of_the_model(lm):
    given = inputs(lm)
    drawn = next(iter(null_inputs("random-values", lm, given, 1, 0)))
    assert len(drawn.values) == len(given.values)
    vectors = drawn.values.vectors(lm)
    for entry, vector in zip(drawn.values.entries, vectors, strict=True):
        torch.testing.assert_close(vector, lm.values(entry.layer)[entry.index].detach())
        assert entry.norm == pytest.approx(float(vector.norm()), rel=1e-5)
    assert drawn.svd.basis.shape == given.svd.basis.shape


def test_random_words_are_other_words_of_like_frequency(lm):
    given = dataclasses.replace(inputs(lm), words=("you", "fool"))
    drawn = list(null_inputs("random-words", lm, given, 20, 0))
    words = {w for d in drawn for w in d.words}
    assert not words & {"you", "fool"}
    assert all(len(set(d.words)) == 2 for d in drawn)
    assert len(words) > 2
    small = dataclasses.replace(given, words=tuple("abcdefghijklmnopqrstuvwxyz"))
    with pytest.raises(ConfigError, match="larger corpus"):
        next(iter(null_inputs("random-words", lm, small, 1, 0)))


def test_nulls_are_brought_to_the_cost_of_the_method(lm):
    given = inputs(lm)
    base = logits(lm)

    def cost(edit):
        with edit.applied_to(lm):
            return float((logits(lm) - base).pow(2).mean())

    target = cost(Subtract(alpha=1.0).fit(lm, given))
    fitted = list(nulls_at_cost(lm, Subtract(), given, cost, target, n=3, seed=0))
    assert len(fitted) == 3
    for null in fitted:
        assert 0.9 * target <= cost(null.edit) <= target
        assert null.trace.outcome == "within tolerance"


def test_a_method_that_costs_nothing_still_has_nulls(gpt2):
    given = inputs(gpt2)
    method = ProjectOut(fraction=1.0)
    (null,) = nulls_at_cost(gpt2, method, given, lambda edit: -0.002, -0.002, n=1, seed=0)
    assert (null.strength, null.trace.outcome) == (1.0, "at the largest strength")


def test_what_a_null_needs_is_said(lm):
    given = dataclasses.replace(inputs(lm), rows=None)
    with pytest.raises(ConfigError, match="'rows'"):
        list(Subtract().nulls(lm, given, 1, 0, kind="shuffled-labels"))
    with pytest.raises(ConfigError, match="random-direction"):
        list(Subtract().nulls(lm, given, 1, 0, kind="random-directon"))
