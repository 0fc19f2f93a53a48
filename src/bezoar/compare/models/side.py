"""The two sides of a comparison: a base model, and the same model edited or fine-tuned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bezoar.edits import Edit
from bezoar.errors import ModelError, UnsupportedAnatomy
from bezoar.models import LanguageModel

_SAMPLE = " It's 3 o'clock,\n\tnaïve — ÉTÉ 漢字 <b>twice</b>  (2+2=4)"
"""A text that tokenizers of different rules read differently."""


@dataclass(frozen=True, slots=True)
class Side:
    """One side: a model as it is, or one with an edit that is applied while it is looked at.

    Attributes:
        model: the model to open.
        edit: applied inside `opened`; None if the model is taken as it is.
        name: for people.
    """

    model: LanguageModel
    edit: Edit | None
    name: str

    @contextmanager
    def opened(self) -> Iterator[LanguageModel]:
        """The model of this side, until the ``with`` block ends."""
        if self.edit is None:
            yield self.model
        else:
            with self.edit.applied_to(self.model):
                yield self.model


def sides_of(base: LanguageModel, edited: LanguageModel | Edit) -> tuple[Side, Side]:
    """Both sides of a comparison, base first.

    Args:
        base: a model.
        edited: an edit of it, or another model of the same shape and tokenizer.

    Raises:
        ModelError: if the other model differs in shape or tokenizer.
        EditError: if the edit does not fit the base.
    """
    first = Side(base, None, base.name)
    if isinstance(edited, Edit):
        edited.check(base)
        return first, Side(base, edited, edited.name)
    check_comparable(base, edited)
    return first, Side(edited, None, edited.name)


def check_comparable(base: LanguageModel, edited: LanguageModel) -> None:
    """See whether two models have the same sizes and read a text as the same tokens.

    Raises:
        ModelError: if not, naming the first difference.
    """
    for what, mine, theirs in _sizes(base, edited):
        if mine != theirs:
            raise ModelError(
                f"{base.name!r} and {edited.name!r} differ in {what}: {mine} and {theirs}.",
                hint="Compare a model with an edit of it, or with a checkpoint tuned from it.",
            )
    vocabularies = base.tokenizer.get_vocab(), edited.tokenizer.get_vocab()
    if vocabularies[0] != vocabularies[1]:
        apart = len(set(vocabularies[0].items()) ^ set(vocabularies[1].items()))
        raise ModelError(
            f"The tokenizers of {base.name!r} and {edited.name!r} differ in {apart:,} entries.",
            hint="Load the tuned checkpoint with the tokenizer of its base.",
        )
    if base.encode([_SAMPLE]) != edited.encode([_SAMPLE]):
        raise ModelError(
            f"The tokenizers of {base.name!r} and {edited.name!r} cut the same text differently.",
            hint="They have one vocabulary but other rules; use the base's tokenizer for both.",
        )


def _sizes(base: LanguageModel, edited: LanguageModel) -> Iterator[tuple[str, object, object]]:
    pairs: list[tuple[str, object, object]] = [
        ("layers", base.n_layers, edited.n_layers),
        ("d_model", base.d_model, edited.d_model),
        ("d_vocab", base.d_vocab, edited.d_vocab),
    ]
    yield from pairs
    for layer, (a, b) in enumerate(
        zip(base.anatomy.block_parts, edited.anatomy.block_parts, strict=True)
    ):
        yield f"d_mlp of layer {layer}", a.d_mlp, b.d_mlp
        yield f"the width of the heads of layer {layer}", a.d_z, b.d_z
        yield f"the gating of layer {layer}", a.gated, b.gated
    yield "n_heads", base.n_heads, edited.n_heads


def require_dense_mlps(lm: LanguageModel) -> None:
    """Refuse a model whose neurons cannot be told apart.

    Raises:
        UnsupportedAnatomy: naming the layer and the reason (a mixture of experts, as a rule).
    """
    for layer in range(lm.n_layers):
        lm.anatomy[layer].part("w_out")
    if lm.anatomy.post_ln:
        raise UnsupportedAnatomy(
            f"The residual stream of {lm.name} is normed after every component (post-LN), so what "
            "a component wrote is not what arrives.",
            hint="Use residual_shift, which reads whole states.",
        )
