"""The training that attacks use: plain language modelling of the model as it is edited now."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from bezoar.attack.attack import at_least
from bezoar.attack.matrices import block_matrices
from bezoar.edits import Delta, Dense, LowRank, stores_transposed
from bezoar.errors import AttackFailed, ConfigError
from bezoar.models import Batch, LanguageModel

_CLIP = 1.0  # norm of the gradient
_SCALE = 2.0  # of adapters: peft's alpha at twice the rank


def check_plan(rates: Sequence[float], seeds: Sequence[int], steps: Sequence[int]) -> None:
    """Refuse a plan of an attacker's training that trains nothing, or is none.

    Raises:
        ConfigError: without a positive, finite rate, a seed of 0 or more, or a step.
    """
    possible = all(0 < rate < math.inf for rate in rates) and all(seed >= 0 for seed in seeds)
    if not (rates and seeds and possible and min(steps, default=0) >= 1):
        told = ", ".join(map(str, steps)) or "0"
        raise ConfigError(
            f"Fine-tuning with rates {tuple(rates)}, seeds {tuple(seeds)} and {told} steps.",
            hint="Give positive, finite rates, seeds of 0 or more, and at least one step.",
        )


def check_sizes(batch: int, max_tokens: int, rank: int | None) -> None:
    """Refuse sizes at which nothing is trained.

    Raises:
        ConfigError: for a batch or rank below 1, or texts cut below two tokens.
    """
    at_least(1, batch=batch, **({} if rank is None else {"rank": rank}))
    at_least(2, max_tokens=max_tokens)


def train(
    lm: LanguageModel,
    texts: list[str],
    *,
    rate: float,
    steps: int,
    batch: int = 8,
    max_tokens: int = 64,
    seed: int = 0,
    rank: int | None = None,
) -> dict[str, Delta]:
    """The change of every parameter by plain fine-tuning of the model *as it is edited now*.

    The model's own parameters are never written to: the training runs on copies of them, or with
    ``rank`` on low-rank adapters of the block matrices (Hu et al. 2021), which end as plain deltas.

    Raises:
        AttackFailed: if no text has two tokens, or the loss or gradient is no longer finite.
    """
    ids = [row for row in lm.encode(texts, min(max_tokens, lm.context)) if len(row) > 1]
    if not ids:
        raise AttackFailed(
            f"None of {len(texts)} texts has two tokens, so nothing can be trained.",
            hint="Give longer ones.",
        )
    space: _Full | _Adapters = _Full(lm) if rank is None else _Adapters(lm, rank, seed)
    optimiser = torch.optim.AdamW(space.free, lr=rate, weight_decay=0.0)
    for step, rows in enumerate(itertools.islice(_order(len(ids), batch, seed), steps)):
        with torch.enable_grad():
            loss = _loss(lm, space.parameters(), lm.batch([ids[i] for i in rows]))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(space.free, _CLIP)
        if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
            raise AttackFailed(
                f"The loss became {loss.item():g} at step {step} of {steps} (rate {rate:g}).",
                hint="Lower the learning rate.",
            )
        optimiser.step()
    return space.deltas()


class _Full:
    """Every floating parameter; tied ones are one."""

    def __init__(self, lm: LanguageModel) -> None:
        self._names = _names(lm)
        self._start = {name: lm.model.get_parameter(name).detach() for name in self._names}
        self._now = {name: v.clone().requires_grad_(True) for name, v in self._start.items()}
        self.free = list(self._now.values())

    def parameters(self) -> dict[str, Tensor]:
        return self._now

    def deltas(self) -> dict[str, Delta]:
        deltas: dict[str, Delta] = {}
        for name, value in self._now.items():
            change = Dense((value.detach() - self._start[name]).float().cpu())
            deltas |= dict.fromkeys(self._names[name], change)
        return deltas


@dataclass(slots=True)
class _Adapters:
    """W + 2 B A of every block matrix, B zero at the start; all else stays."""

    lm: LanguageModel
    rank: int
    seed: int
    free: list[Tensor] = field(default_factory=list)
    _factors: dict[str, tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        generator = torch.Generator().manual_seed(self.seed)
        for name, module in block_matrices(self.lm).items():
            weight = self.lm.model.get_parameter(name).detach()
            rows, columns = weight.shape
            left, right = torch.zeros(rows, self.rank), torch.zeros(self.rank, columns)
            read = left if stores_transposed(module) else right  # the side of the inputs
            read.normal_(0.0, max(read.shape) ** -0.5, generator=generator)
            factors = [f.to(weight).requires_grad_(True) for f in (left, right)]
            self.free += factors
            self._factors[name] = (weight, *factors)

    def parameters(self) -> dict[str, Tensor]:
        return {n: w + _SCALE * a @ b for n, (w, a, b) in self._factors.items()}

    def deltas(self) -> dict[str, Delta]:
        return {
            name: LowRank(_SCALE * a.detach().float().cpu(), b.detach().float().cpu())
            for name, (_, a, b) in self._factors.items()
        }


def _names(lm: LanguageModel) -> dict[str, list[str]]:
    """Name of each floating parameter -> all its names: tied ones are trained as one."""
    first: dict[int, str] = {}
    names: dict[str, list[str]] = {}
    for name, parameter in lm.model.named_parameters(remove_duplicate=False):
        if parameter.is_floating_point() and parameter.element_size() >= 2:
            names.setdefault(first.setdefault(id(parameter), name), []).append(name)
    return names


def _order(n: int, batch: int, seed: int) -> Iterator[list[int]]:
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(n).tolist()
        for start in range(0, n, batch):
            yield order[start : start + batch]


def _loss(lm: LanguageModel, parameters: dict[str, Tensor], batch: Batch) -> Tensor:
    """Mean negative log-likelihood of the next token, over real tokens."""
    output = functional_call(lm.model, parameters, (), lm.inputs(batch))
    logits = output.logits[:, :-1].float()
    target = batch.input_ids[:, 1:].masked_fill(~batch.mask[:, 1:], -100)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten())
