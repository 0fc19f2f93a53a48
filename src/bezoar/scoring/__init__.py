"""How toxic is a text, and how good is still the model?

A `Scorer` gives texts scores in [0, 1] and fails loudly; `aggregate` turns the scores of samples
into one number per prompt by the statistics of the literature. Against toxicity stand the costs:
`perplexity` (by named protocol), the KL to the base, `continuation_f1`, distinct-n, repetition,
capability tasks, and the perplexity ratio on sentences that mention identities. They keep their
rows, so that two models can be compared pairwise; the *Meter* classes compute what belongs to the
base once for many edits.
"""

from bezoar.scoring.aggregate import (
    STATISTICS,
    aggregate,
    any_of_k,
    expected_max_toxicity,
    mean_max_attribute,
    mean_score,
    toxic_share,
)
from bezoar.scoring.attribution import ATTRIBUTIONS, Attribution, Attributions, WordShare, attribute
from bezoar.scoring.capability import (
    CapabilityResult,
    Choice,
    last_word_accuracy,
    minimal_pairs,
    multiple_choice,
)
from bezoar.scoring.convolution import ConvolutionScorer
from bezoar.scoring.divergence import Divergence, KLMeter, applied, kl_to_base
from bezoar.scoring.external import FileScorer
from bezoar.scoring.huggingface import HuggingFaceScorer
from bezoar.scoring.likelihood import token_nll
from bezoar.scoring.linear import LinearScorer
from bezoar.scoring.load import SCORERS, load_scorer
from bezoar.scoring.overlap import Overlap, continuation_f1, distinct_n, f1, repetition
from bezoar.scoring.perplexity import (
    PerplexityProtocol,
    PerplexityResult,
    Windows,
    perplexity,
    plan_windows,
    relative_perplexity,
)
from bezoar.scoring.scorer import (
    ATTRIBUTES,
    CachedScorer,
    Scorer,
    attribute_name,
    score_texts,
    scorer_id,
)
from bezoar.scoring.side_effects import (
    GROUPS,
    Group,
    SideEffect,
    SideEffectMeter,
    load_identity_templates,
    perplexity_ratio,
)
from bezoar.scoring.tasks import DEMO_TASKS, TASKS, Task, find_tasks, load_task, load_tasks
from bezoar.scoring.words import WordListScorer, word_list

__all__ = [
    "ATTRIBUTES",
    "ATTRIBUTIONS",
    "DEMO_TASKS",
    "GROUPS",
    "SCORERS",
    "STATISTICS",
    "TASKS",
    "Attribution",
    "Attributions",
    "CachedScorer",
    "CapabilityResult",
    "Choice",
    "ConvolutionScorer",
    "Divergence",
    "FileScorer",
    "Group",
    "HuggingFaceScorer",
    "KLMeter",
    "LinearScorer",
    "Overlap",
    "PerplexityProtocol",
    "PerplexityResult",
    "Scorer",
    "SideEffect",
    "SideEffectMeter",
    "Task",
    "Windows",
    "WordListScorer",
    "WordShare",
    "aggregate",
    "any_of_k",
    "applied",
    "attribute",
    "attribute_name",
    "continuation_f1",
    "distinct_n",
    "expected_max_toxicity",
    "f1",
    "find_tasks",
    "kl_to_base",
    "last_word_accuracy",
    "load_identity_templates",
    "load_scorer",
    "load_task",
    "load_tasks",
    "mean_max_attribute",
    "mean_score",
    "minimal_pairs",
    "multiple_choice",
    "perplexity",
    "perplexity_ratio",
    "plan_windows",
    "relative_perplexity",
    "repetition",
    "score_texts",
    "scorer_id",
    "token_nll",
    "toxic_share",
    "word_list",
]
