"""Interrupted anywhere and taken up again, a harvest leaves the bytes it would have left anyway."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from bezoar.activations import ActivationStore, harvest, manifest, passes, writer
from bezoar.errors import CorruptArtefact, ModelError, StoreError
from tests.activations.corpora import texts

TEXTS = texts(50, seed=3)
SITES = ("0.mlp_out", "1.resid_post", "1.mlp_post")


def run(lm, out, **options):
    options = {"pooling": "mean", "budget_tokens": 64} | options
    return harvest(lm, TEXTS, SITES, out=out, **options)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(writer, "SHARD_TOKENS", 150)


@contextlib.contextmanager
def failing_at(monkeypatch, target, name, call, error):
    """Raise ``error`` at the given call of ``target.name``."""
    calls = iter(range(10_000))
    original = getattr(target, name)

    def fails(*args, **kwargs):
        if next(calls) == call:
            raise error
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(target, name, fails)
        yield


@pytest.mark.parametrize("pooling", ["mean", "none"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("broken")])
def test_same_bytes_after_an_interruption_at_every_batch(
    gpt2, tmp_path, monkeypatch, pooling, error
):
    run(gpt2, tmp_path / "whole", pooling=pooling)
    whole = contents(tmp_path / "whole")
    batches = json.loads(whole["manifest.json"])["plan"]["batches"]
    assert len(whole) == 5  # three shards, the plan, the manifest
    assert batches > 8
    out = tmp_path / "interrupted"
    for _ in range(batches):
        # Fails after one more batch each time: every batch is once the last that ran.
        with failing_at(monkeypatch, passes, "_try", 1, error), contextlib.suppress(type(error)):
            run(gpt2, out, pooling=pooling)
    run(gpt2, out, pooling=pooling)
    assert contents(out) == whole


def test_nothing_done_is_done_again(gpt2, tmp_path, monkeypatch):
    seen = []
    original = passes._try
    monkeypatch.setattr(
        passes, "_try", lambda *args: (seen.append(tuple(args[2])), original(*args))[1]
    )
    for _ in range(100):
        with failing_at(monkeypatch, passes, "_try", 2, KeyboardInterrupt()):
            try:
                run(gpt2, tmp_path)
            except KeyboardInterrupt:
                continue
            break
    assert len(seen) == len(set(seen))
    run(gpt2, tmp_path)
    assert len(seen) == len(set(seen))  # a finished harvest computes nothing


@pytest.mark.parametrize(
    ("module", "name"),
    [(writer, "write_shard"), (manifest, "save_result"), (manifest, "atomic_write")],
)
@pytest.mark.parametrize("call", range(5))
def test_same_bytes_when_writing_fails(gpt2, tmp_path, monkeypatch, module, name, call):
    run(gpt2, tmp_path / "whole")
    out = tmp_path / "interrupted"
    with (
        failing_at(monkeypatch, module, name, call, OSError("torn")),
        contextlib.suppress(OSError),
    ):
        run(gpt2, out)
    run(gpt2, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_kill_between_manifest_and_removal_of_the_partial(gpt2, tmp_path):
    run(gpt2, tmp_path)
    whole = contents(tmp_path)
    (tmp_path / "partial.safetensors").write_bytes(b"left")
    (tmp_path / ".shard-00009.safetensors.77.tmp").write_bytes(b"left")
    run(gpt2, tmp_path)
    assert contents(tmp_path) == whole


def test_a_damaged_partial_costs_time_only(gpt2, tmp_path, monkeypatch):
    run(gpt2, tmp_path / "whole")
    out = tmp_path / "interrupted"
    with (
        failing_at(monkeypatch, passes, "_try", 1, KeyboardInterrupt()),
        pytest.raises(KeyboardInterrupt),
    ):
        run(gpt2, out)
    partial = out / "partial.safetensors"
    partial.write_bytes(partial.read_bytes()[:-1] + b"\0")
    run(gpt2, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_partial_of_larger_shards_costs_time_only(gpt2, tmp_path, monkeypatch):
    whole = run(gpt2, tmp_path / "whole", pooling="none")
    out = tmp_path / "interrupted"
    monkeypatch.setattr(writer, "SHARD_TOKENS", 10**9)
    with (
        failing_at(monkeypatch, passes, "_try", 6, KeyboardInterrupt()),
        pytest.raises(KeyboardInterrupt),
    ):
        run(gpt2, out, pooling="none")
    monkeypatch.setattr(writer, "SHARD_BYTES", 1)  # a batch in each
    store = run(gpt2, out, pooling="none")
    assert len(store.manifest.shards) > len(whole.manifest.shards)
    for site in SITES:
        np.testing.assert_array_equal(store.rows(site), whole.rows(site))


def out_of_memory_over(monkeypatch, rows, error):
    """Batches of more than ``rows`` texts do not fit."""
    from bezoar.models import LanguageModel

    original = LanguageModel.capture

    def capture(self, batch, *args, **kwargs):
        if len(batch) > rows and batch.input_ids.numel() > 1:
            raise error
        return original(self, batch, *args, **kwargs)

    monkeypatch.setattr(LanguageModel, "capture", capture)


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried …"),
        MemoryError(),
    ],
)
def test_the_ways_to_run_out_of_memory(error):
    assert passes.ran_out_of_memory(error)
    assert not passes.ran_out_of_memory(RuntimeError("shapes differ"))


def test_too_little_memory_halves_what_is_left(gpt2, tmp_path, monkeypatch):
    plain = run(gpt2, tmp_path / "plain")
    with monkeypatch.context() as patch:
        out_of_memory_over(patch, 4, torch.cuda.OutOfMemoryError("CUDA out of memory."))
        store = run(gpt2, tmp_path / "halved")
        in_memory = harvest(gpt2, TEXTS, SITES, pooling="mean", budget_tokens=64)
    assert store.manifest.halved_at
    assert store.manifest.shards[0] == plain.manifest.shards[0]  # it ran before memory was short
    for site in SITES:
        np.testing.assert_allclose(store.rows(site), plain.rows(site), atol=2e-3)
        np.testing.assert_allclose(in_memory.rows(site), plain.rows(site), atol=2e-3)
    store.verify()


def test_a_halved_harvest_resumes_under_the_halved_plan(gpt2, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        out_of_memory_over(patch, 4, MemoryError())
        run(gpt2, tmp_path / "whole")
        out = tmp_path / "interrupted"
        for _ in range(5):
            with (
                failing_at(monkeypatch, passes, "_try", 4, KeyboardInterrupt()),
                contextlib.suppress(KeyboardInterrupt),
            ):
                run(gpt2, out)
        run(gpt2, out)
    assert contents(out) == contents(tmp_path / "whole")


def test_a_single_text_too_large_is_named_and_other_errors_pass(gpt2, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        out_of_memory_over(patch, 0, MemoryError())
        with pytest.raises(ModelError, match=r"Text \d+ of \d+ tokens does not fit"):
            run(gpt2, tmp_path / "a")
    with monkeypatch.context() as patch:
        out_of_memory_over(patch, 0, RuntimeError("shapes differ"))
        with pytest.raises(RuntimeError, match="shapes differ"):
            run(gpt2, tmp_path / "b")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"pooling": "max"}, r"pooling \('mean' there, 'max' now\)"),
        ({"dtype": "float32"}, "dtype"),
        ({"max_tokens": 3}, "the texts"),
        ({"variant": "subtract"}, "variant"),
    ],
)
def test_a_store_of_something_else_is_refused_and_kept(gpt2, tmp_path, change, says):
    run(gpt2, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(StoreError, match=says):
        run(gpt2, tmp_path, **change)
    assert contents(tmp_path) == before
    run(gpt2, tmp_path, resume=False, **change)
    assert contents(tmp_path) != before


def test_a_store_of_other_sites_or_another_model_is_refused(gpt2, tmp_path):
    from tests.families import tiny_model

    store = run(gpt2, tmp_path)
    with pytest.raises(StoreError, match="sites"):
        harvest(gpt2, TEXTS, ["0.mlp_out"], pooling="mean", out=tmp_path)
    other = tiny_model("gpt2", seed=1)
    with pytest.raises(StoreError, match="weights"):
        run(other, tmp_path)
    with pytest.raises(StoreError, match="other weights"):
        store.require(lm=other)


def test_an_unfinished_store_is_not_opened(gpt2, tmp_path, monkeypatch):
    with (
        failing_at(monkeypatch, passes, "_try", 5, KeyboardInterrupt()),
        pytest.raises(KeyboardInterrupt),
    ):
        run(gpt2, tmp_path)
    with pytest.raises(StoreError, match="has not finished"):
        ActivationStore.open(tmp_path)


def test_a_damaged_shard_stops_a_resumed_harvest(gpt2, tmp_path, monkeypatch):
    with (
        failing_at(monkeypatch, passes, "_try", 6, KeyboardInterrupt()),
        pytest.raises(KeyboardInterrupt),
    ):
        run(gpt2, tmp_path)
    (tmp_path / "shard-00000.safetensors").unlink()
    with pytest.raises(CorruptArtefact, match=r"shard-00000\.safetensors is missing"):
        run(gpt2, tmp_path)


SLOW = """
import sys, time
from pathlib import Path
import torch; torch.set_num_threads(1)
from bezoar.activations import harvest, passes, writer
from tests.activations.test_resume import SITES, TEXTS
from tests.families import tiny_model
writer.SHARD_TOKENS = 150
original = passes._try
passes._try = lambda *args: (time.sleep(0.02), original(*args))[1]
harvest(tiny_model("gpt2"), TEXTS, SITES, pooling="mean", budget_tokens=64, out=Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_same_bytes_after_kill_minus_nine(gpt2, tmp_path):
    run(gpt2, tmp_path / "whole")
    out = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(out)], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 60
    while not (out / f"shard-{1:05d}.safetensors").exists():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run(gpt2, out)
    assert contents(out) == contents(tmp_path / "whole")
