"""Find, explain, remove and stress-test toxicity inside open-weight language models.

    corpus ─► harvest ─► locate ─► mitigate ─► evaluate ─► compare ─► report
    texts     activations findings  edits       scorecards  diffs      one HTML file

The names most often needed are here; each is imported when it is first used, so that
``import bezoar`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES: dict[str, tuple[str, ...]] = {
    "errors": ("BezoarError",),
    "models": ("Decoding", "LanguageModel", "Site", "generate"),
    "activations": ("ActivationStore", "harvest"),
    "corpus": ("Corpus", "Prompts", "explore", "load_corpus", "load_neutral", "load_prompts"),
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
    "edits": ("Edit", "NoOp", "export", "load_edit", "self_test"),
    "mitigate": ("ProjectOut", "Subtract", "WordBan", "fit_to_budget", "methods"),
    "evaluate": ("build_scorecard", "evaluate_edit", "get_protocol"),
    "compare": ("compare_runs",),
    "report": ("write_report",),
    "runs": ("AuditConfig", "Run"),
    "stats": ("Interval",),
    "studies": ("run_audit",),
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
