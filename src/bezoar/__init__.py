"""Find, explain, remove and stress-test toxicity inside open-weight language models.

    corpus ─► harvest ─► locate ─► mitigate ─► evaluate ─► compare ─► attack ─► report
    texts     activations findings  edits       scorecards  diffs      robustness  one HTML file

The names most often needed are here; each is imported when it is first used, so that
`import bezoar` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what editors and type checkers see; a test holds it against the table below
    from bezoar.activations import ActivationStore as ActivationStore
    from bezoar.activations import harvest as harvest
    from bezoar.attack import run_attacks as run_attacks
    from bezoar.compare import compare_all as compare_all
    from bezoar.compare import compare_runs as compare_runs
    from bezoar.corpus import Corpus as Corpus
    from bezoar.corpus import Prompts as Prompts
    from bezoar.corpus import clean as clean
    from bezoar.corpus import explore as explore
    from bezoar.corpus import load_corpus as load_corpus
    from bezoar.corpus import load_neutral as load_neutral
    from bezoar.corpus import load_prompts as load_prompts
    from bezoar.corpus import split_corpus as split_corpus
    from bezoar.edits import Edit as Edit
    from bezoar.edits import NoOp as NoOp
    from bezoar.edits import export as export
    from bezoar.edits import load_edit as load_edit
    from bezoar.edits import self_test as self_test
    from bezoar.errors import BezoarError as BezoarError
    from bezoar.evaluate import Detector as Detector
    from bezoar.evaluate import evaluate_edit as evaluate_edit
    from bezoar.evaluate import get_protocol as get_protocol
    from bezoar.locate import Direction as Direction
    from bezoar.locate import LinearProbe as LinearProbe
    from bezoar.locate import logit_lens as logit_lens
    from bezoar.locate import probe_sweep as probe_sweep
    from bezoar.locate import promoted_tokens as promoted_tokens
    from bezoar.locate import rank_values as rank_values
    from bezoar.locate import value_svd as value_svd
    from bezoar.masking import mask as mask
    from bezoar.mitigate import DPO as DPO
    from bezoar.mitigate import FitInputs as FitInputs
    from bezoar.mitigate import ProjectOut as ProjectOut
    from bezoar.mitigate import Subtract as Subtract
    from bezoar.mitigate import WordBan as WordBan
    from bezoar.mitigate import fit_to_budget as fit_to_budget
    from bezoar.mitigate import methods as methods
    from bezoar.models import Decoding as Decoding
    from bezoar.models import LanguageModel as LanguageModel
    from bezoar.models import Site as Site
    from bezoar.models import generate as generate
    from bezoar.pairs import Pairs as Pairs
    from bezoar.pairs import load_pairs as load_pairs
    from bezoar.pairs import pplm_pairs as pplm_pairs
    from bezoar.pairs import steered_pairs as steered_pairs
    from bezoar.runs import AuditConfig as AuditConfig
    from bezoar.sae import SparseAutoencoder as SparseAutoencoder
    from bezoar.sae import load_sae as load_sae
    from bezoar.sae import train_saes as train_saes
    from bezoar.scoring import load_scorer as load_scorer
    from bezoar.scoring import perplexity as perplexity
    from bezoar.studies import run_audit as run_audit
    from bezoar.studies import run_dpo as run_dpo

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "errors": ("BezoarError",),
    "models": ("Decoding", "LanguageModel", "Site", "generate"),
    "activations": ("ActivationStore", "harvest"),
    "masking": ("mask",),
    "corpus": (
        "Corpus",
        "Prompts",
        "clean",
        "explore",
        "load_corpus",
        "load_neutral",
        "load_prompts",
        "split_corpus",
    ),
    "scoring": ("load_scorer", "perplexity"),
    "locate": (
        "Direction",
        "LinearProbe",
        "logit_lens",
        "probe_sweep",
        "promoted_tokens",
        "rank_values",
        "value_svd",
    ),
    "pairs": ("Pairs", "load_pairs", "pplm_pairs", "steered_pairs"),
    "sae": ("SparseAutoencoder", "load_sae", "train_saes"),
    "edits": ("Edit", "NoOp", "export", "load_edit", "self_test"),
    "mitigate": (
        "DPO",
        "FitInputs",
        "ProjectOut",
        "Subtract",
        "WordBan",
        "fit_to_budget",
        "methods",
    ),
    "search": (),
    "evaluate": ("Detector", "evaluate_edit", "get_protocol"),
    "compare": ("compare_all", "compare_runs"),
    "attack": ("run_attacks",),
    "report": (),
    "runs": ("AuditConfig",),
    "stats": (),
    "studies": ("run_audit", "run_dpo"),
}
_ROOM = {name: room for room, names in _HOMES.items() for name in names}

__all__ = ["__version__", *sorted(_ROOM)]


def __getattr__(name: str) -> Any:
    if name in _HOMES:  # a room: importing it makes it an attribute
        return import_module(f"{__name__}.{name}")
    if name not in _ROOM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_ROOM[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_HOMES})
