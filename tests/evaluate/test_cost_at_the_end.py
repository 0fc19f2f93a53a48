"""Perplexity of an edit at the model's end comes of kept states, and is that of a full run."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import Add, Composed, NoOp, Project
from bezoar.evaluate.cost import PerplexityMeter, at_the_end
from bezoar.scoring import perplexity, plan_windows
from tests.edits.kit import one, orthonormal, unit

TEXT = "the man said that the tree is good and you know it will think of a house " * 6


@pytest.fixture
def meter(lm):
    return PerplexityMeter(lm, plan_windows(lm, TEXT, "windows-32"))


def test_it_is_that_of_the_edited_model(lm, meter, monkeypatch):
    d = lm.d_model
    basis = orthonormal(5, d)
    several = one("unembed_in", Project(basis, 1.5)).ops + one("unembed_in", Add(unit(d))).ops
    edits = [
        one("unembed_in", Project(basis, 3.0)),
        one("-1.resid_post", Add(2 * unit(d))),
        type(one("embed", Add(unit(d))))(several + one("-1.mlp_out", Add(unit(d, 2))).ops),
    ]
    expected = []
    for edit in edits:
        with edit.applied_to(lm):
            expected.append(perplexity(lm, plan_windows(lm, TEXT, "windows-32")))
    meter.measure(edits[0])  # reads the states
    monkeypatch.setattr(type(edits[0]), "applied_to", None)  # and from here on no model is run
    for edit, full in zip(edits, expected, strict=True):
        kept = meter.measure(edit)
        assert kept.value == pytest.approx(full.value, rel=1e-5)
        assert kept.value != pytest.approx(meter.measure(None).value, rel=1e-4)


def test_nothing_done_there_is_the_base_to_the_bit(lm, meter):
    still = meter.measure(one("unembed_in", Project(orthonormal(5, lm.d_model), 0.0)))
    assert still.value == pytest.approx(meter.measure(None).value, rel=1e-6)


def test_what_acts_earlier_is_no_such_edit(lm):
    d = lm.d_model
    early = one("0.resid_post", Add(unit(d)))
    mixed = type(early)(early.ops + one("unembed_in", Add(unit(d))).ops)
    stretched = one("-1.resid_post", Project(orthonormal(2, d)))
    for edit in (early, mixed, stretched, NoOp(), Composed((early,))):
        assert at_the_end(lm, edit) is None
    shift, read = at_the_end(lm, one("-1.resid_post", Add(unit(d))))
    assert torch.equal(shift, unit(d))
    x = torch.randn(2, 3, d)
    assert torch.equal(read(x), x)
