"""What an activation store says about itself, and the plan it was made by.

OUT/manifest.json           this, rewritten whole whenever a shard is complete
OUT/plan.safetensors        which texts ran together, in which order; tokens of each text
OUT/shard-00000.safetensors one tensor [rows d] a site, rows in the plan's order
OUT/partial.safetensors     after an interruption: rows of the shard that was being filled

Nothing here depends on when or in how many sittings the harvest ran.
"""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, get_args

import numpy as np
import safetensors
import safetensors.numpy
import torch
from pydantic import Field
from torch import Tensor

from bezoar.activations.batching import BatchPlan
from bezoar.errors import ConfigError, CorruptArtefact, StoreError, did_you_mean
from bezoar.runs.plain import MAX_JSON, plain_file
from bezoar.runs.results import Result, atomic_write, draft_of, load_result, save_result
from bezoar.runs.stages import file_hash

if TYPE_CHECKING:
    from rich.table import Table

MANIFEST = "manifest.json"
PLAN = "plan.safetensors"
PARTIAL = "partial.safetensors"

Count = Annotated[int, Field(ge=0)]
StoreDtype = Literal["float16", "bfloat16", "float32"]
_SAFETENSORS = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32"}


def check_dtype(dtype: str) -> None:
    """Refuse a name that is no dtype of rows."""
    if dtype not in get_args(StoreDtype):
        names = get_args(StoreDtype)
        raise ConfigError(f"Rows are not kept as {dtype!r}.", hint=did_you_mean(dtype, names))


