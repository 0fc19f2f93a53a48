"""``apply`` and ``try``: a saved edit, used from the command line."""

from __future__ import annotations

import json

import pytest
import torch

from bezoar.edits import ActivationEdit, Add, LogitEdit
from bezoar.models import Decoding, LanguageModel, generate


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model on disk."""
    from tests.families import tiny_hf_model

    folder = tmp_path_factory.mktemp("model")
    hf, tokenizer = tiny_hf_model("gpt2")
    hf.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def shift(model, tmp_path):
    """A shift of what the last MLP adds: it folds into a bias."""
    lm = LanguageModel.from_pretrained(str(model))
    by = 5 * torch.ones(lm.d_model)
    by[::2] = -5.0
    edit = ActivationEdit.at([lm.site("-1.mlp_out")], Add(by), name="shift")
    edit.save(tmp_path / "edit", lm)
    return tmp_path / "edit"


def test_apply_saves_a_checkpoint_that_is_the_edited_model(bezoar, model, shift, tmp_path):
    status, out, err = bezoar("apply", shift, model, "--out", tmp_path / "new", "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["folder"] == str(tmp_path / "new")
    lm, new = (LanguageModel.from_pretrained(str(path)) for path in (model, tmp_path / "new"))
    from bezoar.edits import load_edit

    batch = lm.batch(lm.encode(["the fool is", "that man"]))
    with load_edit(shift, lm).applied_to(lm):
        torch.testing.assert_close(new.logits(batch), lm.logits(batch), rtol=1e-4, atol=1e-4)


def test_apply_refuses_what_does_not_fold_and_leaves_nothing(bezoar, model, tmp_path):
    lm = LanguageModel.from_pretrained(str(model))
    LogitEdit(((5,),), torch.tensor([-9.0]), name="ban").save(tmp_path / "ban", lm)
    status, _, err = bezoar("apply", tmp_path / "ban", model, "--out", tmp_path / "new")
    assert status == 7
    assert err.startswith("NotFoldable: ")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("options", [[], ["--sample", "--seed", "3"]])
def test_try_shows_both_continuations(bezoar, model, shift, options):
    line = ["try", "the fool", "--edit", shift, "--model", model, "--tokens", "8", "--json"]
    status, out, _ = bezoar(*line, *options)
    assert status == 0
    seen = json.loads(out)
    lm = LanguageModel.from_pretrained(str(model))
    decoding = Decoding(max_new_tokens=8, sample=bool(options), seed=3 if options else 0)
    from bezoar.report import mask

    assert seen["before"] == mask(generate(lm, ["the fool"], decoding).texts()[0][0])
    assert seen["after"] != seen["before"]


def test_a_missing_model_and_a_missing_edit_are_named(bezoar, model, shift, tmp_path):
    status, _, err = bezoar("try", "x", "--edit", shift, "--model", tmp_path / "none")
    assert status == 4
    assert "none" in err
    status, _, err = bezoar("try", "x", "--edit", tmp_path / "none", "--model", model)
    assert status == 5
    assert "none" in err
