"""Two processes that share every batch train what one trains alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

_TRAIN = """
import json, os, sys
from bezoar.mitigate.preference import train
from tests.families import tiny_model
from tests.mitigate.preferences import pairs, recipe

asked = recipe(lr=1e-3, epochs=1, eval_every=4, batch_pairs=4, warmup=0)
log = train(tiny_model("gpt2"), pairs(), asked, out=sys.argv[1]).log
if os.environ.get("RANK", "0") == "0":
    seen = [step.loss for step in log.steps], [point.loss for point in log.validation], log.norm
    with open(sys.argv[2], "w") as file:
        json.dump(seen, file)
"""


def _trained(folder: Path, *launcher: str) -> tuple[list[float], list[float], float]:
    folder.mkdir()
    script, said = folder / "train.py", folder / "log.json"
    script.write_text(_TRAIN)
    env = os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(Path.cwd())}
    command = [sys.executable, *launcher, str(script), str(folder / "kept"), str(said)]
    subprocess.run(command, env=env, check=True, timeout=600)
    steps, validation, norm = json.loads(said.read_text())
    return steps, validation, norm


@pytest.mark.slow
def test_two_processes_train_what_one_trains(tmp_path):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    one, two = _trained(tmp_path / "one"), _trained(tmp_path / "two", *launcher)
    assert len(one[0]) > 3
    for alone, shared in zip(one, two, strict=True):
        assert shared == pytest.approx(alone, abs=1e-5)
