"""The control shrinks everything alike, and an audit never chooses it."""

from __future__ import annotations

import torch

from bezoar.mitigate import FitInputs, UniformShrink
from bezoar.studies.audit.fitted import FittedMethod
from bezoar.studies.audit.mitigate import _best


def test_every_mlp_writes_that_much_less_in_the_same_direction(lm):
    batch = lm.batch(lm.encode(["you are a fool"]))
    first = lm.sites(["mlp_out"])[:1]
    plain = lm.capture(batch, first)[first[0]]
    with UniformShrink(0.25).fit(lm, FitInputs()).applied_to(lm):
        shrunk = lm.capture(batch, first)[first[0]]
    torch.testing.assert_close(shrunk, 0.75 * plain)


def test_no_share_does_nothing_and_the_whole_folds(lm):
    batch = lm.batch(lm.encode(["you are a fool"]))
    bare = lm.logits(batch)
    with UniformShrink(0.0).fit(lm, FitInputs()).applied_to(lm):
        assert torch.equal(lm.logits(batch), bare)
    edit = UniformShrink(1.0).fit(lm, FitInputs())
    with edit.applied_to(lm):
        hooked = lm.logits(batch)
    with edit.fold(lm).applied_to(lm):
        torch.testing.assert_close(lm.logits(batch), hooked, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(hooked, bare, atol=1e-3)


def test_a_control_is_never_chosen():
    def fitted(spec: str, toxicity: float) -> FittedMethod:
        return FittedMethod(spec, spec, spec, 1.0, 0.05, True, "", 1.0, toxicity, ())

    rows = [fitted("uniform-shrink", 0.01), fitted("subtract", 0.1)]
    assert _best(rows, 0.3) == "subtract"
    assert _best(rows[:1], 0.3) is None
