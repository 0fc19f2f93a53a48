"""An export is an ordinary folder whose model is the edited one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from bezoar.edits import ActivationEdit, Add, Gate, NoOp, Project, export
from bezoar.errors import EditError, NotFoldable, StoreError
from bezoar.models import LanguageModel
from bezoar.runs.stages import is_leftover
from tests.edits.kit import PROMPTS, logits, noise, one, unit
from tests.families import tiny_hf_model


def plain_logits(folder, dtype=torch.float32):
    """By transformers alone, prompt by prompt."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        rows = [model(**tokenizer(p, return_tensors="pt")).logits[0] for p in PROMPTS]
    return torch.cat(rows).float(), model


def test_export_reloads_as_the_hooked_model_in_plain_transformers(lm, tmp_path):
    edit = ActivationEdit.at(lm.sites(["mlp_out"]), Project(unit(lm.d_model)[None])).then(
        one("unembed_in", Gate(1 + noise(lm.d_model, scale=0.2)))
    )
    with edit.applied_to(lm):
        hooked = logits(lm)
    before = logits(lm)
    result = export(lm, edit, tmp_path / "out")
    assert torch.equal(logits(lm), before)
    exported, model = plain_logits(tmp_path / "out")
    torch.testing.assert_close(exported, hooked, atol=2e-5, rtol=1e-5)
    assert result.max_difference <= 1e-5
    assert type(model) is type(lm.model)
    # The head was edited: tied models come apart, the input embedding stays as it was.
    assert result.untied == lm.anatomy.tied
    assert not model.config.tie_word_embeddings
    assert torch.equal(model.get_input_embeddings().weight, lm.anatomy.embed.weight)


def test_an_edit_away_from_the_head_keeps_the_tie(gpt2, tmp_path):
    edit = one("-1.mlp_out", Add(3 * unit(gpt2.d_model)), "last")
    assert not export(gpt2, edit, tmp_path / "out").untied
    _, model = plain_logits(tmp_path / "out")
    assert model.lm_head.weight is model.transformer.wte.weight
    assert gpt2.model.config.tie_word_embeddings


def test_half_precision_sources_are_exported_as_such(tmp_path):
    model, tokenizer = tiny_hf_model("llama")
    model.to(torch.bfloat16).save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    lm = LanguageModel.from_pretrained(tmp_path / "base", device="cpu")
    assert (lm.dtype, lm.source_dtype) == (torch.float32, torch.bfloat16)
    edit = ActivationEdit.at(lm.sites(["mlp_out"]), Project(unit(lm.d_model)[None]))
    result = export(lm, edit, tmp_path / "out")
    assert result.dtype == "bfloat16"
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == "bfloat16"
    reloaded = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype="auto")
    assert {p.dtype for p in reloaded.parameters()} == {torch.bfloat16}
    assert lm.model.dtype == torch.float32
    assert 0 < result.max_difference < 0.05
    same = torch.equal(reloaded.model.embed_tokens.weight, model.model.embed_tokens.weight)
    assert same


def test_the_folder_says_what_was_done(gpt2, tmp_path):
    edit = ActivationEdit.at(
        gpt2.sites(["mlp_out"]), Add(unit(gpt2.d_model)), name="shift", provenance={"method": "m"}
    )
    export(gpt2, edit, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "bezoar_edit.json").read_text())
    assert about["edit"] == {"name": "shift", "provenance": {"method": "m"}}
    assert about["base"]["fingerprint"] == gpt2.fingerprint
    assert len(about["changed"]) == gpt2.n_layers
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} <= names
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_nothing_is_overwritten(gpt2, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    export(gpt2, NoOp(), out)
    with pytest.raises(StoreError, match="not empty"):
        export(gpt2, NoOp(), out)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError):
        export(gpt2, NoOp(), tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_failure_leaves_nothing_behind(lm, tmp_path, monkeypatch):
    with pytest.raises(NotFoldable):
        export(lm, one("1.resid_post", Project(unit(lm.d_model)[None])), tmp_path / "out")
    whole = sys.modules["bezoar.edits.export"]._cast_state

    def spoiled(lm):
        state = whole(lm)
        name = lm.parameter_name(lm.anatomy[0].w_out)
        return state | {name: 1.01 * state[name]}

    monkeypatch.setattr(sys.modules["bezoar.edits.export"], "_cast_state", spoiled)
    with pytest.raises(EditError, match="read back, is not the edited one"):
        export(lm, NoOp(), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_what_the_next_stage_removes(gpt2, tmp_path, monkeypatch):
    def killed(*_):
        drafts.extend(tmp_path.iterdir())
        raise KeyboardInterrupt

    drafts: list[Path] = []
    monkeypatch.setattr(sys.modules["bezoar.edits.export"], "_write", killed)
    monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: None)  # as SIGKILL has it
    with pytest.raises(KeyboardInterrupt):
        export(gpt2, NoOp(), tmp_path / "out")
    monkeypatch.undo()
    assert [path.is_dir() and is_leftover(path) for path in drafts] == [True]
    export(gpt2, NoOp(), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
