from __future__ import annotations

import pytest
import torch
from torch import nn

from bezoar.errors import ModelError, SiteError, UnsupportedAnatomy
from bezoar.models import (
    AnatomyNames,
    LanguageModel,
    Site,
    check_parity,
    require_writable,
)
from tests.families import tiny_hf_model

EXPECTED = {  # names inside a block
    "tiny-gpt2": {
        "attention": "attn",
        "attn_out_proj": "attn.c_proj",
        "attn_norm": "ln_1",
        "mlp": "mlp",
        "w_in": "mlp.c_fc",
        "w_gate": None,
        "w_up": None,
        "w_out": "mlp.c_proj",
        "mlp_norm": "ln_2",
        "act": "mlp.act",
    },
    "tiny-llama": {
        "attention": "self_attn",
        "attn_out_proj": "self_attn.o_proj",
        "attn_norm": "input_layernorm",
        "mlp": "mlp",
        "w_in": "mlp.up_proj",
        "w_gate": "mlp.gate_proj",
        "w_up": "mlp.up_proj",
        "w_out": "mlp.down_proj",
        "mlp_norm": "post_attention_layernorm",
        "act": "mlp.act_fn",
    },
    "tiny-gpt_neox": {
        "attention": "attention",
        "attn_out_proj": "attention.dense",
        "attn_norm": "input_layernorm",
        "mlp": "mlp",
        "w_in": "mlp.dense_h_to_4h",
        "w_gate": None,
        "w_up": None,
        "w_out": "mlp.dense_4h_to_h",
        "mlp_norm": "post_attention_layernorm",
        "act": "mlp.act",
    },
}


def test_every_part_of_every_block_is_found(lm):
    for parts in lm.anatomy.block_parts:
        for part, name in EXPECTED[lm.name].items():
            expected = None if name is None else parts.block.get_submodule(name)
            assert getattr(parts, part) is expected, part
        assert parts.missing == {}


def test_the_whole_is_found(lm):
    a = lm.anatomy
    assert list(a.blocks) == list(next(m for m in a.base.modules() if isinstance(m, nn.ModuleList)))
    assert a.unembed is lm.model.get_output_embeddings()
    assert a.parallel == (lm.name == "tiny-gpt_neox")
    assert a.tied == (lm.name == "tiny-gpt2")
    assert lm.gated == (lm.name == "tiny-llama")
    assert a.final_norm in (getattr(a.base, n, None) for n in ("ln_f", "norm", "final_layer_norm"))


def test_sizes_are_those_of_the_configuration(lm):
    config = lm.model.config
    assert (lm.n_layers, lm.d_model, lm.n_heads) == (3, 32, 4)
    assert lm.d_head == 8
    assert lm.d_mlp == (128 if lm.name == "tiny-gpt2" else 64)
    assert lm.d_vocab == config.vocab_size
    assert lm.context == 128


def test_keys_and_values_are_views_with_one_orientation(lm):
    for layer in range(lm.n_layers):
        parts = lm.anatomy[layer]
        for matrix, module in ((lm.keys(layer), parts.w_in), (lm.values(layer), parts.w_out)):
            assert matrix.shape == (lm.d_mlp, lm.d_model)
            assert matrix.data_ptr() == module.weight.data_ptr()
            assert not matrix.requires_grad
    assert lm.W_U.shape == (lm.d_vocab, lm.d_model)
    assert lm.W_U.data_ptr() == lm.anatomy.unembed.weight.data_ptr()


def test_parameter_names_lead_to_the_parameter(lm):
    state = lm.model.state_dict()
    for module in (lm.anatomy[1].w_out, lm.anatomy.unembed, lm.anatomy.embed):
        name = lm.parameter_name(module, "weight")
        assert state[name].data_ptr() == module.weight.data_ptr()
    with pytest.raises(ModelError, match="Linear"):
        lm.parameter_name(nn.Linear(2, 2), "weight")


def test_a_neox_block_without_parallel_residual_is_sequential():
    model, tokenizer = tiny_hf_model("gpt_neox")
    config = model.config
    config.use_parallel_residual = False
    lm = LanguageModel(type(model)(config), tokenizer)
    assert not lm.anatomy.parallel
    batch = lm.batch(lm.encode(["the fool is not"]))
    sites = [lm.site(f"1.{p}") for p in ("resid_pre", "attn_out", "resid_mid")]
    pre, attention, mid = lm.capture(batch, sites).values()
    torch.testing.assert_close(pre + attention, mid)


def test_parallel_blocks_have_no_resid_mid(lm):
    if lm.anatomy.parallel:
        with pytest.raises(SiteError, match="parallel"):
            lm.site("0.resid_mid")
    else:
        assert lm.site("0.resid_mid") == Site(0, "resid_mid")


def test_points_of_the_other_kind_of_mlp_are_refused_with_what_to_use(lm):
    wrong, right = ("mlp_pre", "mlp_gate") if lm.gated else ("mlp_gate", "mlp_pre")
    with pytest.raises(SiteError, match=right):
        lm.site(f"0.{wrong}")


@pytest.mark.parametrize("point", ["resid_mid", "resid_delta"])
def test_sums_cannot_be_edited(gpt2, point):
    assert not gpt2.anatomy.hook_point(Site(1, point)).writable
    with pytest.raises(SiteError, match="attn_out"):
        require_writable(gpt2.anatomy, Site(1, point))
    assert require_writable(gpt2.anatomy, Site(1, "mlp_out")).writable


def test_layers_are_checked_and_counted_from_the_end(lm):
    assert lm.site("-1.mlp_out") == Site(2, "mlp_out")
    for text in ("3.mlp_out", "-4.mlp_out"):
        with pytest.raises(SiteError, match="has 3"):
            lm.site(text)
    with pytest.raises(SiteError, match="resid_post"):
        lm.sites(["resid_pots"])
    assert lm.sites() == [Site(layer, "resid_post") for layer in range(3)]


def test_parts_can_be_named_by_hand():
    model, tokenizer = tiny_hf_model("gpt2")
    names = AnatomyNames(
        blocks="transformer.h",
        final_norm="transformer.ln_f",
        unembed="lm_head",
        attention="attn",
        w_in="mlp.c_fc",
        w_out="mlp.c_proj",
        attn_out="attn",
        mlp_out="mlp",
    )
    by_hand = LanguageModel(model, tokenizer, anatomy=names)
    assert by_hand.anatomy == LanguageModel(model, tokenizer).anatomy


@pytest.mark.parametrize(
    ("names", "nearest"),
    [
        (AnatomyNames(blocks="transformer.x"), "transformer.h"),
        (AnatomyNames(w_out="mlp.c_porj"), "mlp.c_proj"),
        (AnatomyNames(final_norm="transformer.lnf"), "transformer.ln_f"),
    ],
)
def test_a_wrong_name_by_hand_is_answered_with_the_nearest(names, nearest):
    with pytest.raises(UnsupportedAnatomy, match=nearest):
        LanguageModel(*tiny_hf_model("gpt2"), anatomy=names)


def test_parity_holds(lm):
    assert check_parity(lm) < 1e-5


def test_parity_fails_where_the_anatomy_is_wrong():
    names = AnatomyNames(final_norm="transformer.h.0.ln_1")
    lm = LanguageModel(*tiny_hf_model("gpt2"), anatomy=names)
    with pytest.raises(ModelError, match="differ"):
        check_parity(lm)
