"""Where a side that repeats its prompt goes on, by what is read and not by the byte.

Files that store whole texts seldom repeat a prompt exactly: a token that begins texts stands before
it, a blank is doubled, a capital is lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

_SPECIAL = (
    r"<[|\uff5c][^<>\n]{1,64}[|\uff5c]>"  # <|endoftext|>, and DeepSeek's with wide bars
    r"|</?(?:s|bos|eos|pad|start_of_turn|end_of_turn)>"
    r"|\[(?:BOS|EOS|CLS|SEP|PAD|gMASK)\]"
)
_LEAD = re.compile(rf"(?:[\s\ufeff\u200b\u2060\ufffd\0]|{_SPECIAL})*", re.IGNORECASE)
_SIGN = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")  # written without blanks


def leak_end(side: str, prompt: str) -> int:
    """Where a side goes on after its prompt; 0 if it does not begin with it.

    Case, width and runs of blanks make no difference, nor do blanks and special tokens before
    either text. A prompt that ends within a word of the side ("I" of "It") does not count; signs of
    Chinese and Japanese are words. Blanks that the prompt ends with are passed over in the side.
    """
    wanted = "".join(read for read, _ in _read(prompt)).rstrip(" ")
    if not wanted:
        return 0
    at = 0
    for read, end in _read(side):
        if not wanted.startswith(read, at):
            return 0
        at += len(read)
        if at == len(wanted):
            blanks = len(side[end:]) - len(side[end:].lstrip()) if prompt[-1].isspace() else 0
            return 0 if _within_word(side, end) else end + blanks
    return 0


def _read(text: str) -> Iterator[tuple[str, int]]:
    """Every character as it is compared, with its marks, and where it ends; a run of blanks is one.

    What cannot be cut stays together, so that the pieces of equal texts are equal.
    """
    lead = _LEAD.match(text)
    end = lead.end() if lead else 0
    while end < len(text):
        start, end = end, end + 1
        blank = text[start].isspace()
        while end < len(text) and (
            text[end].isspace() if blank else unicodedata.combining(text[end])
        ):
            end += 1
        yield " " if blank else unicodedata.normalize("NFKD", text[start:end]).casefold(), end


def _within_word(text: str, end: int) -> bool:
    around = text[end - 1 : end], text[end : end + 1]
    letters = all(sign and unicodedata.category(sign)[0] in "LMN" for sign in around)
    return letters and not any(map(_SIGN.match, around))
