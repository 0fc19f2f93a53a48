"""What makes one doubt a set of texts, and is the same with labels or without."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.corpus.corpus import Corpus
from bezoar.corpus.explore_language import LanguageCount, count_languages
from bezoar.corpus.explore_noise import NoiseReport
from bezoar.corpus.explore_repeats import Repeats, find_repeats
from bezoar.runs.results import Result


@dataclass(frozen=True, slots=True)
class Doubts(Result):
    """Noise, repeats and languages of a corpus.

    Attributes:
        noise: what the noise filter left out.
        repeats: among the texts that it kept.
        languages: of these.
    """

    noise: NoiseReport
    repeats: Repeats
    languages: tuple[LanguageCount, ...]


def find_doubts(corpus: Corpus, noise: NoiseReport) -> Doubts:
    """Look at texts that the noise filter has kept, exact repeats still among them.

    Args:
        corpus: what is left.
        noise: what the filter said.
    """
    repeats = find_repeats(corpus.texts, corpus.source, corpus.labels.tolist())
    return Doubts(noise, repeats, count_languages(corpus.texts))
