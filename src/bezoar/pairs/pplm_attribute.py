"""The attribute model of PPLM: a probe on the mean state so far, with a mean that grows in O(1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from bezoar.activations.pooling import check_pooling
from bezoar.errors import ConfigError, ModelError, SiteMismatch
from bezoar.locate import Direction, Probe
from bezoar.models import LanguageModel, Site, first_tensor

_READS = {"mean": "mean", "none": "mean", "max": "max", "last": "last"}
"""What a text's rows become. A probe of single tokens gives its mean log-odds: that of the mean."""


@dataclass(frozen=True, slots=True, eq=False)
class Attribute:
    """``p(toxic | x̄) = σ(w·x̄ + b)``, x̄ the pooled activations at a site.

    Attributes:
        site: where x is read.
        weight: [d], on the model's device.
        bias: b.
        pooling: "mean", "max" or "last" of the tokens so far.
    """

    site: Site
    weight: Float[Tensor, " d"]
    bias: float
    pooling: str

    @classmethod
    def of(cls, lm: LanguageModel, probe: Probe | Direction) -> Attribute:
        """A probe with its calibrated weights; a direction with its original norm and b = 0.

        Raises:
            ConfigError: if the probe does not say at which site it reads, or how it pools.
            SiteError: if the model has no such site.
            SiteMismatch: if the site has another width.
        """
        check_pooling(probe.pooling)
        if (place := probe.site) is None:
            raise ConfigError(
                "The probe does not say at which site it reads.",
                hint="Make it with site=, such as LinearProbe(site='5.resid_post').",
            )
        site = lm.site(place)
        if isinstance(probe, Direction):
            weight, bias = probe.raw, 0.0
        else:
            weight, bias = torch.from_numpy(probe.coef_[0]), float(probe.intercept_[0])
        if lm.site_width(site) != len(weight):
            raise SiteMismatch(
                f"The probe has {len(weight)} weights, {site} of {lm.name!r} has "
                f"{lm.site_width(site)} features.",
                hint="Fit the probe on this model, at this site.",
            )
        weight = weight.to(lm.device, torch.promote_types(lm.dtype, torch.float32))
        return cls(site, weight, bias, _READS[probe.pooling])

    def log_p(self, pooled: Float[Tensor, "row d"]) -> Float[Tensor, " row"]:
        """``log p(toxic | x̄)``."""
        return logsigmoid(pooled @ self.weight + self.bias)

    def pool(self, values: Float[Tensor, "row pos d"], mask: Int[Tensor, "row pos"]) -> RunningPool:
        """The pool of the tokens where ``mask`` is one; there may be none."""
        values, padding = values.to(self.weight.dtype), mask.unsqueeze(-1) == 0
        if self.pooling == "mean":
            total = values.masked_fill(padding, 0).sum(1)
        else:  # "last" is replaced by what comes next
            bottom = values.new_full((len(values), 1, values.shape[-1]), -torch.inf)
            total = torch.cat([bottom, values.masked_fill(padding, -torch.inf)], 1).amax(1)
        return RunningPool(self.pooling, total, mask.sum(1, keepdim=True).to(total))


@dataclass(frozen=True, slots=True, eq=False)
class RunningPool:
    """Tokens pooled so far, in memory and time that do not grow with them.

    Attributes:
        pooling: "mean", "max" or "last".
        total: [row d] the sum, the maximum, or the last.
        count: [row 1] tokens.
    """

    pooling: str
    total: Float[Tensor, "row d"]
    count: Float[Tensor, "row 1"]

    def add(self, value: Float[Tensor, "row d"]) -> RunningPool:
        """With one more token a row."""
        value = value.to(self.total.dtype)
        if self.pooling == "mean":
            value = self.total + value
        elif self.pooling == "max":
            value = torch.maximum(self.total, value)
        return replace(self, total=value, count=self.count + 1)

    def take(self, rows: Bool[Tensor, " row"]) -> RunningPool:
        """Some of the rows."""
        return replace(self, total=self.total[rows], count=self.count[rows])

    @property
    def pooled(self) -> Float[Tensor, "row d"]:
        """x̄."""
        return self.total / self.count if self.pooling == "mean" else self.total


class Tap:
    """Reads a site of the last position with its gradient, which `LanguageModel.capture` drops.

    Attributes:
        value: [row d] of the latest forward pass.
    """

    def __init__(self, lm: LanguageModel, site: Site) -> None:
        self.site = site
        self._point = lm.anatomy.hook_point(site)
        self._copy = lm.anatomy.reuses_memory
        self._entered: Tensor | None = None
        self._value: Tensor | None = None

    @property
    def value(self) -> Float[Tensor, "row d"]:
        if self._value is None:
            raise ModelError(f"No tensor passed at {self.site}.")
        value, self._value = self._value, None
        return value

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hooks are on inside this context and always off after it."""
        point, handles = self._point, []
        try:
            if point.where == "input" or point.delta:
                hook = point.module.register_forward_pre_hook(self._before, with_kwargs=True)
                handles.append(hook)
            if point.where == "output":
                handles.append(point.module.register_forward_hook(self._after))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _before(self, _: nn.Module, args: Any, kwargs: Any) -> None:
        value = first_tensor((args, kwargs))
        if self._point.delta:
            self._entered = None if value is None else value.clone()
        else:
            self._keep(value)

    def _after(self, _: nn.Module, args: Any, output: Any) -> None:
        value = first_tensor(output)
        if self._point.delta and value is not None and self._entered is not None:
            value = value - self._entered
        self._keep(value)

    def _keep(self, passing: Tensor | None) -> None:
        if passing is None:
            return
        # Some models flatten rows and positions: only single tokens pass, so a row is a row.
        value = passing if self._point.delta else self._point.read(passing)
        value = value.reshape(-1, value.shape[-1])
        self._value = value.clone() if self._copy else value
