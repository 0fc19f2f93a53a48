"""What a run says of itself: when it was begun, under which licences, and in which template."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import try_to_load_from_cache

from bezoar.corpus.spec import demo_path, split_column
from bezoar.errors import DataError
from bezoar.runs.folder import Run
from bezoar.studies.audit.bench import Bench

CARDS = ("README.md", "card.md")
_CARD_LETTERS = 65_536
_LICENCE_LETTERS = 200


def created(run: Run) -> str:
    """The day on which the run was begun, as UTC; ``SOURCE_DATE_EPOCH`` overrides it.

    Not the minute: equal runs of a day leave equal bytes.
    """
    seconds: Any = os.environ.get("SOURCE_DATE_EPOCH", "")
    if not seconds:
        log = run.path / "log.jsonl"
        first = log.read_text("utf-8").partition("\n")[0] if log.exists() else "{}"
        seconds = json.loads(first or "{}").get("time", "")
    try:
        return datetime.fromtimestamp(float(seconds), UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return ""


def licences(bench: Bench) -> dict[str, str]:
    """The licence that the card of the model, its base and each data set names, where one does."""
    config, root = bench.config, bench.data_root or Path()
    asked = {"model": config.model.name} | (
        {"base": config.model.base} if config.model.base else {}
    )
    found = {what: _of_model(name) for what, name in asked.items()}
    data = {
        "labelled texts": config.data.data,
        "prompts": config.data.prompts,
        "neutral text": config.data.neutral,
    }
    found |= {what: _of_data(spec, root) for what, spec in data.items()}
    return {what: licence for what, licence in found.items() if licence}


def licence_note(bench: Bench, *read: str) -> str:
    """What the licences of the model and of the texts that it is trained on come to.

    Args:
        bench: of the run.
        read: of `licences`, which texts.
    """
    named = licences(bench)
    return "; ".join(f"{what}: {named[what]}" for what in ("model", *read) if what in named)


def _of_model(name: str) -> str:
    try:
        folder = demo_path("model_path") if name == "demo" else Path(name)
    except DataError:
        return ""
    return licence_beside(folder) if folder.is_dir() else _of_hub(name, "model")


def _of_data(spec: str, root: Path) -> str:
    if spec == "demo":
        return licence_beside(demo_path("corpus_path"))
    spec, _ = split_column(spec, root)
    prefix, _, rest = spec.partition("hub:")
    if rest and (not prefix or prefix.endswith(":")):
        return _of_hub(rest.partition("@")[0].partition(":")[0], "dataset")
    path = root / spec
    return licence_beside(path if path.exists() else root / spec.partition(":")[2])


def _of_hub(repository: str, kind: str) -> str:
    """From the card that was downloaded with it; nothing is fetched for this."""
    try:
        card = try_to_load_from_cache(repository, "README.md", repo_type=kind)
    except ValueError:  # no name of a repository
        return ""
    return licence_of(Path(card)) if isinstance(card, str) else ""


def licence_beside(path: Path) -> str:
    """The licence in the card of a folder, or in the folder of a file; "" if none tells."""
    folder = path if path.is_dir() else path.parent
    cards = (folder / name for name in CARDS)
    return next((licence for card in cards if (licence := licence_of(card))), "")


def licence_of(card: Path) -> str:
    """``license`` in the metadata block that begins a card, as Hugging Face has them."""
    try:
        with card.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_CARD_LETTERS)
    except OSError:
        return ""
    opening, *rest = text.lstrip("\ufeff").split("\n---", 1)
    if not opening.startswith("---") or not rest:
        return ""
    try:
        block = yaml.safe_load(opening[3:])
    except yaml.YAMLError:
        return ""
    told = block.get("license") if isinstance(block, dict) else None
    if told == "other":
        told = block.get("license_name", told)
    names = told if isinstance(told, list) else [told]
    return ", ".join(str(name) for name in names if name)[:_LICENCE_LETTERS]


def facts(bench: Bench) -> dict[str, Any]:
    """``created``, ``licences`` and the applied chat template, for ``audit.json``."""
    return {"created": created(bench.run), "licences": licences(bench)} | chat(bench)


def chat(bench: Bench) -> dict[str, Any]:
    """One prompt as the template wraps it, and what the base's prompts are wrapped in."""
    if not bench.config.model.chat:
        return {}
    plain, wrapped = bench.prompts("select", plain=True)[0], bench.prompts("select")[0]
    said: dict[str, Any] = {"chat example": {"prompt": plain, "wrapped": wrapped}}
    if bench.base is not None:
        own = bench.base.has_chat_template
        said["base's prompts"] = (
            "in the base's own chat template" if own else "plain: the base has no chat template"
        )
    return said


def chat_in_words(bench: Bench) -> str:
    """The example for a terminal; "" without a template."""
    said = chat(bench)
    if not said:
        return ""
    example = said["chat example"]
    lines = [f"In the chat template, {example['prompt']!r} becomes {example['wrapped']!r}."]
    if of_base := said.get("base's prompts"):
        lines.append(f"Prompts of the base: {of_base}.")
    return "\n".join(lines)
