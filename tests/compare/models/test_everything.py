"""All parts at once: kept and taken up again, and left out with a reason where they cannot be."""

from __future__ import annotations

import io
import json

import pytest
import torch

from bezoar.compare.models import (
    PARTS,
    CompareInputs,
    CompareSizes,
    Drifts,
    compare_all,
    drift_summary,
    load_compared,
    qualitative,
    telling_prompts,
    weight_drift,
)
from bezoar.compare.models.parts import Parts
from bezoar.edits import Add, NoOp
from bezoar.errors import ModelError
from bezoar.locate import likeliest_prompts, rank_values
from bezoar.models import Decoding, generate
from tests.compare.models.kit import PROMPTS, direction, low_rank_edit, tuned, value_edit
from tests.edits.kit import one
from tests.families import tiny_model
from tests.models.zoo import family_model

SIZES = CompareSizes(
    neurons=6,
    vectors=12,
    lens_prompts=4,
    shifts=2,
    sources=2,
    examples=2,
    draws=5,
    new_tokens=3,
    t_values=(-1.0, 1.0),
)


class Lengths:
    """Scores a text by its length."""

    name = "lengths"
    hash = "lengths"
    attributes = ("toxicity",)
    threshold = 0.5
    lineage = ""

    def score(self, texts):
        import numpy as np

        return {"toxicity": np.array([min(1.0, len(text) / 200) for text in texts])}


def given(lm, **more):
    options = {"tokens": (5, 300), "scorer": Lengths(), "examples": PROMPTS[3:]}
    if "values" not in more:
        options["values"] = rank_values(lm, direction(lm), 24)
    return CompareInputs(PROMPTS, direction(lm), **(options | more))


def test_every_part_is_made_of_every_family(pair, tmp_path):
    base, other = pair
    skipped = compare_all(base, other, given(base), tmp_path, sizes=SIZES)
    assert skipped.reasons == {}
    found = load_compared(tmp_path)
    assert list(found) == list(PARTS)
    assert {type(part) for part in found.values()} == set(PARTS.values())
    shifts = [shift.site for shift in found["shifts"].shifts]
    assert len(set(shifts)) == 2
    assert [s.site for s in found["sources"].sources] == shifts
    assert {shift.split(".")[0] for shift in shifts} == {"1", "2"}
    point = "resid_pre" if base.anatomy.parallel else "resid_mid"
    assert {shift.split(".")[1] for shift in shifts} == {point}
    assert len(found["drop_random"].neurons) == len(found["drop"].neurons) == 6
    assert [p.t for p in found["interpolation"].points] == [-1, 0, 1]


def test_identical_sides_differ_in_nothing(pair, tmp_path):
    """Item 29."""
    base, _ = pair
    assert compare_all(base, NoOp(), given(base), tmp_path, sizes=SIZES).reasons == {}
    found = load_compared(tmp_path)
    assert found["drift"].moved == ()
    assert found["values"].identity
    for name in ("lens", "lens_reversed"):
        assert {c.value for c in found[name].change} == {0}
        assert found[name].base_says == found[name].edited_says
    for name in ("drop", "drop_shared", "drop_random"):
        assert found[name].change.value == 0
        assert set(found[name].random) == {0}
        assert found[name].null_p == 1
    assert {s.norm for s in found["shifts"].shifts} == {0}
    assert found["contributions"].measured.value == 0
    assert {h.change.value for h in found["heads"].heads} == {0}
    for example in found["qualitative"].examples:
        first, second = example.models
        assert (first.tokens, first.text) == (second.tokens, second.text)


def test_it_is_taken_up_where_it_was_interrupted(gpt2, tmp_path, monkeypatch):
    parts = ("drift", "drop", "drop_shared", "shifts", "qualitative")
    whole, cut = tmp_path / "whole", tmp_path / "cut"

    def compare(folder):
        compare_all(gpt2, tuned(gpt2), given(gpt2), folder, parts=parts, sizes=SIZES)

    def killed(self):
        raise KeyboardInterrupt

    compare(whole)
    with monkeypatch.context() as patch:
        patch.setattr(Parts, "drop_shared", killed)
        with pytest.raises(KeyboardInterrupt):
            compare(cut)
    made = []
    for name in parts:
        make = getattr(Parts, name)

        def noted(self, name=name, make=make):
            made.append(name)
            return make(self)

        monkeypatch.setattr(Parts, name, noted)
    compare(cut)
    assert made == ["drop_shared", "shifts", "qualitative"]
    assert files(cut) == files(whole)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_late_edit_is_pictured_where_the_stream_moved(gpt2, tmp_path):
    """Value vectors of layer 1 move no state before 1.resid_post."""
    compare_all(gpt2, value_edit(gpt2, 1), given(gpt2), tmp_path, sizes=SIZES)
    shifts = load_compared(tmp_path)["shifts"].shifts
    assert [s.site for s in shifts] == ["2.resid_mid"]
    assert shifts[0].norm > 0
    assert shifts[0].neuron.startswith("2.")


