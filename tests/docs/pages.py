"""Reading code out of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")])

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    found = _BLOCK.findall(page.read_text(encoding="utf-8"))
    return [code for name, code in found if name == language]


def commands(page: Path) -> list[str]:
    """The ``$ bezoar …`` lines of a page."""
    lines = (line for code in blocks(page, "console") for line in code.splitlines())
    return [line[2:] for line in lines if line.startswith("$ bezoar ")]
