"""Write an edited model as an ordinary Hugging Face folder, and read it back before trusting it."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from transformers.utils import logging as transformers_logging

from bezoar.edits.edit import Edit
from bezoar.edits.selftest import next_logits, rounding
from bezoar.edits.weight import WeightEdit
from bezoar.errors import EditError, StoreError
from bezoar.models import LanguageModel
from bezoar.runs.faults import explained, make_folder
from bezoar.runs.results import Result, draft_of, save_json, to_plain

if TYPE_CHECKING:
    from rich.text import Text

CHECK_PROMPTS = ("The", "I think that you are", "She said that the man was", "In the night, we")


@dataclass(frozen=True, slots=True)
class Exported(Result):
    """An exported checkpoint.

    Attributes:
        folder: where it is.
        dtype: of its weights: that of the checkpoint it was made from.
        max_difference: largest difference of its next-token logits to those of the edited model in
            memory, relative to the largest logit.
        untied: the unembedding was tied to the input embedding and no longer is.
    """

    folder: str
    dtype: str
    max_difference: float
    untied: bool

    def __rich__(self) -> Text:
        from rich.text import Text

        untied = "\nuntied      the unembedding no longer is the input embedding"
        return Text(
            f"checkpoint  {self.folder}\n"
            f"dtype       {self.dtype}, as in the model it was made from\n"
            f"reloaded    logits differ by {self.max_difference:.1e} of the largest"
            + untied
            * self.untied
        )


def export(
    lm: LanguageModel,
    edit: Edit,
    out: str | Path,
    *,
    prompts: Sequence[str] = CHECK_PROMPTS,
) -> Exported:
    """Fold an edit and write the model, its tokenizer and settings; then reload and compare.

    Args:
        lm: the model, without the edit applied.
        edit: an edit that folds into it.
        out: a new or empty folder; it appears whole or not at all.
        prompts: compared after reloading.

    Raises:
        NotFoldable: if the edit is no set of plain weights.
        StoreError: if ``out`` holds something.
        EditError: if the reloaded model is not the edited one, or the model wears adapters.
        RunError: if the disk is full or closed; nothing of the checkpoint is left.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise StoreError(
            f"{out} exists and is not empty.", hint="Nothing is overwritten: name a new folder."
        )
    if callable(getattr(lm.model, "merge_and_unload", None)):
        raise EditError(
            f"{lm.name} wears adapters, and saving it would leave its own weights out.",
            hint="Merge them first: LanguageModel(lm.model.merge_and_unload(), lm.tokenizer).",
        )
    weights = edit.fold(lm)
    make_folder(out.parent)
    with explained(out):
        draft = draft_of(out)
        shutil.rmtree(draft, ignore_errors=True)  # of a process that was killed, of equal number
        draft.mkdir()
        try:
            with weights.applied_to(lm):
                untied = _write(lm, draft)
                edited = next_logits(lm, prompts)
            difference = _reloaded_difference(lm, draft, prompts, edited)
            exported = Exported(str(out), _name(lm.source_dtype), difference, untied)
            _write_origin(lm, weights, exported, draft)
            draft.replace(out)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return exported


def _write(lm: LanguageModel, folder: Path) -> bool:
    """Save what is in memory in the source dtype; returns whether tied weights came apart."""
    unembed, embed = lm.anatomy.unembed, lm.anatomy.embed
    untied = lm.anatomy.tied and unembed is not None and unembed.weight is not embed.weight
    with _config_kept(lm):
        lm.model.save_pretrained(folder, state_dict=_cast_state(lm), max_shard_size="5GB")
    lm.tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_bytes())
    config["dtype"] = _name(lm.source_dtype)
    for part in (config, config.get("text_config")):
        if untied and part is not None:
            part["tie_word_embeddings"] = False
    save_json(folder / "config.json", config)
    return untied


def _cast_state(lm: LanguageModel) -> dict[str, Tensor]:
    """The state in the source dtype; tensors that share memory still do, so that they stay tied."""
    cast: dict[tuple[int, torch.Size], Tensor] = {}
    state: dict[str, Tensor] = {}
    for name, value in lm.model.state_dict().items():
        key = (value.data_ptr(), value.shape)
        if key not in cast:
            cast[key] = value.to(lm.source_dtype) if value.is_floating_point() else value
        state[name] = cast[key]
    return state


@contextmanager
def _config_kept(lm: LanguageModel) -> Iterator[None]:
    """Saving writes into the config in memory and draws a progress bar: neither is wanted."""
    config = lm.model.config
    kept = {name: getattr(config, name, None) for name in ("dtype", "architectures")}
    bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(config, name, value)
        if bar:
            transformers_logging.enable_progress_bar()


def _reloaded_difference(
    lm: LanguageModel, folder: Path, prompts: Sequence[str], edited: Tensor
) -> float:
    reloaded = LanguageModel.from_pretrained(
        folder, device=lm.device, dtype=lm.dtype, check=False, anatomy=lm.names
    )
    difference = float((next_logits(reloaded, prompts) - edited).abs().max())
    difference /= max(float(edited.abs().max()), 1e-12)
    allowed = rounding(lm.source_dtype, lm.dtype)
    if not difference <= allowed:
        raise EditError(
            f"The exported model, read back, is not the edited one: logits differ by "
            f"{difference:.1e} of their size (allowed for {_name(lm.source_dtype)}: "
            f"{allowed:.0e}).",
            hint="Nothing was left behind; report the architecture.",
        )
    return difference


def _write_origin(lm: LanguageModel, weights: WeightEdit, exported: Exported, folder: Path) -> None:
    origin = {
        "bezoar": importlib.metadata.version("bezoar"),
        "base": {"name": lm.name, "fingerprint": lm.fingerprint},
        "edit": {"name": weights.name, "provenance": dict(weights.provenance)},
        "changed": sorted(weights.deltas),
        # Not where it was written: equal runs leave equal bytes, and a folder may be moved.
        "check": {k: v for k, v in to_plain(exported).items() if k != "folder"},
    }
    save_json(folder / "bezoar_edit.json", origin)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
