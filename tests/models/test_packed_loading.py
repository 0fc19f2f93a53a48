"""Checkpoints of packed weights: read with what transformers needs for it, or refused by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.errors import ModelError
from bezoar.models import LanguageModel, packed
from tests.families import tiny_hf_model


@pytest.fixture
def folder(tmp_path):
    model, tokenizer = tiny_hf_model("llama")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return tmp_path


def pack(folder, **said):
    """Have the configuration say that the weights are packed."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | {"quantization_config": said}
    path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("said", "needs"),
    [
        ({"quant_method": "gptq", "bits": 4}, "optimum and gptqmodel"),
        ({"quant_method": "awq", "bits": 4}, "gptqmodel"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "bitsandbytes"),
        ({"load_in_4bit": True}, "bitsandbytes"),
    ],
)
def test_what_is_missing_to_read_them_is_named(folder, monkeypatch, said, needs):
    monkeypatch.setattr(packed, "find_spec", lambda _: None)
    pack(folder, **said)
    with pytest.raises(ModelError, match=f"are packed.*, and {needs}, with which") as error:
        LanguageModel.from_pretrained(folder)
    assert error.value.hint.startswith(f"pip install {needs.replace(' and', '')};")


def test_only_what_is_missing_is_named(folder, monkeypatch):
    monkeypatch.setattr(packed, "find_spec", lambda name: name == "optimum" or None)
    pack(folder, quant_method="gptq", bits=4)
    with pytest.raises(ModelError, match=r"packed .gptq., and gptqmodel, with which"):
        LanguageModel.from_pretrained(folder)


def test_plain_weights_need_nothing(folder, monkeypatch):
    monkeypatch.setattr(packed, "find_spec", lambda _: pytest.fail("was looked for"))
    assert packed.packing(LanguageModel.from_pretrained(folder).model.config) == ""


def test_packed_weights_are_read_and_harvested(folder, tmp_path):
    """With the real package, where it is installed."""
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

    _, tokenizer = tiny_hf_model("llama")
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    plain = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), num_attention_heads=4, **shape))
    plain.save_pretrained(tmp_path / "plain")
    four_bits = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "plain", quantization_config=four_bits, dtype=torch.float32
    )
    model.save_pretrained(tmp_path / "packed")
    tokenizer.save_pretrained(tmp_path / "packed")
    lm = LanguageModel.from_pretrained(tmp_path / "packed", dtype="float32")
    assert lm.model.is_quantized
    text = " the cat sat on a mat"
    rows = harvest(lm, [text], ["1.resid_post"], pooling="none").rows("1.resid_post")
    with torch.no_grad():
        seen = []
        block = lm.model.model.layers[1]
        handle = block.register_forward_hook(lambda _, args, out: seen.append(out))
        lm.model(torch.tensor(lm.encode([text]), device=lm.device))
        handle.remove()
    own = seen[0][0] if isinstance(seen[0], tuple) else seen[0]
    np.testing.assert_allclose(rows, own.reshape(rows.shape).float().cpu().numpy(), atol=1e-4)
