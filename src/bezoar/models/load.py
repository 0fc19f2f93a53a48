"""Load an untouched Hugging Face model and its tokenizer, or say clearly why not."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer, PreTrainedModel
from transformers.utils import logging

from bezoar.errors import ModelError, nearest
from bezoar.models.architecture import auto_class, lacks_only_head, without_pooler


def load_pretrained(
    name: str | Path,
    *,
    device: str | torch.device | None,
    dtype: torch.dtype | str | None,
    device_map: Any,
) -> tuple[PreTrainedModel, Any, torch.dtype]:
    """The model in evaluation mode, its tokenizer, and the dtype of the checkpoint.

    On the CPU half-precision checkpoints are cast to float32 (half precision crawls there) unless
    ``dtype`` says otherwise. A checkpoint without a language-model head is loaded without one.

    Raises:
        ModelError: if there is no such model, it has no safetensors weights, or it needs code of
            its own.
    """
    source = resolve(name)
    wanted = _dtype(dtype)
    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
            config = AutoConfig.from_pretrained(source, trust_remote_code=False)
            auto = auto_class(config, str(name))
            model, absent = _load(auto, source, device_map)
            if lacks_only_head(model, absent):
                model, absent = _load(AutoModel, source, device_map)
            absent = without_pooler(model, absent)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        raise _explain(str(name), error) from error
    if absent:
        raise ModelError(
            f"The checkpoint of {name} lacks weights that would be random: {', '.join(absent[:4])}"
            f"{', …' if len(absent) > 4 else ''}.",
            hint="Is it a language model (with its head), and complete?",
        )
    source_dtype = next(model.parameters()).dtype
    if device_map is None and not getattr(model, "is_quantized", False):
        model = _moved(model, device, wanted)
    elif wanted is not None:
        model = model.to(dtype=wanted)
    return model.eval(), tokenizer, source_dtype


def _load(auto: Any, source: str, device_map: Any) -> tuple[PreTrainedModel, list[str]]:
    """A model, and the names of the weights that its checkpoint lacks."""
    model, info = auto.from_pretrained(
        source,
        dtype="auto",
        device_map=device_map,
        use_safetensors=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    return model, sorted(info["missing_keys"])


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not isinstance(found, torch.dtype):
        raise ModelError(f"{dtype!r} is no dtype.", hint="Use float32, bfloat16 or float16.")
    return found


def _moved(
    model: PreTrainedModel, device: str | torch.device | None, dtype: torch.dtype | None
) -> PreTrainedModel:
    try:
        target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if dtype is None and target.type == "cpu":
            dtype = torch.float32
        return model.to(device=target, dtype=dtype)
    except (RuntimeError, AssertionError) as error:  # torch raises either for a missing device
        why = str(error).splitlines()[0].partition("Expected one of")[0].strip()
        raise ModelError(
            f"The model cannot be put on the device {str(device)!r}: {why or 'there is none'}.",
            hint="Devices are cpu, cuda, cuda:1, mps; leave it out to take what is there.",
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the loading bar of transformers, or its table of weights that a head left behind.

    Weights that are missing are an error here, and weights that no part asks for are none.
    """
    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(max(level, logging.ERROR))
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def resolve(name: str | Path) -> str:
    """The folder or hub id meant by ``name``; ``"demo"`` is the bezoar-demo package's model."""
    if str(name) == "demo":
        try:
            demo = importlib.import_module("bezoar_demo")
        except ImportError as error:
            raise ModelError(
                "The demo model is in the package bezoar-demo, which is not installed.",
                hint="Install it: pip install 'bezoar[demo]'.",
            ) from error
        return str(demo.model_path())
    path = Path(name).expanduser()
    if path.is_dir():
        _check_folder(path)
        return str(path)
    text = str(name)
    is_path = isinstance(name, Path) or text.startswith(("/", ".", "~")) or text.count("/") > 1
    if path.is_file():
        raise ModelError(f"{path} is a file.", hint="Give the folder that holds config.json.")
    if is_path or (path.parent != Path() and path.parent.is_dir()):
        raise ModelError(f"There is no folder {path}.", hint=_nearest_folder(path))
    if "/" not in text and nearest(text, ("demo",)):  # rather than a minute of asking the hub
        raise ModelError(f"There is no model {text!r}.", hint="Did you mean 'demo'?")
    return text


def _check_folder(path: Path) -> None:
    files = sorted(file.name for file in path.iterdir())
    if "config.json" not in files:
        raise ModelError(
            f"{path} holds no config.json, so it is no Hugging Face model.",
            hint=f"It holds: {', '.join(files[:8]) or 'nothing'}.",
        )
    if not any(file.endswith(".safetensors") for file in files):
        pickled = [file for file in files if file.endswith((".bin", ".pt", ".pth", ".ckpt"))]
        raise ModelError(
            f"{path} holds no safetensors weights.",
            hint=f"{', '.join(pickled)} may run code when loaded and is not read: convert it to "
            "safetensors where you trust it."
            if pickled
            else "Is the download complete?",
        )


def _nearest_folder(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"Its parent {parent} does not exist either."
    names = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4) or names[:8]
    return f"Folders there: {', '.join(near) or 'none'}."


def _explain(name: str, error: Exception) -> ModelError:
    text = str(error)
    if "trust_remote_code" in text or "custom code" in text:
        return ModelError(
            f"The model {name!r} needs code of its own, which is never run.",
            hint="Use a version of it that transformers supports itself.",
        )
    first = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    local = Path(name).expanduser().is_dir()
    return ModelError(
        f"The model {name!r} could not be loaded: {first}",
        hint=""
        if local
        else "It is no folder here, so it was taken for a hub id: check its spelling and "
        "the network (HF_HUB_OFFLINE), or give a folder.",
    )
