"""Write ``catalogue.json`` from the registries: ``python -m tests.cli.catalogue``."""

from __future__ import annotations

import json
from pathlib import Path

from bezoar.attack import ATTACKS
from bezoar.cli import catalogue
from bezoar.corpus.adapters import ADAPTERS, KINDS
from bezoar.evaluate import PROTOCOLS, Protocol
from bezoar.mitigate.method import methods
from bezoar.models import GLOBAL_POINTS, POINTS
from bezoar.scoring import DEMO_TASKS, SCORERS, TASKS

PATH = Path(catalogue.__file__).with_name(catalogue.FILE)


def from_registries() -> dict[str, dict[str, str]]:
    """What the table must say."""
    sites = dict.fromkeys((f"LAYER.{point}" for point in POINTS), "in every layer")
    return {
        "methods": {
            name: (method.__doc__ or "").strip().split("\n")[0]
            for name, method in methods().items()
            if method.__module__.startswith("bezoar.")
        },
        "attacks": {name: attack.line for name, attack in ATTACKS.items()},
        "scorers": dict(SCORERS),
        "protocols": {name: protocol_line(protocol) for name, protocol in PROTOCOLS.items()},
        "tasks": task_lines(),
        "data": data_lines(),
        "sites": sites | dict.fromkeys(GLOBAL_POINTS, "once"),
    }


def protocol_line(p: Protocol) -> str:
    """A protocol in a few words."""
    n = p.decoding.samples
    samples = f"{n} sample{'s' * (n > 1)} of" if p.decoding.sample else "greedy"
    return (
        f"{p.prompts_n:,} prompts ({p.prompt_kind}), {samples} {p.decoding.max_new_tokens} tokens; "
        f"{p.statistic.replace('_', ' ')}; {p.perplexity}"
        f"{' of tokenised text' if p.neutral == 'tokenised' else ''}"
    )


def data_lines() -> dict[str, str]:
    """What ``--data``, ``--prompts`` and ``--neutral`` can name."""
    lines = {"demo": "labelled texts, prompts, neutral text: bezoar's own"}
    for name, adapter in ADAPTERS.items():
        gives = [what for kind, what in KINDS.items() if getattr(adapter, kind) is not None]
        lines[f"{name}:PATH"] = f"{', '.join(gives)}: {adapter.what}"
    files = "a CSV, JSON lines, parquet or text file, columns found or named"
    return lines | {"FILE": files, "hub:ID": "a data set of the Hugging Face hub"}


def task_lines() -> dict[str, str]:
    """The demo's own tasks, then the formats that can be read."""
    own = {name: f"{file} of bezoar-demo" for name, (_, file) in DEMO_TASKS.items()}
    formats = {f"{name}:PATH": f"columns {', '.join(f.columns)}" for name, f in TASKS.items()}
    return {"demo": "all of the demo's own, the default"} | own | formats | {"none": "no task"}


if __name__ == "__main__":
    PATH.write_text(json.dumps(from_registries(), indent=1) + "\n", encoding="utf-8")
