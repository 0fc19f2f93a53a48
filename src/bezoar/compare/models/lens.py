"""The logit lens on both sides: at which state the edited model leaves its base (figure 1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float64
from rich.table import Table

from bezoar.compare.models.passes import checked_prompts
from bezoar.compare.models.shown import signed
from bezoar.compare.models.side import sides_of
from bezoar.edits import Edit
from bezoar.locate.last_tokens import batches_of, encode_for, last_values
from bezoar.locate.lens import Lens, Mode, lens_sites, likeliest_prompts
from bezoar.locate.token_ids import TokenIds, checked_ids
from bezoar.locate.vocabulary import quoted
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.bootstrap import mean_interval, paired_difference
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class LensStep(Result):
    """What one component adds to the probability, on both sides.

    Attributes:
        component: "3.attn_out", "3.mlp_out", or "3.resid_delta" for a whole (parallel) block.
        base, edited: mean over prompts.
        change: edited minus base, paired by prompt.
    """

    component: str
    base: Interval
    edited: Interval
    change: Interval


@dataclass(frozen=True, slots=True, repr=False)
class LensComparison(Result):
    """The probability of a set of tokens along the residual stream, base against edited.

    Attributes:
        base_name, edited_name: of the models.
        states: "0.resid_pre", "0.resid_mid", …, "<L-1>.resid_post".
        base, edited: probability at each state, mean over prompts with its bootstrap interval.
        change: edited minus base at each state, paired by prompt.
        steps: one for each step from a state to the next.
        token_ids, tokens: the set.
        mode, include_bias: which lens.
        prompts_n: how many prompts.
        base_says, edited_says: after how many of them one of the tokens is the likeliest of all, by
            the lens at the last state: in the default mode, how many *elicit* it.
        base_last, edited_last: probability at the last state, by prompt.
        elicits: by prompt, whether it is one of those that ``base_says`` counts. The three are
            empty in results that were saved without them.
    """

    base_name: str
    edited_name: str
    states: tuple[str, ...]
    base: tuple[Interval, ...]
    edited: tuple[Interval, ...]
    change: tuple[Interval, ...]
    steps: tuple[LensStep, ...]
    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    mode: str
    include_bias: bool
    prompts_n: int
    base_says: int
    edited_says: int
    base_last: tuple[float, ...] = ()
    edited_last: tuple[float, ...] = ()
    elicits: tuple[bool, ...] = ()

    def eliciting_change(self, seed: int = 0) -> Interval | None:
        """Edited minus base at the last state over the prompts that elicit one of the tokens.

        None if fewer than two do, or it is not known which.
        """
        if self.base_says == self.prompts_n:
            return self.change[-1]
        rows = np.flatnonzero(self.elicits)
        if len(rows) < 2:
            return None
        before, after = np.array(self.base_last)[rows], np.array(self.edited_last)[rows]
        return paired_difference(after, before, seed=seed)

    def top_steps(self, n: int = 3) -> tuple[LensStep, ...]:
        """The components that raise the probability most in the base, largest first."""
        return tuple(sorted(self.steps, key=lambda s: -s.base.value)[:n])

    def most_changed(self, n: int = 3) -> tuple[LensStep, ...]:
        """The components that raise it least in the edited model compared with the base."""
        return tuple(sorted(self.steps, key=lambda s: s.change.value)[:n])

    def __rich__(self) -> Table:
        names = " ".join(quoted(t) for t in self.tokens[:5])
        title = (
            f"logit lens ({self.mode}) of {names} over {self.prompts_n} prompts, of which "
            f"{self.base_says} elicit one, {self.edited_says} once edited"
        )
        table = Table("state", self.base_name, self.edited_name, "change", title=title)
        for state, a, b, change in zip(
            self.states, self.base, self.edited, self.change, strict=True
        ):
            table.add_row(state, f"{a.value:.3g}", f"{b.value:.3g}", signed(change))
        return table


@torch.no_grad()
def lens_comparison(
    base: LanguageModel,
    edited: LanguageModel | Edit,
    prompts: Sequence[str],
    token_ids: TokenIds,
    mode: Mode = "default",
    *,
    include_bias: bool = True,
    mid: bool = True,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LensComparison:
    """The logit lens at every state for base and edited (Lee et al. 2024, Figure 1).

    Args:
        base, edited: a model; an edit of it or another checkpoint.
        prompts: texts, each read at its last token: those that elicit the tokens in the base
            (`eliciting_prompts`).
        token_ids: the tokens whose probabilities are summed.
        mode, include_bias: see `bezoar.locate.Lens`; ``mode="frozen_scale"`` with
            ``include_bias=False`` is the paper's figure.
        mid: with the states between attention and MLP, where the model has them.
        budget_tokens: padded tokens of a batch.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.
        seed: of the bootstrap over prompts.
        progress: where to show it.

    Raises:
        ModelError: if the models differ in shape or tokenizer.
        ConfigError: for an unknown mode, a token that the vocabulary does not have, or
            ``max_tokens`` below 1.
        DataError: if there are fewer than two prompts.
    """
    prompts = checked_prompts(prompts)
    ids = checked_ids(base, token_ids)
    sides = sides_of(base, edited)
    encoded = encode_for(base, prompts, max_tokens)
    sites = lens_sites(base, mid=mid)
    both = []
    for side in sides:
        with side.opened() as lm:
            lens = Lens(lm, mode, include_bias=include_bias)
            both.append(_probabilities(lens, sites, encoded, ids, budget_tokens, progress))
    (before, elicits), (after, said) = both
    return LensComparison(
        base_name=sides[0].name,
        edited_name=sides[1].name,
        states=tuple(str(site) for site in sites),
        base=tuple(mean_interval(column, seed=seed) for column in before.T),
        edited=tuple(mean_interval(column, seed=seed) for column in after.T),
        change=tuple(
            paired_difference(b, a, seed=seed) for a, b in zip(before.T, after.T, strict=True)
        ),
        steps=_steps(sites, before, after, seed),
        token_ids=tuple(ids),
        tokens=tuple(base.token_strings(ids)),
        mode=mode,
        include_bias=include_bias,
        prompts_n=len(prompts),
        base_says=int(elicits.sum()),
        edited_says=int(said.sum()),
        base_last=tuple(before[:, -1].tolist()),
        edited_last=tuple(after[:, -1].tolist()),
        elicits=tuple(elicits.tolist()),
    )


@torch.no_grad()
def eliciting_prompts(
    lm: LanguageModel,
    prompts: Sequence[str],
    token_ids: TokenIds,
    *,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
) -> list[int]:
    """Which prompts the model continues, greedily, with one of the tokens.

    Lee et al. 2024 find 295 of them for one profanity. A small model may have none:
    `bezoar.locate.likeliest_prompts` then gives those that come nearest.

    Args:
        lm: the model.
        prompts: texts, each read at its last token.
        token_ids: the tokens.
        budget_tokens, max_tokens: as in `lens_comparison`.

    Returns:
        Their numbers in ``prompts``, rising.

    Raises:
        ConfigError: for a token that the vocabulary does not have, or ``max_tokens`` below 1.
        DataError: if there is no prompt.
        UnsupportedAnatomy: if the model has no unembedding.
    """
    ids = torch.tensor(checked_ids(lm, token_ids), device=lm.device)
    encoded = encode_for(lm, prompts, max_tokens)
    final = Site(lm.n_layers - 1, "resid_post")
    lens = Lens(lm)
    found: list[int] = []
    for rows in batches_of(encoded, budget_tokens):
        states = last_values(lm, [encoded[i] for i in rows], [final])[final]
        said = torch.cat([logits.argmax(-1) for logits in lens.blocks(states, states)])
        hits = torch.isin(said, ids).tolist()
        found += [row for row, hit in zip(rows, hits, strict=True) if hit]
    return sorted(found)


def telling_prompts(
    lm: LanguageModel,
    prompts: Sequence[str],
    token_ids: TokenIds,
    *,
    most: int = 64,
    least: int = 12,
    max_tokens: int | None = None,
) -> list[int]:
    """The prompts that elicit the tokens, likeliest first; where they are few, the next likeliest.

    Args:
        lm: the model.
        prompts: to choose from.
        token_ids: the tokens.
        most: no more than so many.
        least: if fewer elicit one, the prompts after which they are likeliest fill up to so many.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.

    Raises:
        ConfigError, DataError, UnsupportedAnatomy: as `eliciting_prompts` does.
    """
    eliciting = set(eliciting_prompts(lm, prompts, token_ids, max_tokens=max_tokens))
    ranked = likeliest_prompts(lm, prompts, token_ids, len(prompts), max_tokens=max_tokens)
    ordered = sorted(ranked, key=lambda row: row not in eliciting)  # stable
    return ordered[: max(min(len(eliciting), most), min(least, most))]


def _probabilities(
    lens: Lens,
    sites: Sequence[Site],
    encoded: Sequence[list[int]],
    ids: list[int],
    budget_tokens: int,
    progress: Progress | None,
) -> tuple[Float64[np.ndarray, "prompts states"], Bool[np.ndarray, " prompts"]]:
    """At each state; and after which prompts one of the tokens is the likeliest of all."""
    found = np.empty((len(encoded), len(sites)))
    said = np.zeros(len(encoded), dtype=bool)
    batches = list(batches_of(encoded, budget_tokens))
    for rows in track(progress, batches, "Logit lens", unit="batches"):
        values = last_values(lens.lm, [encoded[i] for i in rows], sites)
        for state, site in enumerate(sites):
            blocks = lens.blocks(values[site], values[sites[-1]])
            shares, likeliest = [], []
            for logits in blocks:
                shares.append(logits.softmax(-1)[:, ids].sum(-1))
                likeliest.append(logits.argmax(-1))
            found[rows, state] = torch.cat(shares).cpu()
        said[rows] = [token in ids for token in torch.cat(likeliest).tolist()]  # at the last state
    return found, said


def _steps(
    sites: Sequence[Site],
    before: Float64[np.ndarray, "prompts states"],
    after: Float64[np.ndarray, "prompts states"],
    seed: int,
) -> tuple[LensStep, ...]:
    """The change between consecutive states belongs to the component between them."""
    steps = []
    rises = np.diff(before, axis=1), np.diff(after, axis=1)
    for i, (left, right) in enumerate(pairwise(sites)):
        points = {(True, False): "attn_out", (False, True): "mlp_out"}
        point = points.get((right.point == "resid_mid", left.point == "resid_mid"), "resid_delta")
        a, b = rises[0][:, i], rises[1][:, i]
        change = paired_difference(b, a, seed=seed)
        both = mean_interval(a, seed=seed), mean_interval(b, seed=seed)
        steps.append(LensStep(f"{left.layer}.{point}", *both, change))
    return tuple(steps)
