"""Any Hugging Face sequence classifier as a scorer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bezoar.errors import ModelError, ScorerError, did_you_mean
from bezoar.models.checkpoint import Checkpoint, refuse_not_finite
from bezoar.models.load import put_on
from bezoar.scoring.gradients import NoGradients, TokenShare
from bezoar.scoring.scorer import attribute_name

_BATCH_TOKENS = 8192
_ONE_BY_ONE = ("regression", "multi_label_classification")  # each label has a logit of its own


class HuggingFaceScorer:
    """A sequence classification model of the hub or of a folder.

    Multi-label heads (Detoxify, unbiased-toxic-roberta) and single outputs go through a sigmoid,
    two or more exclusive classes through a softmax. Labels are matched to Perspective's names
    (`attribute_name`); the other labels, such as identity mentions, are left out.

    Args:
        model: hub id or folder.
        label: the label that means toxic, for models whose labels do not say so ("LABEL_1").
        revision: the hub revision; pin it, since weights behind a name do change.
        threshold: from here on a text counts as toxic.
        max_tokens: longer texts are cut (the model's own limit applies too).
        device: where to run; the CPU by default.

    Raises:
        ScorerError: if it cannot be loaded, lacks weights (its head), would have to be unpickled or
            to run code of its own, or no label means toxicity.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        label: str | None = None,
        revision: str | None = None,
        threshold: float = 0.5,
        max_tokens: int = 512,
        device: str = "cpu",
    ) -> None:
        from transformers import AutoModelForSequenceClassification

        try:
            checkpoint = Checkpoint.open("classifier", str(model), revision)
            self._tokenizer: Any = checkpoint.tokenizer()
            loaded, absent = checkpoint.weights(
                AutoModelForSequenceClassification, dtype=torch.float32
            )
            checkpoint.require(absent, hint="Is it a sequence classification model, and complete?")
            refuse_not_finite(loaded, str(model))
            self._model: Any = put_on(loaded, device, torch.float32).eval()
        except ModelError as error:
            raise ScorerError(error.message, hint=error.hint) from error
        self._device = device
        self._columns = _columns(self._model.config, label)
        limit = getattr(self._model.config, "max_position_embeddings", max_tokens)
        # Roberta numbers its positions from pad id + 1, so two of them are never reachable.
        reserved = 2 if "roberta" in str(self._model.config.model_type) else 0
        self._max_tokens = min(max_tokens, limit - reserved)
        self.name = f"hf:{Path(model).name if Path(model).is_dir() else model}"
        self.attributes = tuple(self._columns)
        self.threshold = threshold
        self.lineage = self.name
        self.hash = _weights_hash(self._model, self._columns)

    @torch.no_grad()
    def score(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """See `bezoar.scoring.Scorer.score`. Batched by length; the order of texts is kept."""
        scores = {name: np.full(len(texts), np.nan) for name in self.attributes}
        for rows in self._batches(texts):
            inputs = self._tokenizer(
                [texts[row] for row in rows],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
            ).to(self._device)
            probabilities = self._probabilities(self._model(**inputs).logits.float())
            for name, column in self._columns.items():
                scores[name][rows] = probabilities[:, column].cpu().numpy()
        return scores

    def token_gradients(
        self, texts: Sequence[str], *, absolute: bool = False
    ) -> list[list[TokenShare]]:
        """What the logit of the toxicity owes to each token; see `bezoar.scoring.gradients`.

        The gradient is that of the word embeddings alone, before positions are added to them.

        Raises:
            NoGradients: if the tokenizer does not say where its tokens stand.
        """
        if not getattr(self._tokenizer, "is_fast", False):
            raise NoGradients(f"The tokenizer of {self.name!r} gives no offsets.")
        found: list[list[TokenShare]] = [[] for _ in texts]
        for rows in self._batches(texts):
            encoded = self._tokenizer(
                [texts[row] for row in rows],
                return_tensors="pt",
                padding=True,
                truncation=True,
                max_length=self._max_tokens,
                return_offsets_mapping=True,
            )
            places = encoded.pop("offset_mapping").tolist()
            embedded, gradient = self._embedding_gradient(encoded.to(self._device))
            shares = gradient.abs() if absolute else gradient * embedded
            for row, spans, values in zip(rows, places, shares.sum(-1).tolist(), strict=True):
                tokens = zip(spans, values, strict=True)
                found[row] = [(start, end, share) for (start, end), share in tokens if end > start]
        return found

    def _embedding_gradient(self, inputs: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """The word embeddings [text pos d] and the gradient of each text's logit by its own."""
        kept: list[torch.Tensor] = []

        def cut(_: Any, args: Any, output: torch.Tensor) -> torch.Tensor:
            kept.append(output.detach().requires_grad_())
            return kept[-1]

        handle = self._model.get_input_embeddings().register_forward_hook(cut)
        try:
            with torch.enable_grad():
                logits = self._toxic_logit(self._model(**inputs).logits.float())
                (gradient,) = torch.autograd.grad(logits.sum(), kept)
        finally:
            handle.remove()
        return kept[0].detach(), gradient

    def _toxic_logit(self, logits: torch.Tensor) -> torch.Tensor:
        """ln p / (1 − p) of the toxicity, of each text."""
        column = self._columns["toxicity"]
        if self._model.config.problem_type in _ONE_BY_ONE or logits.shape[1] == 1:
            return logits[:, column]
        others = [i for i in range(logits.shape[1]) if i != column]
        return logits[:, column] - logits[:, others].logsumexp(1)

    def _batches(self, texts: Sequence[str]) -> list[list[int]]:
        longest_first = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        batches: list[list[int]] = []
        while longest_first:
            # Characters bound tokens from above but for odd scripts; a budget need not be exact.
            width = min(max(len(texts[longest_first[0]]), 1), self._max_tokens)
            size = max(1, _BATCH_TOKENS // width)
            batches.append(longest_first[:size])
            longest_first = longest_first[size:]
        return batches

    def _probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        problem = self._model.config.problem_type
        if problem == "regression":
            return logits
        if problem == "multi_label_classification" or logits.shape[1] == 1:
            return logits.sigmoid()
        return logits.softmax(dim=1)


def _columns(config: Any, label: str | None) -> dict[str, int]:
    labels = {int(index): str(name) for index, name in config.id2label.items()}
    if label is not None:
        found = [index for index, name in labels.items() if name == label]
        if not found:
            raise ScorerError(
                f"The classifier has no label {label!r}.",
                hint=did_you_mean(label, labels.values()),
            )
        return {"toxicity": found[0]}
    if len(labels) == 1:
        return {"toxicity": 0}
    columns = {name: i for i, text in labels.items() if (name := attribute_name(text))}
    if "toxicity" not in columns:
        raise ScorerError(
            f"None of the classifier's labels means toxicity: {', '.join(labels.values())}.",
            hint="Name it: hf:MODEL#LABEL. (A hate-speech label is not toxicity: profanity is 0.)",
        )
    return columns


def _weights_hash(model: Any, columns: dict[str, int]) -> str:
    digest = hashlib.sha256(repr(sorted(columns.items())).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
