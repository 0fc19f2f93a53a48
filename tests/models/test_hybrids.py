"""Models whose layers differ in what mixes positions, and streams that are not one vector a token.

What is added, and that it adds up, is proven of the hybrid families with all others.
"""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from bezoar.errors import SiteError, UnsupportedAnatomy
from bezoar.models import AnatomyNames, LanguageModel, Site, check_parity
from tests.models import zoo


def tiny(config: str, auto: str = "AutoModelForCausalLM", **options):
    torch.manual_seed(0)
    options = zoo.IDS | {"vocab_size": len(zoo.tiny_tokenizer())} | options
    return getattr(hf, auto).from_config(getattr(hf, config)(**options)).eval()


@pytest.mark.parametrize(
    ("family", "mixers"),
    [
        ("Qwen3.5", ["linear_attn", "self_attn"]),
        ("Qwen3-Next", ["linear_attn", "self_attn"]),
        ("LFM2", ["conv", "self_attn"]),
    ],
)
def test_the_mixer_is_sought_in_every_block(family, mixers):
    lm = zoo.family_model(family)
    for parts, mixer in zip(lm.anatomy.block_parts, mixers, strict=True):
        assert parts.attention is getattr(parts.block, mixer)
    assert {"attn_out", "resid_mid", "mlp_out"} <= set(lm.anatomy.points())
    assert "z" not in lm.anatomy.points()
    assert lm.anatomy.has(Site(1, "z"))
    with pytest.raises(SiteError, match=r"Only some layers .* z \(1\).*not made of heads.*1\.z"):
        lm.sites(["z"])


@pytest.mark.parametrize("name", ["self_attn", "linear_attn", "self_attn|linear_attn"])
def test_a_name_by_hand_counts_where_it_is(name):
    model, tokenizer = zoo.hf_model("Qwen3.5")
    found = LanguageModel(model, tokenizer).anatomy
    by_hand = LanguageModel(model, tokenizer, anatomy=AnatomyNames(attention=name)).anatomy
    assert by_hand.block_parts == found.block_parts
    with pytest.raises(UnsupportedAnatomy, match=r"'linear_atn' \(attention\).*linear_attn"):
        LanguageModel(model, tokenizer, anatomy=AnatomyNames(attention="self_attn|linear_atn"))


def test_the_first_name_that_a_block_has_is_taken():
    model, tokenizer = zoo.hf_model("Qwen3.5")
    names = AnatomyNames(attn_out="self_attn.o_proj|linear_attn.out_proj|linear_attn")
    parts = LanguageModel(model, tokenizer, anatomy=names).anatomy.block_parts
    assert parts[0].attn_added is parts[0].block.linear_attn.out_proj
    assert parts[1].attn_added is parts[1].block.self_attn.o_proj


def test_a_block_that_adds_one_output_only():
    """Mamba: a mixer, and no MLP."""
    model = tiny("MambaConfig", hidden_size=32, num_hidden_layers=2, state_size=8)
    lm = LanguageModel(model, zoo.tiny_tokenizer())
    points = ("resid_pre", "attn_out", "resid_post")
    pre, added, post = lm.capture(lm.batch([[5, 6, 7]]), [Site(1, p) for p in points]).values()
    torch.testing.assert_close(pre + added, post)
    with pytest.raises(UnsupportedAnatomy, match="adds one output only"):
        lm.site("1.mlp_out")


def test_a_head_of_several_layers_before_the_unembedding():
    """ModernBERT's decoder: a norm, then a map, an activation and another norm."""
    sizes = zoo.SIZES | {"cls_token_id": 0, "sep_token_id": 0, "local_attention": 8}
    model = tiny("ModernBertDecoderConfig", **sizes)
    lm = LanguageModel(model, zoo.tiny_tokenizer())
    assert list(lm.anatomy.final_norm) == [model.model.final_norm, model.lm_head]
    assert check_parity(lm) < 1e-5


@pytest.mark.parametrize(
    ("config", "auto", "options", "shape"),
    [
        ("LongformerConfig", "AutoModel", {"attention_window": 8}, r"\(1, 8, 32\)"),
        (
            "Gemma3nTextConfig",
            "AutoModelForCausalLM",
            {
                "altup_num_inputs": 2,
                "vocab_size_per_layer_input": 379,
                "hidden_size_per_layer_input": 8,
                "laurel_rank": 4,
                "num_kv_shared_layers": 0,
                "layer_types": ["sliding_attention", "full_attention"],
                "activation_sparsity_pattern": [0.0, 0.0],
                "head_dim": 8,
            },
            r"\(2, 1, 6, 32\)",
        ),
    ],
)
def test_a_stream_that_is_not_one_vector_a_token_is_refused(config, auto, options, shape):
    model = tiny(config, auto, **zoo.GROUPED | options)
    for names in (AnatomyNames(), AnatomyNames(final_norm="")):
        with pytest.raises(UnsupportedAnatomy, match=rf"shape {shape} for 6 tokens .*padding"):
            LanguageModel(model, zoo.tiny_tokenizer(), anatomy=names)
