"""Results that no longer belong to what a run is asked: named, and never shown as if they did."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from bezoar.errors import ConfigError
from bezoar.runs.config import load_run_config
from bezoar.runs.conflicts import binding_hash
from bezoar.runs.stages import MARKER, Marker, clear_stage, read_marker

PAGES = ("report.html", "summary.json", "audit.json")  # written anew by every report
EXHIBITS = ("figures", "tables")  # folders of the same; what is ours in them, they list
LISTED = "files.json"


def markers(path: Path) -> dict[str, Marker]:
    """The markers of a run's stages, begun or done, by folder name."""
    read = {file.parent.name: read_marker(file.parent) for file in sorted(path.glob(f"*/{MARKER}"))}
    return {name: marker for name, marker in read.items() if marker is not None}


def stale_stages(path: Path) -> dict[str, str]:
    """Stages whose results are not those of the run's configuration, each with the reason.

    A stage is stale if one that it read has since become another, or is gone; or if the options
    changed and nobody came by to see whether that concerns it.
    """
    found = markers(path)
    try:
        now = binding_hash(load_run_config(path / "config.yaml"))
    except ConfigError:
        now = ""
    stale: dict[str, str] = {}
    for name, marker in found.items():
        moved = [before for before, key in marker.after.items() if _differs(found, before, key)]
        if moved:
            stale[name] = f"{', '.join(moved)} changed since"
        elif now and marker.options and marker.options != now:
            stale[name] = "the options changed since"
    return stale


def _differs(found: dict[str, Marker], before: str, key: str) -> bool:
    return before not in found or found[before].key != key


def drop_followers(path: Path, name: str, key: str) -> None:
    """Remove what stages made of another result of the stage ``name``, and the pages about it.

    What they read is about to go; left alone, they would stand beside options that are not theirs.
    """
    for follower, marker in markers(path).items():
        if marker.after.get(name, key) != key:
            drop_followers(path, follower, "")
            clear_stage(path / follower)
            drop_pages(path)


def drop_pages(path: Path) -> None:
    """Remove the report and its summaries; the next report writes them anew."""
    for page in PAGES:
        (path / page).unlink(missing_ok=True)
    for folder in EXHIBITS:
        drop_listed(path / folder)


def drop_listed(folder: Path) -> None:
    """Remove the files that a folder lists as a report's, and it, if nothing else is in it."""
    try:
        names = [] if folder.is_symlink() else json.loads((folder / LISTED).read_bytes())
    except (OSError, ValueError, RecursionError):
        return
    for name in (*(names if isinstance(names, list) else ()), LISTED):
        if isinstance(name, str) and Path(name).name == name:
            with suppress(OSError):
                (folder / name).unlink()
    with suppress(OSError):
        folder.rmdir()
