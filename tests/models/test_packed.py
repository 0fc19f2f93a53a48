"""Packed weights: keys and values are copies, hooks edit, and no weights are folded into."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bezoar.attack import ScaleKeys
from bezoar.edits import RowScale, WeightEdit, self_test
from bezoar.errors import EditError, NotFoldable, UnsupportedAnatomy
from bezoar.locate import rank_values
from bezoar.models import Decoding, LanguageModel, Site, check_parity, generate
from tests.edits.kit import Add, Gate, one, unit
from tests.locate.kit import direction
from tests.models import zoo
from tests.models.helpers import TEXTS
from tests.models.packed import Misleading, Opaque, Packed, Telling, pack

KINDS = {"probed": Packed, "telling": Telling, "misleading": Misleading}


@pytest.fixture(scope="module", params=KINDS)
def packed(request):
    model, tokenizer = zoo.hf_model("Llama with biases")
    return LanguageModel(pack(model, KINDS[request.param]), tokenizer, name=request.param)


def test_the_anatomy_is_that_of_the_plain_model(packed):
    plain = zoo.family_model("Llama with biases")
    assert packed.anatomy.points() == plain.anatomy.points()
    assert isinstance(packed.anatomy[0].w_out, Packed)
    assert (packed.d_mlp, packed.d_head, packed.gated) == (plain.d_mlp, plain.d_head, True)
    assert check_parity(packed) < 1e-5


def test_keys_and_values_are_copies_of_what_the_layers_compute_with(packed):
    for layer in range(2):
        parts = packed.anatomy[layer]
        for matrix, module in (
            (packed.values(layer).T, parts.w_out),
            (packed.keys(layer), parts.w_up),
            (packed.gates(layer), parts.w_gate),
        ):
            torch.testing.assert_close(matrix, module.unpacked(), atol=1e-6, rtol=1e-5)
    packed.values(0).zero_()
    assert packed.values(0).abs().max() > 0.01


def test_sub_updates_add_up(packed):
    batch = packed.batch(packed.encode(TEXTS))
    post, raw = packed.capture(batch, ["1.mlp_post", "1.mlp_raw"]).values()
    total = post @ packed.values(1) + packed.w_out_bias(1)
    torch.testing.assert_close(total, raw, atol=1e-5, rtol=1e-4)


def test_value_vectors_are_ranked(packed):
    ranking = rank_values(packed, direction(packed), 5)
    best = ranking.entries[0]
    value = packed.values(best.layer)[best.index]
    cosine = torch.cosine_similarity(value, direction(packed).vector, dim=0)
    assert best.cosine == pytest.approx(float(cosine), abs=1e-5)


def test_the_hook_form_works_and_says_why_it_does_not_fold(packed):
    edit = one("-1.mlp_out", Add(unit(packed.d_model)))
    seen = self_test(edit, packed, TEXTS)
    assert seen.logit_change > 1e-3
    assert "packed" in seen.fold_reason
    with pytest.raises(NotFoldable, match=r"packed.*merge"):
        edit.fold(packed)
    with edit.applied_to(packed):
        assert len(generate(packed, TEXTS, Decoding(2)).tokens) == len(TEXTS)


def test_weights_that_are_packed_are_not_edited(packed):
    name = "model.layers.1.mlp.down_proj.weight"
    with pytest.raises(EditError, match="no parameter"):
        with WeightEdit({name: RowScale(torch.ones(32))}).applied_to(packed):
            pass
    with pytest.raises(EditError, match="packed"):
        ScaleKeys(((0, 1),), which="gate").edit(packed)
    with one("0.mlp_gate", Gate(torch.zeros(packed.d_mlp))).applied_to(packed):
        batch = packed.batch(packed.encode(TEXTS))
        post = packed.capture(batch, ["0.mlp_post"])[Site(0, "mlp_post")]
    assert post.abs().max() == 0


def test_a_layer_that_acts_as_no_matrix_says_so():
    model, tokenizer = zoo.hf_model("Llama")
    lm = LanguageModel(pack(model, Opaque), tokenizer)
    with pytest.raises(UnsupportedAnatomy, match="no matrix does what it does"):
        lm.values(0)
    batch = lm.batch(lm.encode(TEXTS))
    assert lm.capture(batch, ["0.mlp_post"])[Site(0, "mlp_post")].shape[-1] == lm.d_mlp


class Bytes(nn.Linear):
    """A linear layer whose own weight is a parameter of bytes, as in 4-bit checkpoints."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False)
        self.inner = [Packed(linear)]
        self.weight = nn.Parameter(self.inner[0].qweight.reshape(-1, 1), requires_grad=False)

    def forward(self, x):
        return self.inner[0](x)


def test_a_parameter_of_bytes_is_recognised_as_packed():
    model, tokenizer = zoo.hf_model("Llama")
    lm = LanguageModel(pack(model, Bytes), tokenizer)
    inner = lm.anatomy[0].w_out.inner[0]
    torch.testing.assert_close(lm.values(0).T, inner.unpacked(), atol=1e-6, rtol=1e-5)
    name = lm.parameter_name(lm.anatomy[0].w_out)
    with pytest.raises(EditError, match=r"packed \(torch.uint8"):
        with WeightEdit({name: RowScale(torch.ones(512))}).applied_to(lm):
            pass
    with pytest.raises(NotFoldable, match="packed"):
        one("0.mlp_raw", Gate(torch.ones(lm.d_model))).fold(lm)


def test_the_fingerprint_follows_packed_weights():
    model, tokenizer = zoo.hf_model("Llama")
    lm = LanguageModel(pack(model, Packed), tokenizer)
    before, levels = lm.fingerprint, lm.anatomy[0].w_out.qweight
    levels[0, 0] ^= 1
    assert lm.fingerprint != before
    levels[0, 0] ^= 1
    assert lm.fingerprint == before
