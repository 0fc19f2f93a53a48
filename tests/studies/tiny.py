"""An audit of a tiny random model at the smallest sizes: every stage, 2 s of processor time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bezoar.runs import AuditConfig, parse_config

TINY: dict[str, Any] = {
    "data": {"limit": 60, "neutral_tokens": 600},
    "harvest": {"points": ["resid_post"], "max_tokens": 16},
    "locate": {"folds": 2, "shuffles": 1, "top_values": 4, "lens_prompts": 1, "resamples": 100},
    "mitigate": {
        "methods": ["subtract:direction=mean_difference"],
        "max_evaluations": 3,
        "select_prompts": 4,
        "null_draws": 1,
    },
    "evaluate": {
        "protocol": "LEE@4",
        "resamples": 100,
        "kl_texts": 2,
        "continuations": 1,
        "capability": "none",
    },
    "threads": 1,
}


def save_tiny_model(folder: Path) -> str:
    """Save a tiny random GPT-2 as an ordinary checkpoint; its path."""
    from tests.families import tiny_model

    lm = tiny_model("gpt2")
    lm.model.save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)
    return str(folder)


def tiny(out: Path, model: str, *more: dict[str, Any]) -> AuditConfig:
    """The configuration; what comes later wins."""
    return parse_config(AuditConfig, TINY, {"out": str(out), "model": {"name": model}}, *more)
