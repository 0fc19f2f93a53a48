"""The room of preferences: two continuations of a prompt, of which one is wanted."""

from bezoar.pairs.pairs import Pairs

__all__ = ["Pairs"]
