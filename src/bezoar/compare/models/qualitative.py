"""Next tokens and continuations of a few prompts, model beside model (Lee et al. 2024, Table 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from rich.table import Table

from bezoar.compare.models.passes import checked_prompts
from bezoar.compare.models.side import Side, sides_of
from bezoar.edits import Edit
from bezoar.errors import ConfigError
from bezoar.locate.last_tokens import encode_for
from bezoar.locate.vocabulary import needs_unembedding, shown
from bezoar.masking import for_display
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.runs.results import Result


@dataclass(frozen=True, slots=True)
class NextToken(Result):
    """A token (raw: mask it before showing) and its probability."""

    id: int
    token: str
    probability: float


@dataclass(frozen=True, slots=True, repr=False)
class Continued(Result):
    """What one model makes of a prompt.

    Attributes:
        model: name of the model or of the edit.
        tokens: the likeliest next ones.
        text: its greedy continuation, raw.
    """

    model: str
    tokens: tuple[NextToken, ...]
    text: str


@dataclass(frozen=True, slots=True, repr=False)
class Example(Result):
    """One prompt, raw, and what each model makes of it, the base first."""

    prompt: str
    models: tuple[Continued, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Qualitative(Result):
    """Next tokens and greedy continuations, model beside model.

    Attributes:
        examples: one a prompt.
        new_tokens: length of the continuations.
    """

    examples: tuple[Example, ...]
    new_tokens: int

    def __rich__(self) -> Table:
        table = Table("prompt", "model", "next tokens", "continuation", title="examples")
        for example in self.examples:
            prompt = for_display(example.prompt).replace("[", "\\[")
            for row in example.models:
                tokens = ", ".join(f"{shown(t.token)} {t.probability:.2f}" for t in row.tokens)
                text = for_display(row.text).replace("[", "\\[")
                table.add_row(prompt, row.model, tokens, " ".join(text.split()))
                prompt = ""
            table.add_section()
        return table


@torch.no_grad()
def qualitative(
    base: LanguageModel,
    edits: Mapping[str, LanguageModel | Edit],
    prompts: Sequence[str],
    *,
    top: int = 5,
    new_tokens: int = 20,
    max_prompt_tokens: int | None = 32,
) -> Qualitative:
    """The likeliest next tokens and the greedy continuation, by the base and by each edit.

    Args:
        base: the model.
        edits: edits of it or other checkpoints, by the name to show.
        prompts: a few texts, such as those of `telling_prompts`.
        top: how many next tokens.
        new_tokens: length of the continuations.
        max_prompt_tokens: longer prompts keep their first tokens.

    Raises:
        ConfigError: if ``top`` is below 1 or above the vocabulary's size, or
            ``max_prompt_tokens`` below 1.
        DataError: if there is no prompt.
        UnsupportedAnatomy: if the model has no unembedding.
        ModelError: if the models differ in shape or tokenizer.
    """
    if not 1 <= top <= base.d_vocab:
        raise ConfigError(f"{top} next tokens of {base.d_vocab}.", hint="Ask for a few.")
    needs_unembedding(base)
    prompts = checked_prompts(prompts, 1)
    named = {name: sides_of(base, edited)[1] for name, edited in edits.items()}
    rows = []
    for name, side in ({base.name: Side(base, None, base.name)} | named).items():
        with side.opened() as lm:
            rows.append(_continued(lm, name, prompts, top, new_tokens, max_prompt_tokens))
    by_prompt = zip(*rows, strict=True)
    return Qualitative(
        tuple(Example(prompt, row) for prompt, row in zip(prompts, by_prompt, strict=True)),
        new_tokens,
    )


def _continued(
    lm: LanguageModel,
    name: str,
    prompts: Sequence[str],
    top: int,
    new_tokens: int,
    max_prompt_tokens: int | None,
) -> list[Continued]:
    made = generate(lm, prompts, Decoding(new_tokens), max_prompt_tokens=max_prompt_tokens).text
    found = []
    read = encode_for(lm, prompts, max_prompt_tokens, new_tokens)
    for ids, text in zip(read, made, strict=True):
        chances = lm.logits(lm.batch([ids]))[0, -1].float().softmax(-1)
        best = chances.topk(top)
        numbers = best.indices.tolist()
        tokens = zip(numbers, lm.token_strings(numbers), best.values.tolist(), strict=True)
        found.append(Continued(name, tuple(NextToken(*token) for token in tokens), text))
    return found
