"""Checkpoints of packed weights: which packages transformers reads them with."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from bezoar.errors import ModelError

READERS: dict[str, tuple[str, ...]] = {
    "gptq": ("optimum", "gptqmodel"),
    "awq": ("gptqmodel",),
    "bitsandbytes": ("bitsandbytes",),
    "compressed-tensors": ("compressed_tensors",),
    "hqq": ("hqq",),
    "torchao": ("torchao",),
}
"""Modules by the configuration's ``quant_method``. Others need none, or transformers says which."""


def packing(config: Any) -> str:
    """How a checkpoint's weights are packed: ``gptq``, ``bitsandbytes``, …; "" if they are not."""
    said = getattr(config, "quantization_config", None)
    if said is None:
        return ""
    told = said if isinstance(said, dict) else vars(said)
    if told.get("load_in_4bit") or told.get("load_in_8bit"):
        return "bitsandbytes"
    method = told.get("quant_method") or ""
    return str(getattr(method, "value", method))


def require_readers(config: Any, name: str) -> None:
    """Refuse packed weights that nothing here can read, before a byte of them is read.

    Raises:
        ModelError: naming the packages that are missing.
    """
    method = packing(config)
    missing = [module for module in READERS.get(method, ()) if find_spec(module) is None]
    if missing:
        raise ModelError(
            f"The weights of {name!r} are packed ({method}), and {' and '.join(missing)}, with "
            "which transformers reads them, cannot be imported.",
            hint=f"pip install {' '.join(missing)}; or use the model's version of plain weights.",
        )
