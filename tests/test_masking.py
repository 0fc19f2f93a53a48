"""The specimens are written in rot13 here: the package and its tests carry no plain list."""

from __future__ import annotations

import codecs
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bezoar.masking import for_display, mask, printable


def plain(text: str) -> str:
    return codecs.decode(text, "rot13")


WORD = plain("shpx")
INSULT = plain("nffubyr")


@pytest.mark.parametrize(
    "disguised",
    [
        WORD,
        WORD.upper(),
        WORD.replace("u", "u" * 7),
        WORD.replace("u", "ü"),
        WORD.replace("c", "с"),  # Cyrillic
        WORD[:2] + "\u200b" + WORD[2:],
        WORD[:2] + "\ufffd" + WORD[2:],
        WORD + "ing",
        "un" + WORD + "able",
        INSULT.replace("s", "$").replace("a", "@", 1),
        INSULT.replace("o", "0").replace("e", "3"),
        "Ġ" + WORD,
        "▁" + WORD,
        WORD.replace("u", "*"),
        WORD.replace("uc", "**") + "ing",
        WORD.replace("u", "v"),
        WORD.replace("u", "@"),
        WORD.replace("u", "\u057d"),  # Armenian
        WORD.replace("f", "\ua730").replace("k", "\u1d0b"),  # small capitals
        WORD.replace("f", "ph"),
        plain("artebrf"),
        plain("xlf"),
    ],
)
def test_disguises_are_seen_through(disguised: str) -> None:
    masked = mask(f"well, {disguised}! said he")
    assert disguised.strip("Ġ▁") not in masked
    assert masked.startswith("well, ")
    assert masked.endswith("! said he")
    assert "*" in masked
    assert len(masked) == len(f"well, {disguised}! said he")


def test_first_and_last_letter_stay() -> None:
    assert mask(WORD) == f"{WORD[0]}**{WORD[-1]}"


@pytest.mark.parametrize("separator", [" ", ".", "-", "_", ". "])
def test_separated_letters_are_one_word(separator: str) -> None:
    masked = mask(f"oh {separator.join(WORD)} off")
    assert not any(letter in masked for letter in WORD[1:-1])
    assert masked.endswith(" off")


def test_pairs_of_letters_are_one_word_and_their_neighbours_stay() -> None:
    masked = mask(f"he is {WORD[:2]} {WORD[2:3]} {WORD[3:]} to go")
    assert masked == f"he is {WORD[0]}* * {WORD[3]} to go"


def test_ordinary_words_stay() -> None:
    innocent = (
        "The assassin from Scunthorpe and the Shiite therapist ate shiitake, grapes and peacock in "
        "class; Dickens' work on the document, U.S. arsenal, a cook's bass, 455 votes in Niger, "
        "a b c, I a m, wristwatch, shuttlecock, flame retardant, circumstance, spices, raccoon. "
        "Phuket, a*b*c, x**2, 2**10, f(**kwargs), C#, I am to go up as he is, very **bold** words."
    )
    assert mask(innocent) == innocent


def test_unmask_returns_the_text() -> None:
    assert mask(f"{WORD}!", unmask=True) == f"{WORD}!"


def test_masked_text_stays_masked() -> None:
    once = mask(f"{WORD} you, {INSULT}, {' '.join(WORD)}, {WORD.replace('u', '*')}ing")
    assert mask(once) == once


def test_the_package_carries_no_plain_list() -> None:
    listed = files("bezoar").joinpath("masking_words.txt").read_text().splitlines()
    entries = [line for line in listed if line and not line.startswith("#")]
    assert len(entries) > 300
    assert all(set(entry[1:]) <= set("0123456789abcdef") and entry[0] in "=~" for entry in entries)
    assert entries == sorted(set(entries))


def test_printable_shows_what_would_act() -> None:
    hostile = (
        "\x1b[31mred\x1b]0;title\x07 \x00 \u202egnp.exe \u2066x\u2069 \r\x08 \u2028 \ud800 \x9b31m"
    )
    shown = printable(hostile)
    assert shown.startswith("␛[31mred␛]0;title␇ ␀ \ufffdgnp.exe")
    shown.encode("utf-8")
    assert not any(
        ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 or 0x202A <= ord(c) <= 0x202E for c in shown
    )


def test_printable_leaves_writing_alone() -> None:
    text = "naïve — 日本語 العربية نمی\u200cخواهم 👩\u200d🚀\n\tnext"
    assert printable(text) == text


@given(st.text(max_size=200))
def test_any_text_can_be_shown(text: str) -> None:
    shown = for_display(text)
    assert printable(shown) == shown
    assert len(shown) == len(text)
    shown.encode("utf-8")
