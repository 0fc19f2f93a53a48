"""Every name that a recipe or a benchmark takes from bezoar exists: they are run by hand, and
would otherwise be found broken only then."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted(
    path
    for room in ("recipes", "benchmarks")
    for path in (ROOT / room).rglob("*.py")
    if "work" not in path.relative_to(ROOT).parts
)


def names_taken(path: Path) -> list[tuple[str, str]]:
    """(module, name) of every import from bezoar in a file, those inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    taken = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            taken += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            taken += [(node.module, alias.name) for alias in node.names]
    return [(module, name) for module, name in taken if module.split(".")[0] == "bezoar"]


def test_the_reader_sees_imports() -> None:
    assert ("bezoar.edits", "Edit") in names_taken(ROOT / "recipes" / "modes" / "pictures.py")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_script_takes_only_what_is_there(path: Path) -> None:
    for module, name in names_taken(path):
        room = importlib.import_module(module)
        if name and not hasattr(room, name):
            importlib.import_module(f"{module}.{name}")
