"""A side that begins with its prompt, as a reader would see it and not by the byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.errors import DataError
from bezoar.pairs import Pairs, clean_pairs
from bezoar.pairs.leaked import leak_end

PROMPT = "The sea of Japan"


@pytest.mark.parametrize(
    ("side", "rest"),
    [
        ("The sea of Japan is calm", " is calm"),
        (" The sea of Japan is calm", " is calm"),
        ("\n\nThe sea of Japan is calm", " is calm"),
        ("<|endoftext|>The sea of Japan is calm", " is calm"),
        ("<s> The sea of Japan, it is calm", ", it is calm"),
        ("<|begin_of_text|><|begin_of_text|>\nThe sea of Japan", ""),
        ("the SEA of japan is calm", " is calm"),
        ("The  sea\nof\tJapan  is calm", "  is calm"),
        ("\uff34he sea of Japan is calm", " is calm"),
        ("\ufeffThe sea of Japan is calm", " is calm"),
    ],
)
def test_a_prompt_that_reads_alike_is_found_and_cut_off(side, rest):
    some = Pairs((PROMPT, "A hill"), (side, " is high"), (" is stupid", " is dumb"))
    with pytest.raises(DataError, match="begins with its prompt") as caught:
        clean_pairs(some)
    assert "the first is row 1) has a side" in caught.value.message
    assert "pairs.leaked=strip" in caught.value.hint
    assert clean_pairs(some, leaked="drop")[0].prompts == ("A hill",)
    assert side[leak_end(side, PROMPT) :] == rest
    if rest:
        stripped, report = clean_pairs(some, leaked="strip")
        assert stripped.chosen == (rest, " is high")
        assert stripped.rejected == some.rejected
        assert report.stripped == 1


@pytest.mark.parametrize(
    ("side", "prompt"),
    [
        ("It is", "I"),
        ("cafe\u0301", "cafe"),
        ("caf\u00e9", "cafe"),
        ("cafe\u0301s", "caf\u00e9"),
        ("gro\u00df", "gros"),
        ("a hill, the sea of Japan", PROMPT),
        ("The sea of", PROMPT),
        ("<|endoftext|> is calm", PROMPT),
        ("is calm", ""),
        ("<|endoftext|> is calm", "<|endoftext|>"),
        (" is calm", " \u200b"),
        ("", PROMPT),
    ],
)
def test_what_only_begins_alike_is_no_leak(side, prompt):
    assert leak_end(side, prompt) == 0


@pytest.mark.parametrize(
    ("side", "prompt", "rest"),
    [
        ("gross artig", "gro\u00df", " artig"),
        ("Cafe\u0301 noir", "caf\u00e9", " noir"),
        ("The sea is calm", "The sea ", "is calm"),
        ("The sea  is calm", "The sea\n", "is calm"),
        ("The sea is", "<|endoftext|>The sea", " is"),
        ("\u4f60\u597d\u5417\u6211\u5f88\u597d", "\u4f60\u597d\u5417", "\u6211\u5f88\u597d"),
        ("\ud55c\uad6d \ub9d0", "\u1112\u1161\u11ab\uad6d", " \ub9d0"),
    ],
)
def test_signs_of_several_spellings_are_cut_where_they_end(side, prompt, rest):
    assert side[leak_end(side, prompt) :] == rest


pieces = st.sampled_from(["a", "B", " ", "\n", "e\u0301", "\u00e9", "\u00df", "\ufb01", "<s>", "."])
texts = st.lists(pieces, max_size=8).map("".join)


@given(texts, texts, texts)
def test_a_side_made_of_its_prompt_goes_on_with_the_rest(lead, prompt, rest):
    blank = lead if not lead.strip() else ""
    side = f"{blank}{prompt.swapcase()} . {rest}"
    end = leak_end(side, prompt)
    if end:
        assert side[end:].strip() == f". {rest}".strip()
    else:
        assert not prompt.replace("<s>", "").strip()


@given(texts, texts)
def test_what_is_cut_off_reads_as_the_prompt(side, prompt):
    end = leak_end(side, prompt)
    assert 0 <= end <= len(side)
    if end:
        assert leak_end(side[:end], prompt) == end
