"""Folders that somebody else made: every reader refuses them by name, and nothing in them runs."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from bezoar.activations import ActivationStore, harvest
from bezoar.edits import ActivationEdit, Add, At, load_edit
from bezoar.errors import CorruptArtefact, ScorerError, StoreError
from bezoar.locate import Direction, LinearProbe, load_probe
from bezoar.models import Site
from bezoar.runs import AuditConfig, Run
from bezoar.scoring import ConvolutionScorer, LinearScorer, load_scorer
from bezoar.scoring.convolution import Table
from bezoar.scoring.linear import Ngrams

SITE = Site.parse("1.resid_post")
REFUSED = (CorruptArtefact, StoreError, ScorerError)


class Payload:
    """Unpickled, it leaves a file behind."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def make_edit(folder: Path) -> None:
    ActivationEdit((At(SITE, Add(torch.ones(8))),)).save(folder)


def make_direction(folder: Path) -> None:
    Direction.of(torch.ones(8), SITE).save(folder)


def make_probe(folder: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(40, 4))
    LinearProbe().fit(rows, (rows[:, 0] > 0).astype(int)).save(folder)


def make_scorer(folder: Path) -> None:
    texts = ["you fool", "kind house"] * 20
    LinearScorer.fit(texts, {"toxicity": np.array([1, 0] * 20)}, ngrams=[Ngrams(bits=8)]).save(
        folder
    )


def make_network(folder: Path) -> None:
    table = Table.of(np.ones((2, 4)))
    tensors = [np.ones(shape, np.float32) for shape in ((12, 3), (3,), (1, 3), (1,))]
    ConvolutionScorer(("you", "fool"), table, table, *tensors, ("toxicity",)).save(folder)


READERS: dict[str, tuple[Callable[[Path], None], Callable[[Path], object], str, str]] = {
    "edit": (make_edit, load_edit, "edit.json", "edit.safetensors"),
    "direction": (make_direction, Direction.load, "direction.json", "direction.safetensors"),
    "probe": (make_probe, load_probe, "probe.json", "probe.safetensors"),
    "scorer": (make_scorer, load_scorer, "scorer.json", "scorer.safetensors"),
    "network": (make_network, load_scorer, "scorer.json", "scorer.safetensors"),
}


@pytest.fixture(params=READERS)
def sound(request: pytest.FixtureRequest, tmp_path: Path):
    make, read, about, numbers = READERS[request.param]
    folder = tmp_path / "folder"
    make(folder)
    read(folder)
    return folder, read, folder / about, folder / numbers


def test_a_pickle_under_the_name_of_safetensors(sound, tmp_path):
    folder, read, _, numbers = sound
    numbers.write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(REFUSED) as caught:
        read(folder)
    assert str(folder) in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_pickle_beside_nothing(sound, tmp_path):
    folder, read, _, numbers = sound
    numbers.unlink()
    (folder / "numbers.pt").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(REFUSED, match=r"numbers\.pt may run code"):
        read(folder)
    assert not (tmp_path / "ran").exists()


def test_an_absurd_shape(sound):
    folder, read, _, numbers = sound
    header = json.dumps({"t0": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}})
    numbers.write_bytes(struct.pack("<Q", len(header)) + header.encode())
    with pytest.raises(REFUSED):
        read(folder)


def test_an_absurd_header(sound):
    folder, read, _, numbers = sound
    numbers.write_bytes(struct.pack("<Q", 2**62) + b"{}")
    with pytest.raises(REFUSED):
        read(folder)


def test_json_nested_without_end(sound):
    folder, read, about, _ = sound
    about.write_text("[" * 200_000)
    with pytest.raises(REFUSED):
        read(folder)


def test_json_of_absurd_size(sound):
    folder, read, about, _ = sound
    with about.open("r+b") as file:
        file.truncate(2**33)  # sparse: takes no room, and must not be read
    with pytest.raises(REFUSED, match=r"8,?589,?934,?592 bytes"):
        read(folder)


@pytest.mark.parametrize("which", [2, 3])
def test_a_link_out_of_the_folder(sound, tmp_path, which):
    folder, read, *_ = sound
    file = sound[which]
    shutil.move(file, tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(REFUSED, match="is a link"):
        read(folder)


def test_a_classifier_whose_weights_are_a_pickle(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = BertConfig(vocab_size=7, intermediate_size=8, id2label={0: "ok", 1: "toxic"}, **sizes)
    folder = tmp_path / "classifier"
    BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(ScorerError, match="may run code when loaded and is not read"):
        load_scorer(str(folder))
    assert not (tmp_path / "ran").exists()


@pytest.fixture
def store(gpt2, tmp_path):
    harvest(gpt2, ["a fool", "the kind house"], [SITE], out=tmp_path / "store")
    return tmp_path / "store"


@pytest.mark.parametrize("name", ["manifest.json", "plan.safetensors", "shard-00000.safetensors"])
def test_links_in_a_store(store, tmp_path, name):
    shutil.move(store / name, tmp_path / "elsewhere")
    (store / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(REFUSED, match=f"{name} is a link"):
        ActivationStore.open(store)


def test_a_store_that_promises_more_than_any_disk_holds(store):
    manifest = json.loads((store / "manifest.json").read_text())
    manifest["texts"] = manifest["rows"] = manifest["shards"][0]["rows"] = 2**50
    (store / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptArtefact):
        ActivationStore.open(store)


@pytest.fixture
def run(tmp_path):
    with Run.open(tmp_path / "run", AuditConfig()) as run, run.stage("harvest") as stage:
        (stage.folder / "x.bin").write_bytes(b"x")
    return tmp_path / "run"


def reopen(folder: Path) -> None:
    with Run.open(folder, AuditConfig()) as run:
        run.verify()


@pytest.mark.parametrize("name", ["../../secret", "/etc/passwd", "harvest/../../secret", ""])
def test_a_marker_that_names_files_elsewhere(run, tmp_path, name):
    (tmp_path / "secret").write_text("x")
    marker = run / "harvest" / "stage.json"
    plain = json.loads(marker.read_text())
    plain["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    marker.write_text(json.dumps(plain))
    with pytest.raises(CorruptArtefact, match="outside of itself"):
        reopen(run)


@pytest.mark.parametrize("name", ["config.yaml", "harvest/stage.json", "harvest/x.bin", "harvest"])
def test_links_in_a_run(run, tmp_path, name):
    shutil.move(run / name, tmp_path / "elsewhere")
    (run / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CorruptArtefact, match=f"{name} is a link"):
        reopen(run)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda file: file.unlink(), "is missing"),
        (lambda file: file.write_bytes(b""), "has 0 bytes where 1 were written"),
        (lambda file: file.write_bytes(b"y"), "was altered"),
    ],
)
def test_verify_names_the_file_and_what_to_do(run, damage, says):
    damage(run / "harvest" / "x.bin")
    with pytest.raises(CorruptArtefact, match=rf"x\.bin {says}.*Remove the folder .*harvest"):
        reopen(run)
