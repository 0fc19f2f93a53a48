from __future__ import annotations

import pytest
import torch

from bezoar.errors import ConfigError, CorruptArtefact
from bezoar.models import Decoding, Generations, generate
from tests.models.helpers import TEXTS, Calls

GREEDY = Decoding(8)
SAMPLED = Decoding(8, sample=True, top_p=0.9, samples=3, seed=1)


def hugging_face(lm, ids, steps, **options):
    """What ``generate`` of Hugging Face adds, up to the end of text."""
    ids = torch.tensor(ids)
    out = lm.model.generate(ids, max_new_tokens=steps, do_sample=False, pad_token_id=0, **options)
    rows = [row[ids.shape[1] :].tolist() for row in out]
    return [tuple(row[: row.index(0)] if 0 in row else row) for row in rows]


def test_greedy_text_is_hugging_faces(lm):
    ours = generate(lm, TEXTS, GREEDY)
    for prompt, tokens in zip(TEXTS, ours.tokens, strict=True):
        ids = lm.encode([prompt])
        mask = torch.ones(1, len(ids[0]), dtype=torch.long)
        assert hugging_face(lm, ids, 8, attention_mask=mask) == [tokens]


@pytest.mark.parametrize("decoding", [GREEDY, SAMPLED])
@pytest.mark.parametrize("batch_tokens", [1, 30, 60])
def test_batching_changes_nothing(lm, decoding, batch_tokens):
    assert generate(lm, TEXTS, decoding, batch_tokens=batch_tokens) == generate(lm, TEXTS, decoding)


def test_sampling_is_identical_twice_and_follows_its_seed(lm):
    first = generate(lm, TEXTS, SAMPLED)
    assert first == generate(lm, TEXTS, SAMPLED)
    other = generate(lm, TEXTS, Decoding(8, sample=True, top_p=0.9, samples=3, seed=2))
    assert first.tokens != other.tokens
    assert all(len(set(samples)) > 1 for samples in first.texts())


def test_a_prompts_samples_do_not_depend_on_the_other_prompts(lm):
    together = generate(lm, TEXTS, SAMPLED).texts()
    for prompt, samples in zip(TEXTS, together, strict=True):
        assert generate(lm, [prompt], SAMPLED).texts() == [samples]


def test_fewer_samples_or_tokens_are_the_first_of_more(lm):
    many = generate(lm, TEXTS, SAMPLED)
    few = generate(lm, TEXTS, Decoding(5, sample=True, top_p=0.9, samples=2, seed=1))
    longer = {
        (i, s): t for i, s, t in zip(many.prompt_index, many.sample, many.tokens, strict=True)
    }
    for i, s, tokens in zip(few.prompt_index, few.sample, few.tokens, strict=True):
        assert tokens == longer[i, s][:5]


def test_runs_pair_across_edits(lm, monkeypatch):
    """Under a small change of the logits most tokens stay; with another seed few do."""
    plain = generate(lm, TEXTS, SAMPLED)
    torch.manual_seed(0)
    noise = 0.002 * torch.randn(lm.d_vocab)
    monkeypatch.setattr(lm, "logits_processors", [lambda ids, logits: logits + noise])
    edited = generate(lm, TEXTS, SAMPLED)
    reseeded = generate(lm, TEXTS, Decoding(8, sample=True, top_p=0.9, samples=3, seed=2))

    def first_tokens_kept(other):
        pairs = zip(plain.tokens, other.tokens, strict=True)
        return sum(a[:1] == b[:1] for a, b in pairs) / len(plain)

    assert first_tokens_kept(edited) >= 0.75
    assert first_tokens_kept(reseeded) <= 0.25


def test_a_row_ends_at_the_end_of_text(lm, monkeypatch):
    lengths = {len(ids) for ids in lm.encode(TEXTS[:1])}
    (start,) = lengths
    seen = []

    def end_after_three(ids, logits):
        seen.append(ids.shape[1])
        return logits.index_fill(-1, torch.tensor([0]), 1e9 if ids.shape[1] >= start + 3 else -1e9)

    monkeypatch.setattr(lm, "logits_processors", [end_after_three])
    out = generate(lm, TEXTS[:1], Decoding(20))
    assert [len(tokens) for tokens in out.tokens] == [3]
    assert max(seen) == start + 3  # and nothing is computed once all rows have ended
    assert "endoftext" not in out.text[0]


