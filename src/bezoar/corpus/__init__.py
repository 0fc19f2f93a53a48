"""The first room: the texts that define the behaviour, and the texts that must not change.

A corpus with binary labels is the only definition of what is looked for; prompts are continued,
neutral text shows what a remedy costs. They are read from what a user names (``load``, ``spec``,
``adapters``), cleaned with every drop counted (``clean``), split so that no part repeats another
(``split``, ``stratified``) and looked at before anything is believed (``explore``, ``survey``).
"""

from bezoar.corpus.clean import CleaningReport, clean
from bezoar.corpus.corpus import Corpus, NeutralText, Prompts, Unlabelled, looks_tokenised
from bezoar.corpus.explore import Exploration, explore
from bezoar.corpus.explore_load import load_texts
from bezoar.corpus.explore_noise import filter_noise
from bezoar.corpus.explore_survey import Survey, survey
from bezoar.corpus.load import load_corpus, load_neutral, load_prompts
from bezoar.corpus.rows import Origin
from bezoar.corpus.shortcuts import Shortcut
from bezoar.corpus.split import CorpusSplits, split_corpus
from bezoar.corpus.stratified import split_stratified, with_families

__all__ = [
    "CleaningReport",
    "Corpus",
    "CorpusSplits",
    "Exploration",
    "NeutralText",
    "Origin",
    "Prompts",
    "Shortcut",
    "Survey",
    "Unlabelled",
    "clean",
    "explore",
    "filter_noise",
    "load_corpus",
    "load_neutral",
    "load_prompts",
    "load_texts",
    "looks_tokenised",
    "split_corpus",
    "split_stratified",
    "survey",
    "with_families",
]
