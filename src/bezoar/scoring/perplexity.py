"""Perplexity, by named protocol. The literature's numbers differ by protocol more than by model.

| id | value | used by |
|---|---|---|
| `ppl-windows-W` | exp(Σ NLL / Σ predicted tokens), disjoint windows of W tokens | Lee et al. |
| `ppl-windows-W-code` | exp(Σ_w mean NLL_w · n_w / Σ n_w), n_w − 1 predicted | their code |
| `ppl-sentences-W` | mean over texts of exp(mean NLL), texts cut to W tokens | EigenShift, AurA |
| `ppl-stride-W-S` | exp(mean over windows of mean NLL), windows moved by S | ProFS |
| `ppl-log-W` | Σ NLL / Σ predicted tokens, disjoint windows (nats per token) | Yang et al. |
| `bpb-W` | bits per byte of UTF-8; comparable across tokenizers | |

W is cut to the model's context (and S with it, so that windows overlap by the same share), and the
id says what was used. No token is put in front of a
window, so its first token is not predicted. Every value is g(Σ a_w / Σ b_w) over windows w: that is
what `terms` returns and what a bootstrap by window resamples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, cast

import numpy as np
from jaxtyping import Float

from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.scoring.likelihood import NLL_CEILING, token_nll
from bezoar.stats.bootstrap import bootstrap_samples, percentile_bounds
from bezoar.stats.intervals import Interval

Kind = Literal["windows", "sentences", "stride", "log", "bpb"]
Mode = Literal["correct", "code"]

_ID = re.compile(r"(?:ppl-)?(windows|sentences|stride|log|bpb)-(\d+)(?:-(\d+))?(-code)?")
_EXAMPLES = (
    "ppl-windows-1024",
    "ppl-sentences-128",
    "ppl-stride-1024-512",
    "ppl-log-1024",
    "bpb-1024",
)


@dataclass(frozen=True, slots=True)
class PerplexityProtocol:
    """How perplexity is measured: the table above. Disjoint windows have stride = window."""

    kind: Kind
    window: int
    stride: int
    mode: Mode = "correct"

    @classmethod
    def parse(cls, text: str) -> PerplexityProtocol:
        """Read an id; "windows-1024" is short for "ppl-windows-1024".

        Raises:
            ConfigError: if it is none.
        """
        match = _ID.fullmatch(text)
        kind, window, stride, code = match.groups() if match else ("", "0", None, None)
        wrong = (
            int(window) < 2
            or (stride is not None and kind != "stride")
            or (kind == "stride" and not 0 < int(stride or window) <= int(window))
            or (code and kind != "windows")
        )
        if wrong:
            raise ConfigError(
                f"{text!r} is no perplexity protocol.", hint=did_you_mean(text, _EXAMPLES)
            )
        return cls(
            cast(Kind, kind), int(window), int(stride or window), "code" if code else "correct"
        )

    @property
    def id(self) -> str:
        """The id, with the sizes in it."""
        prefix = "" if self.kind == "bpb" else "ppl-"
        stride = f"-{self.stride}" if self.kind == "stride" else ""
        return f"{prefix}{self.kind}-{self.window}{stride}{'-code' if self.mode == 'code' else ''}"

    def capped(self, context: int) -> PerplexityProtocol:
        """The same with windows that fit the context, overlapping by the same share."""
        window = min(self.window, context)
        stride = max(1, self.stride * window // self.window)
        return replace(self, window=window, stride=stride)


@dataclass(frozen=True, slots=True)
class Windows:
    """Neutral text cut for a protocol: tokenise once, measure many edits.

    Attributes:
        protocol: with the window that was used.
        ids: tokens of each window.
        first: index in its window of the first token that counts (≥ 1).
        tokens_per_byte: of the whole text.
    """

    protocol: PerplexityProtocol
    ids: tuple[tuple[int, ...], ...]
    first: tuple[int, ...]
    tokens_per_byte: float


@dataclass(frozen=True, slots=True)
class PerplexityResult(Result):
    """A perplexity (or its relatives), with the windows it is made of.

    Attributes:
        value: the number that the protocol names.
        tokens: predicted tokens.
        protocol: its id.
        nll: summed NLL of each window, in nats.
        counts: predicted tokens of each window.
        impossible: windows with a token held impossible (counted as 50 nats), as after a word ban.
        tokens_per_byte: of the text.
    """

    value: float
    tokens: int
    protocol: str
    nll: tuple[float, ...]
    counts: tuple[int, ...]
    impossible: int
    tokens_per_byte: float

    def terms(self) -> tuple[np.ndarray, np.ndarray]:
        """a_w and b_w of each window: the value is g(Σ a / Σ b)."""
        return _terms(PerplexityProtocol.parse(self.protocol), self.nll, self.counts)

    def interval(self, resamples: int = 10_000, seed: int = 0) -> Interval:
        """The value with its bootstrap interval over windows; needs at least two."""
        a, b = self.terms()
        sums = np.column_stack([a, b])
        drawn = bootstrap_samples(lambda counts: counts @ sums, len(a), resamples, seed)
        values = _outer(self.protocol, drawn[:, 0] / drawn[:, 1], self.tokens_per_byte)
        return Interval(self.value, *percentile_bounds(values, 0.95))


def plan_windows(
    lm: LanguageModel, texts: str | Sequence[str], protocol: str | PerplexityProtocol
) -> Windows:
    """Tokenise and cut neutral text for a protocol.

    Args:
        texts: one text, or several: joined by blank lines (for ``sentences``: one window each).
        protocol: an id or a protocol.

    Raises:
        ConfigError: if there is no such protocol.
        DataError: if no token is left to predict.
    """
    if isinstance(protocol, str):
        protocol = PerplexityProtocol.parse(protocol)
    protocol = protocol.capped(lm.context)
    listed = [texts] if isinstance(texts, str) else list(texts)
    if protocol.kind == "sentences":
        listed = [text for text in listed if text.strip()]
        cut = [(tuple(ids[: protocol.window]), 1) for ids in (lm.encode(listed) if listed else [])]
    else:
        listed = ["\n\n".join(listed)]
        cut = _slide(lm.encode(listed)[0] if listed[0] else [], protocol)
    kept = [(ids, first) for ids, first in cut if len(ids) > first]
    if not kept:
        raise DataError("The neutral text has no token to predict.", hint="Give more text.")
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in listed)
    tokens = sum(len(ids) - first + (first == 1) for ids, first in kept)
    ids, first = zip(*kept, strict=True)
    return Windows(protocol, ids, first, tokens / size)


def _slide(ids: list[int], protocol: PerplexityProtocol) -> list[tuple[tuple[int, ...], int]]:
    """Windows moved by the stride; in each, only tokens past the previous window's end count."""
    windows = []
    done = 0
    for start in range(0, len(ids), protocol.stride):
        end = min(start + protocol.window, len(ids))
        windows.append((tuple(ids[start:end]), max(1, done - start)))
        done = end
        if end == len(ids):
            break
    return windows


