"""What makes two models one: their weights, configuration and tokenizer, as a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from bezoar.errors import ModelError
from bezoar.models.offload import fetched

_READ = 256  # values of a large tensor that tell whether it is as it was
_SMALL = 16 * _READ  # of up to so many values all do


def state_of(model: Any) -> int:
    """A number that changes when weights do; quick, and of this process alone.

    PyTorch counts what is written to a tensor, but not what is written through its ``.data``, as
    adapters are merged. So some values of each are read as well: a change of a whole matrix is seen
    either way, one of a few of its entries by the count alone.
    """
    held = [*model.parameters(), *_packed(model).values()]
    return hash(tuple((tensor.data_ptr(), tensor._version, _read(tensor)) for tensor in held))


@torch.no_grad()
def _read(tensor: Tensor) -> bytes:
    """Values spread evenly over the memory of a plain tensor."""
    plain = type(tensor) in (Tensor, nn.Parameter) and tensor.layout == torch.strided
    if not plain or tensor.is_meta or tensor.is_quantized or not tensor.numel():
        return b""
    span = 1 + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride(), strict=True))
    step = 1 if span <= _SMALL else span // _READ | 1  # odd, so that every column has its turn
    values = tensor.detach().as_strided((-(-span // step),), (step,))
    return values.contiguous().view(torch.uint8).cpu().numpy().tobytes()


def fingerprint_of(model: Any, tokenizer: Any) -> str:
    """32 hexadecimal digits. An offloaded model has those that it has when it is loaded whole.

    Raises:
        ModelError: if weights are neither in memory nor to be fetched.
    """
    digest = hashlib.sha256()
    for name, value in (*_parameters(model), *_packed(model).items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    for token, index in sorted(tokenizer.get_vocab().items()):
        digest.update(f"{index} {token}".encode(errors="surrogatepass"))
    digest.update(_settings(model, tokenizer).encode(errors="surrogatepass"))
    return digest.hexdigest()[:32]


def _parameters(model: Any) -> Iterator[tuple[str, Tensor]]:
    """Name and values of every parameter, each once; offloaded ones fetched one after the other."""
    for name, parameter in model.named_parameters():
        if not parameter.is_meta:
            yield name, parameter
            continue
        path, _, leaf = name.rpartition(".")
        module = model.get_submodule(path)
        with fetched(module):
            value = module._parameters[leaf]
            if value.is_meta:
                raise ModelError(
                    f"The values of {name} are nowhere: a parameter on the device meta.",
                    hint="Load the model with from_pretrained; without offloading, if need be.",
                )
            yield name, value


def _packed(model: Any) -> dict[str, Tensor]:
    """What a checkpoint holds besides parameters: the weights of packed layers."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return {
        name: value
        for name, value in model.state_dict().items()
        if name not in parameters and isinstance(value, Tensor) and not value.is_meta
    }


def _settings(model: Any, tokenizer: Any) -> str:
    """What else decides the numbers: architecture, merges, special tokens, chat template."""
    config = model.config.to_diff_dict()
    for name in ("_name_or_path", "transformers_version", "dtype", "architectures"):
        config.pop(name, None)
    fast = getattr(tokenizer, "backend_tokenizer", None)
    tokens: dict[str, Any] = {
        "special": {k: str(v) for k, v in tokenizer.special_tokens_map.items()},
        "chat": str(getattr(tokenizer, "chat_template", None)),
        "backend": json.loads(fast.to_str()) if fast is not None else {},
    }
    for name in ("padding", "truncation"):  # how it was last called, not what it is
        tokens["backend"].pop(name, None)
    return json.dumps([config, tokens], sort_keys=True, default=str)
