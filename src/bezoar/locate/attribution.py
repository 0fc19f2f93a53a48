"""Direct logit attribution: which components, and which neurons, wrote a token's logit.

With the final norm's scale frozen at the value it had, a logit is a sum over everything that was
added to the residual stream (before soft-capping, which is no sum). A neuron's part is
``a_i · (r · v_i)`` where r is the token's unembedding row pulled back through the norm: "the
sub-update promotes the tokens that ``W_U v_i`` ranks first" (Geva et al. 2022), to scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from rich.table import Table
from torch import Tensor

from bezoar.errors import UnsupportedAnatomy
from bezoar.locate.last_tokens import batches_of, encode_for, last_values, over_prompts
from bezoar.locate.norm import Norm
from bezoar.locate.token_ids import TokenIds, checked_ids
from bezoar.locate.vocabulary import needs_unembedding, quoted
from bezoar.models import LanguageModel, Site
from bezoar.runs.progress import Progress, track
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval

EVERY_TOKEN = "every token"
"""Stands for the whole vocabulary in the names of a set."""


@dataclass(frozen=True, slots=True)
class LogitPart(Result):
    """What one component added to the logit, mean over prompts: "embed", "3.mlp_out", "bias"."""

    component: str
    logit: Interval


@dataclass(frozen=True, slots=True, repr=False)
class LogitAttribution(Result):
    """A logit as a sum over components.

    Attributes:
        parts: in order of execution; they sum to ``logit``.
        logit: of the token (mean over the set, minus the mean over ``against``), before any
            soft-cap.
        tokens, against: the sets, as text; the whole vocabulary is one entry, `EVERY_TOKEN`.
        prompts_n: how many prompts.
    """

    parts: tuple[LogitPart, ...]
    logit: Interval
    tokens: tuple[str, ...]
    against: tuple[str, ...]
    prompts_n: int

    def top_parts(self, n: int = 6) -> tuple[LogitPart, ...]:
        """The attentions and MLPs that raise the logit most, largest first."""
        added = [p for p in self.parts if p.component not in ("embed", "bias")]
        return tuple(sorted(added, key=lambda p: -p.logit.value)[:n])

    def __rich__(self) -> Table:
        title = f"logit {self.logit} of {' '.join(quoted(t) for t in self.tokens[:5])}"
        table = Table("component", "adds", title=title)
        for part in self.parts:
            table.add_row(part.component, str(part.logit))
        return table


@dataclass(frozen=True, slots=True)
class SubUpdate(Result):
    """What neuron ``index`` of ``layer`` added to the logit, mean over prompts.

    Attributes:
        layer, index: which neuron.
        coefficient: mean a_i.
        logit: mean contribution; the interval is its normal approximation over prompts.
    """

    layer: int
    index: int
    coefficient: float
    logit: Interval


@dataclass(frozen=True, slots=True, repr=False)
class SubUpdateAttribution(Result):
    """The MLP neurons that raise and lower a token's logit most.

    Attributes:
        raising, lowering: the strongest, strongest first.
        by_layer: Σ over all neurons of a layer (without the MLP's bias).
        tokens, against, prompts_n: as in `LogitAttribution`.
    """

    raising: tuple[SubUpdate, ...]
    lowering: tuple[SubUpdate, ...]
    by_layer: tuple[float, ...]
    tokens: tuple[str, ...]
    against: tuple[str, ...]
    prompts_n: int

    def __rich__(self) -> Table:
        title = f"sub-updates to the logit of {' '.join(quoted(t) for t in self.tokens[:5])}"
        table = Table("layer", "index", "coefficient", "adds", title=title)
        for s in (*self.raising[:10], *self.lowering[:10]):
            table.add_row(str(s.layer), str(s.index), f"{s.coefficient:.3g}", str(s.logit))
        return table


@torch.no_grad()
def component_attribution(
    lm: LanguageModel,
    prompts: Sequence[str],
    token_ids: TokenIds,
    *,
    against: TokenIds = (),
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LogitAttribution:
    """Split the logit at the last position into what each attention and MLP added.

    Args:
        lm: the model.
        prompts: texts, each read at its last token.
        token_ids: tokens whose mean logit is split.
        against: tokens whose mean logit is subtracted from it; ``range(lm.d_vocab)`` leaves out
            what raises every logit alike, which no probability notices.
        budget_tokens: padded tokens of a batch.
        max_tokens: keep the first tokens of a prompt only. One that is longer than the model's
            context keeps its last ones in any case.
        seed: of the bootstrap over prompts.
        progress: where to show progress.

    Raises:
        UnsupportedAnatomy: if the model has no unembedding or another kind of norm, or norms the
            stream after every component (post-LN).
        ConfigError: for a token that the vocabulary does not have, or ``max_tokens`` below 1.
        DataError: if there is no prompt.
    """
    plus, minus = checked_ids(lm, token_ids), checked_ids(lm, against, least=0)
    reader, constant = _reader(lm, plus, minus)
    added = lm.sites(("attn_out", "mlp_out"))
    sites = [Site(0, "resid_pre"), *added]
    names = ["embed", *map(str, added), "bias"]
    parts = np.empty((len(names), len(prompts)))
    parts[-1] = constant
    limits = (budget_tokens, max_tokens)
    for rows, values, pulled in _passes(lm, prompts, sites, reader, limits, progress):
        for part, site in zip(parts, sites, strict=False):
            part[rows] = (values[site] * pulled).sum(-1).cpu()
    return LogitAttribution(
        parts=tuple(
            LogitPart(name, over_prompts(row, seed)) for name, row in zip(names, parts, strict=True)
        ),
        logit=over_prompts(parts.sum(axis=0), seed),
        tokens=_names(lm, plus),
        against=_names(lm, minus),
        prompts_n=len(prompts),
    )


@torch.no_grad()
def sub_update_attribution(
    lm: LanguageModel,
    prompts: Sequence[str],
    token_ids: TokenIds,
    *,
    against: TokenIds = (),
    top: int = 20,
    budget_tokens: int = 4096,
    max_tokens: int | None = None,
    progress: Progress | None = None,
) -> SubUpdateAttribution:
    """Rank all MLP neurons by what their sub-updates ``a_i v_i`` add to a logit.

    Arguments and errors are those of `component_attribution`; ``top`` neurons of each sign are
    kept. A norm between the MLP and the stream is frozen like the final one.
    """
    plus, minus = checked_ids(lm, token_ids), checked_ids(lm, against, least=0)
    reader, _ = _reader(lm, plus, minus)
    posts = lm.sites(("mlp_post",))
    outer = [i for i in range(lm.n_layers) if lm.anatomy[i].mlp_post_norm is not None]
    sites = [*posts, *(Site(i, "mlp_raw") for i in outer)]
    moments = [np.zeros((3, lm.values(i).shape[0])) for i in range(lm.n_layers)]
    norms = {i: Norm.of(lm.anatomy[i].part("mlp_post_norm"), reader) for i in outer}
    limits = (budget_tokens, max_tokens)
    for _, values, pulled in _passes(lm, prompts, sites, reader, limits, progress):
        for layer, site in enumerate(posts):
            read = pulled
            if norm := norms.get(layer):
                read = norm.pull_back(pulled) / norm.scale(values[Site(layer, "mlp_raw")])
            factor = lm.anatomy[layer].mlp_factor
            logit = values[site] * (factor * read @ lm.values(layer).T.to(read))
            for moment, rows in zip(moments[layer], (values[site], logit, logit**2), strict=True):
                moment += rows.double().sum(dim=0).cpu().numpy()
    ranked = _ranked(moments, len(prompts), top)
    return SubUpdateAttribution(
        raising=ranked[0],
        lowering=ranked[1],
        by_layer=tuple(float(m[1].sum()) / len(prompts) for m in moments),
        tokens=_names(lm, plus),
        against=_names(lm, minus),
        prompts_n=len(prompts),
    )


def _reader(
    lm: LanguageModel, plus: list[int], minus: list[int]
) -> tuple[Float[Tensor, " d_model"], float]:
    """What reads the logit from the normed residual, and the part that no residual decides.

    Means and sums are in float32 at least, so that a logit of a model in half precision is split
    to more digits than the model itself computes.
    """
    unembedding = needs_unembedding(lm)
    wide = torch.promote_types(unembedding.dtype, torch.float32)
    reader, constant = unembedding[plus].mean(dim=0, dtype=wide), 0.0
    if minus:
        reader = reader - unembedding[minus].mean(dim=0, dtype=wide)
    # A soft cap bends the logit afterwards; what is split is the logit before it.
    scale = lm.anatomy.logit_scale
    reader = reader * scale
    if lm.b_U is not None:
        bias = lm.b_U.to(wide)
        constant = scale * float(bias[plus].mean() - (bias[minus].mean() if minus else 0.0))
    return reader, constant + float(Norm.of(lm.anatomy.final_norm, reader).bias @ reader)


def _names(lm: LanguageModel, ids: Sequence[int]) -> tuple[str, ...]:
    return (EVERY_TOKEN,) if len(ids) == lm.d_vocab else tuple(lm.token_strings(ids))


def _passes(
    lm: LanguageModel,
    prompts: Sequence[str],
    sites: Sequence[Site],
    reader: Float[Tensor, " d_model"],
    limits: tuple[int, int | None],
    progress: Progress | None,
) -> Iterator[tuple[list[int], dict[Site, Tensor], Tensor]]:
    """For each batch: its rows, values at the last token, and the pulled-back reader [rows d]."""
    if lm.anatomy.post_ln:
        raise UnsupportedAnatomy(
            f"The residual stream of {lm.name} is normed after every component (post-LN), so a "
            "logit is no sum of what the components added.",
            hint="Use the logit lens, which reads whole states.",
        )
    norm = Norm.of(lm.anatomy.final_norm, reader)
    final = Site(lm.n_layers - 1, "resid_post")
    encoded = encode_for(lm, prompts, limits[1])
    batches = list(batches_of(encoded, limits[0]))
    for rows in track(progress, batches, "Logit attribution", unit="batches"):
        values = last_values(lm, [encoded[i] for i in rows], [*sites, final])
        yield rows, values, norm.pull_back(reader) / norm.scale(values[final])


def _ranked(
    moments: list[np.ndarray], n: int, top: int
) -> tuple[tuple[SubUpdate, ...], tuple[SubUpdate, ...]]:
    """The neurons with the largest and the smallest mean contribution."""
    coefficient, mean, square = (np.concatenate([m[i] for m in moments]) / n for i in range(3))
    error = np.sqrt(np.maximum(square - mean**2, 0) / max(n - 1, 1))
    sizes = [m.shape[1] for m in moments]
    layer = np.repeat(np.arange(len(sizes)), sizes)
    index = np.concatenate([np.arange(size) for size in sizes])
    order = np.argsort(-mean, kind="stable").tolist()

    def entry(i: int) -> SubUpdate:
        half = 1.96 * float(error[i])
        logit = Interval(float(mean[i]), float(mean[i]) - half, float(mean[i]) + half)
        return SubUpdate(int(layer[i]), int(index[i]), float(coefficient[i]), logit)

    return tuple(map(entry, order[:top])), tuple(map(entry, order[::-1][:top]))
