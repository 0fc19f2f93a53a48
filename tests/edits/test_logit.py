"""Bans and biases of tokens."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import LogitEdit
from bezoar.errors import EditError
from bezoar.models import Decoding, generate
from tests.edits.kit import PROMPTS, batch


def test_a_bias_is_added_to_its_token_and_to_no_other(lm):
    b = batch(lm)
    before = lm.logits(b)
    with LogitEdit(((7,), (9,)), torch.tensor([-2.0, 1.5])).applied_to(lm):
        change = lm.logits(b) - before
    expected = torch.zeros_like(change)
    expected[..., 7], expected[..., 9] = -2.0, 1.5
    torch.testing.assert_close(change, expected, atol=1e-5, rtol=0)


def test_a_sequence_is_biased_only_after_its_first_tokens(gpt2):
    rows = torch.tensor([[5, 4, 5, 4, 5, 5, 6, 4]])
    logits = torch.zeros(1, 8, gpt2.d_vocab)
    edit = LogitEdit(((4, 5, 8),), torch.tensor([-torch.inf]))
    out = edit.biased(rows, logits)
    assert torch.isinf(out[0, :, 8]).nonzero().flatten().tolist() == [2, 4]
    assert int(torch.isinf(out).sum()) == 2
    assert not bool(out.isnan().any())
    # While generating, logits of the last position come with all ids so far.
    last = edit.biased(rows[:, :5], logits[:, 0])
    assert torch.isinf(last[0, 8])
    assert not torch.isinf(edit.biased(rows, logits[:, 0])).any()


@pytest.mark.parametrize("width", range(1, 9))
def test_a_sequence_longer_than_the_text_biases_nothing(gpt2, width):
    ids = batch(gpt2).input_ids[:, :1].repeat(1, width)
    token = int(ids[0, 0])
    edit = LogitEdit(((token,) * 8 + (5,),), torch.tensor([-3.0]))
    logits = torch.zeros(len(ids), width, 9)
    bias = edit.biased(ids, logits)[0, :, 5]
    assert bias.tolist() == [0.0] * min(width, 7) + [-3.0] * max(width - 7, 0)


def test_a_banned_token_is_never_generated(lm):
    decoding = Decoding(max_new_tokens=8, sample=True, samples=4)
    seen = {t for row in generate(lm, PROMPTS, decoding).tokens for t in row}
    banned = sorted(seen)[: len(seen) // 2]
    edit = LogitEdit(tuple((i,) for i in banned), torch.full((len(banned),), -torch.inf))
    with edit.applied_to(lm):
        after = {t for row in generate(lm, PROMPTS, decoding).tokens for t in row}
    assert banned
    assert not after & set(banned)


def test_nonsense_is_refused(gpt2):
    for sequences, bias in (
        (((1,),), torch.zeros(2)),
        (((),), torch.zeros(1)),
        (((1,),), torch.tensor([torch.nan])),
        (((1,),), torch.tensor([torch.inf])),
    ):
        with pytest.raises(EditError):
            LogitEdit(sequences, bias)
    for bad in (-1, gpt2.d_vocab):
        with pytest.raises(EditError, match=str(bad)):
            LogitEdit(((1, bad),), torch.zeros(1)).check(gpt2)
