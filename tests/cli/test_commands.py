"""Options reach the configuration, runs are respected, and what is printed is harmless."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from types import ModuleType

import pytest

from bezoar.cli.assignments import split_methods
from bezoar.cli.catalogue import catalogue
from bezoar.runs import AuditConfig, Result, Run, load_config
from bezoar.runs.sections import QUICK
from tests.cli.catalogue import from_registries
from tests.cli.conftest import Summary


def test_options_win_over_assignments_over_the_file_over_quick(bezoar, study, tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text("data: {limit: 111, neutral_tokens: 777}\nmitigate: {null_draws: 4}\n")
    line = ["audit", "m", "--config", file, "--set", "data.limit=222", "--set", "seed=5"]
    line += ["--seed", "6", "--quick", "--methods", "word-ban, project-out", "--reserved-only"]
    assert bezoar(*line, "--out", tmp_path / "run")[0] == 0
    ((config, _),) = study.calls
    assert config.model.name == "m"
    assert (config.data.limit, config.data.neutral_tokens) == (222, 777)
    assert config.mitigate.null_draws == 4
    assert config.mitigate.max_evaluations == QUICK["mitigate"]["max_evaluations"]
    assert config.mitigate.methods == ("word-ban", "project-out")
    assert config.seed == 6
    assert config.data.reserved_only
    assert config.out == str(tmp_path / "run")
    written = load_config(tmp_path / "run" / "config.yaml", AuditConfig, {"out": config.out})
    assert written == config


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("word-ban", ["word-ban"]),
        (
            "word-ban, subtract:direction=svd,layers=-1,project-out ,",
            ["word-ban", "subtract:direction=svd,layers=-1", "project-out"],
        ),
        ("subtract:mode=code/ word-ban", ["subtract:mode=code", "word-ban"]),
        ("", []),
        (
            "subtract:direction=value,layers=2/-1,alpha=3 / word-ban",
            ["subtract:direction=value,layers=2/-1,alpha=3", "word-ban"],
        ),
    ],
)
def test_methods_part_at_commas_and_keep_their_options(text, methods):
    assert split_methods(text) == methods


def test_every_option_of_audit_lands_in_the_configuration(bezoar, study, tmp_path):
    (tmp_path / "x.csv").write_text("t,l\n" + "".join(f"text {i},{i % 2}\n" for i in range(9)))
    (tmp_path / "p.txt").write_text("one\ntwo\n")
    (tmp_path / "n.txt").write_text("Some prose.\n")
    values = {
        "base": "b", "data": "x.csv", "prompts": "p.txt", "neutral": "n.txt",
        "data-root": str(tmp_path),
        "text": "t", "label": "l", "scorer-a": "words", "scorer-b": "hf:x", "budget": "kl<=0.1",
        "protocol": "LEE@9", "fail-if": "toxicity>0.5", "seed": "4", "device": "cpu",
        "threads": "2",
    }  # fmt: skip
    line = [part for name, value in values.items() for part in (f"--{name}", value)]
    assert bezoar("audit", *line, "--unmask", "--out", tmp_path / "run")[0] == 0
    ((config, _),) = study.calls
    plain = json.dumps(config.model_dump(mode="json"))
    for value in values.values():
        assert f'"{value}"' in plain or f": {value}" in plain
    assert config.report.unmask
    assert config.evaluate.capability == ("demo",)


@pytest.mark.parametrize("command", ["audit", "evaluate"])
@pytest.mark.parametrize(
    ("line", "tasks"),
    [
        (["--capability", "none"], ()),
        (["--set", "evaluate.capability=none"], ()),
        (["--set", "evaluate.capability=[]"], ()),
        (["--capability", "demo-grammar, blimp:a.csv"], ("demo-grammar", "blimp:a.csv")),
        ([], ("demo",)),
    ],
)
def test_capability_is_on_unless_told_otherwise(bezoar, study, tmp_path, command, line, tasks):
    assert bezoar(command, *line, "--out", tmp_path / "run")[0] == 0
    ((config, _),) = study.calls
    assert config.evaluate.capability == tasks


def test_another_configuration_is_refused_unless_told_otherwise(bezoar, study, tmp_path):
    run = tmp_path / "run"
    assert bezoar("audit", "--out", run)[0] == 0
    with Run.open(run, load_config(run / "config.yaml", AuditConfig)) as begun:
        with begun.stage("explore"):
            pass
    status, _, err = bezoar("audit", "--out", run, "--seed", "3")
    assert status == 8
    assert "seed (0 there, 3 now)" in err
    assert bezoar("audit", "--out", run, "--seed", "3", "--update")[0] == 0
    assert bezoar("audit", "--out", run, "--seed", "4", "--fresh")[0] == 0
    assert [config.seed for config, _ in study.calls] == [0, 3, 4]


@pytest.mark.parametrize(
    "stage", ["explore", "harvest", "locate", "lens", "mitigate", "evaluate", "report"]
)
def test_a_stage_takes_up_the_runs_own_options(bezoar, study, tmp_path, stage):
    assert bezoar("audit", "m", "--out", tmp_path / "run", "--seed", "3")[0] == 0
    run = tmp_path / "run"
    with Run.open(run, load_config(run / "config.yaml", AuditConfig)) as begun:
        with begun.stage("locate"):
            pass
    line = [stage, "--run", run, "--set", "locate.promoted=5"]
    before = (run / "config.yaml").read_bytes()
    status, _, err = bezoar(*line)
    assert (status, "locate.promoted (20 there, 5 now)" in err) == (8, True)
    assert (run / "config.yaml").read_bytes() == before
    assert bezoar(stage, "--run", run)[0] == 0  # its own options are no change
    status, out, _ = bezoar(*line, "--update")
    assert status == 0
    assert "report.html" in out
    config, upto = study.calls[-1]
    assert (upto, config.seed, config.model.name, config.locate.promoted) == (stage, 3, "m", 5)


def test_a_stage_says_when_it_begins_a_run(bezoar, study, tmp_path):
    told = f"There is no run in {tmp_path / 'nope'}: a new audit of demo begins there."
    status, _, err = bezoar("lens", "--run", tmp_path / "nope")
    assert (status, " ".join(err.split())) == (0, told)
    assert bezoar("lens", "--run", tmp_path / "nope")[2] == ""
    assert bezoar("lens", "--run", tmp_path / "other", "--quiet")[2] == ""


def test_a_gate_that_was_met_is_a_status_after_the_summary(bezoar, study, tmp_path):
    study.answer = Summary("report.html", gate_failed="toxicity is 0.4")
    status, out, err = bezoar("audit", "--out", tmp_path, "--fail-if", "toxicity>0.1")
    assert status == 10
    assert "report.html" in out
    first, advice = err.splitlines()
    assert first == "GateFailed: The gate toxicity>0.1 was met: toxicity is 0.4."
    assert "complete" in advice


@dataclass(frozen=True, slots=True)
class Texts(Result):
    """A result full of hostile text."""

    text: str


HOSTILE = "\x1b[2J\x1b]0;owned\x07 \u202etxt.exe \x00 [red]shit[/red] :smile:"


def test_hostile_text_is_shown_and_does_nothing(bezoar, study, tmp_path):
    study.answer = Texts(HOSTILE)
    _, out, _ = bezoar("explore", "--out", tmp_path)
    assert not {"\x1b", "\x07", "\u202e", "\x00"} & set(out)
    assert "[red]s**t[/red]" in out  # markup is text, and profanity is starred
    assert ":smile:" in out
    _, out, _ = bezoar("explore", "--out", tmp_path, "--unmask")
    assert "shit" in out
    assert "\x1b" not in out


def test_json_is_one_masked_document_with_nothing_beside_it(bezoar, study, tmp_path):
    study.answer = Texts(HOSTILE)
    _, out, err = bezoar("explore", "--out", tmp_path, "--json")
    assert json.loads(out) == {"text": HOSTILE.replace("shit", "s**t")}
    assert out.isascii()
    assert err == ""


def test_the_lists_are_those_of_the_registries():
    """If this fails, run: python -m tests.cli.catalogue"""
    assert catalogue() == from_registries()


@pytest.mark.parametrize("what", ["methods", "scorers", "protocols", "tasks", "sites"])
def test_lists_are_shown_and_given_to_machines(bezoar, what):
    status, out, _ = bezoar("list", what)
    rows = json.loads(bezoar("list", what, "--json")[1])
    assert status == 0
    assert rows == from_registries()[what]
    assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == list(
        from_registries()[what]
    )


def test_a_method_of_another_package_is_listed(bezoar, monkeypatch):
    class Theirs:
        """One line.

        More.
        """

        name = "theirs"

    class Entry:
        def load(self):
            return Theirs

    monkeypatch.setattr("bezoar.cli.catalogue.entry_points", lambda group: [Entry()])
    rows = json.loads(bezoar("list", "methods", "--json")[1])
    assert rows["theirs"] == "One line."
    assert "subtract" in rows


def test_sites_of_a_model_are_its_own_and_other_lists_have_no_model(bezoar):
    status, _, err = bezoar("list", "methods", "--model", "demo")
    assert status == 2
    assert "--model" in err


def test_the_doctor_reports_and_its_status_says_whether_a_run_can_be_made(bezoar, tmp_path):
    status, out, _ = bezoar("doctor", "--out", tmp_path, "--json")
    checks = {check["name"]: check["state"] for check in json.loads(out)["checks"]}
    assert status == ("problem" in checks.values())
    assert checks["packages"] == "ok"


def test_the_doctor_names_a_damaged_file_of_a_run(bezoar, tmp_path):
    with Run.open(tmp_path / "run", AuditConfig()) as run, run.stage("explore") as stage:
        (stage.folder / "x.txt").write_text("as it was")
    status, out, _ = bezoar("doctor", tmp_path / "run")
    assert (status, "whole: explore" in out) == (0, True)
    (tmp_path / "run" / "explore" / "x.txt").write_text("as it is!")
    status, _, err = bezoar("doctor", tmp_path / "run")
    assert status != 0
    assert "explore/x.txt" in err
    status, _, err = bezoar("doctor", tmp_path)
    assert status != 0
    assert "holds no run" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe bad: [", "is not YAML"),
        (b"!!python/object/apply:os.system ['false']", "is not YAML"),
        (b"[" * 20_000, "is not YAML"),
        (b"a: &a [x]\n" + b"b: [*a, *a, *a, *a, *a, *a, *a, *a, *a]", "9 aliases"),
        (b"a: [x]", "Unknown option 'a'"),
        (None, "is a link to another place"),
    ],
)
def test_the_doctor_looks_at_the_options_too(bezoar, tmp_path, content, said):
    Run.open(tmp_path / "run", AuditConfig()).close()
    config = tmp_path / "run" / "config.yaml"
    if content is None:
        config.unlink()
        config.symlink_to("/etc/passwd")
    else:
        config.write_bytes(content)
    status, out, err = bezoar("doctor", tmp_path / "run")
    assert status != 0
    assert said in " ".join((out + err).split())


def test_the_doctor_names_what_is_stale_and_what_is_missing(bezoar, tmp_path):
    chain = {"explore": [], "locate": ["explore"], "mitigate": ["locate"]}

    def work(config: AuditConfig, stages: list[str], **more: bool) -> None:
        with Run.open(tmp_path / "run", config, **more) as run:
            for name in stages:
                with run.stage(name, after=chain[name]):
                    pass

    work(AuditConfig(), list(chain))
    _, out, _ = bezoar("doctor", tmp_path / "run", "--json")
    _, missing = json.loads(out)["checks"]
    assert missing["found"] == "harvest, lens, evaluate, report"
    work(AuditConfig(seed=1), ["explore"], update=True)
    status, out, _ = bezoar("doctor", tmp_path / "run", "--json")
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert status == 1
    assert {name for name, check in checks.items() if check["state"] == "problem"} == {
        "locate",
        "mitigate",
    }
    assert checks["mitigate"]["found"] == "stale: the options changed since"
    work(AuditConfig(seed=1), list(chain))
    assert bezoar("doctor", tmp_path / "run")[0] == 0


def test_the_doctor_knows_the_stages_of_every_study():
    from bezoar.cli import doctor_command
    from bezoar.runs.config import STUDIES
    from bezoar.studies import audit, dpo, experts, sae, tune
    from bezoar.studies.audit.asked import INPUT_STAGES

    always = {"dpo": {"pairs"}, "experts": {"experts"}}
    rooms = {"audit": audit, "dpo": dpo, "experts": experts, "sae": sae, "tune": tune}
    known = {
        study: tuple(n for n in room.STAGES if n not in INPUT_STAGES or n in always.get(study, ()))
        for study, room in rooms.items()
    }
    assert known == doctor_command.STAGES
    assert known.keys() == STUDIES.keys()


def test_of_further_models_a_study_of_experts_looks_at_the_layers(bezoar, monkeypatch, tmp_path):
    room, seen = ModuleType("bezoar.studies.experts"), []
    room.check_study = seen.append
    room.run_experts = lambda config, **_: Summary("report.html")
    monkeypatch.setitem(sys.modules, room.__name__, room)
    status, _, _ = bezoar("study", "experts", "demo", "twin=b", "c", "--out", tmp_path / "run")
    assert status == 0
    assert (seen[0].model.name, seen[0].layers.others) == ("demo", ("twin=b", "c"))
    status, _, told = bezoar("study", "dpo", "demo", "b")
    assert status != 0
    assert "2 are named" in told
