"""Whether rows are better stored or computed again: both are measured, on this machine and disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from bezoar.activations.forecast import best_time, forecast, size
from bezoar.activations.manifest import StoreDtype
from bezoar.activations.tokens import TokenTable
from bezoar.errors import ConfigError
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import duration
from bezoar.runs.results import Result

_SAMPLE_BYTES = 2**24
SPARE = 1.05
"""Free space that a store has to leave some of."""


@dataclass(frozen=True, slots=True)
class RowsChoice(Result):
    """What rows of some sites cost, stored and computed again.

    Attributes:
        cheaper: which costs less, among what there is room for.
        stored_seconds: one pass over the texts that writes all sites, and all readings.
        recomputed_seconds: a pass for each site and reading.
        readings: how often the rows of each site are read, on average.
        bytes: that the store would have.
        free: bytes that the disk has.
        tokens_per_second: of a pass up to the sites, on average; padding included.
        rows_per_second: of one site, read off the disk.
    """

    cheaper: Literal["disk", "recompute"]
    stored_seconds: float
    recomputed_seconds: float
    readings: float
    bytes: int
    free: int
    tokens_per_second: float
    rows_per_second: float

    @property
    def fits(self) -> bool:
        """Whether the disk has room for the store."""
        return SPARE * self.bytes <= self.free

    def __str__(self) -> str:
        what = "stored" if self.cheaper == "disk" else "computed again"
        room = "" if self.fits else f"; the disk has no room, {size(self.free)}"
        return (
            f"Rows are {what}: {self.readings:.3g} readings cost {duration(self.stored_seconds)} "
            f"stored ({size(self.bytes)}) and {duration(self.recomputed_seconds)} computed "
            f"again{room}"
        )


def choose_rows(
    lm: LanguageModel,
    table: TokenTable,
    sites: Iterable[Site | str],
    *,
    readings: float,
    folder: Path | str,
    dtype: StoreDtype = "float16",
    budget_tokens: int = 4096,
) -> RowsChoice:
    """Measure a forward pass and the disk, and say which of them is cheaper to read rows from.

    Args:
        lm: the model.
        table: the tokens.
        sites: whose rows are read.
        readings: how often the rows of each site are read; a part of them counts as such.
        folder: where a store would lie; 16 MB are written there and removed.
        dtype: of its rows.
        budget_tokens: padded tokens a pass.

    Raises:
        ConfigError: if ``readings`` is not positive.
        SiteError: if the model lacks a site.
    """
    if not readings > 0:
        raise ConfigError(f"Rows are read {readings:g} times.", hint="Give a positive number.")
    wanted = sorted({lm.site(site) for site in sites})
    whole = forecast(lm, table, wanted, "none", dtype, budget_tokens=budget_tokens)
    # A pass ends at its site: what it takes grows from the first to the last about evenly.
    ends = [
        forecast(lm, table, [site], "none", dtype, budget_tokens=budget_tokens).seconds
        for site in dict.fromkeys([wanted[0], wanted[-1]])
    ]
    passes = len(wanted) * sum(ends) / len(ends)
    written, read = disk_rates(Path(folder))
    stored = whole.seconds + whole.bytes / written + readings * whole.bytes / read
    free = shutil.disk_usage(existing(Path(folder))).free
    fits = SPARE * whole.bytes <= free
    width = whole.bytes / (whole.rows * len(wanted))
    return RowsChoice(
        cheaper="disk" if fits and stored <= readings * passes else "recompute",
        stored_seconds=stored,
        recomputed_seconds=readings * passes,
        readings=readings,
        bytes=whole.bytes,
        free=free,
        tokens_per_second=len(wanted) * whole.seconds * whole.tokens_per_second / passes,
        rows_per_second=read / width,
    )


def disk_rates(folder: Path) -> tuple[float, float]:
    """Bytes a second that the disk under a folder writes, and reads."""
    data = np.random.default_rng(0).bytes(_SAMPLE_BYTES)
    with tempfile.NamedTemporaryFile(dir=existing(folder), prefix=".bezoar-") as file:

        def write() -> None:
            file.seek(0)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

        def read() -> None:
            if hasattr(os, "posix_fadvise"):  # else it may come from memory, which is as good
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            file.read()

        seconds = best_time(write, passes=3), best_time(read, passes=3)
    return _SAMPLE_BYTES / seconds[0], _SAMPLE_BYTES / seconds[1]


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    folder = folder.absolute()
    return next((path for path in (folder, *folder.parents) if path.is_dir()), Path.cwd())
