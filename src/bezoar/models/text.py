"""Between text and padded token ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bezoar.errors import DataError, ModelError, several
from bezoar.models.batch import Batch, Side, make_batch
from bezoar.models.checkpoint import one_line
from bezoar.models.weights import Weights

_CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "n_ctx")


class Text(Weights):
    """What ``LanguageModel`` does with its tokenizer."""

    tokenizer: Any

    @property
    def context(self) -> int:
        """The longest input in tokens; 2,048 where the configuration does not say."""
        for name in _CONTEXT_NAMES:
            if isinstance(value := getattr(self._config, name, None), int):
                return value - (self.anatomy.first_position or 0)
        return 2048

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """Token ids as the tokenizer gives them, cut to the first ``max_tokens``.

        A text that already begins with the beginning-of-text token (a chat) does not get another.

        Raises:
            DataError: if one string is given instead of several.
        """
        texts = several(texts, "texts")
        bos: str | None = getattr(self.tokenizer, "bos_token", None)
        begun = [bos is not None and text.startswith(bos) for text in texts]
        rows: list[list[int]] = [[] for _ in texts]
        for special in (True, False):
            chosen = [i for i, has_bos in enumerate(begun) if has_bos != special]
            if not chosen:
                continue
            # verbose: the tokenizer would warn of every text beyond the context
            encoded = self.tokenizer(
                [texts[i] for i in chosen], add_special_tokens=special, verbose=False
            )
            for i, ids in zip(chosen, encoded["input_ids"], strict=True):
                rows[i] = ids[:max_tokens]
        return rows

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def token_strings(self, ids: Sequence[int]) -> list[str]:
        """Each token as text, with its leading blank where it has one."""
        return [self.tokenizer.decode([i], clean_up_tokenization_spaces=False) for i in ids]

    @property
    def has_chat_template(self) -> bool:
        """Whether `chat` can be asked for."""
        return bool(getattr(self.tokenizer, "chat_template", None))

    def chat(self, texts: Sequence[str]) -> list[str]:
        """The texts as user turns in the tokenizer's chat template, ready for the answer.

        Raises:
            ModelError: if the tokenizer has no chat template, or that one fails.
            DataError: if one string is given instead of several.
        """
        texts = several(texts, "texts")
        if not getattr(self.tokenizer, "chat_template", None):
            raise ModelError(
                f"The tokenizer of {self.name!r} has no chat template.",
                hint="Leave --chat (model.chat) away: it was not tuned for conversation.",
            )
        try:
            return [
                self.tokenizer.apply_chat_template(
                    [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
                )
                for text in texts
            ]
        except Exception as error:  # a template is a program, and may raise what it likes
            raise ModelError(
                f"The chat template of {self.name!r} failed: {one_line(error)}.",
                hint="Leave --chat (model.chat) away, or correct the template in its "
                "tokenizer_config.json or chat_template.jinja.",
            ) from error

    @property
    def pad_id(self) -> int:
        """The id to pad with; masked, so any would do."""
        return self._special("pad", "eos", "bos")

    @property
    def start_id(self) -> int:
        """The id that stands for an empty text."""
        return self._special("bos", "eos", "pad")

    def _special(self, *kinds: str) -> int:
        ids = (getattr(self.tokenizer, f"{kind}_token_id", None) for kind in kinds)
        return next((i for i in ids if isinstance(i, int)), 0)

    @property
    def end_ids(self) -> list[int]:
        """The tokens that end a text, as Hugging Face's ``generate`` would have them."""
        config = getattr(self.model, "generation_config", None)
        found = getattr(config, "eos_token_id", None)
        if found is None:
            found = getattr(self.tokenizer, "eos_token_id", None)
        return [] if found is None else [found] if isinstance(found, int) else list(found)

    def batch(
        self, ids: Sequence[Sequence[int]], side: Side = "right", length: int | None = None
    ) -> Batch:
        """Pad token ids into a batch on the model's device.

        Raises:
            DataError: if a row is empty or longer than the context.
        """
        longest = max((len(row) for row in ids), default=0)
        if longest > self.context:
            raise DataError(
                f"A text of {longest} tokens exceeds the model's context of {self.context}.",
                hint="Cut it: lm.encode(texts, max_tokens=lm.context).",
            )
        return make_batch(ids, pad_id=self.pad_id, side=side, length=length).to(self.device)
