"""10. Reproduce: the command, the configuration, the environment."""

from __future__ import annotations

from typing import Any

from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Block, Code, Facts, Section


def reproduce(run: Artefacts) -> Section:
    """All that is needed to make the same numbers again."""
    command = str(run.audit.get("command") or "bezoar audit --config config.yaml --out RUN")
    blocks: list[Block] = [Code(command, "The command.")]
    if run.config:
        blocks.append(Code(run.config.strip(), "The resolved configuration (config.yaml)."))
    blocks += [Facts(_environment(environment)) for environment in run.environments]
    intro = (
        "Equal configuration, versions and hardware give equal numbers; other hardware moves the "
        "last digits. The run folder holds every number of this page as JSON."
    )
    return Section("reproduce", "Reproduce", intro, tuple(blocks))


def _environment(environment: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    packages = environment.get("packages")
    names = packages.items() if isinstance(packages, dict) else ()
    versions = ", ".join(f"{name} {version}" for name, version in names if version)
    facts = {key: value for key, value in environment.items() if key != "packages"} | {
        "packages": versions
    }
    return tuple((key, str(value)) for key, value in facts.items() if value not in (None, ""))
