"""Harvest: activations of many texts at many sites, one forward pass a batch.

Memory holds one batch and one shard, whatever the number of texts. A shard ends where the plan
says so (its rows fill the buffer, or enough was computed), never where time or an interruption
does: a harvest that was killed and taken up again leaves the same bytes as one that was not.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError

from bezoar.activations.batching import BatchPlan, plan_batches
from bezoar.activations.manifest import (
    MANIFEST,
    PARTIAL,
    PLAN,
    FileMark,
    Manifest,
    StoreDtype,
    check_dtype,
    check_file,
    load_plan,
    save_plan,
    shard_name,
)
from bezoar.activations.passes import forward_passes
from bezoar.activations.pooling import Pooling, check_pooling
from bezoar.activations.store import ActivationStore
from bezoar.activations.tokens import TokenTable, tokenise
from bezoar.activations.writer import Buffer, Writer, rows_of, shard_rows
from bezoar.errors import StoreError
from bezoar.models import LanguageModel, Site
from bezoar.runs.faults import explained
from bezoar.runs.progress import SILENT, Progress

_IDENTITY = ("fingerprint", "variant", "sites", "pooling", "dtype", "digest")


def harvest(
    lm: LanguageModel,
    texts: Sequence[str] | TokenTable,
    sites: Iterable[Site | str],
    *,
    pooling: Pooling = "mean",
    out: Path | str | None = None,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    dtype: StoreDtype = "float16",
    resume: bool = True,
    variant: str = "",
    progress: Progress | None = None,
) -> ActivationStore:
    """Read activations and keep them.

    Args:
        lm: the model.
        texts: what to read, or the tokens of it (``tokenise``).
        sites: where; all of them in one pass, which ends after the last of them.
        pooling: ``mean``, ``max`` or ``last``: one row a text; ``none``: one a token.
        out: a folder; None keeps the rows in memory, as float32.
        budget_tokens: padded tokens a batch; halved where memory does not suffice.
        max_tokens: cut texts there; at most, and by default, the model's context.
        dtype: of rows on disk: ``float16``, ``bfloat16`` or ``float32``.
        resume: go on with an unfinished harvest in ``out``, return a finished one;
            False starts over.
        variant: names the edit that is applied, if any: its store must not pass for the model's.
        progress: shows tokens done, rate and remaining time.

    Raises:
        SiteError: if the model lacks a site.
        ConfigError: if there is no such pooling, or no such dtype.
        DataError: if a text gives no token (it is named), or one string is given for several.
        StoreError: if ``out`` holds a harvest of something else, its disk has no room for the
            rows, or a value exceeds ``dtype``.
        CorruptArtefact: if a shard there is missing or damaged; it is named.
        ModelError: if activations are not finite, or memory does not suffice for one text.
    """
    check_pooling(pooling)
    check_dtype(dtype)
    wanted = sorted({lm.site(site) for site in sites})
    if not wanted:
        raise StoreError("No site was asked for.", hint="Give at least one, such as '3.mlp_out'.")
    table = texts if isinstance(texts, TokenTable) else tokenise(lm, texts, max_tokens, progress)
    manifest = _manifest(
        lm, table, wanted, pooling, budget_tokens, variant, None if out is None else dtype
    )
    if out is None:
        return _in_memory(lm, table, wanted, manifest, progress)
    _refuse_unnamed_edit(lm, variant)
    with explained(Path(out)):
        return _to_disk(lm, table, wanted, manifest, Path(out), resume, progress)


def _manifest(
    lm: LanguageModel,
    table: TokenTable,
    sites: list[Site],
    pooling: Pooling,
    budget_tokens: int,
    variant: str,
    dtype: StoreDtype | None,
) -> Manifest:
    """What the store will say of itself; rows kept in memory (no ``dtype``) are float32."""
    return Manifest(
        format="bezoar-activations-1",
        model=lm.name,
        fingerprint="" if dtype is None else lm.fingerprint,
        variant=variant,
        sites=tuple(map(str, sites)),
        widths=site_widths(lm, sites),
        pooling=pooling,
        dtype=dtype or "float32",
        texts=len(table),
        tokens=len(table.ids),
        rows=int(table.kept.sum()) if pooling == "none" else len(table),
        truncated=table.truncated,
        max_tokens=table.max_tokens,
        digest=table.digest,
        budget_tokens=budget_tokens,
        plan=FileMark(0, 0, 0, ""),
    )


def site_widths(lm: LanguageModel, sites: Sequence[Site]) -> tuple[int, ...]:
    """The size of a row at each site."""
    return tuple(lm.site_width(site) for site in sites)


def _in_memory(
    lm: LanguageModel,
    table: TokenTable,
    sites: list[Site],
    manifest: Manifest,
    progress: Progress | None,
) -> ActivationStore:
    plan = _plan(table, manifest)
    buffer = Buffer(manifest)
    buffer.reserve(manifest.rows)
    with (progress or SILENT).task("Harvesting", int(plan.tokens.sum()), "tokens") as tick:
        for done in forward_passes(lm, table, plan, sites, manifest.pooling, buffer.take):
            cost = done.plan.cost(done.number)
            buffer.commit(rows_of(done.plan, done.number, manifest), 1, cost)
            tick(int(table.lengths[done.texts].sum()))
    manifest = replace(manifest, shards=(FileMark(manifest.rows, len(plan), 0, ""),), complete=True)
    columns = {site: column.numpy() for site, column in buffer.filled().items()}
    return ActivationStore(manifest, plan, table.kept_ids, opened={0: columns})


def _to_disk(
    lm: LanguageModel,
    table: TokenTable,
    sites: list[Site],
    manifest: Manifest,
    out: Path,
    resume: bool,
    progress: Progress | None,
) -> ActivationStore:
    manifest, plan = _begin(out, manifest, table, resume)
    if manifest.complete:
        return ActivationStore.open(out)
    _refuse_full_disk(out, manifest)
    writer = Writer(out, manifest, plan)
    with (progress or SILENT).task("Harvesting", int(plan.tokens.sum()), "tokens") as tick:
        tick(int(plan.tokens[: writer.next_batch].sum()))
        passes = forward_passes(
            lm,
            table,
            plan,
            sites,
            manifest.pooling,
            writer.take,
            start=writer.next_batch,
            replanned=writer.replanned,
        )
        try:
            for done in passes:
                writer.commit(done)
                tick(int(table.lengths[done.texts].sum()))
        except BaseException:
            # Ctrl-C keeps what is done. On a full disk that fails too: show the first error.
            with suppress(OSError, SafetensorError):
                writer.save_partial()
            raise
    return ActivationStore.open(out)


def _begin(
    out: Path, wanted: Manifest, table: TokenTable, resume: bool
) -> tuple[Manifest, BatchPlan]:
    """What is already there, if it is a harvest of the same; else a new beginning."""
    out.mkdir(parents=True, exist_ok=True)
    for pattern in (".manifest.json.*.tmp", ".*.safetensors.*.tmp"):
        for leftover in out.glob(pattern):  # of a process that was killed while it wrote
            leftover.unlink()
    if not resume:
        _remove(out)
    if not (out / MANIFEST).exists():
        plan = _plan(table, wanted)
        ids = table.kept_ids if wanted.pooling == "none" else None
        manifest = replace(wanted, plan=save_plan(out, plan, ids))
        manifest.save(out)
        return manifest, plan
    there = Manifest.load(out)
    differing = [name for name in _IDENTITY if getattr(there, name) != getattr(wanted, name)]
    if differing:
        name = differing[0]
        seen, asked = getattr(there, name), getattr(wanted, name)
        what = {"fingerprint": "the model's weights", "digest": "the texts"}.get(name)
        detail = what or f"{name} ({seen!r} there, {asked!r} now)"
        raise StoreError(
            f"{out} holds a harvest that differs in {detail}.",
            hint="Choose another folder, or start over with resume=False.",
        )
    for number, mark in enumerate(there.shards):
        check_file(out / shard_name(number), mark)
    if there.partial is None:  # else a kill fell between the manifest and the removal
        (out / PARTIAL).unlink(missing_ok=True)
    return there, load_plan(out, there)[0]


def _remove(out: Path) -> None:
    """Remove a harvest, the manifest last, and nothing else."""
    for path in [*out.glob("shard-[0-9]*.safetensors"), out / PARTIAL, out / PLAN, out / MANIFEST]:
        path.unlink(missing_ok=True)


def _plan(table: TokenTable, manifest: Manifest) -> BatchPlan:
    # A batch of one-token texts must not make its shard larger than others.
    rows = shard_rows(manifest.row_bytes)
    plan = plan_batches(table.lengths, manifest.budget_tokens, max_rows=rows)
    return replace(plan, starts=table.starts)


def _refuse_full_disk(out: Path, manifest: Manifest) -> None:
    done = sum(shard.rows for shard in manifest.shards)
    needed, free = (manifest.rows - done) * manifest.row_bytes, shutil.disk_usage(out).free
    if needed > free:
        raise StoreError(
            f"{needed / 1e9:.3g} GB of rows are still to be written to {out}, and the disk has "
            f"{free / 1e9:.3g} GB.",
            hint="Pool them, read fewer sites, name another folder; or read rows from the model "
            "itself (RecomputedRows; sae.store=recompute), which keeps none.",
        )


def _refuse_unnamed_edit(lm: LanguageModel, variant: str) -> None:
    hooked = any(m._forward_hooks or m._forward_pre_hooks for m in lm.model.modules())
    if hooked and not variant:
        raise StoreError(
            f"Hooks act on {lm.name!r}: its activations would be stored as the plain model's.",
            hint='Name the edit, harvest(..., variant="…"), or leave its context.',
        )
