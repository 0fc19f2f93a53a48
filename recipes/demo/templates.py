"""Sentences from hand-written templates, the same ones wherever and whenever they are expanded.

A template is a line with slots: ``{slot}`` takes an entry of the slot's list, ``{a slot}`` puts the
article before it, and ``{slot2}`` takes another entry than ``{slot}`` did. Around a template's own
text stand sentences shared by both classes (the frames of its source), so that texts differ in
length and most of their words say nothing about the label.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bezoar.stats.splits import text_key

SLOT = re.compile(r"\{(a )?([a-z]+?)(\d?)\}")
AN = re.compile(r"(?!use)[aeiou]|hon")
BEFORE, AFTER = 0.35, 0.35
"""How often a frame is set before and after a template's text."""


@dataclass(frozen=True, slots=True)
class Template:
    """One hand-written line, and the headings that it stands under; ``family`` joins a pair."""

    text: str
    label: int
    source: str
    category: str
    family: str = ""

    @property
    def group(self) -> str:
        """A name that stays when lines are added or moved."""
        return "t-" + text_key(self.family or self.text)


def headed_lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield ``(heading, line)``; a heading is a line that starts with ``# ``."""
    heading = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            heading = line[2:].strip()
        elif line.strip():
            yield heading, line.strip()


def read_templates(path: Path, label: int) -> list[Template]:
    """The templates of one class, under headings ``source | category``."""
    found = []
    for heading, line in headed_lines(path):
        source, category = heading.split(" | ")
        found.append(Template(line, label, source, category))
    return found


def read_pairs(path: Path) -> list[Template]:
    """Templates of both classes that hold the same words: ``harmless || toxic`` on one line."""
    found = []
    for heading, line in headed_lines(path):
        source, category = heading.split(" | ")
        for label, text in enumerate(line.split(" || ")):
            found.append(Template(text, label, source, category, family=line))
    return found


def read_frames(path: Path) -> dict[str, list[str]]:
    """Sentences by ``source | before`` and ``source | after``."""
    frames: dict[str, list[str]] = {}
    for heading, line in headed_lines(path):
        frames.setdefault(heading, []).append(line)
    return frames


def read_slots(path: Path) -> dict[str, list[str]]:
    """The entries of each slot."""
    pairs = (line.split(": ", 1) for _, line in headed_lines(path))
    return {name: entries.split(" | ") for name, entries in pairs}


def fill(text: str, slots: dict[str, list[str]], rng: np.random.Generator) -> str:
    """Draw an entry for every slot; the same slot and number is the same entry throughout."""
    taken: dict[str, str] = {}

    def entry(match: re.Match[str]) -> str:
        article, name, number = match.groups()
        if name + number not in taken:
            free = [e for e in slots[name] if e not in taken.values()]
            taken[name + number] = free[rng.integers(len(free))]
        word = taken[name + number]
        if not article:
            return word
        return f"{'an' if AN.match(word) else 'a'} {word}"

    return SLOT.sub(entry, text)


def expand(
    template: Template,
    slots: dict[str, list[str]],
    frames: dict[str, list[str]],
    copies: int,
    seed: int,
) -> list[str]:
    """Up to ``copies`` different texts of one template."""
    rng = np.random.default_rng([seed, int(text_key(template.text), 16)])
    texts: dict[str, None] = {}
    for _ in range(8 * copies):
        parts = [template.text]
        if rng.random() < BEFORE:
            parts.insert(0, str(rng.choice(frames[f"{template.source} | before"])))
        if rng.random() < AFTER:
            parts.append(str(rng.choice(frames[f"{template.source} | after"])))
        # Filled as one, so that a frame speaks of the same things as the template.
        text = fill(" ".join(parts), slots, rng)
        if template.source != "chat":
            text = re.sub(r"(^|[.!?] )([a-z])", lambda m: m[1] + m[2].upper(), text)
        texts.setdefault(text)
        if len(texts) == copies:
            break
    return list(texts)
