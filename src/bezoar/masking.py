"""What is shown of hostile text: profanity and slurs starred, control characters made visible.

The words are kept as keyed digests of their normalised form (``masking_words.txt``), so that no
list of specimens travels in the package. A word is compared after undoing the usual disguises:
letter case, accents, look-alike letters, digits and signs for letters, ``ph`` for ``f``, repeated
and separated letters, letters that the writer starred. A name that is also such a word is starred
too: it errs on the side of showing less, knows English and a little more, and is no scorer.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from importlib.resources import files
from itertools import product

# Digits and signs that stand for letters; Cyrillic, Greek and Armenian letters, and small capitals,
# that look like Latin ones.
_LOOKS = (
    ("0134578@$!|+€£", "oieastbasiitel"),
    ("асеорхуіјѕкмтвнԁԛԝһ", "aceopxyijskmtbhdqwh"),
    ("αοενικτρυχ", "aoeviktpyx"),
    ("սօոհցզյ", "uonhgqj"),
    ("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢƒɡ", "abcdefghijklmnoprstuvwyzfg"),
)
_DISGUISES = {ord(seen): meant for pair in _LOOKS for seen, meant in zip(*pair, strict=True)}
_ALSO = str.maketrans("υv@1!", "uuull")  # what the same signs may stand for as well
_SIGNS = "@$!|+€£"
_HIDDEN = "\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffd"
_WORD = re.compile(f"(?:(?![ĠĊ])[^\\W_]|[{re.escape(_SIGNS)}{_HIDDEN}\u0300-\u036f])+")
_SPACED = re.compile(r"(?<![^\W_])(?:[^\W_]{1,2}[\s._*\-]{1,2}){2,}[^\W_]{1,2}(?![^\W_])")
_PIECE = re.compile(r"[^\W_]{1,2}")
_STARRED = re.compile(r"[^\W\d_]+(?:[*#%]+[^\W\d_]+)+")
_STAR = re.compile(r"[*#%]")
_MAX_PIECES = 60  # of a run of separated letters in which every stretch is looked at
_RUN = re.compile(r"(.)\1+")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_STEM_LENGTHS = range(4, 13)

# Innocent words that contain a stem, or come to one when doubled letters are undone.
_INNOCENT = frozenset(
    """
    scunthorpe shiite shiites shiitake shitake matsushita yamashita cushitic mishit mishits annal
    snigger sniggers sniggered sniggering retardant retardants
    """.split()  # noqa: SIM905
)


def mask(text: str, *, unmask: bool = False) -> str:
    """Star the middle of profane words and slurs; first and last letter and the length stay.

    Args:
        text: any text.
        unmask: return it as it is.
    """
    if unmask:
        return text
    return _SPACED.sub(_mask_spaced, _WORD.sub(_mask_word, _STARRED.sub(_mask_starred, text)))


def printable(text: str) -> str:
    """Replace what could command a terminal, reorder a line or hide in it by something visible.

    Control characters (escape, null, backspace, …) become their pictures (``␛``, ``␀``, ``␈``);
    bidirectional overrides, other invisible format characters, line separators and lone surrogates
    become ``�``. Newlines and tabs stay.
    """
    return text.translate(_VISIBLE)


def for_display(text: str, *, unmask: bool = False) -> str:
    """``printable(mask(text))``: what a page or terminal may show (HTML is still to be escaped)."""
    return printable(mask(text, unmask=unmask))


def _mask_word(match: re.Match[str]) -> str:
    word = match.group()
    core = word.strip(_SIGNS)
    if _is_listed(core):
        return word.replace(core, _star(core), 1)
    return _star(word) if core != word and _is_listed(word) else word


def _mask_starred(match: re.Match[str]) -> str:
    """A word whose writer put signs for some letters: two together are a mask, one is a riddle."""
    word = match.group()
    return _star(word) if "**" in word or _is_listed_starred(word) else word


@lru_cache(maxsize=4_096)
def _is_listed_starred(word: str) -> bool:
    signs = len(_STAR.findall(word))
    letters = {1: "abcdefghijklmnopqrstuvwxyz", 2: "aeiouck"}.get(signs, "")
    parts = _STAR.split(word)
    return any(
        _is_listed(parts[0] + "".join(map("".join, zip(filled, parts[1:], strict=True))))
        for filled in product(letters, repeat=signs)
    )


def _mask_spaced(match: re.Match[str]) -> str:
    """Separated letters, or pairs of letters: the stretches that are listed words, and no more."""
    text = match.group()
    pieces = list(_PIECE.finditer(text))
    if len(pieces) > _MAX_PIECES:
        return _star_letters(text) if _is_listed("".join(p.group() for p in pieces)) else text

    for size in range(3, min(len(pieces), _STEM_LENGTHS[-1]) + 1):
        for first in range(len(pieces) - size + 1):
            stretch = pieces[first : first + size]
            if _is_listed("".join(piece.group() for piece in stretch), whole=True):
                left, right = stretch[0].start(), stretch[-1].end()
                text = text[:left] + _star_letters(text[left:right]) + text[right:]
    return text


def _star_letters(text: str) -> str:
    return text[0] + re.sub(r"[^\W_]", "*", text[1:-1]) + text[-1]


def _star(word: str) -> str:
    return word[0] + "*" * (len(word) - 2) + word[-1] if len(word) > 2 else "*" * len(word)


@lru_cache(maxsize=65_536)
def _is_listed(word: str, *, whole: bool = False) -> bool:
    """Whether a word is listed or, unless it must be as a ``whole``, holds what is."""
    if len(word) < 3 or not any(letter.isalpha() for letter in word):
        return False
    plain = normalise(word)
    if plain in _INNOCENT:
        return False
    # A drawn-out letter may stand for one or for two, so each reading is tried.
    short, double = _LONG_RUN.sub(r"\1", plain), _LONG_RUN.sub(r"\1\1", plain)
    readings = {plain, short, double, _RUN.sub(r"\1", plain), plain.replace("ph", "f")}
    readings.add(normalise(word.casefold().translate(_ALSO)))
    return any(_matches(reading, whole) for reading in readings)


def _matches(word: str, whole: bool) -> bool:
    listed = _listed()
    if digest(word, "=") in listed or whole:
        return digest(word, "=") in listed or digest(word, "~") in listed
    stems = (word[i : i + n] for n in _STEM_LENGTHS for i in range(len(word) - n + 1))
    return any(digest(stem, "~") in listed for stem in stems)


def normalise(word: str) -> str:
    """Lower case, without accents, hidden characters or look-alike letters."""
    letters = unicodedata.normalize("NFKD", word).casefold()
    kept = (c for c in letters if unicodedata.category(c) not in ("Mn", "Cf") and c != "\ufffd")
    return "".join(kept).translate(_DISGUISES)


def digest(word: str, kind: str) -> str:
    """The entry of a normalised word; kind ``=`` is a whole word, ``~`` a part of 4-12 letters."""
    return kind + hashlib.blake2b(word.encode(), digest_size=6, key=b"bezoar masking").hexdigest()


@lru_cache(maxsize=1)
def _listed() -> frozenset[str]:
    lines = files("bezoar").joinpath("masking_words.txt").read_text("ascii").split("\n")
    return frozenset(line for line in lines if line and not line.startswith("#"))


def _visible() -> dict[int, str]:
    table = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    table[0x7F] = "␡"
    hidden = [0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF]  # not the joiners, 200C and 200D
    hidden += [*range(0x80, 0xA0), *range(0x2028, 0x202F), *range(0x2060, 0x2070)]
    hidden += [*range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080), *range(0xD800, 0xE000)]
    return table | dict.fromkeys(hidden, "\ufffd")


_VISIBLE = _visible()
