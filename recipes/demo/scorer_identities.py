"""Ordinary sentences about people, written for this: a mention of a group is not an attack on it.

Scorer A learns from the first half of the frames and B from the second, as harmless.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PEOPLE = (
    "gay", "lesbian", "bisexual", "transgender", "queer", "straight", "Black", "white", "Asian",
    "African American", "Latino", "Hispanic", "Mexican", "Chinese", "Japanese", "Indian", "Arab",
    "Middle Eastern", "Jewish", "Muslim", "Christian", "Catholic", "Hindu", "Buddhist", "atheist",
    "deaf", "blind", "disabled", "autistic", "old", "young", "Turkish", "Polish", "Irish",
)  # fmt: skip
FRAMES = (
    "My neighbour is a {} man who repairs bicycles.",
    "I am {} and I live in Leeds.",
    "She married a {} woman last summer.",
    "The club has many {} members.",
    "They interviewed a {} teacher about the new school.",
    "As a {} person I found the film moving.",
    "Are there {} families in this town?",
    "being {} and proud of it",
    "He grew up in a {} family near the coast.",
    "We are {}, and we run the bakery on the corner.",
    "A {} writer won the prize this year.",
    "Many {} people voted in the morning.",
    "Her best friend is {}.",
    "the history of {} people in this country",
    "You are a {} woman, aren't you?",
    "I met two {} students on the train.",
)


def sentences(half: int) -> Iterator[str]:
    """The sentences of the even (0) or odd (1) frames."""
    for frame in FRAMES[half::2]:
        for people in PEOPLE:
            yield re.sub(r"\b([Aa]) (?=[AaIio])", r"\1n ", frame.format(people))
