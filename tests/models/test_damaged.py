"""A damaged, incomplete or absurd folder ends in a ModelError that says what is wrong, at once."""

from __future__ import annotations

import json
import logging
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from bezoar.errors import ModelError
from bezoar.models import LanguageModel, check_parity
from bezoar.models.checkpoint import refuse_not_finite
from tests.families import tiny_hf_model
from tests.models import zoo

WEIGHT = "transformer.h.1.mlp.c_fc.weight"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "tiny-gpt2"
    model, tokenizer = tiny_hf_model("gpt2")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def change(file, **values):
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_weights(folder, **changes):
    weights = load_file(folder / "model.safetensors")
    save_file(weights | changes, folder / "model.safetensors", metadata={"format": "pt"})


def refused(folder) -> str:
    """What is said: one line that points to nothing else."""
    with pytest.raises(ModelError) as caught:
        LanguageModel.from_pretrained(folder, device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    assert "above" not in message
    return message


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"n_embd": 48}, r"c_attn\.weight \[32, 96\], not \[48, 144\]"),
        ({"n_positions": 3}, r"transformer\.wpe\.weight \[128, 32\], not \[3, 32\]"),
        ({"n_embd": -1}, "n_embd is -1, which cannot be"),
        ({"n_head": 0}, "n_head is 0, which cannot be"),
        ({"n_layer": 0}, "n_layer is 0, which cannot be"),
        ({"n_embd": "<script>"}, r"'n_embd' expected int, got str \(value: '<script>'\)"),
        ({"n_head": 7}, "must be divisible by num_heads"),
        ({"activation_function": "nope"}, "KeyError: 'nope'"),
        ({"dtype": "nope"}, "no attribute 'nope'"),
        ({"quantization_config": 3}, "could not be loaded, at its configuration: AttributeError"),
        ({"model_type": [1]}, "could not be loaded, at its configuration: TypeError"),
        ({"model_type": "nope"}, "model type `nope`"),
    ],
)
def test_a_configuration_that_is_not_of_these_weights(folder, config, said):
    change(folder / "config.json", **config)
    assert re.search(said, refused(folder))


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"n_layer": 10**9}, "n_layer is 1000000000, which cannot be: its weights are 40 tensors"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "num_hidden_layers is 1000000000"),
        ({"num_labels": 10**9}, "num_labels is 1000000000"),
        ({"n_head": 10**9}, "n_head is 1000000000"),  # Alibi has a slope for each
        ({"vocab_size": 10**12}, "more than 32,000,000,000,000 numbers.*hold 54,400"),
        ({"n_inner": 10**12}, "more than 32,000,000,[0-9,]+ numbers.*hold 54,400"),
        ({"n_positions": 10**13}, "more than 320,000,000,[0-9,]+ numbers.*hold 54,400"),
        ({"model_type": "llama"}, "describes more than [0-9,]+ numbers.*hold 54,400"),  # of 7B
    ],
)
def test_absurd_sizes_are_refused_before_anything_is_built(folder, config, said, monkeypatch):
    """No memory of that size is touched: what is counted has none, and little of it is made."""
    made = []
    register = torch.nn.Module.register_parameter

    def counted(self, name, parameter):
        assert parameter is None or parameter.is_meta
        made.append(name)
        register(self, name, parameter)

    monkeypatch.setattr(torch.nn.Module, "register_parameter", counted)
    change(folder / "config.json", **config)
    assert re.search(said, refused(folder))
    assert len(made) < 100
    monkeypatch.undo()
    torch.nn.Linear(3, 2, device="meta")  # nothing keeps counting


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json"]
)
@pytest.mark.parametrize("content", [b"[]", b"", b"\x80\x04\xff", b"[" * 100_000])
def test_a_file_that_is_no_json_object(folder, name, content):
    (folder / name).write_bytes(content)
    said = refused(folder)
    assert "at its tokenizer: " in said if name == "tokenizer.json" else name in said


def test_a_tokenizer_with_wrong_settings(folder):
    change(folder / "tokenizer_config.json", model_max_length={"a": 1})
    assert "at its tokenizer: TypeError" in refused(folder)


@pytest.mark.parametrize("size", [0, 1000, 130])
def test_truncated_weights_name_their_file(folder, size):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:size])
    assert re.search(r"model\.safetensors is damaged: .*Is the download complete", refused(folder))


def test_a_shard_that_is_not_there(folder):
    keys = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(
        json.dumps(
            {"metadata": {}, "weight_map": dict.fromkeys(keys, "model-00002-of-00002.safetensors")}
        )
    )
    assert re.search(r"lacks model-00002-of-00002\.safetensors\. Is the down", refused(folder))
    index.write_text("[]")
    assert "index.json holds a list where an object belongs" in refused(folder)


