"""Comparing runs: paired where prompts are shared, refused where protocols differ."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from bezoar.compare import Comparison, Difference, PerPrompt, compare_runs
from bezoar.compare.table import comparison_table
from bezoar.errors import ConfigError, CorruptArtefact, DataError, RunError
from bezoar.evaluate.results import MethodRow, Metric, Scorecard
from bezoar.runs import AuditConfig, Run, parse_config, save_result

N = 60
PROMPTS = [f"prompt {i}" for i in range(N)]


def interval_of(values: np.ndarray) -> tuple[float, float, float]:
    half = 1.96 * values.std() / len(values) ** 0.5
    return values.mean(), values.mean() - half, values.mean() + half


def make_run(
    path: Path,
    values: dict[str, np.ndarray],
    *,
    paired=True,
    protocol="LEE@60",
    scorer="b:1",
    prompts="mine",
    key="mine",
    texts=PROMPTS,
    **o,
) -> Path:
    with Run.open(path, parse_config(AuditConfig, o)) as run, run.stage("evaluate") as stage:
        rows = tuple(
            MethodRow(
                method=name,
                label=name,
                kind="no-op" if name == "no-op" else "method",
                metrics={
                    "toxicity": Metric(
                        "toxicity", *map(float, interval_of(v)), protocol, scorer, n=N
                    )
                },
            )
            for name, v in values.items()
        )
        card = Scorecard(protocol, rows, N, "a:1", scorer, prompts=prompts, prompts_key=key)
        save_result(stage.folder / "scorecard.json", card)
        if paired:
            table = {name: {"toxicity": v.tolist()} for name, v in values.items()}
            PerPrompt(texts, table).save(stage.folder / "per_prompt.parquet")
    return path


@pytest.fixture
def hard() -> np.ndarray:
    """Prompts differ a lot: what pairing is for."""
    return np.random.default_rng(0).uniform(0, 1, N)


def test_pairing_finds_a_small_steady_difference_that_independence_cannot(tmp_path, hard):
    shift = 0.02 + np.random.default_rng(1).normal(0, 0.01, N)
    outcome = {}
    for paired in (True, False):
        a = make_run(tmp_path / f"a{paired}", {"no-op": hard}, paired=paired)
        b = make_run(tmp_path / f"b{paired}", {"no-op": hard + shift}, paired=paired)
        (outcome[paired],) = compare_runs(a, b, resamples=2000).rows
    assert outcome[True].value == pytest.approx(shift.mean())
    assert outcome[False].value == pytest.approx(shift.mean())
    assert outcome[True].paired
    assert outcome[True].excludes_zero
    assert not outcome[False].paired
    assert not outcome[False].excludes_zero


def test_a_run_compared_with_itself_differs_by_exactly_nothing(tmp_path, hard):
    run = make_run(tmp_path / "a", {"no-op": hard, "word-ban": hard / 2})
    comparison = compare_runs(run, run, resamples=200)
    assert [(row.value, row.low, row.high) for row in comparison.rows] == [(0, 0, 0)] * 2
    assert comparison.options == ()


def test_only_shared_prompts_are_paired_in_any_order(tmp_path, hard):
    a, b = (
        PerPrompt(PROMPTS[:40], {"m": {"t": hard[:40].tolist()}}),
        PerPrompt(PROMPTS[:19:-1], {"m": {"t": (hard[:19:-1] + 1).tolist()}}),
    )
    for table, name in ((a, "a"), (b, "b")):
        table.save(tmp_path / name)
    pairs = PerPrompt.load(tmp_path / "a").pairs(PerPrompt.load(tmp_path / "b"), "m", "t")
    assert pairs is not None
    assert len(pairs[0]) == 20
    np.testing.assert_allclose(pairs[1] - pairs[0], 1)
    assert a.pairs(b, "m", "other") is None


def test_equal_values_are_equal_bytes_in_whatever_order(tmp_path):
    columns = {"t": [0.1, 0.2], "u": [0.3, 0.4]}
    PerPrompt(["x", "y"], {"m": columns, "n": columns}).save(tmp_path / "a")
    reordered = {"u": [0.4, 0.3], "t": [0.2, 0.1]}
    PerPrompt(["y", "x"], {"n": reordered, "m": reordered}).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_differing_options_and_missing_variants_are_listed(tmp_path, hard):
    a = make_run(tmp_path / "a", {"no-op": hard, "word-ban": hard})
    b = make_run(tmp_path / "b", {"no-op": hard, "subtract": hard}, seed=3)
    comparison = compare_runs(a, b, resamples=200)
    assert comparison.options == (("seed", "0", "3"),)
    assert (comparison.only_a, comparison.only_b) == (("word-ban",), ("subtract",))


@pytest.mark.parametrize(
    "differs", [{"protocol": "LEE@61"}, {"scorer": "words:9"}, {"prompts": "rtp-toxic"}]
)
def test_runs_measured_differently_are_refused(tmp_path, hard, differs):
    a = make_run(tmp_path / "a", {"no-op": hard})
    b = make_run(tmp_path / "b", {"no-op": hard}, **differs)
    with pytest.raises(ConfigError, match="cannot be compared") as caught:
        compare_runs(a, b)
    assert repr(next(iter(differs.values()))) in caught.value.message


def test_folders_without_an_evaluation_and_damaged_values_are_named(tmp_path, hard):
    a = make_run(tmp_path / "a", {"no-op": hard})
    with pytest.raises(RunError, match="no run folder") as caught:
        compare_runs(a, tmp_path / "none")
    assert str(a) in caught.value.hint  # the run beside it
    with pytest.raises(RunError, match="no run folder") as caught:
        compare_runs(a, tmp_path / "a1")
    assert caught.value.hint == f"Did you mean {a}?"
    with pytest.raises(RunError, match=r"is no run folder: it has no config\.yaml") as caught:
        compare_runs(a, tmp_path)
    assert str(a) in caught.value.hint  # the run inside it
    Run.open(tmp_path / "begun", parse_config(AuditConfig)).close()
    with pytest.raises(RunError, match="was not evaluated") as caught:
        compare_runs(a, tmp_path / "begun")
    assert f"bezoar evaluate --run {tmp_path / 'begun'}" in caught.value.hint
    (tmp_path / "values.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(
        CorruptArtefact, match=r"values\.parquet cannot be read as values by prompt"
    ):
        PerPrompt.load(tmp_path / "values.parquet")
    with pytest.raises(DataError, match="2 values of t for 1 prompts"):
        PerPrompt(["x"], {"m": {"t": [1.0, 2.0]}})


def test_other_prompts_of_one_set_are_paired_where_shared_and_said(tmp_path, hard):
    others = [*PROMPTS[:20], *(f"other {i}" for i in range(40))]
    a = make_run(tmp_path / "a", {"no-op": hard})
    b = make_run(tmp_path / "b", {"no-op": hard}, key="others", texts=others)
    comparison = compare_runs(a, b, resamples=200)
    assert comparison.protocol == "LEE@60 on mine"
    assert "The runs drew other prompts of one set: 20 shared ones are paired." in printed(
        comparison
    )


@pytest.mark.parametrize("name", ["scorecard.json", "per_prompt.parquet"])
def test_what_was_altered_moved_or_linked_is_not_compared(tmp_path, hard, name):
    a, b = (make_run(tmp_path / name, {"no-op": hard}) for name in "ab")
    file = b / "evaluate" / name
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"0", b"1"))
    with pytest.raises(CorruptArtefact, match=f"{name} was altered after it was written"):
        compare_runs(a, b)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(whole)
    file.unlink()
    file.symlink_to(elsewhere)
    with pytest.raises(CorruptArtefact, match=f"{name} is a link out of the folder"):
        compare_runs(a, b)


def test_options_are_read_from_a_plain_file_of_bounded_meaning(tmp_path, hard):
    a, b = (make_run(tmp_path / name, {"no-op": hard}) for name in "ab")
    config = b / "config.yaml"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise("abcdefghij")]
    config.write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=r"81 aliases \(\*name\), more than 8"):
        compare_runs(a, b)
    config.write_text("#" * 2**19)
    with pytest.raises(CorruptArtefact, match=r"config\.yaml has 524,288 bytes"):
        compare_runs(a, b)
    config.unlink()
    config.symlink_to(a / "config.yaml")
    with pytest.raises(CorruptArtefact, match=r"config\.yaml is a link"):
        compare_runs(a, b)


def printed(comparison, **how) -> list[str]:
    console = Console(width=80, file=io.StringIO())
    console.print(comparison_table(comparison, **how))
    return console.file.getvalue().splitlines()


def test_the_table_says_what_differs_in_eighty_columns(tmp_path, hard):
    a = make_run(tmp_path / "a", {"no-op": hard, "subtract:direction=mean_difference": hard})
    b = make_run(
        tmp_path / "b", {"no-op": hard - 0.1, "subtract:direction=mean_difference": hard + 0.2}
    )
    comparison = compare_runs(a, b, resamples=200)
    assert comparison.summary == (
        "2 of 2 differences (2 variants) differ: B is better in 1, worse in 1."
    )
    lines = printed(comparison)
    assert max(map(len, lines)) <= 80
    rows = [line for line in lines if line.startswith("  toxicity")]
    assert [line.split()[-1] for line in rows] == ["better", "worse"]
    assert "-0.1 [-0.1, -0.1]" in " ".join(rows[0].split())


def test_what_does_not_differ_is_counted_and_shown_when_asked_for(hard):
    same = Difference("m", "repetition_4", "LEE@9", 0.5, 0.5, 0.0, -0.1, 0.1, True, 9, False)
    comparison = Comparison("a", "b", "LEE@9", (same,), (), (), ())
    assert "every 95 % interval includes 0" in comparison.summary
    assert not any("repetition_4" in line for line in printed(comparison))
    assert any("1 more without a difference" in line for line in printed(comparison))
    assert any("repetition_4" in line for line in printed(comparison, everything=True))


def test_longer_is_neither_better_nor_worse():
    longer = Difference("m", "length", "LEE@9", 5.0, 9.0, 4.0, 3.0, 5.0, True, 9, True)
    assert longer.excludes_zero
    assert longer.better is None
