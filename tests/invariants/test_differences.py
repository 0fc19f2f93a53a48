"""Invariants 29 to 32 of a model beside its tuned self, on every family."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from bezoar.compare.models import (
    activation_drop,
    contributions,
    lens_comparison,
    residual_shift,
    weight_drift,
)
from bezoar.compare.models.shift import principal_components
from bezoar.locate import Direction
from bezoar.models import LanguageModel, Site
from tests.edits.kit import noise
from tests.families import tiny_model

PROMPTS = ["you are so", "the house is not", "people think that", "I know", "will you be good"]
STEPS = {"new_tokens": 3, "draws": 3}


@pytest.fixture(scope="module", params=["gpt2", "llama", "gpt_neox"])
def both(request) -> tuple[LanguageModel, LanguageModel, LanguageModel]:
    """A model, an identical copy of it, and one whose weights all moved a little."""
    base, tuned = tiny_model(request.param), tiny_model(request.param)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in tuned.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    return base, LanguageModel(copy.deepcopy(base.model), base.tokenizer, name="copy"), tuned


def point_of(lm: LanguageModel) -> str:
    return "resid_pre" if lm.anatomy.parallel else "resid_mid"


def test_29_identical_checkpoints_differ_in_nothing(both):
    base, same, _ = both
    drift = weight_drift(base, same)
    assert (drift.cosine, drift.relative, drift.moved) == (1, 0, ())
    assert {tensor.cosine for tensor in drift.tensors} == {1.0}
    shift = residual_shift(base, same, PROMPTS, 1, point=point_of(base))
    assert shift.norm == 0
    drop = activation_drop(base, same, PROMPTS, [(0, 1), (2, 5)], **STEPS)
    assert all(row.base == row.edited for row in drop.neurons)
    assert drop.change.value == drop.change.low == drop.change.high == 0
    lens = lens_comparison(base, same, PROMPTS, [7])
    assert lens.base == lens.edited


def test_30_sub_updates_along_a_direction_add_up_to_what_the_mlp_writes_along_it(both):
    base, _, _ = both
    unit = noise(base.d_model, seed=4).double()
    unit = unit / unit.norm()
    batch = base.batch(base.encode(PROMPTS))
    for layer in range(base.n_layers):
        sites = Site(layer, "mlp_post"), Site(layer, "mlp_raw")
        got = base.capture(batch, sites)
        coefficients = got[sites[0]][batch.mask].double()
        parts = (coefficients * (base.values(layer).double() @ unit)).sum(-1)
        bias = base.w_out_bias(layer)
        whole = got[sites[1]][batch.mask].double() - (0 if bias is None else bias.double())
        torch.testing.assert_close(parts, whole @ unit, rtol=1e-4, atol=1e-5)


def test_31_the_change_of_a_product_is_its_three_parts(both):
    base, _, tuned = both
    seen = []
    batch = base.batch(base.encode(PROMPTS))
    for lm in (base, tuned):
        seen.append((lm.capture(batch, [Site(1, "mlp_post")])[Site(1, "mlp_post")], lm.values(1)))
    (a, v), (b, w) = [(x[batch.mask].double(), y.double()) for x, y in seen]
    whole = b[..., None] * w - a[..., None] * v
    parts = (b - a)[..., None] * v + a[..., None] * (w - v) + (b - a)[..., None] * (w - v)
    torch.testing.assert_close(whole, parts, rtol=1e-12, atol=1e-12)
    assert whole.abs().max() > 0


def test_30_31_groups_and_parts_sum_to_what_was_measured(both):
    base, _, tuned = both
    toxic = Direction.of(noise(base.d_model, seed=5), Site(2, "resid_post"), name="toxic")
    found = contributions(base, tuned, PROMPTS, toxic, toxic=4, **STEPS)
    size = max(abs(layer.measured.value) for layer in found.layers)
    assert found.neurons + found.constant == pytest.approx(found.measured.value, abs=1e-4 * size)
    assert sum(group.change for group in found.groups) == pytest.approx(found.neurons, rel=1e-9)
    assert sum(group.neurons for group in found.groups) == found.neurons_n == 3 * base.d_mlp


def test_32_axes_are_orthonormal_and_the_mean_difference_points_along_itself(both):
    base, _, tuned = both
    states = noise(14, 24, seed=6).double().numpy() * np.linspace(1, 5, 24)
    components, _, _ = principal_components(states, 4)
    assert np.allclose(components @ components.T, np.eye(4), atol=1e-10)
    shift = residual_shift(base, tuned, PROMPTS, 1, point=point_of(base))
    moved = np.mean([point.edited_x - point.base_x for point in shift.points])
    assert moved == pytest.approx(shift.norm, rel=1e-6)
    assert moved > 0
