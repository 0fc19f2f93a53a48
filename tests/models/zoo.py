"""Tiny random models of every family that the anatomy is proven on, built once a process.

Configurations only: nothing in the library knows these names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf
from torch import nn

from bezoar.models import LanguageModel
from tests.families import tiny_tokenizer

IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
GROUPED = SIZES | {"num_key_value_heads": 2}
HEADS = {"head_dim": 8}
SHORT = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128}


@dataclass(frozen=True)
class Family:
    """One family's tiny configuration.

    Attributes:
        config: the name of its configuration in transformers.
        options: the configuration.
        auto: the class that makes a model of it.
        adjust: called with the model once its numbers are random.
    """

    config: str
    options: dict[str, Any]
    auto: str = "AutoModelForCausalLM"
    adjust: Callable[[nn.Module], None] | None = None


OPT = {
    "ffn_dim": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
ENCODER = SIZES
EXPERTS = GROUPED | HEADS

FAMILIES: dict[str, Family] = {
    "GPT-2": Family("GPT2Config", SHORT),
    "GPT-Neo": Family(
        "GPTNeoConfig",
        {
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 4,
            "max_position_embeddings": 128,
        },
    ),
    "GPT-J": Family("GPTJConfig", SHORT | {"rotary_dim": 4}),
    "GPT-NeoX": Family("GPTNeoXConfig", SIZES),
    "OPT": Family("OPTConfig", OPT | {"word_embed_proj_dim": 32}),
    "OPT-350m": Family(
        "OPTConfig", OPT | {"word_embed_proj_dim": 16, "do_layer_norm_before": False}
    ),
    "Bloom": Family("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "Falcon-RW": Family(
        "FalconConfig",
        FALCON | {"alibi": True, "bias": True, "parallel_attn": False, "multi_query": False},
    ),
    "Falcon": Family("FalconConfig", FALCON),
    "Falcon, new": Family(
        "FalconConfig", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}
    ),
    "MPT": Family(
        "MptConfig",
        {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 128},
    ),
    "Llama": Family("LlamaConfig", GROUPED),
    "Mistral": Family("MistralConfig", GROUPED | {"sliding_window": 4}),
    "Qwen2": Family("Qwen2Config", GROUPED),
    "Qwen3": Family("Qwen3Config", GROUPED | HEADS),
    "Gemma 2": Family(
        "Gemma2Config", GROUPED | HEADS | {"final_logit_softcapping": 3.0, "sliding_window": 4}
    ),
    "Gemma 3": Family("Gemma3TextConfig", GROUPED | HEADS | {"sliding_window": 4}),
    "Phi": Family("PhiConfig", SIZES),
    "Phi-3": Family("Phi3Config", GROUPED),
    "OLMo 2": Family("Olmo2Config", GROUPED),
    "GLM-4": Family("Glm4Config", GROUPED | HEADS),
    "StableLM": Family("StableLmConfig", GROUPED),
    "StableLM, parallel": Family(
        "StableLmConfig", GROUPED | {"use_parallel_residual": True, "qk_layernorm": False}
    ),
    "Cohere": Family("CohereConfig", GROUPED | {"logit_scale": 0.25}),
    "Granite": Family(
        "GraniteConfig",
        GROUPED
        | {
            "logits_scaling": 4.0,
            "residual_multiplier": 0.5,
            "embedding_multiplier": 2.0,
            "attention_multiplier": 0.3,
        },
    ),
    "Mixtral": Family("MixtralConfig", GROUPED | {"num_local_experts": 4}),
    "Qwen3-MoE": Family(
        "Qwen3MoeConfig",
        EXPERTS | {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16},
    ),
    "BERT": Family("BertConfig", ENCODER, auto="AutoModel"),
    "RoBERTa": Family("RobertaConfig", ENCODER | {"pad_token_id": 0}, auto="AutoModel"),
    "DistilBERT": Family(
        "DistilBertConfig",
        {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 128},
        auto="AutoModel",
    ),
    "ModernBERT": Family(
        "ModernBertConfig",
        ENCODER
        | {
            "local_attention": 8,
            "global_attn_every_n_layers": 2,
            "cls_token_id": 0,
            "sep_token_id": 0,
            "attn_implementation": "sdpa",
        },
        auto="AutoModel",
    ),
}


def hf_model(name: str) -> tuple[Any, Any]:
    """A new bare model and tokenizer, with biases and norms moved off their trivial start."""
    family = FAMILIES[name]
    tokenizer = tiny_tokenizer()
    config = getattr(hf, family.config)(vocab_size=len(tokenizer), **IDS | family.options)
    torch.manual_seed(0)
    model = getattr(hf, family.auto).from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model, tokenizer


@functools.cache
def model(name: str) -> LanguageModel:
    """The family's model. Do not change its weights."""
    return LanguageModel(*hf_model(name), name=name)
