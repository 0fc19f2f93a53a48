"""Every error is one or two lines and an exit status; nobody but ``--debug`` sees a traceback."""

from __future__ import annotations

import errno
import json
import os

import pytest

from bezoar import errors
from bezoar.cli.app import EPILOG

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.BezoarError)
]


@pytest.mark.parametrize("kind", KINDS)
def test_each_error_has_its_status_and_two_lines(bezoar, study, tmp_path, kind):
    study.answer = kind("It was 3, not 2.", hint="Give 2.")
    status, out, err = bezoar("audit", "--out", tmp_path)
    assert status == kind.exit_code
    assert f" {status} " in EPILOG.replace("\n", " ")
    assert err == f"{kind.__name__}: It was 3, not 2.\n  Give 2.\n"
    assert out == ""


def test_debug_lets_the_traceback_through(study, tmp_path):
    from bezoar.cli.app import app

    study.answer = errors.DataError("no rows")
    with pytest.raises(errors.DataError):
        app().main(["audit", "--out", str(tmp_path), "--debug"])


def test_errors_for_machines(bezoar, study, tmp_path):
    study.answer = errors.ScorerError("NaN in row 3.", hint="Look at row 3.")
    status, _, err = bezoar("audit", "--out", tmp_path, "--json")
    seen = {"error": "ScorerError", "message": "NaN in row 3.", "hint": "Look at row 3."}
    assert (status, json.loads(err)) == (6, seen)


@pytest.mark.parametrize(
    ("line", "said", "command"),
    [
        (["audit", "--budgett", "x", "--json"], "No such option: --budgett", "bezoar audit"),
        (["--json", "audit", "--seed", "x"], "No such option: --json", "bezoar"),
        (["audit", "--seed", "x", "--json"], "Invalid value for '--seed'", "bezoar audit"),
        (["try", "--json", "hello"], "Missing option '--edit'", "bezoar try"),
        (["compare", "--json"], "Missing argument 'RUN_A'", "bezoar compare"),
        (["adit", "--json"], "No such command 'adit'. Did you mean 'audit'?", "bezoar"),
        (["list", "--json", "nothing"], "No list of 'nothing'.", None),
    ],
)
def test_wrong_options_are_errors_for_machines_too(bezoar, line, said, command):
    status, out, err = bezoar(*line)
    assert (status, out) == (2, "")
    seen = json.loads(err)
    assert seen.keys() == {"error", "message", "hint"}
    assert seen["error"] == "ConfigError"
    assert seen["message"].startswith(said)
    assert command is None or seen["hint"] == f"Try '{command} -h' for help."


def test_json_after_two_dashes_is_a_text(bezoar):
    status, _, err = bezoar("try", "--", "--json")
    assert status == 2
    assert err.startswith("Usage: bezoar try")


def test_with_json_a_status_is_kept(bezoar, study, tmp_path):
    assert bezoar("audit", "--out", tmp_path, "--json")[0] == 0
    study.answer = type(study.answer)("report.html", gate_failed="toxicity is 0.4")
    assert bezoar("audit", "--out", tmp_path, "--json", "--fail-if", "toxicity>0.1")[0] == 10
    assert json.loads(bezoar("list", "sites", "--json")[1])


@pytest.mark.parametrize(
    ("out", "reason"),
    [("/proc/x", "No such file or directory"), ("a" * 300, "File name too long")],
)
def test_a_place_where_no_folder_can_be_is_said(bezoar, study, out, reason):
    status, _, err = bezoar("audit", "--out", out)
    assert status == 8
    first, hint = err.splitlines()
    assert first == f"RunError: Cannot write to {out}: no folder can be made there ({reason})."
    assert hint == "  Choose another folder with --out."


@pytest.mark.parametrize(
    ("answer", "status", "parts"),
    [
        (KeyboardInterrupt(), 130, ["Stopped", "is kept", "same command"]),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), 8, ["disk is full", "goes on"]),
        (ZeroDivisionError("division by zero"), 1, ["ZeroDivisionError", "--debug", "report"]),
    ],
)
def test_what_is_no_error_of_ours_is_said_in_words_too(
    bezoar, study, tmp_path, answer, status, parts
):
    study.answer = answer
    seen, _, err = bezoar("audit", "--out", tmp_path)
    assert seen == status
    assert all(part in err for part in parts)
    assert "Traceback" not in err


