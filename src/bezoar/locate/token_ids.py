"""Which tokens are meant: one id or several, as whole numbers of Python, NumPy or PyTorch."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import SupportsIndex

import numpy as np
from torch import Tensor

from bezoar.errors import ConfigError
from bezoar.models import LanguageModel

TokenIds = SupportsIndex | Iterable[SupportsIndex]
"""A token id, or several in a sequence, an array or a tensor of one dimension."""


def checked_ids(lm: LanguageModel, token_ids: TokenIds, *, least: int = 1) -> list[int]:
    """The distinct ids of a set of tokens (one id is a set of one), in the order given.

    Raises:
        ConfigError: if there are fewer than ``least``, one that is no whole number, or one that
            the vocabulary does not have.
    """
    given = _plain(token_ids)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        given = [given]
    ids = list(dict.fromkeys(map(_whole, given)))
    wrong = [token for token in ids if not 0 <= token < lm.d_vocab]
    if wrong or len(ids) < least:
        raise ConfigError(
            f"Token ids {(wrong or ids)[:8]} of a vocabulary of {lm.d_vocab}.",
            hint="Give at least one id from 0 to the size of the vocabulary less one.",
        )
    return ids


def _plain(value: object) -> object:
    """A number or an array of NumPy or PyTorch as Python's own; anything else as it is."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic | Tensor) else value


def _whole(token: object) -> int:
    plain = _plain(token)
    if not isinstance(plain, SupportsIndex) or isinstance(plain, bool):
        raise ConfigError(
            f"{plain!r:.60} is no token id.",
            hint="An id is a whole number: those of a text are lm.encode([' text'])[0].",
        )
    return operator.index(plain)
