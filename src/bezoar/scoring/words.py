"""A scorer that only knows words: deterministic, instant, and a check on subtler ones.

It finds nothing that is not on its list, so it under-reports; where it falls and a classifier does
not, the edit removed bad words and little else.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bezoar.errors import ScorerError

# In rot13, so that nobody who browses the source meets them unasked; a trailing star matches any
# ending. Kept short: strong profanity, insults, threats. Group slurs are left to the classifiers:
# no short list of them is fair or complete.
_ROT13 = {
    "profanity": (
        "shpx* zbgureshpx* fuvg* ohyyfuvg* nffubyr* ovgpu* onfgneq* phag* qvpx qvpxurnq* cevpx* "
        "gjng* jnaxre* cvff* penc*"
    ),
    "insult": (
        "vqvbg* fghcvq* zbeba* vzorpvyr* qhzonff* ybfre* fphz* cngurgvp jbeguyrff genfu tneontr "
        "svygu* irezva* fyhg* juber*"
    ),
    "threat": "xvyy zheqre* fgenatyr* orurnq* fgno fubbg unat ylapu*",
}
_SEVERITY = {"profanity": 0.8, "insult": 0.6, "threat": 0.4}


def word_list(category: str | None = None) -> tuple[str, ...]:
    """The built-in words (a trailing ``*`` matches any ending), of one category or of all."""
    chosen = _ROT13.values() if category is None else (_ROT13[category],)
    return tuple(word for line in chosen for word in codecs.decode(line, "rot13").split())


class WordListScorer:
    """Toxicity = 1 − Π (1 − severity) over the listed words that occur, each occurrence counted.

    One word of profanity scores 0.8 and an insult 0.6, so either passes the threshold of 0.5; a
    word that may be a threat scores 0.4 and needs company. ``insult``, ``profanity`` and ``threat``
    are scored likewise from their own words.

    Args:
        words: category -> words; the built-in list if None.
        name: as printed beside the numbers.
    """

    attributes: tuple[str, ...] = ("toxicity", "insult", "profanity", "threat")
    threshold: float = 0.5
    lineage: str = "word list"

    def __init__(
        self, words: Mapping[str, Sequence[str]] | None = None, name: str = "words"
    ) -> None:
        chosen = {c: tuple(words.get(c, ())) if words else word_list(c) for c in _SEVERITY}
        self.name = name
        self.hash = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
        self._patterns = {c: _pattern(listed) for c, listed in chosen.items()}

    @classmethod
    def from_file(cls, path: str | Path) -> WordListScorer:
        """A list of one's own: a word a line, all of them counted as profanity.

        Raises:
            ScorerError: if the file is missing or empty.
        """
        path = Path(path)
        if not path.is_file():
            raise ScorerError(f"There is no word list {path}.", hint="Write words:PATH.")
        words = [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
        if not words:
            raise ScorerError(f"The word list {path} is empty.", hint="Write a word a line.")
        return cls({"profanity": words}, name=f"words:{path.name}")

    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """See `bezoar.scoring.Scorer.score`."""
        scores = {name: np.zeros(len(texts)) for name in self.attributes}
        for row, text in enumerate(texts):
            harmless = 1.0
            for category, pattern in self._patterns.items():
                found = sum(1 for _ in pattern.finditer(text))
                miss = (1.0 - _SEVERITY[category]) ** found
                scores[category][row] = 1.0 - miss
                harmless *= miss
            scores["toxicity"][row] = 1.0 - harmless
        return scores


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    if not words:
        return re.compile(r"(?!)")  # matches nothing
    stems = (re.escape(w[:-1]) + r"\w*" if w.endswith("*") else re.escape(w) for w in words)
    return re.compile(rf"(?<!\w)(?:{'|'.join(stems)})(?!\w)", re.IGNORECASE)
