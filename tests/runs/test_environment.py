"""The doctor sees the known ills."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bezoar.runs import environment
from bezoar.runs.environment import doctor, free_bytes


def checks(out: Path) -> dict[str, environment.Check]:
    return {check.name: check for check in doctor(out).checks}


def test_a_torchvision_that_breaks_transformers_is_a_problem(tmp_path, monkeypatch):
    package = tmp_path / "torchvision"
    package.mkdir()
    error = "operator torchvision::nms does not exist"
    (package / "__init__.py").write_text(f"raise RuntimeError({error!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = checks(tmp_path)["torchvision"]
    assert found.state == "problem"
    assert error in found.found
    assert "uninstall" in found.advice
    assert not doctor(tmp_path).healthy


def test_a_missing_or_old_package_is_a_problem(tmp_path, monkeypatch):
    versions = {"transformers": "4.57.6", "safetensors": None}
    real = environment.installed
    monkeypatch.setattr(
        environment, "installed", lambda name: versions[name] if name in versions else real(name)
    )
    found = checks(tmp_path)["packages"]
    assert found.state == "problem"
    assert "transformers 4.57.6 (needs >=5.9)" in found.found
    assert "safetensors missing" in found.found


def test_low_disk_is_a_warning_and_does_not_need_the_folder_to_exist(tmp_path, monkeypatch):
    deep = tmp_path / "not" / "made" / "yet"
    assert free_bytes(deep) == free_bytes(tmp_path)
    monkeypatch.setattr(environment, "free_bytes", lambda path: 10**6)
    assert checks(deep)["disk"].state == "warning"
    assert not deep.exists()


def test_the_environment_names_every_package_that_numbers_hang_on():
    named = environment.describe_environment()["packages"]
    assert {"torch", "transformers", "accelerate", "peft"} <= named.keys()
    assert named["accelerate"]


def test_describing_the_environment_imports_nothing_heavy():
    code = (
        "import sys; from bezoar.runs.environment import describe_environment as d; d();"
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["bfloat16", "threads", "device", "demo"])
def test_every_check_reports(tmp_path, name):
    assert checks(tmp_path)[name].found
