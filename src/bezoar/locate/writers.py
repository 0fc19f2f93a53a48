"""The value vectors that write a token on given prompts, and what each of them says.

A value vector near the probe may never fire; one that fires may write something else. Here the
neurons come from what they *did* (`sub_update_attribution`), and beside that stand the cosine to
the probe and the tokens that the update promotes: ``W_U (g ∘ a_i v_i)``, with the sign of its
coefficient and the final norm's gain g, as the logits have it (Geva et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from rich.table import Table

from bezoar.locate.attribution import SubUpdateAttribution
from bezoar.locate.direction import Direction
from bezoar.locate.values import check_width
from bezoar.locate.vocabulary import TokenList, promoted_tokens, quoted, shown
from bezoar.models import LanguageModel
from bezoar.runs.results import Result
from bezoar.stats.intervals import Interval


@dataclass(frozen=True, slots=True)
class Writer(Result):
    """A value vector that raises the logit.

    Attributes:
        layer, index: which neuron.
        coefficient: mean a_i over the prompts.
        logit: what it adds, mean over the prompts.
        cosine: of the update ``a_i v_i`` and the direction.
        tokens: what the update promotes and suppresses.
    """

    layer: int
    index: int
    coefficient: float
    logit: Interval
    cosine: float
    tokens: TokenList


@dataclass(frozen=True, slots=True, repr=False)
class Writers(Result):
    """The strongest writers of a set of tokens.

    Attributes:
        writers: strongest first.
        direction: name of the direction that the cosines are to.
        raised: Σ over all neurons of all layers.
        tokens, against, prompts_n: as in `SubUpdateAttribution`.
    """

    writers: tuple[Writer, ...]
    direction: str
    raised: float
    tokens: tuple[str, ...]
    against: tuple[str, ...]
    prompts_n: int

    def __rich__(self) -> Table:
        title = f"writers of {' '.join(quoted(t) for t in self.tokens[:5])}"
        table = Table("neuron", "adds", "coefficient", "cosine", "promotes", title=title)
        for w in self.writers:
            words = " ".join(shown(t.token) for t in w.tokens.promoted[:6])
            numbers = (str(w.logit), f"{w.coefficient:.3g}", f"{w.cosine:+.2f}")
            table.add_row(f"{w.layer}.{w.index}", *numbers, words)
        return table


@torch.no_grad()
def name_writers(
    lm: LanguageModel,
    attribution: SubUpdateAttribution,
    direction: Direction,
    n: int = 12,
    k: int = 8,
) -> Writers:
    """Read the neurons that raise a logit most as tokens.

    Args:
        lm: the model.
        attribution: of the same model.
        direction: to compare with, such as the probe's.
        n: how many neurons.
        k: promoted and suppressed tokens of each.

    Raises:
        DataError: if the direction has another width than the model.
        UnsupportedAnatomy: if the model has no unembedding.
    """
    check_width(lm, direction.vector, direction.name)
    found = []
    for part in attribution.raising[:n]:
        value = lm.values(part.layer)[part.index].detach().float()
        update = -value if part.coefficient < 0 else value
        reader = direction.vector.to(update)
        cosine = torch.nn.functional.cosine_similarity(update, reader, dim=0)
        tokens = replace(
            promoted_tokens(lm, update, k, fold_norm=True), name=f"{part.layer}.{part.index}"
        )
        found.append(
            Writer(part.layer, part.index, part.coefficient, part.logit, float(cosine), tokens)
        )
    return Writers(
        writers=tuple(found),
        direction=direction.name,
        raised=float(sum(attribution.by_layer)),
        tokens=attribution.tokens,
        against=attribution.against,
        prompts_n=attribution.prompts_n,
    )
