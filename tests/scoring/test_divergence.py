from __future__ import annotations

import math

import pytest
import torch

from bezoar.errors import DataError
from bezoar.scoring import KLMeter, kl_to_base
from tests.scoring.models import SENTENCES, Shift, uniform_model


def test_kl_of_nothing_is_exactly_zero(lm) -> None:
    result = KLMeter(lm, SENTENCES).measure(None)
    assert result.value == 0.0
    assert set(result.per_text) == {0.0}
    assert result.interval().high == 0.0


def test_kl_equals_torch(lm) -> None:
    edit = Shift([1, 2, 3], 0.7)
    total, count = 0.0, 0
    for ids in lm.encode(SENTENCES):
        batch = lm.batch([ids[:32]])
        base = lm.logits(batch)[0].log_softmax(-1)
        with edit.applied_to(lm):
            edited = lm.logits(batch)[0].log_softmax(-1)
        # kl_div(input, target) is KL(target ‖ input).
        total += torch.nn.functional.kl_div(base, edited, log_target=True, reduction="sum").item()
        count += len(ids[:32])
    result = kl_to_base(lm, edit, SENTENCES)
    assert result.tokens == count
    assert result.value == pytest.approx(total / count, rel=1e-4)


def test_ban_has_a_finite_known_cost() -> None:
    """Banning b of V equally likely tokens: KL = ln(V / (V − b))."""
    lm = uniform_model()
    result = kl_to_base(lm, Shift([5, 6, 7], -math.inf), SENTENCES)
    assert result.value == pytest.approx(math.log(lm.d_vocab / (lm.d_vocab - 3)), rel=1e-3)


def test_without_room_for_the_base_the_answer_is_the_same(gpt2, monkeypatch) -> None:
    import sys

    kept = KLMeter(gpt2, SENTENCES).measure(Shift([9], 2.0))
    monkeypatch.setattr(sys.modules["bezoar.scoring.divergence"], "_CACHE_BYTES", 0)
    assert KLMeter(gpt2, SENTENCES).measure(Shift([9], 2.0)) == kept


def test_too_little_text_is_refused(gpt2) -> None:
    with pytest.raises(DataError, match="at least 32"):
        KLMeter(gpt2, ["I will"])


def test_nan_is_an_error(gpt2) -> None:
    with pytest.raises(DataError, match="NaN"):
        kl_to_base(gpt2, Shift([5], math.nan), SENTENCES)
