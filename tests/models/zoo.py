"""Tiny random models of every family that the anatomy is proven on, built once a process.

Configurations only: nothing in the library knows these names.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
import transformers as hf

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
    """

    config: str
    options: dict[str, Any]
    auto: str = "AutoModelForCausalLM"


OPT = {
    "ffn_dim": 64,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "word_embed_proj_dim": 32,
}
OPT_350M = OPT | {"word_embed_proj_dim": 16, "do_layer_norm_before": False}
FALCON = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
FALCON_RW = {"alibi": True, "bias": True, "parallel_attn": False, "multi_query": False}
MPT = {"d_model": 32, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": 128}
NEO = {
    "hidden_size": 32,
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 4,
    "max_position_embeddings": 128,
}
GRANITE = {
    "logits_scaling": 4.0,
    "residual_multiplier": 0.5,
    "embedding_multiplier": 2.0,
    "attention_multiplier": 0.3,
}
QWEN_EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
QWEN2_EXPERTS = {
    "num_experts": 4,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
}
HYBRID = {"layer_types": ["linear_attention", "full_attention"]}
DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
}
SHORT_CONVOLUTIONS = {"layer_types": ["conv", "full_attention"], "block_auto_adjust_ff_dim": False}
DISTIL = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "max_position_embeddings": 128}
MODERN = {"local_attention": 8, "global_attn_every_n_layers": 2}
MODERN_IDS = {"cls_token_id": 0, "sep_token_id": 0}
SLIDING = {"sliding_window": 4}

FAMILIES: dict[str, Family] = {
    "GPT-2": Family("GPT2Config", SHORT),
    "GPT-Neo": Family("GPTNeoConfig", NEO),
    "GPT-J": Family("GPTJConfig", SHORT | {"rotary_dim": 4}),
    "GPT-NeoX, Pythia": Family("GPTNeoXConfig", SIZES),
    "OPT": Family("OPTConfig", OPT),
    "OPT-350m": Family("OPTConfig", OPT_350M),
    "Bloom": Family("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "Falcon RW": Family("FalconConfig", FALCON | FALCON_RW),
    "Falcon 7B": Family("FalconConfig", FALCON),
    "Falcon 40B": Family(
        "FalconConfig", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}
    ),
    "MPT": Family("MptConfig", MPT),
    "Llama": Family("LlamaConfig", GROUPED),
    "Llama with biases": Family(
        "LlamaConfig", GROUPED | {"attention_bias": True, "mlp_bias": True}
    ),
    "Mistral": Family("MistralConfig", GROUPED | SLIDING),
    "Qwen2": Family("Qwen2Config", GROUPED),
    "Qwen3": Family("Qwen3Config", GROUPED | HEADS),
    "Gemma 2": Family("Gemma2Config", GROUPED | HEADS | SLIDING | {"final_logit_softcapping": 3.0}),
    "Gemma 3": Family("Gemma3TextConfig", GROUPED | HEADS | SLIDING),
    "Phi": Family("PhiConfig", SIZES),
    "Phi-3": Family("Phi3Config", GROUPED),
    "OLMo 2": Family("Olmo2Config", GROUPED),
    "GLM-4": Family("Glm4Config", GROUPED | HEADS),
    "StableLM": Family("StableLmConfig", GROUPED),
    "StableLM 2": Family("StableLmConfig", GROUPED | {"use_parallel_residual": True}),
    "Cohere": Family("CohereConfig", GROUPED | {"logit_scale": 0.25}),
    "Granite": Family("GraniteConfig", GROUPED | GRANITE),
    "Mixtral": Family("MixtralConfig", GROUPED | {"num_local_experts": 4}),
    "Qwen2-MoE": Family("Qwen2MoeConfig", GROUPED | QWEN2_EXPERTS),
    "Qwen3-MoE": Family("Qwen3MoeConfig", GROUPED | HEADS | QWEN_EXPERTS),
    "Qwen3.5": Family("Qwen3_5TextConfig", GROUPED | HEADS | HYBRID | DELTA),
    "Qwen3-Next": Family("Qwen3NextConfig", GROUPED | HEADS | HYBRID | DELTA | QWEN_EXPERTS),
    "LFM2": Family("Lfm2Config", GROUPED | SHORT_CONVOLUTIONS),
    "BERT": Family("BertConfig", SIZES, auto="AutoModel"),
    "RoBERTa": Family("RobertaConfig", SIZES, auto="AutoModel"),
    "DistilBERT": Family("DistilBertConfig", DISTIL, auto="AutoModel"),
    "ModernBERT": Family("ModernBertConfig", SIZES | MODERN | MODERN_IDS, auto="AutoModel"),
}
DECODERS = tuple(name for name, family in FAMILIES.items() if family.auto != "AutoModel")
ENCODERS = tuple(name for name in FAMILIES if name not in DECODERS)


def config_of(name: str) -> Any:
    """A new configuration of a family."""
    family = FAMILIES[name]
    return getattr(hf, family.config)(vocab_size=len(tiny_tokenizer()), **IDS | family.options)


def hf_model(name: str, auto: str | None = None) -> tuple[Any, Any]:
    """A new bare model and tokenizer, with biases and norms moved off their trivial start.

    Args:
        name: the family.
        auto: make it by another automatic class than the family's own.
    """
    torch.manual_seed(0)
    model = getattr(hf, auto or FAMILIES[name].auto).from_config(config_of(name)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model, tiny_tokenizer()


@functools.cache
def family_model(name: str) -> LanguageModel:
    """The family's model. Do not change its weights."""
    return LanguageModel(*hf_model(name), name=name)
