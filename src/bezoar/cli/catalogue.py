"""The names that `bezoar list` shows, without importing what they name.

`catalogue.json` is written by ``python -m tests.cli.catalogue`` from the registries themselves, and
a test holds it against them. Methods of other packages are asked for by their entry points.
"""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from importlib.resources import files

FILE = "catalogue.json"
GROUP = "bezoar.methods"


def catalogue() -> dict[str, dict[str, str]]:
    """What there is, by list: `{"methods": {name: one line}, "scorers": {…}, "sites": {…}, …}`."""
    known: dict[str, dict[str, str]] = json.loads((files("bezoar.cli") / FILE).read_text("utf-8"))
    known["methods"] = dict(sorted((known["methods"] | _plugins()).items()))
    return known


def _plugins() -> dict[str, str]:
    """Methods of other packages: these must be imported, to be described."""
    return {
        method.name: (method.__doc__ or "").strip().split("\n")[0]
        for entry in entry_points(group=GROUP)
        for method in (entry.load(),)
    }
