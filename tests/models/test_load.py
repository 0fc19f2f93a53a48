from __future__ import annotations

import json
import sys
import types

import pytest
import torch
from safetensors.torch import load_file, save_file

from bezoar.errors import ModelError
from bezoar.models import LanguageModel
from tests.families import tiny_hf_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "tiny-gpt2"
    model, tokenizer = tiny_hf_model("gpt2")
    model.to(torch.bfloat16).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def test_half_precision_is_cast_on_the_cpu_and_remembered(folder):
    lm = LanguageModel.from_pretrained(folder, device="cpu")
    assert lm.dtype == torch.float32
    assert lm.source_dtype == torch.bfloat16
    assert not lm.model.training
    kept = LanguageModel.from_pretrained(folder, device="cpu", dtype="bfloat16", check=False)
    assert kept.dtype == torch.bfloat16


def test_demo_is_the_model_of_the_demo_package(folder, monkeypatch):
    demo = types.ModuleType("bezoar_demo")
    demo.model_path = lambda: folder
    monkeypatch.setitem(sys.modules, "bezoar_demo", demo)
    assert LanguageModel.from_pretrained("demo").n_layers == 3
    monkeypatch.setitem(sys.modules, "bezoar_demo", None)
    with pytest.raises(ModelError, match="pip install"):
        LanguageModel.from_pretrained("demo")


def test_a_wrong_folder_is_answered_with_the_nearest(folder):
    with pytest.raises(ModelError, match="tiny-gpt2"):
        LanguageModel.from_pretrained(folder.parent / "tiny-gtp2")
    with pytest.raises(ModelError, match="is a file"):
        LanguageModel.from_pretrained(folder / "config.json")


def test_a_folder_without_a_model_says_what_it_holds(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ModelError, match=r"no config\.json.*notes\.txt"):
        LanguageModel.from_pretrained(tmp_path)


def test_pickled_weights_are_never_read(folder, tmp_path):
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    with pytest.raises(ModelError, match="no safetensors"):
        LanguageModel.from_pretrained(tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin may run code"):
        LanguageModel.from_pretrained(tmp_path)


def test_code_beside_the_weights_is_never_run(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": "evil",
        "auto_map": {"AutoConfig": "evil.E", "AutoModelForCausalLM": "evil.M"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError, match="never run"):
        LanguageModel.from_pretrained(tmp_path)


def test_weights_that_would_be_random_are_an_error(folder, tmp_path):
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"random: transformer\.h\.1\.mlp\.c_fc\.weight"):
        LanguageModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("options", "seen"), [({"dtype": "float31"}, "float31"), ({"device": "tpu"}, "tpu")]
)
def test_a_dtype_or_device_that_is_not_there_is_named(folder, options, seen):
    with pytest.raises(ModelError, match=seen):
        LanguageModel.from_pretrained(folder, **options)


def test_a_hub_id_without_network_says_so():
    with pytest.raises(ModelError, match="hub id"):
        LanguageModel.from_pretrained("nobody/has-this-model")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    asked = []

    def unreachable(*args, **options):
        asked.append(options)
        raise ConnectionError("no route")

    monkeypatch.setattr("huggingface_hub.is_offline_mode", lambda: False)
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", unreachable)
    monkeypatch.setattr("huggingface_hub.utils._http.http_backoff", unreachable)
    with pytest.raises(ModelError, match="hub id"):
        LanguageModel.from_pretrained("nobody/has-this-model")
    assert len(asked) == 1


def test_chat_uses_the_tokenizers_template(gpt2, monkeypatch):
    with pytest.raises(ModelError, match="no chat template"):
        gpt2.chat(["you"])
    template = (
        "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{% endfor %} [a]"
    )
    monkeypatch.setattr(gpt2.tokenizer, "chat_template", template)
    (text,) = gpt2.chat(["you"])
    assert text == "<|endoftext|>[user] you [a]"
    assert gpt2.encode([text])[0].count(0) == 1
