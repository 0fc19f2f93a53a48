"""Write ``catalogue.json`` from the registries: ``python -m tests.cli.catalogue``."""

from __future__ import annotations

import json
from pathlib import Path

from bezoar.cli import catalogue
from bezoar.evaluate import PROTOCOLS, Protocol
from bezoar.mitigate.method import methods
from bezoar.models import GLOBAL_POINTS, POINTS
from bezoar.scoring import SCORERS

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


if __name__ == "__main__":
    PATH.write_text(json.dumps(from_registries(), indent=1) + "\n", encoding="utf-8")
