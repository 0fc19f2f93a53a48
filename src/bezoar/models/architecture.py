"""Which of transformers' automatic classes a checkpoint is to be loaded with."""

from __future__ import annotations

from typing import Any

from transformers import AutoModel, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers.models.auto import modeling_auto as auto

from bezoar.errors import ModelError


def auto_class(config: Any, name: str) -> Any:
    """The class for a configuration.

    Encoders are loaded without a head: they continue no text, and their pooler or masked-word head
    is no part of the residual stream. A wrapper of several models (text and images) is loaded
    whole; its text model is what runs on token ids alone.

    Raises:
        ModelError: for a model of two halves, which reads one text and writes another.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{name!r} is an encoder-decoder ({kind}), which is not supported.",
            hint="Use a decoder (like GPT-2 or Llama) or an encoder (like BERT).",
        )
    is_encoder = kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES
    if is_encoder and not getattr(config, "is_decoder", False):
        return AutoModel
    if kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        return AutoModelForCausalLM
    if kind in auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return AutoModelForImageTextToText
    return AutoModel


def without_pooler(model: Any, missing: list[str]) -> list[str]:
    """What a checkpoint lacks besides a pooler, which is then taken out: it would be random."""
    if not any(key.startswith("pooler.") for key in missing):
        return missing
    model.pooler = None
    return [key for key in missing if not key.startswith("pooler.")]


def lacks_only_head(model: Any, missing: list[str]) -> bool:
    """Whether all that is missing is the unembedding: a base model, or one with another head."""
    head = model.get_output_embeddings() if missing else None
    if head is None:
        return False
    own = {name for name, module in model.named_modules() if module is head}
    return all(key.rpartition(".")[0] in own for key in missing)
