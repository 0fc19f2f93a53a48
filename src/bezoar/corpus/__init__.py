"""The first room: the texts that define the behaviour, and the texts that must not change.

A corpus with binary labels is the only definition of what is looked for; prompts are continued,
neutral text shows what a remedy costs. They are read from what a user names (``load``, ``spec``,
``adapters``), cleaned with every drop counted (``clean``), split so that no part repeats another
(``split``) and looked at before anything is believed (``explore``).
"""

from bezoar.corpus.clean import CleaningReport, clean
from bezoar.corpus.corpus import Corpus, NeutralText, Prompts, looks_tokenised
from bezoar.corpus.explore import Exploration, explore
from bezoar.corpus.load import load_corpus, load_neutral, load_prompts
from bezoar.corpus.rows import Origin
from bezoar.corpus.shortcuts import Shortcut
from bezoar.corpus.split import CorpusSplits, split_corpus

__all__ = [
    "CleaningReport",
    "Corpus",
    "CorpusSplits",
    "Exploration",
    "NeutralText",
    "Origin",
    "Prompts",
    "Shortcut",
    "clean",
    "explore",
    "load_corpus",
    "load_neutral",
    "load_prompts",
    "looks_tokenised",
    "split_corpus",
]
