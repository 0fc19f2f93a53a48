"""Write ``catalogue.json`` from the registries: ``python -m tests.cli.catalogue``."""

from __future__ import annotations

import json
from pathlib import Path

from bezoar.cli import catalogue
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
        "scorers": dict(SCORERS),
        "protocols": {name: protocol_line(protocol) for name, protocol in PROTOCOLS.items()},
        "tasks": task_lines(),
        "sites": sites | dict.fromkeys(GLOBAL_POINTS, "once"),
    }


def protocol_line(p: Protocol) -> str:
    """A protocol in a few words."""
    n = p.decoding.samples
    samples = f"{n} sample{'s' * (n > 1)} of" if p.decoding.sample else "greedy"
    return (
        f"{p.prompts_n:,} prompts ({p.prompt_kind}), {samples} {p.decoding.max_new_tokens} tokens; "
        f"{p.statistic.replace('_', ' ')}; {p.perplexity}"
    )


def task_lines() -> dict[str, str]:
    """The demo's own tasks, then the formats that can be read."""
    own = {name: f"{file} of bezoar-demo" for name, (_, file) in DEMO_TASKS.items()}
    formats = {f"{name}:PATH": f"columns {', '.join(f.columns)}" for name, f in TASKS.items()}
    return {"demo": "all of the demo's own, the default"} | own | formats | {"none": "no task"}


if __name__ == "__main__":
    PATH.write_text(json.dumps(from_registries(), indent=1) + "\n", encoding="utf-8")
