"""Pairs by steering: add a direction for the rejected side, subtract it for the chosen one.

PPLM takes gradient steps through the cache at every token. Where the behaviour is a direction of
the residual stream, adding a multiple of it does the same work in the forward pass itself, and both
signs of all prompts are rows of the same batches: x ← x ± α · r · d, with d the unit direction and
r the mean norm of the residual stream there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from bezoar.corpus.rows import Origin
from bezoar.corpus.table import counted
from bezoar.edits import ActivationEdit, At, Op, stream_site
from bezoar.edits.activation import Positions
from bezoar.errors import ConfigError, DataError, several
from bezoar.locate import Direction
from bezoar.models import Decoding, LanguageModel, Site, generate
from bezoar.pairs.check import clean_pairs
from bezoar.pairs.pairs import Pairs
from bezoar.runs.progress import Progress

ALPHA = 0.4
"""The default strength: so much of the mean residual norm is added, and subtracted."""

FURTHEST = 10.0
"""The largest strength: the shift is then ten times as long as what it is added to, and of the
prompt a norm leaves a tenth; beyond it both sides are noise that no rule of pairs would find."""

MEASURED = 256
"""Prompts on which the mean norm is measured: the first ones."""

STEERED = Decoding(max_new_tokens=20, sample=True, top_p=0.9)
"""The default decoding: small models, steered and greedy, go in circles."""


class _Signs:
    """The sign of each prompt of the batch under way."""

    def __init__(self, signs: Sequence[float]) -> None:
        self._all = torch.tensor(signs, dtype=torch.float32)
        self.now = self._all[:0]

    def of(self, prompts: Sequence[int]) -> None:
        self.now = self._all[list(prompts)]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class _SignedAdd(Op):
    """x ↦ x + sign · vector, with the sign of the prompt that a row continues.

    Rows of one prompt are neighbours, in every layout in which activations come: [prompt × sample
    pos d], their last tokens [prompt × sample d], or all tokens below one another.
    """

    tag: ClassVar[str] = "signed add"
    vector: Float[Tensor, " d"]
    signs: _Signs

    @property
    def width(self) -> int:
        return self.vector.shape[0]

    def apply(self, x: Float[Tensor, "*rows d"]) -> Float[Tensor, "*rows d"]:
        signs = self.signs.now.to(x.device, x.dtype)
        shift = signs[:, None, None] * self.vector
        return (x.reshape(len(signs), -1, self.width) + shift).reshape(x.shape)


def steered_pairs(
    lm: LanguageModel,
    prompts: Sequence[str],
    direction: Direction,
    *,
    alpha: float = ALPHA,
    layers: Iterable[int] | None = None,
    decoding: Decoding = STEERED,
    positions: Positions = "all",
    max_prompt_tokens: int | None = None,
    batch_tokens: int = 16384,
    norms: Mapping[Site, float] | None = None,
    name: str = "steered",
    progress: Progress | None = None,
) -> Pairs:
    """Continue every prompt twice, towards a direction (rejected) and away from it (chosen).

    Both sides draw from the same random numbers, so that they differ by the steering alone. A
    pair does not depend on the other prompts, nor on the size of the batches. Pairs with equal or
    empty sides and repeats are dropped, and counted in ``origin.left_out``. So are those of prompts
    that are too long ("long prompt"): the model would read a part of one, and the pair would hold a
    prompt that its sides do not continue.

    Args:
        lm: the model.
        prompts: what to continue; text that nothing is reported on.
        direction: towards the behaviour. That of a `MeanDifferenceProbe` steers far better than
            the weights of a logistic one, which tell classes apart but need not cause them.
        alpha: length of the shift, in units of the mean norm of the residual stream at the site
            (first tokens left out: many models park a huge norm there). Negative: sides swap.
        layers: steer at the direction's point of these layers; None for its own site alone.
        decoding: greedy or sampled; several samples of a prompt give several pairs.
        positions: "all", or "last": the last prompt token and every new one.
        max_prompt_tokens: leave out prompts with more tokens; in any case those that leave no room
            in the model's context for the new ones.
        batch_tokens: padded tokens a batch, new ones included.
        norms: r at each site; measured on the prompts that are continued (`mean_norms`) if None.
            Give those of the whole where prompts are continued in several calls.
        name: of the pairs.
        progress: where to show it.

    Raises:
        ConfigError: if ``alpha`` is not finite or beyond `FURTHEST`, or the context leaves no room
            for any prompt.
        DataError: if there is no prompt, or none that is short enough, or no pair with two
            different sides.
        SiteError, EditError: if the direction cannot be added there.
    """
    prompts = several(prompts, "prompts")
    if not prompts:
        raise DataError("There is no prompt to continue.", hint="Give at least one.")
    if not alpha - alpha == 0:
        raise ConfigError(f"alpha={alpha} is no length.", hint="Give a number such as 0.4.")
    if abs(alpha) > FURTHEST:
        raise ConfigError(
            f"alpha={alpha:g} is not between -{FURTHEST:g} and {FURTHEST:g}: so long a shift "
            "leaves nothing of the prompt, and both sides would be noise.",
            hint=f"Give a number such as {ALPHA}; above 1 the shift is longer than the stream.",
        )
    sites = _sites(lm, direction, layers)
    given, prompts = len(prompts), _fitting(lm, prompts, decoding, max_prompt_tokens)
    too_long = (given - len(prompts)) * decoding.samples
    longer = f"alpha is {alpha:g}: the shift is longer than the stream that it is added to"
    if norms is None:
        norms = mean_norms(lm, prompts, sites, batch_tokens=batch_tokens)
    # Both sides of a prompt are neighbours, of one length, and so of one batch.
    signs = _Signs([sign for _ in prompts for sign in (-1.0, 1.0)])
    ops = (
        At(site, _SignedAdd(alpha * norms[site] * direction.vector, signs), positions)
        for site in sites
    )
    with ActivationEdit(tuple(ops), name="steering").applied_to(lm):
        written = generate(
            lm,
            [prompt for prompt in prompts for _ in range(2)],
            decoding,
            batch_tokens=batch_tokens,
            on_batch=signs.of,
            progress=progress,
        ).texts()
    made = Pairs(
        tuple(prompt for prompt in prompts for _ in range(decoding.samples)),
        tuple(text for texts in written[0::2] for text in texts),
        tuple(text for texts in written[1::2] for text in texts),
        name=name,
        origin=Origin("steered", rows=given * decoding.samples).without(
            {"long prompt": too_long}, longer if abs(alpha) > 1 else ""
        ),
        provenance={
            "how": "steered",
            "model": {"name": lm.name, "fingerprint": lm.fingerprint},
            "direction": _about(direction),
            "alpha": alpha,
            "sites": {str(site): norms[site] for site in sites},
            "positions": positions,
            "max_prompt_tokens": max_prompt_tokens,
            "decoding": dataclasses.asdict(decoding),
        },
    )
    return clean_pairs(made, leaked="keep")[0]


def mean_norms(
    lm: LanguageModel,
    prompts: Sequence[str],
    sites: Iterable[Site],
    *,
    batch_tokens: int = 16384,
) -> dict[Site, float]:
    """Mean norm of the residual stream at each site, over the tokens of the first prompts.

    A site that writes to the stream stands for the stream it writes to. The first token of a
    prompt is left out where another one follows.

    Args:
        lm: the model.
        prompts: the first `MEASURED` of them are read.
        sites: where.
        batch_tokens: padded tokens a batch.
    """
    read_at = {site: stream_site(lm, site) for site in sites}
    sums = dict.fromkeys(read_at.values(), 0.0)
    ids = [row[: lm.context] or [lm.start_id] for row in lm.encode(prompts[:MEASURED])]
    ids.sort(key=len)
    tokens = 0
    while ids:
        rows = max(1, batch_tokens // len(ids[-1]))
        batch = lm.batch(ids[-rows:])
        del ids[-rows:]
        mask = batch.mask.clone()
        mask[:, 0] &= batch.lengths == 1
        tokens += int(mask.sum())
        for site, value in lm.capture(batch, sums).items():
            sums[site] += float(value[mask.to(value.device)].double().norm(dim=-1).sum())
    return {site: sums[stream] / tokens for site, stream in read_at.items()}


def _fitting(
    lm: LanguageModel, prompts: Sequence[str], decoding: Decoding, limit: int | None
) -> list[str]:
    """The prompts that are read whole.

    Raises:
        DataError: if there is none.
    """
    room = lm.context - decoding.max_new_tokens
    if room < 1:
        return [*prompts]  # to generate says so
    most = room if limit is None else min(limit, room)
    lengths = [len(row) for row in lm.encode(prompts)]
    left = [text for text, length in zip(prompts, lengths, strict=True) if length <= most]
    if not left:
        raise DataError(
            f"The shortest of {counted(len(prompts), 'prompt')} has {min(lengths)} tokens, and "
            f"{most} is the most: the model's context of {lm.context} leaves room for {room} "
            f"beside {decoding.max_new_tokens} new ones.",
            hint="Shorten the prompts, or lower max_new_tokens.",
        )
    return left


def _sites(lm: LanguageModel, direction: Direction, layers: Iterable[int] | None) -> list[Site]:
    if layers is None:
        return [lm.site(direction.site)]
    sites = [lm.site(Site(layer, direction.site.point)) for layer in layers]
    if not sites:
        raise ConfigError("No layer was named.", hint="Leave layers out for the direction's own.")
    return list(dict.fromkeys(sites))


def _about(direction: Direction) -> dict[str, Any]:
    return {
        "name": direction.name,
        "site": str(direction.site),
        "pooling": direction.pooling,
        "trained_on": direction.trained_on,
    }
