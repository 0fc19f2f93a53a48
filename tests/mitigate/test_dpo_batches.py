"""Pairs as tokens: what is counted, what is cut, what is refused."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from bezoar.errors import ConfigError, CorruptArtefact, DataError
from bezoar.mitigate.preference import (
    answer_logps,
    collate,
    dpo_loss,
    reference_logps,
    sequence_logps,
    tokenise_pairs,
)
from bezoar.mitigate.preference.loss import shifted_logps
from bezoar.models import LanguageModel
from bezoar.pairs import Pairs, clean_pairs
from tests.families import tiny_hf_model
from tests.mitigate.preferences import pairs

ONE = Pairs(("I think that you are",), (" lovely and kind",), (" a fool",))


def logps(lm, tokens, indices):
    batch = collate(lm, tokens, indices)
    with torch.no_grad():
        return sequence_logps(answer_logps(lm, batch), batch.rows, batch.n_rows)


def test_logits_at_answers_alone_are_the_models_own(lm):
    tokens = tokenise_pairs(lm, pairs(7))
    batch = collate(lm, tokens, range(7))
    lengths = [len(p.prompt) for p in tokens.sides] * 2
    whole = lm.logits(batch.batch)
    position = torch.arange(whole.shape[1])
    answers = (position >= torch.tensor(lengths)[:, None]) & batch.batch.mask
    expected = shifted_logps(whole, batch.batch.input_ids, answers)
    torch.testing.assert_close(logps(lm, tokens, range(7)), expected, rtol=1e-5, atol=1e-5)
    # and they are few: the unembedding's hook leaves nothing behind
    assert not lm.require_unembedding()._forward_pre_hooks


def test_neither_padding_nor_company_changes_a_pair(lm):
    """24: in contrast to the reference's code."""
    tokens = tokenise_pairs(lm, pairs(6))
    together = logps(lm, tokens, range(6)).view(2, -1)
    for i in range(6):
        alone = logps(lm, tokens, [i])
        torch.testing.assert_close(together[:, i], alone, rtol=1e-4, atol=1e-4)


def test_the_code_counts_the_prompt_and_pads_the_shorter_side_with_token_0():
    """The prompt cancels in the loss, the padding does not."""
    lm = LanguageModel(*with_bos_apart())
    correct, code = (tokenise_pairs(lm, ONE, mode=mode) for mode in ("correct", "code"))
    side = correct.sides[0]
    short, long = len(side.rejected), len(side.chosen)
    assert short < long
    counted = [torch.bincount(collate(lm, t, [0]).rows).tolist() for t in (correct, code)]
    prompt = len(side.prompt) - 1
    assert counted == [[long, short], [prompt + long, prompt + long]]
    targets = collate(lm, code, [0]).targets
    assert targets[-(long - short) :].tolist() == [0] * (long - short)
    zero = torch.zeros(1)
    losses = [
        dpo_loss(*(part[None] for part in logps(lm, t, [0])), zero, zero, 0.1).loss
        for t in (correct, code)
    ]
    assert not torch.allclose(*losses, atol=1e-3)
    equal = Pairs(ONE.prompts, (" a kind",), (" a fool",))
    tied = [
        dpo_loss(*(part[None] for part in logps(lm, tokenise_pairs(lm, equal, mode=m), [0])),
                 zero, zero, 0.1).loss
        for m in ("correct", "code")
    ]  # fmt: skip
    torch.testing.assert_close(*tied, rtol=1e-4, atol=1e-5)


def test_no_token_of_the_padding_counts_in_the_code_and_an_ordinary_one_fills(lm):
    """Token 0 pads here, so it can neither fill nor count; in GPT-2 it is an ordinary one."""
    assert lm.pad_id == 0
    with_padding = Pairs(("say",), (f" a{lm.tokenizer.pad_token} kind one",), (" a fool",))
    code = tokenise_pairs(lm, with_padding, mode="code")
    (side,) = code.sides
    assert 0 in side.chosen
    batch = collate(lm, code, [0])
    assert 0 not in batch.targets
    assert code.filler not in {*lm.tokenizer.all_special_ids}
    filled = len(side.chosen) - len(side.rejected)
    assert filled > 0
    assert batch.targets[batch.rows == 1][-filled:].tolist() == [code.filler] * filled


def test_a_leaked_prompt_and_no_pair_at_all_are_refused(lm):
    leaked = Pairs((" the man",), (" the man is kind",), (" the man is a fool",))
    with pytest.raises(DataError, match="begins with its prompt") as error:
        tokenise_pairs(lm, leaked)
    assert 'leaked="strip"' in error.value.hint
    kept = clean_pairs(leaked, leaked="keep")[0]
    assert len(tokenise_pairs(lm, kept)) == 1
    cut = tokenise_pairs(lm, clean_pairs(leaked, leaked="strip")[0]).sides[0]
    assert lm.decode(cut.chosen) == " is kind"
    with pytest.raises(DataError, match="There are no pairs"):
        tokenise_pairs(lm, Pairs((), (), ()))


def with_bos_apart():
    """A model whose padding token is not token 0."""
    model, tokenizer = tiny_hf_model("gpt2")
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(5)
    return model, tokenizer


