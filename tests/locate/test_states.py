"""Toxic states: the right tokens by their characters, the right states whatever the padding."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from bezoar.errors import ConfigError, CorruptArtefact, DataError, ModelError
from bezoar.locate import ToxicStates, collect_states, continue_and_attribute, states_of
from bezoar.locate.continuations import first_token, token_spans
from bezoar.locate.produced import Produced
from bezoar.locate.states import SITE, StatesFound
from bezoar.locate.states_report import held_out_auroc, report_states
from tests.families import tiny_model
from tests.locate.states_kit import PROMPTS, HashScorer


@pytest.fixture(scope="module")
def llama():
    return tiny_model("llama")


@pytest.fixture(scope="module")
def written(llama):
    return continue_and_attribute(llama, PROMPTS, HashScorer(), max_new_tokens=12)


# Characters of tokens


def test_tokens_of_whole_characters_tile_the_text(llama):
    ids = llama.encode([" you fool, the rotten house"])[0]
    spans = list(token_spans(llama, llama.encode(["the man"])[0], ids))
    assert (spans[0][0], spans[-1][1]) == (0, len(" you fool, the rotten house"))
    assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_bytes_of_one_character_share_it(llama):
    text = " é文!"  # two and three bytes, each a token of its own
    ids = llama.encode([text])[0]
    assert list(token_spans(llama, llama.encode(["a"])[0], ids)) == [
        (0, 1), (1, 2), (1, 2), (2, 3), (2, 3), (2, 3), (3, 4),
    ]  # fmt: skip


def test_a_special_token_wrote_no_character(llama):
    ids = [*llama.encode([" you"])[0], llama.end_ids[0], *llama.encode([" fool"])[0]]
    spans = list(token_spans(llama, llama.encode(["a"])[0], ids))
    assert spans == [(0, 4), (4, 4), (4, 9)]
    assert first_token(spans, 5, 9) == 2


def test_a_word_is_found_where_it_stands_not_where_its_letters_do(llama):
    ids = llama.encode([" the other fool he"])[0]
    spans = list(token_spans(llama, llama.encode(["a"])[0], ids))
    text = " the other fool he"
    assert llama.token_strings([ids[first_token(spans, 16, 18)]]) == [" h"]
    assert first_token(spans, text.index("fool"), text.index("fool") + 4) == [
        llama.token_strings([i])[0] for i in ids
    ].index(" fool")


# The states


def test_each_state_is_what_the_unembedding_read_before_its_token_whatever_the_padding(lm):
    written = continue_and_attribute(lm, PROMPTS, HashScorer(), max_new_tokens=12)
    states = states_of(lm, written, "paper")
    for rows, found in ((states.toxic_rows, states.toxic), (states.other_rows, states.other)):
        for row, state in zip(rows, found, strict=True):
            ids = [*written.prompts[row.prompt], *written.tokens[row.prompt][: row.position]]
            alone = lm.capture(lm.batch([ids]), [SITE])[SITE][0, -1]
            torch.testing.assert_close(state, alone, atol=1e-5, rtol=1e-5)
            assert int(lm.unembed(alone).argmax()) == row.token


def test_only_toxic_words_give_toxic_states(llama, written):
    scorer, states = HashScorer(), states_of(llama, written)
    for row in states.toxic_rows:
        text, (start, end) = written.texts[row.prompt], written.spans[row.prompt][row.position]
        word = text[:end].split()[-1]  # the token wrote some of its letters
        assert any(scorer.is_toxic(w) and w.startswith(word) for w in text.split())
        assert start < end
        assert written.toxic[row.prompt]
    assert not any(written.toxic[row.prompt] for row in states.other_rows)


def test_harmless_states_stand_where_the_toxic_ones_do(llama, written):
    states = states_of(llama, written, matched=2)
    ours = Counter(row.position for row in states.toxic_rows)
    theirs = Counter(row.position for row in states.other_rows)
    ratio = len(states.other_rows) // len(states.toxic_rows)
    assert ratio >= 1
    assert theirs == {at: ratio * count for at, count in ours.items()}


def test_the_paper_compares_with_first_steps_and_the_code_with_the_prompts_first_token(
    llama, written
):
    paper, code = (states_of(llama, written, mode) for mode in ("paper", "code"))
    harmless = len(written) - sum(written.toxic)
    assert {row.position for row in paper.other_rows} == {0}
    assert len(paper.other_rows) == len(code.other_rows) == harmless
    by_first = {}
    for row, state in zip(code.other_rows, code.other, strict=True):
        by_first.setdefault(written.prompts[row.prompt][0], []).append(state)
    for same in by_first.values():  # the first token has seen nothing else
        for state in same:
            torch.testing.assert_close(state, same[0], atol=1e-5, rtol=1e-5)


def test_words_and_the_seed_are_heeded(llama, written):
    one, three = states_of(llama, written, "paper"), states_of(llama, written, "paper", words=3)
    assert set(one.toxic_rows) < set(three.toxic_rows)
    again = states_of(llama, written, matched=1, seed=0)
    other = states_of(llama, written, matched=1, seed=1)
    assert again.other_rows == states_of(llama, written, matched=1, seed=0).other_rows
    assert again.other_rows != other.other_rows


def test_the_difference_is_of_means_and_shuffles_keep_each_position(llama, written):
    states = states_of(llama, written)
    expected = states.toxic.numpy().mean(0) - states.other.numpy().mean(0)
    np.testing.assert_allclose(states.difference.numpy(), expected, atol=1e-6)
    drawn = states.shuffled(3)
    assert Counter(r.position for r in drawn.toxic_rows) == Counter(
        r.position for r in states.toxic_rows
    )
    assert _both(drawn) == _both(states)
    assert drawn.toxic_rows != states.toxic_rows or drawn.other_rows != states.other_rows


def _both(states: ToxicStates) -> set[tuple[Produced, tuple[float, ...]]]:
    rows = [*states.toxic_rows, *states.other_rows]
    return set(zip(rows, map(tuple, torch.cat([states.toxic, states.other]).tolist()), strict=True))


def test_a_planted_direction_is_found(llama, written):
    states = states_of(llama, written)
    planted = torch.zeros(llama.d_model)
    planted[7] = 40.0
    moved = replace(states, toxic=states.toxic + planted)
    assert int(moved.difference.abs().argmax()) == 7
    assert float(moved.direction.vector[7]) > 0.9


def test_states_are_saved_and_damage_is_named(llama, written, tmp_path):
    states = states_of(llama, written)
    states.save(tmp_path)
    back = ToxicStates.load(tmp_path)
    assert _both(back) == _both(states)
    assert (back.toxic_rows, back.other_rows) == (states.toxic_rows, states.other_rows)
    assert back.found == states.found
    about = json.loads((tmp_path / "states.json").read_text())
    about["about"]["toxic"].pop()
    (tmp_path / "states.json").write_text(json.dumps(about))
    with pytest.raises(CorruptArtefact, match="states"):
        ToxicStates.load(tmp_path)


# What cannot be


def test_without_a_toxic_text_it_says_how_many_were_tried(llama):
    with pytest.raises(DataError, match=r"0 of 4 greedy continuations.*more prompts"):
        collect_states(llama, PROMPTS[:4], HashScorer(every=0), max_new_tokens=4)


def test_with_toxic_texts_alone_there_is_nothing_to_compare(llama):
    with pytest.raises(DataError, match=r"No harmless states.*4 of 4"):
        collect_states(llama, PROMPTS[:4], HashScorer(every=1), max_new_tokens=4)


@pytest.mark.parametrize("wrong", [{"words": 0}, {"matched": 0}])
def test_nothing_asked_for_is_refused(llama, wrong):
    with pytest.raises(ConfigError):
        collect_states(llama, PROMPTS[:2], HashScorer(), **wrong)


def test_no_prompts_are_refused(llama):
    with pytest.raises(DataError, match="No prompts"):
        collect_states(llama, [], HashScorer())


def test_a_model_without_an_unembedding_is_refused():
    from transformers import GPT2Model

    from bezoar.models import LanguageModel
    from tests.families import tiny_config, tiny_tokenizer

    tokenizer = tiny_tokenizer()
    bare = GPT2Model(tiny_config("gpt2", len(tokenizer)))
    with pytest.raises(ModelError, match="no unembedding"):
        collect_states(LanguageModel(bare, tokenizer), PROMPTS[:2], HashScorer())


# What is reported


def test_held_out_states_of_a_planted_difference_separate_and_shuffled_ones_do_not(llama):
    rng = np.random.default_rng(0)
    rows = [Produced(i, i % 5, i % 7) for i in range(240)]
    states = torch.from_numpy(rng.normal(size=(240, 16)).astype(np.float32))
    states[:80, 3] += 2.0
    about = StatesFound("correct", 240, 80, 80, {}, 8, 1, 2, 0, "s", "occlusion", "", "m", "p")
    planted = ToxicStates(states[:80], states[80:], tuple(rows[:80]), tuple(rows[80:]), about)
    report = report_states(llama, planted, draws=19)
    assert report.auroc.low > 0.8
    assert report.norm > max(report.null_norms)
    assert report.null_p == pytest.approx(1 / 20)
    assert report.toxic_positions == (16,) * 5 + (0,) * 3
    nothing = held_out_auroc(planted.shuffled(1))
    assert nothing.low < 0.5 < nothing.high
    assert "80 toxic states, 160 harmless" in str(report)


def test_held_out_means_another_prompt(llama):
    """States that are copies of one another within a prompt do not vouch for each other."""
    rng = np.random.default_rng(1)
    kinds = torch.from_numpy(rng.normal(size=(60, 64)).astype(np.float32))
    rows = tuple(Produced(i // 6, i % 6, 0) for i in range(360))
    states = kinds.repeat_interleave(6, 0)
    about = StatesFound("paper", 60, 30, 180, {}, 8, 1, 1, 0, "s", "occlusion", "", "m", "p")
    copies = ToxicStates(states[:180], states[180:], rows[:180], rows[180:], about)
    assert held_out_auroc(copies).low < 0.5


def test_few_prompts_give_no_auroc(llama, written):
    report = report_states(llama, states_of(llama, written), draws=3)
    assert report.auroc is None
    assert "AUROC" not in str(report)


def test_other_choices_are_held_against_the_correct_one(llama, written):
    states = {mode: states_of(llama, written, mode) for mode in ("correct", "paper")}
    report = report_states(llama, states["correct"], others=states, draws=3)
    same, paper = report.choices
    assert same.cosine == pytest.approx(1)
    assert -1 <= paper.cosine < 1
