"""The settings of PPLM, as printed in Lee et al. 2024, Table 6."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from bezoar.errors import ConfigError
from bezoar.models import Decoding


@dataclass(frozen=True, slots=True)
class PPLM:
    """Settings of PPLM; the defaults are those of Lee et al. 2024, Table 6.

    Attributes:
        length: new tokens, at most (20, as the paper evaluates; the table is silent).
        step_size: of each iteration, in units of the normalised gradient (Table 6: 0.4).
        temperature: divides the logits that are drawn from (Table 6: 1).
        top_k: draw from so many likeliest tokens; 0 for all, 1 is greedy (Table 6: 10).
        iterations: steps on the past at each new token (Table 6: 50).
        window: perturb so many latest tokens of the past; 0 for all (Table 6: 0).
        horizon: tokens ahead, each read as its expected embedding, whose states count in x̄
            (Table 6: 1).
        decay: let the perturbation fall linearly with the age of a token in the window
            (Table 6: off).
        gamma: exponent γ of the gradient's norm, one norm a layer and text (Table 6: 1).
        gm_scale: share of the perturbed distribution in the geometric mean (Table 6: 0.95).
        kl_scale: weight of KL(p_pert ‖ p_unpert) (Table 6: 0.1).
        mode: ``"correct"`` is the gradient of the formula, which is the paper's (``"paper"``): x̄
            holds the present state and the state ahead, both over the perturbed past. ``"code"``
            does as the authors' released program: the present state passes no gradient, the state
            ahead stands on the unperturbed past, each state ahead reads the same expectation, and a
            window lies at the beginning of the text instead of its end.

    Raises:
        ConfigError: if a value is out of range, or ``decay`` has no window to fall over.
    """

    length: int = 20
    step_size: float = 0.4
    temperature: float = 1.0
    top_k: int = 10
    iterations: int = 50
    window: int = 0
    horizon: int = 1
    decay: bool = False
    gamma: float = 1.0
    gm_scale: float = 0.95
    kl_scale: float = 0.1
    mode: Literal["correct", "paper", "code"] = "correct"

    def __post_init__(self) -> None:
        checks = {
            "length": self.length >= 1,
            "step_size": math.isfinite(self.step_size) and self.step_size >= 0,
            "temperature": self.temperature > 0,
            "top_k": self.top_k >= 0,
            "iterations": self.iterations >= 0,
            "window": self.window >= 0,
            "horizon": self.horizon >= 0,
            "gamma": math.isfinite(self.gamma),
            "gm_scale": 0 <= self.gm_scale <= 1,
            "kl_scale": math.isfinite(self.kl_scale) and self.kl_scale >= 0,
            "mode": self.mode in ("correct", "paper", "code"),
        }
        for name, ok in checks.items():
            if not ok:
                raise ConfigError(f"PPLM cannot have {name}={getattr(self, name)!r}.")
        if self.decay and not self.window:
            raise ConfigError(
                "decay lets the perturbation fall over a window, and window is 0.",
                hint="Set window to a number of tokens, or decay=False.",
            )

    def decoding(self, seed: int = 0) -> Decoding:
        """How tokens are drawn: as `bezoar.models.generate` does, with the same random streams."""
        return Decoding(
            self.length, sample=True, top_k=self.top_k, temperature=self.temperature, seed=seed
        )
