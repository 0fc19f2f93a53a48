"""Models inside wrappers: with images beside the text, and with adapters around the layers."""

from __future__ import annotations

import importlib

import pytest
import torch
import transformers as hf
from torch import nn

from bezoar.edits import Add, export
from bezoar.errors import EditError, NotFoldable
from bezoar.models import Decoding, LanguageModel, check_parity, generate
from tests.edits.kit import one, unit
from tests.families import tiny_tokenizer
from tests.models import zoo
from tests.models.helpers import TEXTS

VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 3,  # more than the text model's
    "num_attention_heads": 2,
    "image_size": 8,
    "patch_size": 4,
}


def gemma():
    text = zoo.config_of("Gemma 3").to_dict()
    config = hf.Gemma3Config(
        text_config=text,
        vision_config={**VISION, "model_type": "siglip_vision_model"},
        mm_tokens_per_image=4,
        image_token_index=1,
    )
    return hf.Gemma3ForConditionalGeneration(config)


def llava():
    config = hf.LlavaConfig(
        text_config=zoo.config_of("Llama"),
        vision_config=hf.CLIPVisionConfig(**VISION, projection_dim=16),
        image_token_index=1,
    )
    return hf.LlavaForConditionalGeneration(config)


@pytest.fixture(scope="module", params=[gemma, llava])
def wrapped(request):
    torch.manual_seed(0)
    return request.param().eval()


def test_the_text_model_of_a_wrapper_is_what_is_read(wrapped, tmp_path):
    lm = LanguageModel(wrapped, tiny_tokenizer(), name="wrapped")
    assert check_parity(lm) < 1e-5
    text = wrapped.get_decoder() if hasattr(wrapped, "get_decoder") else wrapped.language_model
    assert list(lm.anatomy.blocks) == list(text.layers)
    assert (lm.n_layers, lm.d_model, lm.d_mlp, lm.n_heads, lm.context) == (2, 32, 64, 4, 128)
    assert lm.has_unembedding
    greedy = generate(lm, TEXTS, Decoding(4))
    assert generate(lm, TEXTS, Decoding(4), batch_tokens=1) == greedy
    wrapped.save_pretrained(tmp_path)
    lm.tokenizer.save_pretrained(tmp_path)
    again = LanguageModel.from_pretrained(tmp_path, device="cpu")
    assert type(again.model) is type(wrapped)
    assert generate(again, TEXTS, Decoding(4)) == greedy


class Adapted(nn.Module):
    """What an adapter library puts around a linear layer."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base_layer = base
        self.in_features, self.out_features = base.in_features, base.out_features
        self.lora_A = nn.ModuleDict({"default": nn.Linear(base.in_features, 2, bias=False)})
        self.lora_B = nn.ModuleDict({"default": nn.Linear(2, base.out_features, bias=False)})

    @property
    def weight(self):
        return self.base_layer.weight

    @property
    def bias(self):
        return self.base_layer.bias

    def forward(self, x):
        return self.base_layer(x) + self.lora_B["default"](self.lora_A["default"](x))


class Wrapper(nn.Module):
    """What such a library puts around the whole, as far as it matters here."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.inner = model

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)

    def get_base_model(self):
        return self.inner

    def forward(self, input_ids=None, attention_mask=None, **kwargs):
        return self.inner(input_ids=input_ids, attention_mask=attention_mask, **kwargs)


def adapted_by_hand(model):
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and ".layers." in name:
            parent, _, leaf = name.rpartition(".")
            setattr(model.get_submodule(parent), leaf, Adapted(module))
    return Wrapper(model)


def adapted_by_peft(model):
    peft = importlib.import_module("peft")
    config = peft.LoraConfig(r=2, target_modules="all-linear", init_lora_weights=False)
    return peft.get_peft_model(model, config)


@pytest.fixture(scope="module", params=["by hand", "peft"])
def adapted(request):
    model, tokenizer = zoo.hf_model("Llama")
    if request.param == "peft":
        pytest.importorskip("peft")
        model = adapted_by_peft(model)
    else:
        model = adapted_by_hand(model)
    return LanguageModel(model, tokenizer, name="adapted")


def test_adapters_are_part_of_the_model(adapted):
    assert check_parity(adapted) < 1e-5
    plain = zoo.family_model("Llama")
    assert adapted.anatomy.points() == plain.anatomy.points()
    batch = adapted.batch(adapted.encode(TEXTS))
    assert (adapted.logits(batch) - plain.logits(batch)).abs().max() > 1e-3
    post, raw = adapted.capture(batch, ["0.mlp_post", "0.mlp_raw"]).values()
    torch.testing.assert_close(post @ adapted.values(0), raw, atol=1e-4, rtol=1e-4)
    layer = adapted.anatomy[0].w_out
    low = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    whole = layer.base_layer.weight + getattr(layer, "scaling", {"default": 1.0})["default"] * low
    torch.testing.assert_close(adapted.values(0).T, whole.detach(), atol=1e-5, rtol=1e-4)


def test_an_adapted_model_is_edited_by_hooks_and_merged_before_it_is_folded(adapted, tmp_path):
    greedy = generate(adapted, TEXTS, Decoding(3))
    edit = one("0.mlp_out", Add(9 * unit(32)))
    with edit.applied_to(adapted):
        assert generate(adapted, TEXTS, Decoding(3)) != greedy
    assert generate(adapted, TEXTS, Decoding(3)) == greedy
    with pytest.raises(NotFoldable, match="merge the adapter"):
        edit.fold(adapted)
    with pytest.raises(EditError, match="merge"):
        export(adapted, edit, tmp_path / "out")
