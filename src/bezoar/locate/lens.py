"""The logit lens: what each state of the residual stream would say, were it the last.

Lee et al. 2024, Figure 1: at the last position of each prompt, the states before and after every
attention and MLP pass through the final norm and the unembedding; the probability of a chosen
token rises where the model decides on it, and the step at which it rises names the component.

Two lenses are in use and give different curves. ``default`` lets every state have its own norm
statistics. ``frozen_scale`` divides all of them by the scale of the final state (TransformerLens
1.12, hence the paper's figure); with the norm's bias both end exactly at the model's own
distribution, and the reference, which leaves the bias out (``include_bias=False``), does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.locate.last_tokens import batches_of, encode_for, last_values, over_prompts
from bezoar.locate.lens_results import LensIncrement, LensMap, LensResult
from bezoar.locate.norm import Norm
from bezoar.locate.token_ids import TokenIds, checked_ids
from bezoar.locate.vocabulary import needs_unembedding
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track

Mode = Literal["default", "frozen_scale"]
MODES = ("default", "frozen_scale")

_LOGITS = 2**24  # logits held at a time


class Lens:
    """Reads residual states as distributions over the vocabulary.

    Args:
        lm: the model; its logits processors do not act on the lens.
        mode: "default" or "frozen_scale".
        include_bias: False leaves out the norm's and the unembedding's bias, as the reference's
            frozen-scale figure did.

    Raises:
        ConfigError: for an unknown mode, or ``include_bias=False`` in the default mode.
        UnsupportedAnatomy: if the model has no unembedding, or its norm cannot be frozen.
    """

    def __init__(
        self, lm: LanguageModel, mode: Mode = "default", *, include_bias: bool = True
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"mode={mode!r} is not known.", hint=did_you_mean(mode, MODES))
        if mode == "default" and not include_bias:
            raise ConfigError(
                "The default lens applies the norm as it is, bias included.",
                hint="Use mode='frozen_scale' with include_bias=False.",
            )
        self.lm = lm
        self.mode = mode
        self.include_bias = include_bias
        needs_unembedding(lm)
        like = torch.zeros(lm.d_model, dtype=lm.dtype, device=lm.device)
        self._norm = Norm.of(lm.anatomy.final_norm, like) if mode == "frozen_scale" else None

    @torch.no_grad()
    def logits(
        self, states: Float[Tensor, "*rows d_model"], final: Float[Tensor, "*rows d_model"]
    ) -> Float[Tensor, "*rows d_vocab"]:
        """Logits of residual states, soft-capped if the model's are.

        Args:
            states: residual states.
            final: the last block's output in the same rows; its scale is the frozen one.
        """
        if self._norm is None:
            return self.lm.unembed(self.lm.final_norm(states))
        normed = self._norm.frozen(states, self._norm.scale(final))
        if self.include_bias:
            return self.lm.unembed(normed.to(states.dtype))
        logits = self.lm.unembed((normed - self._norm.bias).to(states.dtype))
        if self.lm.b_U is None:
            return logits
        return logits - self.lm.anatomy.logit_scale * self.lm.b_U

    def blocks(
        self, states: Float[Tensor, "rows d_model"], final: Float[Tensor, "rows d_model"]
    ) -> Iterator[Float[Tensor, "block d_vocab"]]:
        """`logits` in float32 for a few rows at a time, so that a large vocabulary fits."""
        step = max(1, _LOGITS // self.lm.d_vocab)
        for some, end in zip(states.split(step), final.split(step), strict=True):
            yield self.logits(some, end).float()


def lens_sites(lm: LanguageModel, *, mid: bool = True) -> list[Site]:
    """The states of a lens: L+1, or 2L+1 with those between attention and MLP.

    Blocks whose attention and MLP run in parallel have no state between them.
    """
    points = ["resid_pre"]
    if mid and not lm.anatomy.parallel:
        points.append("resid_mid")
    return [*lm.sites(points), Site(lm.n_layers - 1, "resid_post")]


@torch.no_grad()
def logit_lens(
    lm: LanguageModel,
    prompts: Sequence[str],
    token_ids: TokenIds,
    mode: Mode = "default",
    *,
    include_bias: bool = True,
    mid: bool = True,
    example: int | None = 0,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LensResult:
    """Probability and rank of a set of tokens at the last position, state by state.

    Args:
        lm: the model (an edit applied to it is seen).
        prompts: texts; each is read at its last token.
        token_ids: the tokens whose probabilities are summed.
        mode, include_bias: see `Lens`.
        mid: with the states between attention and MLP, where the model has them.
        example: prompt whose top tokens at every position and state are kept; None for none.
        budget_tokens: padded tokens of a batch.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.
        seed: of the bootstrap over prompts.
        progress: where to show it.

    Raises:
        ConfigError: for an unknown mode, a token that the vocabulary does not have, or
            ``max_tokens`` below 1.
        DataError: if there is no prompt, or the example is none of them.
    """
    ids = checked_ids(lm, token_ids)
    if not prompts or (example is not None and not 0 <= example < len(prompts)):
        raise DataError(
            f"{len(prompts)} prompts, and example {example}.", hint="Give prompts, and one of them."
        )
    lens, sites = Lens(lm, mode, include_bias=include_bias), lens_sites(lm, mid=mid)
    encoded = encode_for(lm, prompts, max_tokens)
    probability, rank = _read(lens, sites, encoded, ids, budget_tokens, progress)
    return LensResult(
        states=tuple(str(site) for site in sites),
        probability=tuple(over_prompts(column, seed) for column in probability.T),
        rank=tuple(np.median(rank, axis=0).tolist()),
        increments=_increments(sites, probability, seed),
        token_ids=tuple(ids),
        tokens=tuple(lm.token_strings(ids)),
        mode=mode,
        include_bias=include_bias,
        prompts_n=len(prompts),
        example=None if example is None else _map(lm, lens, sites, encoded[example]),
    )


def _read(
    lens: Lens,
    sites: Sequence[Site],
    encoded: Sequence[list[int]],
    ids: list[int],
    budget_tokens: int,
    progress: Progress | None,
) -> tuple[Float[np.ndarray, "prompts states"], Float[np.ndarray, "prompts states"]]:
    """Probability of the set, and rank of its best token, of each prompt at each state."""
    probability = np.empty((len(encoded), len(sites)))
    rank = np.empty((len(encoded), len(sites)))
    batches = list(batches_of(encoded, budget_tokens))
    for rows in track(progress, batches, "Logit lens", unit="batches"):
        values = last_values(lens.lm, [encoded[i] for i in rows], sites)
        final = values[sites[-1]]
        for state, site in enumerate(sites):
            parts = [_of_set(logits, ids) for logits in lens.blocks(values[site], final)]
            probability[rows, state] = torch.cat([p for p, _ in parts]).cpu()
            rank[rows, state] = torch.cat([r for _, r in parts]).cpu()
    return probability, rank


@torch.no_grad()
def likeliest_prompts(
    lm: LanguageModel,
    prompts: Sequence[str],
    token_ids: TokenIds,
    top: int = 64,
    *,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
) -> list[int]:
    """The prompts after which the tokens are likeliest, likeliest first (ties: earlier first).

    The paper keeps the prompts whose greedy next token is the one in question; a small model may
    have none of them.

    Args:
        lm: the model.
        prompts: texts, each read at its last token.
        token_ids: the tokens whose probabilities are summed.
        top: how many prompts.
        budget_tokens, max_tokens: as in `logit_lens`.

    Returns:
        Their numbers in ``prompts``.

    Raises:
        ConfigError: for a token that the vocabulary does not have, or ``max_tokens`` below 1.
        DataError: if there is no prompt.
        UnsupportedAnatomy: if the model has no unembedding.
    """
    ids = checked_ids(lm, token_ids)
    encoded = encode_for(lm, prompts, max_tokens)
    final = Site(lm.n_layers - 1, "resid_post")
    lens = Lens(lm)
    score = np.empty(len(prompts))
    for rows in batches_of(encoded, budget_tokens):
        states = last_values(lm, [encoded[i] for i in rows], [final])[final]
        parts = [_of_set(logits, ids)[0] for logits in lens.blocks(states, states)]
        score[rows] = torch.cat(parts).cpu()
    return np.argsort(-score, kind="stable")[:top].tolist()


def _of_set(logits: Float[Tensor, "rows d_vocab"], ids: list[int]) -> tuple[Tensor, Tensor]:
    """Probability of a set of tokens, and the rank of its best one (1 = top), by row."""
    best = logits[:, ids].max(-1, keepdim=True).values
    return logits.softmax(-1)[:, ids].sum(-1), 1 + (logits > best).sum(-1)


def _increments(
    sites: Sequence[Site], probability: Float[np.ndarray, "prompts states"], seed: int
) -> tuple[LensIncrement, ...]:
    """The change between consecutive states belongs to the component between them."""
    found = []
    for i, (before, after) in enumerate(pairwise(sites)):
        if after.point == "resid_mid":
            component = f"{before.layer}.attn_out"
        elif before.point == "resid_mid":
            component = f"{before.layer}.mlp_out"
        else:
            component = f"{before.layer}.resid_delta"
        change = over_prompts(probability[:, i + 1] - probability[:, i], seed)
        found.append(LensIncrement(component, change))
    return tuple(found)


def _map(lm: LanguageModel, lens: Lens, sites: Sequence[Site], ids: list[int]) -> LensMap:
    """The top token of each state at each position of one prompt."""
    captured = lm.capture(lm.batch([ids]), sites)
    final = captured[sites[-1]][0]
    tokens, probabilities = [], []
    for site in sites:
        blocks = lens.blocks(captured[site][0], final)
        best = [logits.softmax(-1).max(-1) for logits in blocks]
        top = torch.cat([b.indices for b in best]).tolist()
        tokens.append(tuple(lm.token_strings(top)))
        probabilities.append(tuple(torch.cat([b.values for b in best]).tolist()))
    return LensMap(tuple(lm.token_strings(ids)), tuple(tokens), tuple(probabilities))
