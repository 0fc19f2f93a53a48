"""What an evaluation is given: nouns or plain lists, protocols and scorers or what names them."""

from __future__ import annotations

from collections.abc import Sequence

from bezoar.corpus import NeutralText, Prompts, looks_tokenised
from bezoar.errors import several
from bezoar.evaluate.protocols import Protocol, get_protocol
from bezoar.scoring import Scorer, load_scorer


def named_prompts(
    prompts: Sequence[str] | Prompts, name: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """The name of a set of prompts ("" if it has none) and its texts."""
    if isinstance(prompts, Prompts):
        return prompts.name if name is None else name, prompts.texts
    return name or "", tuple(several(prompts, "prompts"))


def neutral_texts(neutral: Sequence[str] | NeutralText, protocol: Protocol) -> tuple[str, ...]:
    """Neutral texts in the form that the protocol takes; errors as `Protocol.check_neutral`."""
    if isinstance(neutral, NeutralText):
        tokenised, texts = neutral.tokenised, neutral.texts
    else:
        texts = tuple(several(neutral, "neutral texts"))
        tokenised = looks_tokenised(texts)
    if texts:
        protocol.check_neutral(tokenised)
    return texts


def protocol_of(protocol: Protocol | str) -> Protocol:
    """A protocol, by id or as it is."""
    return get_protocol(protocol) if isinstance(protocol, str) else protocol


def scorers_of(scorers: Sequence[Scorer | str]) -> list[Scorer]:
    """Scorers, by spec or as they are."""
    given = several(scorers, "scorers")
    return [load_scorer(scorer) if isinstance(scorer, str) else scorer for scorer in given]