@pytest.mark.parametrize(
    "name", ["../other/model.safetensors", "/etc/model.safetensors", "model.bin", "..\\w", 3]
)
def test_an_index_that_points_out_of_its_folder(folder, name):
    shutil.copytree(folder, folder.parent / "other")  # it is there, and would be read
    (folder / "model.safetensors").rename(folder / "part.safetensors")
    index = {"metadata": {}, "weight_map": {WEIGHT: name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert re.search(r"names '.+', which is no safetensors file beside it", refused(folder))


def test_experts_that_cannot_be_merged(tmp_path):
    """transformers tells the weight and the shapes only in a table that we silence."""
    model, tokenizer = zoo.hf_model("Qwen3-MoE", "AutoModelForCausalLM")
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    key = "model.layers.0.mlp.experts.0.down_proj.weight"
    change_weights(tmp_path, **{key: weights[key][:3].contiguous()})
    said = refused(tmp_path)
    assert "layers.0.mlp.experts.down_proj cannot be made of what is there" in said
    assert "[3, 16]" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", [WEIGHT, "transformer.wte.weight", "transformer.ln_f.weight"])
def test_weights_that_are_not_finite_are_named(folder, key, value):
    """One number is enough; and the anatomy is not blamed for it."""
    weight = load_file(folder / "model.safetensors")[key]
    weight.view(-1)[3] = value
    change_weights(folder, **{key: weight})
    assert f"not finite (NaN or infinite): {key}." in refused(folder)


def test_large_numbers_are_finite_though_their_sum_is_not():
    layer = torch.nn.Linear(3, 2)
    torch.nn.init.constant_(layer.weight, 3e38)
    assert layer.weight.sum().isinf()
    refuse_not_finite(layer, "large")
    layer.bias.data[1] = float("nan")
    with pytest.raises(ModelError, match=r"infinite\): bias\."):
        refuse_not_finite(layer, "large")


def test_a_cast_that_overflows_is_said(folder):
    weight = load_file(folder / "model.safetensors")[WEIGHT]
    weight[0, 0] = 1e6
    change_weights(folder, **{WEIGHT: weight})
    with pytest.raises(ModelError, match=f"not finite.*{WEIGHT}.*float16 is too small"):
        LanguageModel.from_pretrained(folder, device="cpu", dtype="float16")


def test_blocks_that_overflow_are_named():
    model, tokenizer = tiny_hf_model("gpt2")
    with torch.no_grad():
        model.transformer.h[0].mlp.c_fc.weight.fill_(1e38)
    with pytest.raises(ModelError, match=r"overflows: what transformer\.h\.0\.mlp\S* gives"):
        LanguageModel(model, tokenizer)


def test_logits_that_overflow_are_said():
    lm = LanguageModel(*tiny_hf_model("gpt2"), name="big")
    with torch.no_grad():
        lm.model.lm_head.weight.mul_(3e38)
    with pytest.raises(ModelError, match="logits of 'big' are not finite"):
        check_parity(lm)


def test_a_forward_pass_that_fails_is_said():
    model, tokenizer = zoo.hf_model("Gemma 2")
    model.config.sliding_window = -1
    with pytest.raises(ModelError, match=r"forward pass of .* failed: The size of tensor a"):
        check_parity(LanguageModel(model, tokenizer))


@pytest.mark.parametrize("left", [(), ("tokenizer_config.json",)])
def test_a_missing_tokenizer_is_no_empty_one(folder, left):
    for file in folder.glob("*token*"):
        if file.name not in left:
            file.unlink()
    assert re.search(r"no tokenizer|at its tokenizer", refused(folder))
    if not left:
        assert "its files are missing" in refused(folder)


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "SecurityError: access to attribute"),
        ("{{ raise_exception('roles must alternate') }}", "TemplateError: roles must alternate"),
        ("{% for ", "TemplateSyntaxError"),
        ("{{ messages[7]['content'] }}", "UndefinedError"),
        ("{% for i in range(10**9) %}x{% endfor %}", "OverflowError"),
        ("{{ 1/0 }}", "ZeroDivisionError"),
        ({"tools": "x"}, "multiple chat templates"),
    ],
)
def test_a_chat_template_that_fails_is_an_error_of_the_model(gpt2, monkeypatch, template, said):
    monkeypatch.setattr(gpt2.tokenizer, "chat_template", template)
    with pytest.raises(ModelError, match=f"chat template of .* failed: .*{said}"):
        gpt2.chat(["you"])


def test_loading_leaves_the_log_as_it_was(folder):
    logger = logging.getLogger("transformers")
    before = (logger.level, logger.handlers[:], [handler.level for handler in logger.handlers])
    LanguageModel.from_pretrained(folder, device="cpu")
    change(folder / "config.json", n_positions=3)
    refused(folder)
    now = (logger.level, logger.handlers[:], [handler.level for handler in logger.handlers])
    assert now == before
