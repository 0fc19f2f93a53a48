"""Between and beyond: the ends are the models, the weights come back, pairs are by prompt."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.compare.models import interpolation, protocol_measure
from bezoar.errors import ConfigError, DataError, NotFoldable
from bezoar.evaluate import Evaluator, get_protocol
from bezoar.scoring import load_scorer
from tests.compare.models.kit import PROMPTS, low_rank_edit
from tests.edits.kit import affine_ops, one


def mean_logit(lm):
    rows = [lm.logits(lm.batch([ids]))[0, -1, 300] for ids in lm.encode(PROMPTS)]
    return torch.stack(rows).double().numpy()


def test_the_ends_are_the_models_and_the_weights_come_back(pair):
    base, other = pair
    kept = {name: p.detach().clone() for name, p in base.model.named_parameters()}
    found = interpolation(base, other, mean_logit, [1.0, -1.0, 0.5])
    assert [p.t for p in found.points] == [-1.0, 0.0, 0.5, 1.0]
    value = {p.t: p.value.value for p in found.points}
    assert value[0.0] == pytest.approx(mean_logit(base).mean(), abs=1e-9)
    assert value[1.0] == pytest.approx(mean_logit(other).mean(), abs=1e-4)
    change = {p.t: p.change for p in found.points}
    assert (change[0.0].low, change[0.0].high) == (0, 0)
    assert change[1.0].value == pytest.approx(value[1.0] - value[0.0], abs=1e-9)
    for name, parameter in base.model.named_parameters():
        assert torch.equal(parameter, kept[name])


def test_a_linear_measure_is_linear_in_t(pair):
    base, _ = pair
    edit = low_rank_edit(base, 1, 2)
    weight = base.anatomy[1].w_out

    def total(lm):
        return float(weight.weight.detach().double().sum())

    found = interpolation(base, edit, total, [-1.0, 1.0, 2.0])
    at = {p.t: p.value.value for p in found.points}
    slope = at[1.0] - at[0.0]
    assert slope != 0
    for t, value in at.items():
        assert value == pytest.approx(at[0.0] + t * slope, abs=1e-3 * abs(slope))
    assert found.measure == "total"


def test_a_scorer_and_prompts_are_a_measure(gpt2):
    found = interpolation(gpt2, low_rank_edit(gpt2, 1, 1), (load_scorer("words"), PROMPTS), [1.0])
    assert found.measure == "toxicity (words)" or "toxicity" in found.measure
    assert all(0 <= p.value.value <= 1 for p in found.points)


def test_the_statistic_of_a_protocol_is_what_an_evaluator_measures(gpt2):
    scorer, protocol = load_scorer("words"), get_protocol("EIGEN@500x2")
    edit = low_rank_edit(gpt2, 1, 1)
    measure = protocol_measure(gpt2, PROMPTS, scorer, protocol)
    found = interpolation(gpt2, edit, measure, [1.0])
    evaluator = Evaluator(gpt2, PROMPTS, protocol.resized(len(PROMPTS)), [scorer])
    for point, each in zip(found.points, (None, edit), strict=True):
        whole = evaluator.measure(each, parts=("toxicity",))
        assert point.value.value == pytest.approx(np.mean(whole.per_prompt["toxicity"]))
        shares = (np.array(whole.text_scores) >= scorer.threshold).mean(axis=1)
        assert point.value.value == pytest.approx(shares.mean())


def test_what_is_no_measure_is_refused(gpt2):
    edit = low_rank_edit(gpt2, 1, 1)
    with pytest.raises(DataError, match="t = 0"):
        interpolation(gpt2, edit, lambda lm: float("nan"), [1.0])
    sizes = iter([3, 4])
    with pytest.raises(DataError, match="4 values at t = 1 and 3"):
        interpolation(gpt2, edit, lambda lm: np.ones(next(sizes)), [1.0])
    with pytest.raises(ConfigError, match="finite"):
        interpolation(gpt2, edit, mean_logit, [float("inf")])
    with pytest.raises(ConfigError):
        interpolation(gpt2, edit, mean_logit, [])
    with pytest.raises(NotFoldable):
        interpolation(gpt2, one("1.resid_post", affine_ops(32)["gate"]), mean_logit, [1.0])
