"""Language models whose probabilities are known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from bezoar.models import LanguageModel
from tests.families import tiny_hf_model


def uniform_model() -> LanguageModel:
    """Every token equally likely: the unembedding is zero."""
    model, tokenizer = tiny_hf_model("gpt_neox")
    with torch.no_grad():
        model.get_output_embeddings().weight.zero_()
    return LanguageModel(model, tokenizer, name="uniform")


class Shift:
    """An edit of the logits: adds ``amount`` to some tokens' (−inf bans them)."""

    name = "shift"

    def __init__(self, tokens: list[int], amount: float) -> None:
        self.tokens, self.amount = tokens, amount

    @contextmanager
    def applied_to(self, lm: LanguageModel) -> Iterator[None]:
        def processor(ids: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
            logits = logits.clone()
            logits[..., self.tokens] += self.amount
            return logits

        lm.logits_processors.append(processor)
        try:
            yield
        finally:
            lm.logits_processors.remove(processor)


TEXT = (
    "the man and the woman said that this is a good house by the river but the night was so long "
    "that people would not think of the day as a lovely day in the kind old tree "
) * 6
SENTENCES = [
    "the man said that this is good",
    "people think that the house is lovely",
    "a woman and a tree by the river",
    "I will not say so",
    "you are very kind and good to the people of the house by the river",
    "night is as long as day",
    "the day was lovely but the night was not",
]
