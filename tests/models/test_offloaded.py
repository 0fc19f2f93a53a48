"""A model whose layers lie on disk is the same model."""

from __future__ import annotations

import pytest
import torch

from bezoar.edits import self_test
from bezoar.errors import EditError, ModelError
from bezoar.mitigate import FitInputs, UniformShrink
from bezoar.models import LanguageModel
from tests.families import tiny_hf_model, tiny_model

FAMILIES = ("gpt2", "llama")


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request, tmp_path_factory):
    """The same folder loaded whole, and with its second block on disk."""
    folder = tmp_path_factory.mktemp(request.param)
    model, tokenizer = tiny_hf_model(request.param)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    whole = LanguageModel.from_pretrained(folder)
    away = next(name for name, _ in model.named_modules() if name.endswith(".1"))
    places = {
        name: "cpu"
        for name, module in model.named_modules()
        if not any(module.children()) and not name.startswith(f"{away}.")
    }
    offloaded = LanguageModel.from_pretrained(folder, device_map=places | {away: "disk"})
    assert any(p.is_meta for p in offloaded.model.parameters())
    return whole, offloaded


def test_it_has_the_fingerprint_that_it_has_loaded_whole(pair):
    whole, offloaded = pair
    assert offloaded.fingerprint == whole.fingerprint
    assert any(p.is_meta for p in offloaded.model.parameters())  # and went back to where it was


def test_its_keys_and_values_are_fetched(pair):
    whole, offloaded = pair
    for layer in range(whole.n_layers):
        assert torch.equal(offloaded.keys(layer), whole.keys(layer))
        assert torch.equal(offloaded.values(layer), whole.values(layer))
        biases = (offloaded.w_out_bias(layer), whole.w_out_bias(layer))
        assert biases == (None, None) or torch.equal(*biases)


def test_edits_act_on_it_by_hooks_and_say_why_not_by_weights(pair):
    whole, offloaded = pair
    batch = whole.batch(whole.encode(["you are a fool"]))
    edit = UniformShrink(0.5).fit(offloaded, FitInputs())
    with edit.applied_to(offloaded), edit.applied_to(whole):
        torch.testing.assert_close(offloaded.logits(batch), whole.logits(batch))
    assert self_test(edit, offloaded, ["you are"]).fold_reason.endswith("are offloaded.")
    folded = edit.fold(whole)
    with pytest.raises(EditError, match="offloaded"), folded.applied_to(offloaded):
        pass


def test_weights_that_are_nowhere_are_named():
    lm = tiny_model("gpt2")
    lm.model.to("meta")
    with pytest.raises(ModelError, match=r"wte\.weight are nowhere.*from_pretrained"):
        _ = lm.fingerprint
