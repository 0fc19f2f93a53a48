"""``import bezoar`` costs nothing, and every name it offers is real."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import bezoar

LIMIT = 0.15  # seconds of processor time


def test_importing_the_package_is_instant_and_imports_nothing_heavy(capsys):
    code = (
        "import time; start = time.process_time(); import bezoar; t = time.process_time() - start;"
        "import json, sys; print(json.dumps([t, sorted(sys.modules)]))"
    )
    times = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        seconds, modules = json.loads(done.stdout)
        times.append(seconds)
        assert not {"torch", "transformers", "numpy", "sklearn", "pydantic"} & set(modules)
    with capsys.disabled():
        sys.stdout.write(f"[import bezoar {min(times):.3f} s] ")
    assert min(times) < LIMIT


@pytest.mark.parametrize("name", bezoar.__all__)
def test_every_public_name_is_real_and_documented(name):
    value = getattr(bezoar, name)
    assert name == "__version__" or (value.__doc__ or "").strip()
    assert name in dir(bezoar)


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(bezoar.__file__).read_text())
    seen = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bezoar.")
        for alias in node.names
    }
    assert seen == {(f"bezoar.{room}", name) for name, room in bezoar._ROOM.items()}


def test_the_rooms_are_attributes():
    rooms = {path.parent.name for path in Path(bezoar.__file__).parent.glob("*/__init__.py")}
    wanted = [f"bezoar.{room}" for room in sorted(rooms - {"cli"})]
    names = ["bezoar.stats.holm", "bezoar.errors.BezoarError", "bezoar.attack.KeyScaling"]
    code = f"import bezoar; {', '.join([*wanted, *names])}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_comparisons_of_models_and_of_runs_are_in_one_room():
    compare, models = bezoar.compare, bezoar.compare.models
    assert compare.weight_drift is models.weight_drift
    assert all(getattr(compare, name) for name in compare.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = compare.no_such_name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bezoar.no_such_name


def test_the_module_can_be_run():
    done = subprocess.run(
        [sys.executable, "-m", "bezoar", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"bezoar {bezoar.__version__}\n"
