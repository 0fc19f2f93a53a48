from bezoar.corpus.corpus import Corpus, NeutralText, Origin, Prompts
from bezoar.corpus.load import load_corpus, load_neutral, load_prompts
