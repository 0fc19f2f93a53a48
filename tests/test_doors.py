"""Public functions take what a user is likely to hold: paths as strings, ids, numpy, and no string
in place of a list of strings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bezoar
from bezoar.activations.manifest import check_dtype
from bezoar.compare import PerPrompt
from bezoar.corpus import NeutralText, Prompts
from bezoar.edits import ActivationEdit, Add
from bezoar.errors import ConfigError, CorruptArtefact, DataError
from bezoar.evaluate import Evaluator, get_protocol
from bezoar.locate import Direction, LinearProbe, load_probe, sub_update_attribution
from bezoar.models import Decoding, Generations, generate
from bezoar.runs import load_config, load_result, save_result
from bezoar.scoring import CachedScorer, WordListScorer, load_tasks, score_texts
from bezoar.stats import Interval

PROMPTS = ("You are a good", "The house is", "I think that", "She said so")


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def edit_of(lm) -> ActivationEdit:
    return ActivationEdit.at([lm.site("-1.mlp_out")], Add(torch.ones(lm.d_model)), "all", name="x")


def test_artefacts_are_saved_and_loaded_by_strings(inside, gpt2):
    edit = edit_of(gpt2)
    edit.save("edit", gpt2)
    assert bezoar.load_edit("edit", gpt2).name == "x"
    rows = np.random.default_rng(0).normal(size=(40, 8))
    probe = LinearProbe(site="0.resid_post", pooling="mean").fit(rows, rows[:, 0] > 0)
    probe.save("probe")
    assert np.array_equal(load_probe("probe").coef_, probe.coef_)
    direction = probe.direction()
    direction.save("direction")
    assert torch.equal(Direction.load("direction").vector, direction.vector)
    prompts = Prompts(PROMPTS)
    prompts.save("prompts.parquet")
    assert Prompts.load("prompts.parquet").texts == PROMPTS
    written = generate(gpt2, PROMPTS, Decoding(max_new_tokens=2))
    written.save("written.parquet")
    assert Generations.load("written.parquet") == written
    values = PerPrompt(PROMPTS, {"m": {"t": [0.0, 1.0, 2.0, 3.0]}})
    values.save("values.parquet")
    assert PerPrompt.load("values.parquet").pairs(values, "m", "t") is not None
    save_result("interval.json", Interval(1.0, 0.0, 2.0))
    assert load_result("interval.json", Interval) == Interval(1.0, 0.0, 2.0)
    assert bezoar.export(gpt2, edit, "out").folder == "out"


def test_what_is_no_path_is_not_blamed_on_the_file(inside, gpt2):
    for load in (Direction.load, load_probe, bezoar.load_edit):
        with pytest.raises(TypeError):
            load(3)
    (inside / "odd").mkdir()
    (inside / "odd" / "direction.json").write_text("[]")
    (inside / "odd" / "direction.safetensors").write_bytes(b"")
    with pytest.raises(CorruptArtefact, match="holds no object"):
        Direction.load("odd")


def test_data_is_read_by_paths_and_strings(inside):
    (inside / "texts.csv").write_text("text,label\ngood,0\nbad,1\n")
    (inside / "options.yaml").write_text("seed: 3\n")
    assert len(bezoar.load_corpus(inside / "texts.csv")) == 2
    assert len(bezoar.load_prompts("texts.csv", data_root=str(inside))) == 2
    assert len(bezoar.load_neutral("texts.csv", data_root=".")) == 2
    assert load_config("options.yaml", bezoar.AuditConfig).seed == 3
    assert load_tasks([], data_root=".") == []
    folder = CachedScorer(WordListScorer(), "cache").folder
    assert folder is not None
    assert folder.parent == Path("cache")


@pytest.mark.parametrize(
    "call",
    [
        lambda lm: generate(lm, "You are", Decoding(max_new_tokens=2)),
        lambda lm: bezoar.harvest(lm, "hello", ["0.resid_post"]),
        lambda lm: bezoar.logit_lens(lm, "You are", [3]),
        lambda lm: score_texts(WordListScorer(), "hello"),
        lambda lm: CachedScorer(WordListScorer()).score("hello"),
        lambda lm: lm.encode("hello"),
        lambda lm: bezoar.self_test(edit_of(lm), lm, "hello"),
        lambda lm: Evaluator(lm, "You", get_protocol("LEE@3"), [WordListScorer()]),
        lambda lm: Evaluator(lm, PROMPTS, "LEE@4", [WordListScorer()], "The river"),
        lambda lm: Evaluator(lm, PROMPTS, "LEE@4", "words"),
    ],
)
def test_one_string_is_not_read_letter_by_letter(gpt2, call):
    with pytest.raises(DataError, match="one string") as caught:
        call(gpt2)
    assert caught.value.hint.startswith("Put it into a list: ['")


def test_an_evaluation_takes_ids_specs_and_nouns(gpt2):
    prompts = Prompts(PROMPTS, name="mine")
    by_name = bezoar.evaluate_edit(gpt2, None, prompts, "LEE@4", ["words"])
    by_hand = bezoar.evaluate_edit(
        gpt2, None, PROMPTS, get_protocol("LEE@4"), [bezoar.load_scorer("words")]
    )
    assert by_name.per_prompt == by_hand.per_prompt
    assert (by_name.prompts, by_hand.prompts) == ("mine", "")
    tokenised = NeutralText(("The <unk> is",) * 40, tokenised=True)
    for neutral in (tokenised, tokenised.texts):
        with pytest.raises(ConfigError, match="Use LEE-tok@4"):
            Evaluator(gpt2, prompts, "LEE@4", ["words"], neutral)
        Evaluator(gpt2, prompts, "LEE-tok@4", ["words"], neutral)


def test_one_token_and_a_numpy_vector_are_taken(gpt2):
    one, many = (bezoar.logit_lens(gpt2, PROMPTS, ids) for ids in (30, [30]))
    assert one == many
    assert sub_update_attribution(gpt2, PROMPTS, 30) == sub_update_attribution(gpt2, PROMPTS, [30])
    vector = np.random.default_rng(0).normal(size=gpt2.d_model).astype(np.float32)
    assert bezoar.promoted_tokens(gpt2, vector) == bezoar.promoted_tokens(
        gpt2, torch.from_numpy(vector)
    )


def test_a_dtype_that_rows_are_not_kept_in_is_refused():
    check_dtype("bfloat16")
    with pytest.raises(ConfigError, match="'float64'") as caught:
        check_dtype("float64")
    assert "float" in caught.value.hint
