"""The anatomy of families that nothing was written for."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    GPTJConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    Qwen2MoeConfig,
)

from bezoar.errors import UnsupportedAnatomy
from bezoar.models import LanguageModel, Site, check_parity
from tests.families import tiny_tokenizer
from tests.models.helpers import TEXTS

IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
LONG = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "num_key_value_heads": 2,
}
CONFIGS = {
    "rotary, parallel, one shared norm": (
        GPTJConfig,
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4},
    ),
    "no mlp module, flattened rows": (
        OPTConfig,
        {
            "hidden_size": 32,
            "ffn_dim": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "word_embed_proj_dim": 32,
        },
    ),
    "residual added inside attention, alibi": (
        BloomConfig,
        {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    ),
    "outputs overwritten in place": (
        FalconConfig,
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    ),
    "sliding window": (MistralConfig, {**LONG, "sliding_window": 4}),
    "post-norms, soft-capped logits": (
        Gemma2Config,
        {**LONG, "head_dim": 8, "final_logit_softcapping": 3.0},
    ),
    "mixture of experts": (MixtralConfig, {**LONG, "num_local_experts": 4}),
    "mixture of experts and a shared one": (
        Qwen2MoeConfig,
        {
            **LONG,
            "num_experts": 4,
            "moe_intermediate_size": 16,
            "shared_expert_intermediate_size": 16,
        },
    ),
}


@pytest.fixture(scope="module", params=CONFIGS)
def other(request):
    kind, options = CONFIGS[request.param]
    tokenizer = tiny_tokenizer()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(
        kind(vocab_size=len(tokenizer), **options, **IDS)
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return LanguageModel(model, tokenizer, name=request.param)


def test_its_numbers_are_hugging_faces(other):
    assert check_parity(other) < 1e-5


def test_what_is_added_adds_up(other):
    batch = other.batch(other.encode(TEXTS))
    for layer in range(2):
        points = ("resid_pre", "attn_out", "mlp_out", "resid_post")
        pre, attention, mlp, post = other.capture(batch, [f"{layer}.{p}" for p in points]).values()
        real = batch.mask
        torch.testing.assert_close((pre + attention + mlp)[real], post[real], atol=1e-4, rtol=1e-4)


def test_mlp_raw_is_the_sum_of_sub_updates(other):
    batch = other.batch(other.encode(TEXTS))
    if "mixture" in other.name:
        with pytest.raises(UnsupportedAnatomy, match="linear maps"):
            other.values(0)
        return
    captured = other.capture(batch, ["1.mlp_post", "1.mlp_raw"])
    total = captured[Site(1, "mlp_post")] @ other.values(1)
    if (bias := other.w_out_bias(1)) is not None:
        total = total + bias
    torch.testing.assert_close(total, captured[Site(1, "mlp_raw")], atol=1e-4, rtol=1e-4)
