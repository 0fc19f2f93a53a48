"""Running the command line in this process, with a stand-in for the audit."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import pytest

from bezoar.cli.app import app
from bezoar.runs.results import Result

Outcome = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Summary(Result):
    """What a stand-in audit returns."""

    report: str
    gate_failed: str = ""


@pytest.fixture
def bezoar(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """``bezoar("list", "sites")`` gives exit status, standard output and standard error."""

    def call(*args: object) -> Outcome:
        with pytest.raises(SystemExit) as left:
            app().main([str(arg) for arg in args], prog_name="bezoar")
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return call


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for ``bezoar.studies.audit``: records its calls, returns ``study.answer``."""
    module = ModuleType("bezoar.studies.audit")
    module.calls = []
    module.answer = Summary("report.html")

    def record(config, *, upto="report", progress=None, console=None):
        module.calls.append((config, upto))
        if isinstance(module.answer, BaseException):
            raise module.answer
        return module.answer

    module.run_audit = module.run_stages = record
    module.check_config = lambda config: None
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module