def test_a_beginning_of_text_comes_once_and_both_sides_keep_the_prompt(lm):
    class Adding:
        """A tokenizer that puts its first token before every text."""

        def __init__(self, inner):
            self._inner = inner

        def __getattr__(self, name):
            return getattr(self._inner, name)

        def __call__(self, texts, add_special_tokens=True, **more):
            found = self._inner(texts, add_special_tokens=False, **more)
            ids = [[7] * add_special_tokens + row for row in found["input_ids"]]
            return {"input_ids": ids}

    begun = LanguageModel(lm.model, Adding(lm.tokenizer))
    side = tokenise_pairs(begun, ONE).sides[0]
    assert side.prompt[0] == 7
    assert 7 not in (*side.prompt[1:], *side.chosen, *side.rejected)
    assert lm.decode(side.prompt[1:]) == ONE.prompts[0]
    assert lm.decode(side.chosen) == ONE.chosen[0]
    # a token would reach over the seam: "riv" + "er" is one token of its own
    seam = Pairs(("the riv",), ("er",), (" fool",))
    split = tokenise_pairs(lm, seam).sides[0]
    assert lm.decode(split.prompt) == "the riv"
    assert lm.decode(split.chosen) == "er"


def test_without_a_prompt_an_answer_follows_the_token_that_begins_a_text(lm):
    tokens = tokenise_pairs(lm, Pairs(("",), ("you are good",), ("you fool",)))
    assert tokens.sides[0].prompt == (lm.start_id,)


def test_long_prompts_keep_their_end_and_long_answers_their_beginning(lm):
    long = Pairs(("the " * 40 + "river is",), (" so good" * 40,), (" bad" * 50,))
    tokens = tokenise_pairs(lm, long, max_prompt_tokens=9, max_answer_tokens=11)
    side = tokens.sides[0]
    assert (len(side.prompt), len(side.chosen), len(side.rejected)) == (9, 11, 11)
    assert lm.decode(side.prompt).endswith("the river is")
    assert lm.decode(side.chosen).startswith(" so good")
    assert (tokens.cut_prompts, tokens.cut_answers) == (1, 1)
    assert (tokenise_pairs(lm, ONE).cut_prompts, tokenise_pairs(lm, ONE).cut_answers) == (0, 0)
    # beyond the context the prompt gives way, and it still runs
    most = tokenise_pairs(lm, long, max_prompt_tokens=500, max_answer_tokens=lm.context - 4)
    assert len(most.sides[0].prompt) == 4
    assert torch.isfinite(logps(lm, most, [0])).all()
    with pytest.raises(ConfigError, match=f"context of {lm.context}"):
        tokenise_pairs(lm, long, max_answer_tokens=lm.context)


def test_equal_sides_are_left_out_and_counted(lm):
    three = Pairs(("a", "b", "c"), (" good", " same", " lovely"), (" bad", " same", " fool"))
    tokens = tokenise_pairs(lm, three)
    assert (tokens.rows, tokens.equal) == ((0, 2), 1)
    # equal once they are cut
    alike = Pairs(("a",), (" so very good",), (" so very bad",))
    with pytest.raises(DataError, match="nothing to learn"):
        tokenise_pairs(lm, alike, max_answer_tokens=2)


@pytest.mark.parametrize("side", ["chosen", "rejected"])
def test_an_empty_side_is_named(lm, side):
    empty = dataclasses.replace(pairs(3), **{side: (" good", "", " bad")})
    with pytest.raises(DataError, match=f"The {side} side of pair 1 is empty"):
        tokenise_pairs(lm, empty)


def test_a_tokenizer_without_padding_works(gpt2):
    model, tokenizer = tiny_hf_model("gpt2")
    tokenizer.pad_token = None
    bare = LanguageModel(model, tokenizer)
    expected = logps(gpt2, tokenise_pairs(gpt2, pairs(5)), range(5))
    torch.testing.assert_close(logps(bare, tokenise_pairs(bare, pairs(5)), range(5)), expected)


def test_the_reference_is_computed_once_and_kept(lm, tmp_path, monkeypatch):
    tokens = tokenise_pairs(lm, pairs(10))
    first = reference_logps(lm, tokens, batch_pairs=3, cache=tmp_path)
    expected = logps(lm, tokens, range(10)).view(2, -1)
    torch.testing.assert_close(torch.stack([first.chosen, first.rejected]), expected)
    batch = collate(lm, tokens, [4, 2])
    with torch.no_grad():
        own = answer_logps(lm, batch)
    torch.testing.assert_close(first.tokens_of(batch), own, rtol=1e-4, atol=1e-4)
    (path,) = tmp_path.iterdir()
    assert lm.fingerprint in path.name
    assert tokens.key() in path.name
    monkeypatch.setattr("bezoar.mitigate.preference.forward.answer_logps", None)
    again = reference_logps(lm, tokens, cache=tmp_path)
    assert torch.equal(again.chosen, first.chosen)
    assert torch.equal(again.rejected, first.rejected)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CorruptArtefact, match="Remove it"):
        reference_logps(lm, tokens, cache=tmp_path)


def test_the_key_names_the_tokens_and_the_mode(lm):
    keys = {tokenise_pairs(lm, pairs(n), mode=m).key() for n in (4, 5) for m in ("correct", "code")}
    assert len(keys) == 4