def test_values_quoted_in_errors_cannot_command_the_terminal(bezoar, study, tmp_path):
    study.answer = errors.DataError("Row 3 is '\x1b]0;owned\x07\u202egnp.exe shit'.")
    _, _, err = bezoar("audit", "--out", tmp_path)
    assert not {"\x1b", "\x07", "\u202e"} & set(err)
    assert "s**t" in err


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["adit"], ["No such command 'adit'", "'audit'"]),
        (["audit", "--budgett", "x"], ["--budgett", "--budget"]),
        (["audit", "--seed", "x"], ["--seed", "integer"]),
        (["try", "hello"], ["--edit"]),
        (["list", "method"], ["'method'", "'methods'"]),
        (["audit", "--set", "data.limt=4"], ["data.limt", "'limit'"]),
        (["audit", "--set", "limit"], ["'limit'", "data.limit=500"]),
        (["audit", "--budget", "ppl<5%"], ["ceiling", "ppl<=5%"]),
        (["audit", "--fail-if", "toxicity"], ["'toxicity'", "toxicity>0.1"]),
        (["audit", "--config", "/no/such.yaml"], ["/no/such.yaml", "No such file"]),
    ],
)
def test_options_that_cannot_be_are_refused_with_the_nearest(bezoar, args, parts):
    status, _, err = bezoar(*args)
    assert status == 2
    assert all(part in err for part in parts)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("args", "status", "parts"),
    [
        (["audit", "--data", "tow.csv"], 3, ["tow.csv", "two.csv"]),
        (["audit", "--data", "jigsaww:x.csv"], 3, ["'jigsaww'", "'jigsaw'"]),
        (["audit", "--data", "hub:"], 3, ["hub:ID"]),
        (["audit", "--data", "two.csv", "--label", "flagg"], 3, ["'flagg'", "'flag'"]),
        (["audit", "--data", "two.csv", "--label", "comment"], 3, ["'comment'", "0/1"]),
        (["audit", "--data", "empty.csv"], 3, ["empty.csv is empty"]),
        (["audit", "--data", "folder"], 3, ["folder"]),
        (["audit", "--prompts", "none.txt"], 3, ["none.txt", "Looked in"]),
        (["audit", "--data-root", "/no/root"], 3, ["/no/root", "--data-root"]),
        (["explore", "--neutral", "none.txt"], 3, ["none.txt"]),
        (["audit", "--seed", "-1"], 2, ["--seed"]),
        (["locate", "--threads", "0"], 2, ["--threads"]),
        (["audit", "--config", "broken.yaml"], 2, ["broken.yaml is not YAML", "bracket"]),
        (["audit", "--config", "list.yaml"], 2, ["holds a list"]),
        (["audit", "--config", "folder"], 2, ["folder", "YAML"]),
        (["audit", "--config", "type.yaml"], 2, ["data.limit", "'many'"]),
        (["apply", "/no/such", "demo", "--out", "x"], 5, ["/no/such", "mitigate/edits"]),
        (["apply", "edits/sbtract", "demo", "--out", "x"], 5, ["edits/subtract"]),
        (["try", "hello", "--edit", "folder"], 5, ["folder", "edit.json"]),
        (["try", "hello", "--edit", "edits"], 5, ["holds the edits edits/subtract"]),
        (["compare", "/no/a", "/no/b"], 8, ["/no/a"]),
        (["compare", "folder", "folder"], 8, ["config.yaml"]),
    ],
)
def test_mistakes_of_a_stranger_get_an_answer_and_leave_nothing(
    bezoar, tmp_path, monkeypatch, args, status, parts
):
    monkeypatch.chdir(tmp_path)
    files = {
        "two.csv": "comment,flag\nhello,0\nbad,1\n",
        "empty.csv": "",
        "broken.yaml": "a: [1,\n",
        "list.yaml": "- 1\n",
        "type.yaml": "data: {limit: many}\n",
        "edits/subtract/edit.json": "{}",
        "folder/nothing.md": "",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    seen, out, err = bezoar(*args)
    assert (seen, out) == (status, "")
    assert all(part in err for part in parts), err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_an_empty_yaml_file_is_the_defaults(bezoar, study, tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert bezoar("audit", "--config", tmp_path / "empty.yaml", "--out", tmp_path / "run")[0] == 0
