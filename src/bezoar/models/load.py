"""Load an untouched Hugging Face model and its tokenizer, or say clearly why not."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, PreTrainedModel

from bezoar.errors import ModelError, nearest
from bezoar.models.architecture import auto_class, lacks_only_head, without_pooler
from bezoar.models.checkpoint import Checkpoint, refuse_not_finite
from bezoar.models.packed import packing, require_readers


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
        ModelError: if there is no such model, it is damaged or incomplete, it has no safetensors
            weights or no tokenizer, it needs code of its own, or its weights are packed and what
            reads them is not installed.
    """
    wanted = _dtype(dtype)
    checkpoint = Checkpoint.open("model", resolve(name))
    config = checkpoint.config()
    auto = auto_class(config, str(name))
    require_readers(config, str(name))
    tokenizer = checkpoint.tokenizer()
    # What is packed is never cast afterwards: what is computed in between takes the dtype here.
    loading: Any = "auto" if wanted is None or not packing(config) else wanted
    model, absent = checkpoint.weights(auto, dtype=loading, device_map=device_map)
    if lacks_only_head(model, absent):
        model, absent = checkpoint.weights(AutoModel, dtype=loading, device_map=device_map)
    checkpoint.require(
        without_pooler(model, absent),
        hint="Is it a language model (with its head), and complete?",
    )
    source_dtype = next(model.parameters()).dtype
    packed = getattr(model, "is_quantized", False)
    if device_map is None and not packed:
        model = put_on(model, device, wanted)
    elif wanted is not None and not packed:
        model = model.to(dtype=wanted)
    refuse_not_finite(model, str(name))
    return model.eval(), tokenizer, source_dtype


def _dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    found = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if dtype is not None and not isinstance(found, torch.dtype):
        raise ModelError(f"{dtype!r} is no dtype.", hint="Use float32, bfloat16 or float16.")
    return found


def put_on(
    model: PreTrainedModel, device: str | torch.device | None, dtype: torch.dtype | None
) -> PreTrainedModel:
    """The model on a device; on the CPU in float32 unless a dtype is given.

    Raises:
        ModelError: if there is no such device, or no room on it.
    """
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


def _nearest_folder(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"Its parent {parent} does not exist either."
    names = sorted(entry.name for entry in parent.iterdir() if entry.is_dir())
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.4) or names[:8]
    return f"Folders there: {', '.join(near) or 'none'}."
