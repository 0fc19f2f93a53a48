"""Which language a text seems to be in: by its script, and by the small words that it uses.

A text is of a script if most of its letters are. Scripts of one language name it; for the others
the commonest small words of some twenty languages are counted, each word weighing the less the more
of them have it. What is too short, or fits two languages about as well, is unknown: a guess that is
right four times out of five would look like a finding about the corpus.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bezoar.corpus.explore_stopwords import STOPWORDS
from bezoar.runs.results import Result

UNKNOWN = "unknown"
_MOST = 2_000  # characters of a text that are looked at
_SCRIPT_SHARE = 0.6
_LEAST_HITS = 2
_LEAST_SHARE = 0.12  # of a text's words, weighed
_MARGIN = 1.3  # times the second language's

_LETTERS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_LINK = re.compile(r"(?:https?://|www\.)\S+")

# Scripts by the first word of their letters' Unicode names; of these a language follows at once.
_ALONE = {
    "HANGUL": "Korean",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "CJK": "Chinese",
    "THAI": "Thai",
    "HEBREW": "Hebrew",
    "GREEK": "Greek",
    "ARMENIAN": "Armenian",
    "GEORGIAN": "Georgian",
    "TAMIL": "Tamil",
    "TELUGU": "Telugu",
    "KANNADA": "Kannada",
    "MALAYALAM": "Malayalam",
    "GUJARATI": "Gujarati",
    "GURMUKHI": "Punjabi",
    "KHMER": "Khmer",
    "LAO": "Lao",
    "MYANMAR": "Burmese",
    "SINHALA": "Sinhala",
}
_SEVERAL = {"LATIN", "CYRILLIC", "ARABIC", "DEVANAGARI", "BENGALI"}

_WEIGHTS: dict[str, dict[str, float]] = defaultdict(dict)
for _language, _words in STOPWORDS.items():
    for _word in _words.split():
        _WEIGHTS[_word][_language] = 1.0
for _of in _WEIGHTS.values():
    for _language in _of:
        _of[_language] = 1 / len(_of)


@dataclass(frozen=True, slots=True)
class LanguageCount(Result):
    """Texts that seem to be of one language, ``unknown`` among them."""

    language: str
    n: int


def count_languages(texts: Iterable[str]) -> tuple[LanguageCount, ...]:
    """How many texts seem to be of each language, the commonest first."""
    counts = Counter(map(language_of, texts))
    ranked = sorted(counts, key=lambda name: (-counts[name], name))
    return tuple(LanguageCount(name, counts[name]) for name in ranked)


def language_of(text: str) -> str:
    """The language that a text seems to be in, or ``unknown``."""
    plain = unicodedata.normalize("NFC", _LINK.sub(" ", text[:_MOST]))
    words = _LETTERS.findall(plain)
    script = _script(words)
    if script in _ALONE:
        return _ALONE[script]
    if script not in _SEVERAL:
        return UNKNOWN
    return _by_words([word.lower().replace("’", "'") for word in words])


def _script(words: Sequence[str]) -> str:
    """The script of most letters; "" where none has a clear majority.

    Japanese mixes three: Chinese signs with some kana among them are Japanese.
    """
    counts = Counter(_script_of(letter) for word in words for letter in word)
    total = sum(counts.values())
    kana = counts["HIRAGANA"] + counts["KATAKANA"]
    if kana and kana + counts["CJK"] >= _SCRIPT_SHARE * total and kana >= 0.05 * total:
        return "HIRAGANA"
    script, n = max(counts.items(), key=lambda item: (item[1], item[0]), default=("", 0))
    return script if n >= _SCRIPT_SHARE * total else ""


def _script_of(letter: str) -> str:
    return "LATIN" if letter.isascii() else unicodedata.name(letter, "").partition(" ")[0]


def _by_words(words: Sequence[str]) -> str:
    scores: dict[str, float] = defaultdict(float)
    hits: Counter[str] = Counter()
    for word in words:
        for language, weight in _WEIGHTS.get(word, {}).items():
            scores[language] += weight
            hits[language] += 1
    if not scores:
        return UNKNOWN
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    best, second = ranked[0], scores[ranked[1]] if len(ranked) > 1 else 0.0
    clear = scores[best] >= _MARGIN * second
    enough = hits[best] >= _LEAST_HITS
    return best if clear and enough and scores[best] >= _LEAST_SHARE * len(words) else UNKNOWN
