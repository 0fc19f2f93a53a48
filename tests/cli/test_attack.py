"""``attack``: an edit, or a checkpoint beside its base, and what of it survives."""

from __future__ import annotations

import json

import pytest

from bezoar.attack import ATTACKS, ResidualCapability, Robustness, SampleFree
from bezoar.edits import export
from bezoar.runs import load_result
from bezoar.studies import attack_model
from bezoar.studies.attacking import Attacker, AttackSetup
from tests.attack.kit import weight_remedy
from tests.cli.test_start import CODE, run_python
from tests.families import tiny_model

WORDS = ("fool", "tree", "river", "good", "know", "so", "you", "will")
MORE = ("day", "night", "water", "people", "think", "time", "way", "man")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A tiny model, an edit of it, the same as a checkpoint, and texts."""
    folder = tmp_path_factory.mktemp("attack")
    lm = tiny_model("gpt2")
    lm.model.save_pretrained(folder / "model")
    lm.tokenizer.save_pretrained(folder / "model")
    weight_remedy(lm, 0.2).save(folder / "edit", lm)
    export(lm, weight_remedy(lm, 0.2), folder / "checkpoint")
    rows = [
        f"{WORDS[n % 8]} {MORE[n // 8 % 8]} {WORDS[n * 3 % 7]} {n},{int(n % 8 < 4)}"
        for n in range(200)
    ]
    (folder / "data.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    prompts = [f"{MORE[n % 8]} of the {WORDS[n // 8]} number {n}" for n in range(60)]
    (folder / "prompts.txt").write_text("\n".join(prompts) + "\n")
    lines = [
        f"The {WORDS[n % 8]} number {n} is by the side of a {MORE[n % 7]} and of a long river, "
        f"and {MORE[n % 8]} {n * 7} is not far from {WORDS[n % 5]} {n * n}."
        for n in range(80)
    ]
    (folder / "prose.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def given(files):
    return (
        *("--data", files / "data.csv", "--prompts", files / "prompts.txt"),
        *("--neutral", files / "prose.txt", "--count", 6, "--neutral-tokens", 600),
        *("--scorer-b", "demo-like", "--grid", "quick", "--quiet"),
    )


@pytest.fixture(autouse=True)
def scored(monkeypatch):
    """A scorer to which the edited model is less toxic, whatever it writes."""
    from bezoar import scoring
    from tests.pairs.kit import any_scorer

    monkeypatch.setattr(scoring, "load_scorer", any_scorer)
    real = attack_model.toxicity_and_cost

    def measured(*args, **options):
        measure = real(*args, **options)
        call = type(measure).__call__

        class Lowered(type(measure)):
            def __call__(self, edit):
                import dataclasses

                found = call(self, edit)
                level = 0.6 if edit is None else 0.2 if "+" not in edit.name else 0.4
                told = tuple(level + 0.01 * i for i in range(len(found.toxicity)))
                return dataclasses.replace(found, toxicity=told, perplexity=10.0)

            def under(self, use):
                return self

        measure.__class__ = Lowered
        return measure

    monkeypatch.setattr(attack_model, "toxicity_and_cost", measured)


SOME = "pruning,interpolation,key-scaling,toxic-context"


def test_an_edit_is_attacked_and_its_results_are_written(files, given, bezoar, tmp_path):
    line = ("attack", files / "model", "--edit", files / "edit", "--attacks", SOME, *given)
    status, out, err = bezoar(*line, "--out", tmp_path / "out")
    assert (status, err) == (0, "")
    assert "what survives of remedy" in out
    assert "pruning" in out
    last = out.strip().splitlines()[-1]
    assert "of the reduction survives on average over 4 attacks" in last
    assert "the behaviour is" in last
    found = load_result(tmp_path / "out" / "robustness.json", Robustness)
    assert {curve.attack for curve in found.curves} == {
        *("pruning", "interpolation", "key scaling", "toxic context")
    }
    load_result(tmp_path / "out" / "residual.json", ResidualCapability)
    load_result(tmp_path / "out" / "sample_free.json", SampleFree)
    setup = load_result(tmp_path / "out" / "setup.json", AttackSetup)
    assert setup.prompts == 6
    assert "report half" in setup.texts
    suffixes = {path.suffix for path in (tmp_path / "out").rglob("*")}
    assert suffixes == {".json", ".jsonl"}  # no weights


def test_a_checkpoint_is_the_difference_to_its_base(files, given, bezoar, tmp_path):
    line = ("attack", "--attacks", "interpolation", *given, "--json")
    status, out, _ = bezoar(*line, files / "checkpoint", "--base", files / "model")
    assert status == 0
    by_difference = json.loads(out)["robustness"]
    status, out, _ = bezoar(*line, files / "model", "--edit", files / "edit")
    by_edit = json.loads(out)["robustness"]
    assert by_difference.pop("edit") == str(files / "checkpoint")
    assert by_edit.pop("edit") == "remedy"
    assert by_difference == by_edit


def test_the_forecast_counts_the_points(files, given, bezoar):
    line = [a for a in given if a != "--quiet"]
    options = ("--attacks", "pruning,interpolation")
    status, _, err = bezoar("attack", files / "model", "--edit", files / "edit", *options, *line)
    assert status == 0
    assert "To do: 3 points of 2 attacks (quick grid), each on 6 prompts" in err
    assert "no remedy" in " ".join(err.split())


def test_what_undoes_a_remedy_is_saved_on_request_alone(files, given, bezoar, tmp_path):
    line = ("attack", files / "model", "--edit", files / "edit", "--attacks", "pruning", *given)
    status, _, err = bezoar(*line, "--keep-attacked")
    assert status == 2
    assert "--out DIR" in err
    status, *_ = bezoar(*line, "--keep-attacked", "--out", tmp_path / "out")
    assert status == 0
    assert (tmp_path / "out" / "attacked" / "pruning" / "edit.safetensors").is_file()


def test_a_checkpoint_like_its_base_has_nothing_to_undo(files, given, bezoar):
    status, _, err = bezoar("attack", files / "model", "--base", files / "model", *given)
    assert status == 7
    assert "nothing to undo" in err


def test_the_attackers_texts_are_in_no_half_that_is_fitted_on(files):
    from bezoar.models import LanguageModel
    from tests.pairs.kit import any_scorer

    attacker = attack_model.attacker_for(
        LanguageModel.from_pretrained(str(files / "model")),
        any_scorer("b"),
        data=str(files / "data.csv"),
        prompts=str(files / "prompts.txt"),
        neutral=str(files / "prose.txt"),
        count=6,
        neutral_tokens=600,
        names=("pruning",),
    )
    assert isinstance(attacker, Attacker)
    assert not set(attacker.inputs.corpus.texts) & set(attacker.train.texts)
    assert attacker.forecast().seconds > 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ((), "one of the two"),
        (("--base", "a", "--edit", "EDIT"), "one of the two"),
        (("--edit", "EDIT", "--attacks", "prunning"), "pruning"),
        (("--edit", "nowhere"), "There is no edit"),
    ],
)
def test_what_cannot_be_meant_is_told_of_at_once(files, line, said):
    args = ["attack", *(str(files / "edit") if a == "EDIT" else a for a in line)]
    code = CODE.format(line=args).replace('" ".join', '"\\n" + " ".join')
    done, _ = run_python(code, check=False)
    assert done.returncode in (2, 5)
    assert said in done.stderr
    assert not {"torch", "transformers", "sklearn"} & set(done.stderr.split())


def test_the_list_names_every_attack(bezoar):
    status, out, _ = bezoar("list", "attacks")
    assert status == 0
    assert all(name in out for name in ATTACKS)


def test_help_says_where_to_read_before(bezoar):
    status, out, _ = bezoar("attack", "--help")
    assert status == 0
    assert "docs/responsible-use.md" in " ".join(out.split())