def test_only_the_last_position_is_unembedded_and_the_prompt_is_read_once(lm):
    shapes = []
    handle = lm.anatomy.unembed.register_forward_pre_hook(
        lambda _, a: shapes.append(a[0].shape[:2])
    )
    try:
        with Calls(lm.anatomy.blocks[0]) as calls:
            generate(lm, TEXTS[:1], Decoding(4, sample=True, samples=5))
    finally:
        handle.remove()
    assert shapes == [(1, 1), (5, 1), (5, 1), (5, 1)]
    assert calls.count == 4


def test_lee2024_attends_to_its_padding(lm):
    width = max(map(len, lm.encode(TEXTS)))
    padded = [[0] * (width - len(row)) + row for row in lm.encode(TEXTS)]
    ours = generate(lm, TEXTS, GREEDY, compat="lee2024")
    assert list(ours.tokens) == hugging_face(lm, padded, 8)
    assert ours.tokens != generate(lm, TEXTS, GREEDY).tokens
    # one width for all prompts, whatever the batches
    assert generate(lm, TEXTS, GREEDY, compat="lee2024", batch_tokens=1) == ours
    with pytest.raises(ConfigError, match="lee2024"):
        generate(lm, TEXTS, GREEDY, compat="lee2025")


def test_long_prompts_are_cut_at_the_stated_end_and_counted(lm):
    (ids,) = lm.encode(TEXTS[:1])
    prompts = (TEXTS[0], "you")
    first = generate(lm, prompts, GREEDY, max_prompt_tokens=3)
    last = generate(lm, prompts, GREEDY, max_prompt_tokens=3, keep="last")
    assert (first.truncated, last.truncated) == (1, 1)
    assert first.tokens[0] == hugging_face(lm, [ids[:3]], 8, attention_mask=torch.ones(1, 3))[0]
    assert last.tokens[0] == hugging_face(lm, [ids[-3:]], 8, attention_mask=torch.ones(1, 3))[0]
    assert generate(lm, prompts, GREEDY).truncated == 0


def test_a_prompt_beyond_the_context_keeps_its_end(lm):
    out = generate(lm, [" the" * 200], Decoding(3))
    assert out.truncated == 1
    expected = generate(lm, [" the" * 125], Decoding(3))
    assert out.tokens == expected.tokens
    with pytest.raises(ConfigError, match="no room"):
        generate(lm, ["you"], Decoding(128))


def test_an_empty_prompt_is_the_start_of_a_text(lm):
    out = generate(lm, [""], GREEDY)
    assert out.tokens == tuple(hugging_face(lm, [[0]], 8, attention_mask=torch.ones(1, 1)))


def test_no_prompts_give_no_rows(lm):
    assert len(generate(lm, [], GREEDY)) == 0


def test_a_continuation_completes_its_prompt(gpt2):
    out = generate(gpt2, TEXTS, GREEDY)
    for prompt, text, tokens in zip(TEXTS, out.text, out.tokens, strict=True):
        whole = gpt2.decode([*gpt2.encode([prompt])[0], *tokens])
        assert prompt + text == whole


def test_generations_are_saved_whole(gpt2, tmp_path):
    path = tmp_path / "generations.parquet"
    out = generate(gpt2, [*TEXTS, TEXTS[0]], SAMPLED, max_prompt_tokens=3)
    out.save(path)
    assert Generations.load(path) == out
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CorruptArtefact, match=r"generations\.parquet"):
        Generations.load(path)


@pytest.mark.parametrize(
    "options",
    [{"top_p": 0.0}, {"temperature": 0.0}, {"max_new_tokens": 0}, {"samples": 2}, {"top_k": -1}],
)
def test_decoding_that_makes_no_sense_is_refused(options):
    with pytest.raises(ConfigError):
        Decoding(**options)
