"""Locate: where in the model the behaviour lives.

A probe per layer and site says *where it can be read* (`probe_sweep`); its weights are a
`Direction`. The MLP value vectors nearest to that direction say *what writes it* (`rank_values`,
`value_svd`), and multiplied with the unembedding they say *what it means* (`promoted_tokens`). The
`logit_lens` and the attributions say *when* in the forward pass it turns into a token. Every score
comes with a rival or a null that could have won.
"""

from bezoar.locate.attribution import (
    LogitAttribution,
    LogitPart,
    SubUpdate,
    SubUpdateAttribution,
    component_attribution,
    sub_update_attribution,
)
from bezoar.locate.collect import collect_states, states_of
from bezoar.locate.continuations import Continuations, continue_and_attribute
from bezoar.locate.direction import Direction, Subspace
from bezoar.locate.expert_results import Agreement, ExpertGroup, ExpertsReport, ShareAbove, Spread
from bezoar.locate.expert_search import find_experts
from bezoar.locate.experts import NeuronExperts, expert_sites, paper_sites
from bezoar.locate.layer_experts import layer_experts
from bezoar.locate.layer_results import (
    ClusterScore,
    Contest,
    LayerExperts,
    LayerRanks,
    LayerScore,
    LayersReport,
    MeanNeuron,
    ReaderScore,
)
from bezoar.locate.lens import Lens, likeliest_prompts, logit_lens
from bezoar.locate.lens_results import LensIncrement, LensMap, LensResult
from bezoar.locate.moments import UnitMoments, collect_moments
from bezoar.locate.neurons import NeuronEntry, NeuronRanking, NeuronScores, score_neurons
from bezoar.locate.probe import LDAProbe, LinearProbe, MeanDifferenceProbe, load_probe
from bezoar.locate.probe_base import Probe
from bezoar.locate.rivals import has_twin, untrained_twin
from bezoar.locate.states import STATES_MODES, StatesMode, ToxicStates
from bezoar.locate.states_report import StatesReport, report_states
from bezoar.locate.svd import NSweep, NSweepPoint, n_sweep, principal_angles, value_svd
from bezoar.locate.sweep import default_sites, probe_sweep
from bezoar.locate.sweep_results import (
    KindScore,
    ProbeScore,
    ProbeSweep,
    RivalScore,
    SourceScore,
)
from bezoar.locate.unembed import (
    Reconstruction,
    Unembedding,
    decompose,
    reconstruction,
    unembedding_of,
)
from bezoar.locate.values import ValueEntry, ValueRanking, random_values, rank_values
from bezoar.locate.vocabulary import (
    Lexicon,
    LexiconShare,
    TokenList,
    TokenScore,
    class_lexicon,
    lexicon_share,
    promoted_tokens,
)
from bezoar.locate.writers import Writer, Writers, name_writers

__all__ = [
    "STATES_MODES",
    "Agreement",
    "ClusterScore",
    "Contest",
    "Continuations",
    "Direction",
    "ExpertGroup",
    "ExpertsReport",
    "KindScore",
    "LDAProbe",
    "LayerExperts",
    "LayerRanks",
    "LayerScore",
    "LayersReport",
    "Lens",
    "LensIncrement",
    "LensMap",
    "LensResult",
    "Lexicon",
    "LexiconShare",
    "LinearProbe",
    "LogitAttribution",
    "LogitPart",
    "MeanDifferenceProbe",
    "MeanNeuron",
    "NSweep",
    "NSweepPoint",
    "NeuronEntry",
    "NeuronExperts",
    "NeuronRanking",
    "NeuronScores",
    "Probe",
    "ProbeScore",
    "ProbeSweep",
    "ReaderScore",
    "Reconstruction",
    "RivalScore",
    "ShareAbove",
    "SourceScore",
    "Spread",
    "StatesMode",
    "StatesReport",
    "SubUpdate",
    "SubUpdateAttribution",
    "Subspace",
    "TokenList",
    "TokenScore",
    "ToxicStates",
    "Unembedding",
    "UnitMoments",
    "ValueEntry",
    "ValueRanking",
    "Writer",
    "Writers",
    "class_lexicon",
    "collect_moments",
    "collect_states",
    "component_attribution",
    "continue_and_attribute",
    "decompose",
    "default_sites",
    "expert_sites",
    "find_experts",
    "has_twin",
    "layer_experts",
    "lexicon_share",
    "likeliest_prompts",
    "load_probe",
    "logit_lens",
    "n_sweep",
    "name_writers",
    "paper_sites",
    "principal_angles",
    "probe_sweep",
    "promoted_tokens",
    "random_values",
    "rank_values",
    "reconstruction",
    "report_states",
    "score_neurons",
    "states_of",
    "sub_update_attribution",
    "unembedding_of",
    "untrained_twin",
    "value_svd",
]