def test_what_an_edit_of_activations_has_no_weights_for_is_left_out(gpt2, tmp_path):
    edit = one("1.resid_post", Add(torch.ones(32)), positions="last")
    skipped = compare_all(gpt2, edit, given(gpt2), tmp_path, sizes=SIZES)
    assert set(skipped.reasons) == {"drift", "lens_reversed", "interpolation"}
    assert all(skipped.reasons.values())
    assert set(load_compared(tmp_path)) == PARTS.keys() - skipped.reasons


def test_a_mixture_of_experts_has_the_parts_without_neurons(tmp_path):
    lm = family_model("Mixtral")
    skipped = compare_all(lm, tuned(lm), given(lm, values=None), tmp_path, sizes=SIZES)
    neurons = {"values", "drop", "drop_shared", "drop_random", "sources", "contributions"}
    assert set(skipped.reasons) == neurons
    shifts = load_compared(tmp_path)["shifts"].shifts
    assert {s.neuron for s in shifts} == {""}
    assert json.loads((tmp_path / "skipped.json").read_bytes())["reasons"] == skipped.reasons


def test_an_encoder_has_what_needs_no_next_token(tmp_path):
    lm = family_model("BERT")
    other = tuned(lm)
    skipped = compare_all(lm, other, given(lm), tmp_path, sizes=SIZES)
    assert {"drift", "values", "shifts"} <= set(load_compared(tmp_path))
    assert set(load_compared(tmp_path)) == PARTS.keys() - skipped.reasons
    assert "lens" in skipped.reasons
    assert load_compared(tmp_path)["values"].tokens is None


def test_without_a_scorer_or_tokens_the_rest_is_made(gpt2, tmp_path):
    inputs = given(gpt2, scorer=None, tokens=())
    skipped = compare_all(gpt2, tuned(gpt2), inputs, tmp_path, sizes=SIZES)
    assert set(skipped.reasons) == {"lens", "lens_reversed", "interpolation", "qualitative"}


def test_models_of_other_shapes_are_refused_before_any_work(gpt2, tmp_path):
    with pytest.raises(ModelError, match="differ in"):
        compare_all(gpt2, tiny_model("llama"), given(gpt2), tmp_path, sizes=SIZES)
    assert not list(tmp_path.iterdir())


def test_prompts_that_elicit_come_first_and_are_filled_up(pair):
    base, _ = pair
    said = [t[0] for t in generate(base, PROMPTS, Decoding(1)).tokens if t]
    token = said[0]
    eliciting = {i for i, t in enumerate(said) if t == token}
    ranked = likeliest_prompts(base, PROMPTS, token, len(PROMPTS))
    found = telling_prompts(base, PROMPTS, token, most=5, least=4)
    assert set(found[: len(eliciting)]) == eliciting
    rest = [row for row in ranked if row not in eliciting]
    assert found[len(eliciting) :] == rest[: max(0, 4 - len(eliciting))]
    assert len(telling_prompts(base, PROMPTS, token, most=1, least=1)) == 1


def test_examples_are_what_each_model_says(pair):
    base, other = pair
    found = qualitative(base, {"x": other}, PROMPTS[:2], top=3, new_tokens=4)
    for example, prompt in zip(found.examples, PROMPTS[:2], strict=True):
        assert example.prompt == prompt
        assert [row.model for row in example.models] == [base.name, "x"]
        for row, lm in zip(example.models, (base, other), strict=True):
            chances = lm.logits(lm.batch(lm.encode([prompt])))[0, -1].softmax(-1)
            assert row.tokens[0].id == int(chances.argmax())
            assert row.tokens[0].probability == pytest.approx(float(chances.max()), abs=1e-5)
            assert row.text == generate(lm, [prompt], Decoding(4)).text[0]


def test_examples_are_masked_where_they_are_shown(gpt2):
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(qualitative(gpt2, {"x": NoOp()}, ["what a fucking day"], new_tokens=2))
    text = console.export_text()
    assert "what a f" in text
    assert "fucking" not in text


def test_a_drift_in_one_row_says_where_the_change_lies(gpt2):
    drift = weight_drift(gpt2, low_rank_edit(gpt2, 2, 3))
    row = drift_summary(drift, "mine")
    assert (row.name, row.moved, row.components, row.layers) == (
        "mine",
        1,
        {"mlp_out": pytest.approx(1)},
        {"2": pytest.approx(1)},
    )
    assert row.stable_rank == drift.moved[0].stable_rank
    assert row.least_cosine == drift.moved[0].cosine < row.cosine
    everything = drift_summary(weight_drift(gpt2, tuned(gpt2)))
    assert sum(everything.components.values()) == pytest.approx(1)
    assert sum(everything.layers.values()) == pytest.approx(1)
    assert set(everything.layers) == {"outside", "0", "1", "2"}
    still = drift_summary(weight_drift(gpt2, NoOp()))
    assert (still.moved, still.stable_rank, still.components, still.relative) == (0, None, {}, 0)
    bars = Drifts(gpt2.name, (row, everything, still)).figure().data
    lengths = [sum(bar.x[i] for bar in bars) for i in range(3)]
    assert lengths == pytest.approx([row.relative, everything.relative, 0])
