"""What every attention head adds along a direction or to a token, on both sides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from rich.table import Table
from torch import Tensor

from bezoar.compare.models.passes import checked_prompts
from bezoar.compare.models.shown import ROWS, p_value, signed
from bezoar.compare.models.side import Side, sides_of
from bezoar.edits import Edit
from bezoar.errors import UnsupportedAnatomy
from bezoar.locate import Direction
from bezoar.locate.last_tokens import batches_of, encode_for, last_values
from bezoar.locate.norm import Norm
from bezoar.locate.token_ids import TokenIds, checked_ids
from bezoar.locate.values import check_width
from bezoar.locate.vocabulary import needs_unembedding, quoted
from bezoar.models import LanguageModel, Site
from bezoar.models.linear import bias_of, out_in_weight
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import (
    bootstrap_samples,
    mean_interval,
    paired_difference,
    percentile_bounds,
)
from bezoar.stats.comparisons import benjamini_hochberg
from bezoar.stats.intervals import Interval
from bezoar.stats.nulls import sign_flip_p_values

Reader = Callable[[dict[Site, Tensor]], Float[Tensor, "rows d_model"]]


@dataclass(frozen=True, slots=True)
class HeadChange(Result):
    """What one head adds, on both sides.

    Attributes:
        layer, head: which.
        base, edited: mean over prompts.
        change: edited minus base, paired by prompt.
        p: of no change, two-sided: how often prompts with flipped signs change as much. Of n
            prompts it is 2 / 2ⁿ or more, so that few prompts show no change.
        adjusted_p: after Benjamini and Hochberg, over all heads.
    """

    layer: int
    head: int
    base: float
    edited: float
    change: Interval
    p: float
    adjusted_p: float


@dataclass(frozen=True, slots=True)
class AttentionChange(Result):
    """One attention: its output as measured, and what is not of its heads.

    Attributes:
        layer: which.
        base, edited: ``attn_out`` along the direction, or its part of the logit.
        change: paired by prompt.
        base_bias, edited_bias: what biases add.
        base_rest, edited_rest: what neither heads nor biases explain (an edit of the output).
    """

    layer: int
    base: Interval
    edited: Interval
    change: Interval
    base_bias: float
    edited_bias: float
    base_rest: float
    edited_rest: float


@dataclass(frozen=True, slots=True, repr=False)
class HeadContributions(Result):
    """What every attention head adds, base against edited, at the last token of each prompt.

    Attributes:
        base_name, edited_name: of the models.
        target: name of the direction, or the tokens.
        logit: whether it is the part of a logit (the final norm's scale as it was on each side).
        heads: layer by layer.
        attentions: by layer; heads, bias and rest sum to them.
        prompts_n: how many prompts.
    """

    base_name: str
    edited_name: str
    target: str
    logit: bool
    heads: tuple[HeadChange, ...]
    attentions: tuple[AttentionChange, ...]
    prompts_n: int

    def changed(self, level: float = 0.05) -> tuple[HeadChange, ...]:
        """The heads that changed, at a false discovery rate, largest change first."""
        found = [h for h in self.heads if h.adjusted_p <= level]
        return tuple(sorted(found, key=lambda h: -abs(h.change.value)))

    def __rich__(self) -> Table:
        title = (
            f"heads along {self.target}: {len(self.changed())} of {len(self.heads)} changed "
            f"(false discovery rate 5 %, {self.prompts_n} prompts)"
        )
        table = Table("head", self.base_name, self.edited_name, "change", "p adjusted", title=title)
        largest = sorted(self.heads, key=lambda h: -abs(h.change.value))[:ROWS]
        for h in largest:
            values = f"{h.base:.3f}", f"{h.edited:.3f}", signed(h.change), p_value(h.adjusted_p)
            table.add_row(f"{h.layer}.{h.head}", *values)
        return table


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Per prompt: heads [prompts heads]; per layer: attn_out, biases [prompts layers]."""

    heads: Float64[np.ndarray, "prompts heads"]
    out: Float64[np.ndarray, "prompts layers"]
    bias: Float64[np.ndarray, "prompts layers"]


@torch.no_grad()
def head_contributions(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    target: Direction | TokenIds,
    *,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> HeadContributions:
    """Project what each head writes, ``z_h W_O,h``, on a direction or the logit of tokens.

    With grouped queries every query head counts for itself: z and W_O are of query heads. A norm
    between attention and the stream is taken with the scale it had, as in `contributions`.

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        prompts: texts, each read at its last token.
        target: a direction, or tokens whose mean logit is attributed.
        budget_tokens: padded tokens of a batch.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.
        seed: of the bootstrap and the flips of sign, over prompts.
        progress: where to show it.

    Raises:
        SiteError: if what mixes positions is not made of heads.
        UnsupportedAnatomy: for a post-LN model, or a token target without an unembedding.
        ConfigError: for a token that the vocabulary does not have, or ``max_tokens`` below 1.
        DataError: if there are fewer than two prompts, or the direction has another width.
        ModelError: if the models differ in shape or tokenizer.
    """
    encoded = encode_for(base, checked_prompts(prompts), max_tokens)
    if base.anatomy.post_ln:
        raise UnsupportedAnatomy(
            f"The residual stream of {base.name} is normed after every component (post-LN), so "
            "what a head wrote is not what arrives.",
            hint="Use residual_shift, which reads whole states.",
        )
    if isinstance(target, Direction):
        check_width(base, target.vector, target.name)
        name = target.name
    else:
        target = checked_ids(base, target)
        name = " ".join(quoted(token) for token in base.token_strings(target[:5]))
    base.sites(("z",))
    sides = sides_of(base, edited)
    before, after = (_seen(side, encoded, target, budget_tokens, progress) for side in sides)
    return HeadContributions(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        target=name,
        logit=not isinstance(target, Direction),
        heads=_heads(base, before.heads, after.heads, seed),
        attentions=_attentions(base, before, after, seed),
        prompts_n=len(encoded),
    )


def _seen(
    side: Side,
    encoded: Sequence[list[int]],
    target: Direction | list[int],
    budget_tokens: int,
    progress: Progress | None,
) -> _Seen:
    with side.opened() as lm:
        reader = _reader(lm, target)
        layers = range(lm.n_layers)
        counts = [_n_heads(lm, layer) for layer in layers]
        heads = np.empty((len(encoded), sum(counts)))
        out, bias = (np.empty((len(encoded), lm.n_layers)) for _ in range(2))
        sites = [*lm.sites(("z", "attn_out")), Site(lm.n_layers - 1, "resid_post")]
        batches = list(batches_of(encoded, budget_tokens))
        for rows in track(progress, batches, "Reading heads", unit="batches"):
            values = last_values(lm, [encoded[i] for i in rows], sites)
            read = reader(values)
            for layer in layers:
                parts = _layer(lm, layer, values, read)
                start = sum(counts[:layer])
                heads[rows, start : start + counts[layer]] = parts[0].double().cpu()
                out[rows, layer] = parts[1].double().cpu()
                bias[rows, layer] = parts[2].double().cpu()
    return _Seen(heads, out, bias)


def _layer(
    lm: LanguageModel, layer: int, values: dict[Site, Tensor], read: Float[Tensor, "rows d_model"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Heads [rows heads], the measured output [rows], and the biases [rows]."""
    parts = lm.anatomy[layer]
    projection = parts.part("attn_out_proj")
    weight, offset = out_in_weight(projection).float(), bias_of(projection)
    z = values[Site(layer, "z")].float()
    out = values[Site(layer, "attn_out")].float()
    pulled, fixed = parts.attn_factor * read, torch.zeros_like(read[:, 0])
    if parts.attn_post_norm is not None:
        norm = Norm.of(parts.attn_post_norm, read[0])
        raw = z @ weight.T + (0 if offset is None else offset.float())
        fixed = pulled @ norm.bias
        pulled = norm.pull_back(pulled) / norm.scale(raw)
    if offset is not None:
        fixed = fixed + pulled @ offset.float()
    written = z * (pulled @ weight)
    heads = written.unflatten(-1, (_n_heads(lm, layer), -1)).sum(-1)
    return heads, (out * read).sum(-1), fixed


def _n_heads(lm: LanguageModel, layer: int) -> int:
    return lm.anatomy[layer].d_z // lm.d_head


def _reader(lm: LanguageModel, target: Direction | list[int]) -> Reader:
    """What is multiplied with a component's output, at each row."""
    if isinstance(target, Direction):
        unit = target.vector.to(lm.device, torch.float32)
        return lambda values: unit.expand(len(next(iter(values.values()))), -1)
    reader = lm.anatomy.logit_scale * needs_unembedding(lm)[target].float().mean(dim=0)
    norm = Norm.of(lm.anatomy.final_norm, reader)
    final = Site(lm.n_layers - 1, "resid_post")

    def read(values: dict[Site, Tensor]) -> Float[Tensor, "rows d_model"]:
        return norm.pull_back(reader) / norm.scale(values[final])

    return read


def _heads(
    lm: LanguageModel,
    before: Float64[np.ndarray, "prompts heads"],
    after: Float64[np.ndarray, "prompts heads"],
    seed: int,
) -> tuple[HeadChange, ...]:
    change = after - before
    drawn = bootstrap_samples(lambda counts: counts @ change / len(change), len(change), seed=seed)
    p = sign_flip_p_values(change, seed=seed)
    adjusted = benjamini_hochberg(p)
    places = [(layer, h) for layer in range(lm.n_layers) for h in range(_n_heads(lm, layer))]
    found = []
    for i, (layer, head) in enumerate(places):
        low, high = percentile_bounds(drawn[:, i], 0.95)
        interval = Interval(float(change[:, i].mean()), low, high)
        means = float(before[:, i].mean()), float(after[:, i].mean())
        found.append(HeadChange(layer, head, *means, interval, float(p[i]), float(adjusted[i])))
    return tuple(found)


def _attentions(
    lm: LanguageModel, before: _Seen, after: _Seen, seed: int
) -> tuple[AttentionChange, ...]:
    ends = np.cumsum([_n_heads(lm, layer) for layer in range(lm.n_layers)])
    found = []
    for layer, end in enumerate(ends.tolist()):
        start = end - _n_heads(lm, layer)
        rests, biases = [], []
        for seen in (before, after):
            biases.append(float(seen.bias[:, layer].mean()))
            heads = float(seen.heads[:, start:end].sum(axis=1).mean())
            rests.append(float(seen.out[:, layer].mean()) - heads - biases[-1])
        a, b = before.out[:, layer], after.out[:, layer]
        means = mean_interval(a, seed=seed), mean_interval(b, seed=seed)
        change = paired_difference(b, a, seed=seed)
        found.append(AttentionChange(layer, *means, change, *biases, *rests))
    return tuple(found)
