"""Splits by hash, so that a text falls on the same side wherever it turns up.

A split drawn by row number leaks: the same comment, reposted, lands on both sides. Here the side
is a function of the text itself (case, width and blanks ignored), which makes it stable across
files, orders and machines, and lets a reserve be set aside *before* anything is tokenised.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from bezoar.errors import DataError

RowIndex = Int[np.ndarray, "_rows"]

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


def hash_halves(texts: Sequence[str], salt: str) -> tuple[RowIndex, RowIndex]:
    """Rows of two halves by hash: the same text falls in the same half wherever it turns up."""
    first = np.array([unit_hash(text, salt) < 0.5 for text in texts], dtype=bool)
    return np.flatnonzero(first), np.flatnonzero(~first)


def hash_split(
    texts: Sequence[str],
    shares: Mapping[str, float] = MappingProxyType({"train": 0.6, "select": 0.2, "report": 0.2}),
    salt: str = "bezoar-split-1",
) -> dict[str, RowIndex]:
    """Rows of each named part by hash, in the order of ``shares`` (which must sum to 1).

    To keep groups together pass the names of the groups instead of the texts.
    """
    if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
        raise DataError(
            f"The shares {dict(shares)} sum to {sum(shares.values()):g}.", hint="Make it 1."
        )
    bounds = np.cumsum(list(shares.values()))[:-1]
    hashes = np.array([unit_hash(text, salt) for text in texts], dtype=np.float64)
    part = np.searchsorted(bounds, hashes, side="right")
    return {name: np.flatnonzero(part == number) for number, name in enumerate(shares)}


def joint_groups(*keys: Sequence[Hashable | None]) -> RowIndex:
    """Number the groups of rows that share any key, directly or through other rows.

    ``joint_groups([text_key(t) for t in texts], corpus_groups)`` keeps a repeated text and a
    conversation together at once. None belongs to no group. Groups count from 0 in row order.
    """
    n = len(keys[0])
    rows: list[int] = []
    hubs: list[int] = []
    n_hubs = 0
    for column in keys:
        if len(column) != n:
            raise DataError(f"Keys of {len(column)} and of {n} rows.", hint="Give one a row.")
        numbers: dict[Hashable, int] = {}
        for row, key in enumerate(column):
            if key is not None:
                rows.append(row)
                hubs.append(n + n_hubs + numbers.setdefault(key, len(numbers)))
        n_hubs += len(numbers)
    size = n + n_hubs
    edges = csr_array((np.ones(len(rows), dtype=np.int8), (rows, hubs)), shape=(size, size))
    labels = connected_components(edges, directed=False)[1][:n]
    _, first, group = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[group]


def grouped_folds(
    groups: Sequence[Hashable],
    n_folds: int = 5,
    labels: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
) -> RowIndex:
    """The fold of each row, 0 … ``n_folds`` − 1; rows of one group are never parted.

    Large groups are placed first, each where it leaves the classes most even (groups of one
    size in random order), so folds are stratified as far as the groups permit.

    Raises:
        DataError: if there are fewer groups than folds.
    """
    group = joint_groups(groups)
    n_groups = int(group.max()) + 1 if len(group) else 0
    if not 2 <= n_folds <= n_groups:
        raise DataError(
            f"{n_groups} groups cannot fill {n_folds} folds.", hint="Ask for 2 folds up to as many."
        )
    classes = np.zeros(len(group), dtype=np.intp)
    if labels is not None:
        classes = np.unique(np.asarray(labels), return_inverse=True)[1]
    counts = np.zeros((n_groups, int(classes.max()) + 1))
    np.add.at(counts, (group, classes), 1)
    order = np.random.default_rng(seed).permutation(n_groups)
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    share = counts / counts.sum(axis=0)
    load = np.zeros((n_folds, share.shape[1]))
    fold_of_group = np.empty(n_groups, dtype=np.intp)
    for number in order:
        # The least Σ load² after adding: d(load²) = 2 load · share + a constant.
        fold = int(np.argmin(load @ share[number] + 1e-9 * load.sum(axis=1)))
        fold_of_group[number] = fold
        load[fold] += share[number]
    return fold_of_group[group]
