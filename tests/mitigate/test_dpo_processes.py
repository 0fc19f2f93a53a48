"""Two processes that share every batch, or divide the model too, train what one trains alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from unittest.mock import Mock

import pytest
from accelerate import Accelerator

from bezoar.edits import WeightEdit, load_edit
from bezoar.errors import ConfigError, DataError
from bezoar.mitigate.preference import TrainingLog, processes, tokenise_pairs
from bezoar.mitigate.preference.setup import require_step
from bezoar.runs.results import load_result
from tests.families import tiny_model
from tests.mitigate.preferences import pairs, recipe

_TRAIN = """
import contextlib, os, sys, torch
from bezoar.errors import ConfigError
from bezoar.mitigate.preference import train
from bezoar.runs.results import save_result
from tests.families import tiny_model
from tests.mitigate.preferences import pairs, recipe, same, state_of

torch.set_num_threads(1)
kind, folder, *masks = sys.argv[1:]
lm = tiny_model("gpt2")
before = state_of(lm)
first = os.environ.get("RANK", "0") == "0"
for mask in masks:
    out = f"{folder}/{mask}"
    asked = recipe(
        epochs=2, eval_every=8, batch_pairs=4, accumulate=2, warmup=0, keep="last",
        objective="sft" if mask == "late" else "dpo",
    )
    if kind == "divided" and mask == "all":  # in two halves: it goes on where it stopped

        class Stop:
            @contextlib.contextmanager
            def task(self, *_, **__):
                done = []
                def advance(n):
                    done.append(n)
                    if sum(done) > 16:
                        raise KeyboardInterrupt
                yield advance

            def track(self, items, *_, **__):
                return items

        try:
            train(lm, pairs(), asked, out=out, progress=Stop())
            raise SystemExit("was not stopped")
        except KeyboardInterrupt:
            pass
    trained = train(lm, pairs(), asked, out=out, trainable=mask)
    assert same(before, state_of(lm)) and all(p.requires_grad for p in lm.model.parameters())
    if first:
        trained.edit.save(f"{out}/edit", lm)
        save_result(f"{out}/log.json", trained.log)
if kind == "divided":
    try:
        train(lm, pairs(), asked, out=f"{folder}/rows", trainable="random-values:3")
        raise SystemExit("rows were not refused")
    except ConfigError as error:
        assert "whole parameters" in str(error)
"""
MASKS = ("all", "late", "biases")


def _trained(folder: Path, kind: str, *launcher: str) -> dict[str, tuple[WeightEdit, TrainingLog]]:
    script = folder / "train.py"
    script.write_text(_TRAIN)
    env = os.environ | {"ACCELERATE_USE_CPU": "true", "PYTHONPATH": str(Path.cwd())}
    if kind == "divided":
        env |= {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}
    command = [sys.executable, *launcher, str(script), kind, str(folder / kind), *MASKS]
    subprocess.run(command, env=env, check=True, timeout=600)
    lm = tiny_model("gpt2")
    return {
        mask: (
            load_edit(folder / kind / mask / "edit", lm),
            load_result(folder / kind / mask / "log.json", TrainingLog),
        )
        for mask in MASKS
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["shared", "divided"])
def test_two_processes_train_what_one_trains(tmp_path, kind):
    """DDP and FSDP: every weight and loss, of DPO and of fine-tuning ("late"), whose mean is over
    tokens; a divided run was stopped, and went on."""
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    one, two = _trained(tmp_path, "alone"), _trained(tmp_path, kind, *launcher)
    lm = tiny_model("gpt2")
    for mask in MASKS:
        (alone, log), (shared, other) = one[mask], two[mask]
        assert len(log.steps) > 3
        of_both = () if log.objective == "sft" else ("accuracy", "margin")
        for name in ("loss", "gradient", *of_both):
            seen, expected = ([getattr(row, name) for row in said.steps] for said in (other, log))
            assert seen == pytest.approx(expected, rel=1e-6, abs=1e-6), (mask, name)
        validation = [point.loss for point in log.validation]
        assert [point.loss for point in other.validation] == pytest.approx(validation, abs=1e-6)
        assert alone.deltas.keys() == shared.deltas.keys()
        held = [(alone.deltas[n], shared.deltas[n], v) for n, v in lm.model.state_dict().items()
                if n in alone.deltas]  # fmt: skip
        apart = sum(float((a.apply(v) - b.apply(v)).square().sum()) for a, b, v in held) ** 0.5
        # Not 1e-6: a key's bias has no gradient but rounding, and AdamW makes a step of any.
        assert apart <= 1e-3 * log.norm, mask


def test_a_process_gives_way_to_its_threads_before_it_ends(monkeypatch):
    """Without it one run of ten on a busy machine was aborted after its training."""
    hooks = Mock()
    monkeypatch.setattr(processes, "atexit", hooks)
    processes.end_in_order(Mock(spec=Accelerator, num_processes=1))
    assert not hooks.register.called
    processes.end_in_order(Mock(spec=Accelerator, num_processes=2))
    (at_exit,) = hooks.register.call_args.args
    start = time.perf_counter()
    at_exit()
    assert time.perf_counter() - start > 0.1


def test_processes_that_would_train_different_things_are_refused(monkeypatch):
    world = Mock(spec=Accelerator, num_processes=2)
    key = {"model": "a", "pairs": "x"}
    for other, differ in ((key, ""), ({"model": "b", "pairs": "x"}, "model")):
        monkeypatch.setattr(processes, "gather_object", lambda mine, other=other: [*mine, other])
        if not differ:
            processes.require_agreement(world, key)
            continue
        with pytest.raises(ConfigError, match=f": {differ} differ"):
            processes.require_agreement(world, key)


def test_every_process_needs_its_share_of_a_step(gpt2):
    tokens = tokenise_pairs(gpt2, pairs(3))
    require_step(tokens, recipe(batch_pairs=4), Mock(spec=Accelerator, num_processes=1))
    with pytest.raises(DataError, match="3 pairs cannot fill a step of 4"):
        require_step(tokens, recipe(batch_pairs=4), Mock(spec=Accelerator, num_processes=2))
