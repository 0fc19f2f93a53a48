"""What is loaded from which kind of checkpoint, and what is said of the rest."""

from __future__ import annotations

import pytest
import torch
import transformers as hf

from bezoar.errors import ModelError, UnsupportedAnatomy
from bezoar.models import Decoding, LanguageModel, check_parity, generate
from tests.models import zoo
from tests.models.helpers import TEXTS


def saved(folder, name, auto):
    model, tokenizer = zoo.hf_model(name, auto)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model


def last_states(lm, batch):
    site = lm.site("-1.resid_post")
    with torch.no_grad():
        return lm.final_norm(lm.capture(batch, [site])[site])[batch.mask]


@pytest.mark.parametrize(
    ("name", "auto", "has_unembedding"),
    [
        ("Llama", "AutoModelForCausalLM", True),
        ("Llama", "AutoModel", False),
        ("Llama", "AutoModelForSequenceClassification", False),
        ("GPT-2", "AutoModel", True),  # its unembedding is its embedding, which is there
        ("BERT", "AutoModel", False),
        ("BERT", "AutoModelForMaskedLM", False),
        ("BERT", "AutoModelForSequenceClassification", False),
        ("RoBERTa", "AutoModelForMaskedLM", False),
        ("DistilBERT", "AutoModelForMaskedLM", False),
        ("ModernBERT", "AutoModelForMaskedLM", False),
    ],
)
def test_a_checkpoint_is_loaded_with_the_head_it_has(tmp_path, name, auto, has_unembedding, capfd):
    source = saved(tmp_path, name, auto)
    capfd.readouterr()
    lm = LanguageModel.from_pretrained(tmp_path, device="cpu")  # parity is checked
    assert capfd.readouterr() == ("", "")
    assert lm.has_unembedding == has_unembedding
    batch = lm.batch(lm.encode(TEXTS))
    with torch.no_grad():
        inside = source.base_model(**lm.inputs(batch)).last_hidden_state[batch.mask]
    torch.testing.assert_close(last_states(lm, batch), inside, atol=1e-4, rtol=1e-4)
    if not has_unembedding:
        with pytest.raises(ModelError, match=r"no unembedding.*language-model head"):
            generate(lm, TEXTS, Decoding(1))


@pytest.mark.parametrize("name", ["Llama", "GPT-2", "BERT"])
def test_a_classifier_in_memory_keeps_its_residual_stream(name):
    model, tokenizer = zoo.hf_model(name, "AutoModelForSequenceClassification")
    lm = LanguageModel(model, tokenizer, name="classifier")
    assert check_parity(lm) < 1e-5
    assert not lm.has_unembedding
    assert (lm.n_layers, lm.d_model) == (2, 32)


def test_a_base_that_ends_in_a_projection():
    model, tokenizer = zoo.hf_model("OPT-350m", "AutoModel")
    lm = LanguageModel(model, tokenizer, name="base")
    assert not lm.has_unembedding
    assert check_parity(lm) < 1e-5


def test_positions_are_counted_as_the_model_counts_them():
    """RoBERTa's begin after its padding index; told otherwise it gives other numbers silently."""
    config = zoo.config_of("RoBERTa")
    config.pad_token_id = 1
    torch.manual_seed(0)
    lm = LanguageModel(hf.AutoModel.from_config(config).eval(), zoo.tiny_tokenizer())
    assert lm.anatomy.first_position == 2
    assert lm.context == 128 - 2
    assert check_parity(lm) < 1e-5
    assert lm.logits_processors == []
    batch = lm.batch([[9] * lm.context])
    assert lm.capture(batch, ["0.resid_post"])[lm.site("0.resid_post")].shape == (1, 126, 32)
    assert zoo.family_model("GPT-2").anatomy.first_position == 0
    assert zoo.family_model("Bloom").anatomy.first_position is None


def test_an_encoder_decoder_is_refused(tmp_path):
    config = hf.T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    hf.T5ForConditionalGeneration(config).save_pretrained(tmp_path)
    zoo.tiny_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="encoder-decoder"):
        LanguageModel.from_pretrained(tmp_path)


def test_layers_that_share_their_weights_are_refused():
    config = hf.AlbertConfig(vocab_size=50, embedding_size=8, hidden_size=16, num_hidden_layers=3)
    config.num_attention_heads, config.intermediate_size = 2, 16
    with pytest.raises(UnsupportedAnatomy, match=r"called 3 times.*share their weights"):
        LanguageModel(hf.AlbertModel(config).eval(), zoo.tiny_tokenizer())


def test_layers_may_differ():
    """The first layers of a mixture of experts are often dense, and wider."""
    config = zoo.config_of("Qwen3-MoE")
    config.mlp_only_layers = [0]
    torch.manual_seed(0)
    lm = LanguageModel(hf.AutoModelForCausalLM.from_config(config).eval(), zoo.tiny_tokenizer())
    assert check_parity(lm) < 1e-5
    assert lm.values(0).shape == (64, 32)
    with pytest.raises(UnsupportedAnatomy, match="linear maps"):
        lm.values(1)
    with pytest.raises(UnsupportedAnatomy, match="linear maps"):
        lm.sites(["mlp_post"])
    assert len(lm.sites(["mlp_out", "attn_out"])) == 4


@pytest.mark.parametrize("spread", [0.02, 0.1, 0.5])
def test_a_soft_cap_is_applied_once_however_small_the_logits(spread):
    """Of small logits tanh is all but a constant, which is not to be taken for a scale."""
    config = zoo.config_of("Gemma 2")
    config.final_logit_softcapping, config.initializer_range = 30.0, spread
    torch.manual_seed(0)
    lm = LanguageModel(hf.AutoModelForCausalLM.from_config(config).eval(), zoo.tiny_tokenizer())
    assert lm.anatomy.logit_scale == 1.0
    assert check_parity(lm) < 1e-5
    assert zoo.family_model("Cohere").anatomy.logit_scale == pytest.approx(0.25)
