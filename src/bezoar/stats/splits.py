"""Splits by hash, so that a text falls on the same side wherever it turns up.

A split drawn by row number leaks: the same comment, reposted, lands on both sides. Here the side
is a function of the text itself (case, width and blanks ignored), which makes it stable across
files, orders and machines, and lets a reserve be set aside *before* anything is tokenised.
"""

from __future__ import annotations

import hashlib
import unicodedata

RESERVE_SALT = "bezoar-reserve-1"
"""Names the reserve that the demo assets never saw. Changing it changes every reserve."""


def normalise(text: str) -> str:
    """Fold case, width (NFKC) and runs of blanks: two texts that read alike become equal."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def text_key(text: str) -> str:
    """A 16-hex-digit name for a text, equal for texts that read alike."""
    return hashlib.sha256(normalise(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def unit_hash(text: str, salt: str) -> float:
    """Map a text to [0, 1), uniformly and independently for each ``salt``."""
    digest = hashlib.sha256(f"{salt}\0{normalise(text)}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def is_reserved(text: str, fraction: float = 0.2, salt: str = RESERVE_SALT) -> bool:
    """Whether a text belongs to the held-out ``fraction`` that no demo asset was trained on."""
    return unit_hash(text, salt) < fraction