def perplexity(
    lm: LanguageModel,
    texts: str | Sequence[str] | Windows,
    protocol: str = "ppl-windows-1024",
) -> PerplexityResult:
    """Perplexity of a model (inside ``edit.applied_to(lm)``: of the edited model).

    Args:
        texts: neutral text, or what `plan_windows` made of it (then ``protocol`` is the plan's).
        protocol: an id of the table above.

    Raises:
        ConfigError: if there is no such protocol.
        DataError: if no token is left to predict.
    """
    plan = texts if isinstance(texts, Windows) else plan_windows(lm, texts, protocol)
    return summarise(plan, token_nll(lm, plan.ids))


def summarise(plan: Windows, nll: Sequence[Float[np.ndarray, " _pos"]]) -> PerplexityResult:
    """The perplexity of windows from the −ln p of their tokens (see `token_nll`)."""
    scored = [row[first - 1 :] for row, first in zip(nll, plan.first, strict=True)]
    sums = tuple(float(row.sum()) for row in scored)
    counts = tuple(len(row) for row in scored)
    a, b = _terms(plan.protocol, sums, counts)
    value = _outer(plan.protocol.id, np.array([a.sum() / b.sum()]), plan.tokens_per_byte)
    return PerplexityResult(
        value=float(value[0]),
        tokens=sum(counts),
        protocol=plan.protocol.id,
        nll=sums,
        counts=counts,
        impossible=sum(bool((row >= NLL_CEILING).any()) for row in scored),
        tokens_per_byte=plan.tokens_per_byte,
    )


def relative_perplexity(
    edited: PerplexityResult, base: PerplexityResult, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """edited / base with its interval, paired by window: 1.05 is "+5 %".

    Raises:
        DataError: if the two were not measured on the same windows by the same protocol.
    """
    drawn = paired_samples(edited, base, resamples, seed)
    ratio = drawn[:, 0] / drawn[:, 1]
    return Interval(edited.value / base.value, *percentile_bounds(ratio, 0.95))


def paired_samples(
    edited: PerplexityResult, base: PerplexityResult, resamples: int = 10_000, seed: int = 0
) -> Float[np.ndarray, "resamples 2"]:
    """Both perplexities under the same resamples of windows; errors as `relative_perplexity`."""
    if edited.protocol != base.protocol or edited.counts != base.counts:
        raise DataError(
            f"{edited.protocol} on {edited.tokens} tokens cannot be compared with"
            f" {base.protocol} on {base.tokens}.",
            hint="Measure both on the same text by the same protocol.",
        )
    (a, b), (a0, b0) = edited.terms(), base.terms()
    sums = np.column_stack([a, b, a0, b0])

    def values(counts: np.ndarray) -> np.ndarray:
        totals = counts @ sums
        means = totals[:, [0, 2]] / totals[:, [1, 3]]
        return _outer(edited.protocol, means, edited.tokens_per_byte)

    return bootstrap_samples(values, len(a), resamples, seed)


def _terms(
    protocol: PerplexityProtocol, nll: Sequence[float], counts: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    total, n = np.array(nll), np.array(counts, dtype=np.float64)
    if protocol.kind == "sentences":
        return np.exp(total / n), np.ones_like(n)
    if protocol.kind == "stride":
        return total / n, np.ones_like(n)
    if protocol.mode == "code":  # n tokens predicted in a window of n + 1, and weighted by n + 1
        return total / n * (n + 1), n + 1
    return total, n


def _outer(protocol: str, mean: np.ndarray, tokens_per_byte: float) -> np.ndarray:
    kind = PerplexityProtocol.parse(protocol).kind
    if kind in ("windows", "stride"):
        return np.exp(mean)
    return mean * tokens_per_byte / math.log(2) if kind == "bpb" else mean
