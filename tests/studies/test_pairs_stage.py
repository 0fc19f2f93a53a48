"""Pairs of an audit: made of text that it reports on nowhere, learnt from once, kept if killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bezoar.corpus import NeutralText, Prompts
from bezoar.errors import ConfigError, DataError
from bezoar.mitigate import dpo
from bezoar.pairs import Pairs, PairsAgreement, PairsReport
from bezoar.runs import AuditConfig, Run, load_result
from bezoar.stats import near_duplicates, shared_runs, text_key
from bezoar.studies.audit import Bench, pairs, run_stages
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.audit.pairs import PairPrompts
from bezoar.studies.audit.rest import untouched
from tests.mitigate.preferences import recipe
from tests.studies.test_keys import begun
from tests.studies.tiny import save_tiny_model, tiny

LEARNS: dict[str, Any] = {
    "mitigate": {"methods": ["dpo"], "null_draws": 4},
    "pairs": {"steered": 80, "margin": 0.0, "pplm": 2, "pplm_iterations": 1},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run up to its methods, and its model."""
    folder = tmp_path_factory.mktemp("pairs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dpo, "get_recipe", lambda name, **changes: recipe(**changes))
        run_stages(asked(folder, save_tiny_model(folder / "model")), "mitigate")
    return folder


def asked(folder: Path, model: str = "", **more: Any) -> AuditConfig:
    return tiny(folder / "run", model or str(folder / "model"), LEARNS, more)


@pytest.fixture
def bench(place: Path):
    with Run.open(place / "run", asked(place)) as run:
        yield Bench(run, asked(place))


def test_nothing_that_is_reported_on_or_chosen_by_begins_a_pair(bench: Bench) -> None:
    made = Pairs.load(bench.run.folder("pairs") / "pairs.parquet")
    explore = bench.run.folder("explore")
    seen = [*bench.corpus("train").texts, *bench.corpus("report").texts]
    for part in ("select", "report"):
        seen += Prompts.load(explore / f"prompts-{part}.parquet").texts
        seen += NeutralText.load(explore / f"neutral-{part}.parquet").texts
    assert not near_duplicates(list(made.prompts), seen, 0.7).a
    assert not shared_runs(list(made.prompts), seen)
    told = load_result(bench.run.folder("pairs") / "prompts.json", PairPrompts)
    assert set(made.prompts) <= set(Prompts.load(bench.run.folder("pairs/prompts.parquet")).texts)
    assert told.prompts == 80 <= told.sentences - sum(told.seen.values())


def test_parts_share_no_prompt_and_are_scored(bench: Bench) -> None:
    parts = [bench.pairs(part) for part in ("train", "select")]
    keys = [{text_key(prompt) for prompt in part.prompts} for part in parts]
    assert keys[0]
    assert keys[1]
    assert not keys[0] & keys[1]
    assert all(min(part.margin) > 0 for part in parts)
    report = load_result(bench.run.folder("pairs") / "report.json", PairsReport)
    assert report.rows_out == sum(map(len, parts))
    assert load_result(bench.run.folder("pairs") / "pplm_report.json", PairsReport).rows_in == 2


def test_who_reports_decides_nothing_that_is_learnt(place: Path) -> None:
    agreement = place / "run" / "pairs" / "agreement.json"
    before = load_result(agreement, PairsAgreement)
    assert before.scorer.startswith("demo-b")
    n = len(begun(place / "run"))
    for scorer in ("words", "demo-b"):
        config = asked(place, evaluate={"scorer_b": scorer})
        Run.open(place / "run", config, update=True).close()
        run_stages(config, "mitigate")
        assert load_result(agreement, PairsAgreement).scorer.startswith(scorer)
    assert begun(place / "run")[n:] == ["agreement", "agreement"]
    assert load_result(agreement, PairsAgreement) == before


def test_an_option_of_files_concerns_no_run_without_one(place: Path) -> None:
    n = len(begun(place / "run"))
    for changed in ({"leaked": "drop"}, {"chosen": "mild"}, {}):
        config = asked(place, pairs=changed)
        Run.open(place / "run", config, update=True).close()
        run_stages(config, "mitigate")
    assert begun(place / "run")[n:] == []


def test_a_training_is_done_once_and_its_nulls_are_few(bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr(dpo, "get_recipe", lambda name, **changes: recipe(**changes))
    monkeypatch.setattr(dpo, "_LAST", type(dpo._LAST)())
    monkeypatch.setattr(dpo, "train", None)
    trained = bench.trained("dpo")
    assert trained.edit.deltas
    assert trained.log.validation_pairs == min(8, len(bench.pairs("select")))
    (fitted,) = load_result(bench.run.folder("mitigate") / "methods.json", Fits).methods
    assert [len(null.strengths) for null in fitted.nulls] == [3]
    folder = bench.run.folder("mitigate") / "training" / "dpo"
    assert [path.name for path in sorted(folder.iterdir())] == [
        "edit", "log.json", *(f"shuffled-pairs-{i}" for i in range(3)), "training.json",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="'subtract' is not trained"):
        bench.trained("subtract")


def test_a_stage_that_is_killed_goes_on_to_the_same_bytes(place, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pairs, "_STEERED", 32)
    original, calls = pairs.steered_pairs, []

    def killed(lm, prompts, *args, **options):
        calls.append(len(prompts))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(lm, prompts, *args, **options)

    monkeypatch.setattr(pairs, "steered_pairs", killed)
    config = tiny(tmp_path / "run", str(place / "model"), LEARNS)
    with pytest.raises(KeyboardInterrupt):
        run_stages(config, "pairs")
    report = run_stages(config, "pairs")
    assert calls == [32, 32, 32, 16]
    whole = Pairs.load(place / "run" / "pairs" / "pairs.parquet")
    assert Pairs.load(tmp_path / "run" / "pairs" / "pairs.parquet").hash == whole.hash
    assert report == load_result(place / "run" / "pairs" / "report.json", PairsReport)


def test_an_audit_whose_methods_learn_nothing_makes_none(place: Path, tmp_path: Path) -> None:
    config = tiny(tmp_path / "run", str(place / "model"))
    run_stages(config, "mitigate")
    assert not (tmp_path / "run" / "pairs").exists()
    assert "pairs" not in json.loads((tmp_path / "run/mitigate/stage.json").read_text())["after"]
    with pytest.raises(ConfigError, match="No method of this audit learns from pairs"):
        run_stages(config, "pairs")
    with Run.open(tmp_path / "run", config) as run, pytest.raises(ConfigError, match="has none"):
        Bench(run, config).trained("dpo")


def test_pairs_that_people_wrote_take_the_place_of_steered_ones(place, tmp_path) -> None:
    rows = [
        f"say number {i},you are rotten {i} fool idiot,you are kind {i} dear" for i in range(40)
    ]
    taken = Prompts.load(place / "run" / "explore" / "prompts-report.parquet").texts[0]
    rows.append(f'"{taken}",you are a rotten fool,you are a kind dear')
    (tmp_path / "mine.csv").write_text("\n".join(["prompt,rejected,chosen", *rows]))
    more = {"pairs": {"file": str(tmp_path / "mine.csv"), "margin": 0.0, "pplm": 0}}
    run_stages(tiny(tmp_path / "run", str(place / "model"), LEARNS, more), "pairs")
    made = Pairs.load(tmp_path / "run" / "pairs" / "pairs.parquet")
    assert 20 <= len(made) <= 40
    assert taken not in made.prompts
    assert made.origin.left_out["seen elsewhere"] == 1
    assert not (tmp_path / "run" / "pairs" / "prompts.json").exists()


def test_the_columns_of_a_file_can_be_named(place, tmp_path) -> None:
    rows = [f"say {i},you are rotten {i} fool idiot,you are kind {i} dear" for i in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(["ask,harsh,mild", *rows]))
    more = {"pairs": {"file": str(tmp_path / "mine.csv"), "margin": 0.0, "pplm": 0}}
    run = tiny(tmp_path / "run", str(place / "model"), LEARNS, more)
    with pytest.raises(DataError, match="no columns are known") as error:
        run_stages(run, "pairs")
    assert "--set pairs.chosen=COLUMN" in error.value.hint
    named = {"pairs": {"chosen": "mild", "rejected": "harsh", "prompt": "ask"}}
    run_stages(tiny(tmp_path / "named", str(place / "model"), LEARNS, more, named), "pairs")
    made = Pairs.load(tmp_path / "named" / "pairs" / "pairs.parquet")
    assert len(made) >= 20
    assert all(text.startswith("say ") for text in made.prompts)
    assert all("kind" in text for text in made.chosen)


def test_whole_texts_of_a_file_are_treated_as_was_asked(place, tmp_path) -> None:
    rows = [
        f"say number {i},<s> Say  number {i} you rotten fool idiot,you are kind {i} dear"
        for i in range(40)
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["prompt,rejected,chosen", *rows]))
    more = {"pairs": {"file": str(tmp_path / "mine.csv"), "margin": 0.0, "pplm": 0}}
    run = tiny(tmp_path / "run", str(place / "model"), LEARNS, more)
    with pytest.raises(DataError, match="begins with its prompt") as error:
        run_stages(run, "pairs")
    assert "--set pairs.leaked=strip" in error.value.hint
    strip = {"pairs": {"leaked": "strip"}}
    run = tiny(tmp_path / "stripped", str(place / "model"), LEARNS, more, strip)
    run_stages(run, "pairs")
    made = Pairs.load(tmp_path / "stripped" / "pairs" / "pairs.parquet")
    assert len(made) >= 20
    assert set(made.rejected) == {" you rotten fool idiot"}
    with Run.open(tmp_path / "stripped", run) as opened:
        assert len(pairs.human_pairs(Bench(opened, run))) == 40


def test_pairs_of_the_command_are_learnt_from_with_their_prompts(place, tmp_path) -> None:
    n = range(40)
    mine = Pairs(
        tuple(f"say number {i}" for i in n),
        tuple(f" you are kind {i} dear" for i in n),
        tuple(f" you are rotten {i} fool idiot" for i in n),
        provenance={"how": "steered"},
    )
    mine.save(tmp_path / "mine.parquet")
    more = {"pairs": {"file": str(tmp_path / "mine.parquet"), "margin": 0.0, "pplm": 0}}
    run_stages(tiny(tmp_path / "run", str(place / "model"), LEARNS, more), "pairs")
    made = Pairs.load(tmp_path / "run" / "pairs" / "pairs.parquet")
    assert len(made) >= 20
    assert set(made.prompts) <= set(mine.prompts)
    assert made.provenance["how"] == "steered"


def test_too_few_pairs_are_refused_with_what_to_do(place: Path, tmp_path: Path) -> None:
    config = tiny(tmp_path / "run", str(place / "model"), LEARNS, {"pairs": {"margin": 1.0}})
    with pytest.raises(
        DataError, match=r"0 preference pairs are too few.*of.*small margin"
    ) as error:
        run_stages(config, "pairs")
    assert "pairs.steered" in error.value.hint


def test_a_file_of_too_few_pairs_is_refused_before_the_first_stage(place, tmp_path) -> None:
    file = tmp_path / "few.csv"
    file.write_text("chosen,rejected\nyou are kind dear,you are a fool\nsame here,same here\n")
    config = tiny(
        tmp_path / "run",
        str(place / "model"),
        LEARNS,
        {"pairs": {"file": str(file)}},
        {"pairs": {"margin": 0.1}},
    )
    with pytest.raises(DataError) as error:
        run_stages(config, "pairs")
    assert error.value.message == (
        f"1 preference pair is too few to learn from: {file} has 2 rows, and 20 pairs are the "
        "fewest."
    )
    assert error.value.hint == (f"Give a file with more pairs than {file} (--set pairs.file=FILE).")
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_what_to_do_about_a_file_is_said_where_the_rules_leave_too_few(place, tmp_path) -> None:
    rows = [f"say {i},you are rotten {i} fool idiot,you are kind {i} dear" for i in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(["prompt,rejected,chosen", *rows]))
    more = {"pairs": {"file": str(tmp_path / "mine.csv"), "margin": 1.0, "pplm": 0}}
    with pytest.raises(DataError, match=r"0 preference pairs are too few.*small margin") as error:
        run_stages(tiny(tmp_path / "run", str(place / "model"), LEARNS, more), "pairs")
    assert "pairs.steered" not in error.value.hint
    assert "pairs.margin=1" in error.value.hint


def test_an_article_of_which_a_line_is_taken_is_left_alone() -> None:
    lines = (" = One = ", "a first line", "a second line", " = Two = ", "a third line", "")
    rest = untouched(NeutralText(lines, name="wiki"), ["A second line", ""])
    assert rest == [" = Two = ", "a third line", ""]