@dataclass(frozen=True, slots=True)
class FileMark(Result):
    """What a finished file holds, and what it looked like."""

    rows: Count
    batches: Count
    bytes: Count
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest(Result):
    """Origin, shape and parts of a store.

    Attributes:
        model, fingerprint: the model's name, and the hash of its weights and tokenizer.
        variant: the edit that was applied; empty for the model as it is.
        sites, widths: the sites in order of execution, and the size of a row at each.
        pooling: one row a text, or with ``none`` one a token.
        dtype: of the rows.
        texts, tokens, rows: how many.
        truncated, max_tokens: texts that were cut, and where.
        digest: hash of all token ids.
        budget_tokens: padded tokens a batch was planned for.
        halved_at: numbers of the batches from which on the plan was halved, memory having run out.
        plan: of the plan's file.
        shards: finished shards, in order.
        partial: the unfinished one, where an interruption left any.
        complete: whether all rows are there.
    """

    format: Literal["bezoar-activations-1"]
    model: str
    fingerprint: str
    variant: str
    sites: tuple[str, ...]
    widths: tuple[Count, ...]
    pooling: Literal["mean", "max", "last", "none"]
    dtype: StoreDtype
    texts: Count
    tokens: Count
    rows: Count
    truncated: Count
    max_tokens: Count
    digest: str
    budget_tokens: Count
    plan: FileMark
    halved_at: tuple[Count, ...] = ()
    shards: tuple[FileMark, ...] = ()
    partial: FileMark | None = None
    complete: bool = False

    def __rich__(self) -> Table:
        from rich.table import Table

        state = "complete" if self.complete else "not complete: harvest again to go on"
        size = sum(shard.bytes for shard in self.shards)
        cut = f", {self.truncated:,} of them cut to {self.max_tokens}" if self.truncated else ""
        table = Table.grid("", "", padding=(0, 2))
        table.add_row("model", f"{self.model} ({self.fingerprint[:12]}) {self.variant}".rstrip())
        table.add_row("texts", f"{self.texts:,}, {self.tokens:,} tokens{cut}")
        table.add_row("rows", f"{self.rows:,} of each site, {self.pooling} pooling, {self.dtype}")
        table.add_row("sites", ", ".join(self.sites))
        table.add_row("on disk", f"{size / 1e6:.1f} MB in {len(self.shards)} files, {state}")
        return table

    @property
    def batches_done(self) -> int:
        return sum(shard.batches for shard in self.shards)

    @property
    def columns(self) -> dict[str, int]:
        """Site → size of a row."""
        return dict(zip(self.sites, self.widths, strict=True))

    @property
    def row_bytes(self) -> int:
        return sum(self.widths) * (4 if self.dtype == "float32" else 2)

    def save(self, folder: Path) -> None:
        """Write it whole or not at all."""
        save_result(folder / MANIFEST, self)

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Read it back.

        Raises:
            StoreError: if there is none.
            CorruptArtefact: if it is damaged or contradicts itself.
        """
        if not (folder / MANIFEST).is_file():
            raise StoreError(f"{folder} holds no activation store.", hint="Run a harvest into it.")
        manifest = load_result(plain_file(folder / MANIFEST, limit=MAX_JSON), cls)
        per_token = manifest.pooling == "none"  # those of a prompt may have none
        sound = manifest.rows <= manifest.tokens if per_token else manifest.rows == manifest.texts
        rows = manifest.rows
        filled = sum(shard.rows for shard in manifest.shards)
        if (
            not sound
            or len(manifest.sites) != len(manifest.widths)
            or filled > rows
            or (manifest.complete and filled != rows)
            or any(shard.bytes < shard.rows * manifest.row_bytes for shard in manifest.shards)
        ):
            raise CorruptArtefact(
                f"{folder / MANIFEST} contradicts itself: {filled} of {manifest.rows} rows.",
                hint=f"Remove the folder {folder} and harvest again.",
            )
        return manifest


def shard_name(number: int) -> str:
    """The file of a shard. Derived, so that no manifest can point outside its folder."""
    return f"shard-{number:05d}.safetensors"


def save_plan(folder: Path, plan: BatchPlan, ids: np.ndarray | None) -> FileMark:
    """Write a plan, and the token ids where there is a row for each of them."""
    arrays = {"order": plan.order, "sizes": plan.sizes, "lengths": plan.lengths}
    arrays |= {} if plan.starts is None else {"starts": plan.starts}
    data = safetensors.numpy.save(arrays if ids is None else arrays | {"ids": ids})
    atomic_write(folder / PLAN, data)
    return FileMark(len(plan.order), len(plan), len(data), file_hash(folder / PLAN))


def load_plan(folder: Path, manifest: Manifest) -> tuple[BatchPlan, np.ndarray | None]:
    """Read a plan back, halved as the manifest says, and the token ids if they were kept.

    Raises:
        CorruptArtefact: if it is missing, altered, or no plan of that many texts.
    """
    check_file(folder / PLAN, manifest.plan)
    try:
        arrays = safetensors.numpy.load((folder / PLAN).read_bytes())
        starts = arrays.get("starts")
        plan = BatchPlan(arrays["order"], arrays["sizes"], arrays["lengths"], starts)
        ids = arrays.get("ids")
        sound = (
            np.array_equal(np.sort(plan.order), np.arange(manifest.texts))
            and plan.sizes.min() > 0
            and plan.sizes.sum() == len(plan.lengths) == manifest.texts
            and plan.lengths.min() > 0
            and plan.lengths.sum() == manifest.tokens
            and plan.kept.min() > 0
            and (starts is None or starts.min() >= 0)
            and (manifest.pooling != "none" or plan.kept.sum() == manifest.rows)
            and (ids is None or ids.shape == (manifest.rows,))
        )
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise _damaged(folder / PLAN, "is no plan") from error
    if not sound:
        raise _damaged(folder / PLAN, f"is no plan of {manifest.texts} texts")
    for first in manifest.halved_at:
        plan = plan.halved(first)
    return plan, ids


def write_shard(path: Path, tensors: dict[str, Tensor], rows: int, batches: int) -> FileMark:
    """Write tensors whole or not at all: temporary name, fsync, rename.

    The bytes go from the tensors to the file and to its hash: no copy of a shard is made.
    """
    parts: list[bytes | memoryview] = [_header(tensors), *map(_bits, tensors.values())]
    temporary = draft_of(path)
    try:
        with temporary.open("wb") as file, ThreadPoolExecutor(1) as beside:
            file.writelines(parts)
            file.flush()
            synced = beside.submit(os.fsync, file.fileno())
            digest = hashlib.sha256()
            for part in parts:  # while the disk writes
                digest.update(part)
            synced.result()
            mark = FileMark(rows, batches, file.tell(), digest.hexdigest())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return mark


def _header(tensors: dict[str, Tensor]) -> bytes:
    """What a safetensors file of these tensors, in this order, begins with."""
    entries, end = {}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        kind = _SAFETENSORS[tensor.dtype]
        entries[name] = {"dtype": kind, "shape": [*tensor.shape], "data_offsets": [begin, end]}
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _bits(tensor: Tensor) -> memoryview:
    """A tensor's bytes, in place where it is contiguous."""
    return tensor.contiguous().view(torch.uint8).numpy().data


def check_file(path: Path, mark: FileMark, *, content: bool = True) -> None:
    """Compare a file with what was written; without ``content``, its size only.

    Raises:
        CorruptArtefact: if it is missing, truncated or altered.
    """
    if path.is_symlink():
        raise _damaged(path, "is a link to another place, and links are not followed")
    if not path.is_file():
        raise _damaged(path, "is missing")
    if path.stat().st_size != mark.bytes:
        raise _damaged(path, f"has {path.stat().st_size:,} bytes where {mark.bytes:,} were written")
    if content and file_hash(path) != mark.sha256:
        raise _damaged(path, "was altered after it was written")


def _damaged(path: Path, state: str) -> CorruptArtefact:
    return CorruptArtefact(
        f"{path} {state}.", hint=f"Remove the folder {path.parent} and harvest again."
    )
