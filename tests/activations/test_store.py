"""A damaged store is named and refused; a hostile one executes and maps nothing."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bezoar.activations import ActivationStore, harvest, writer
from bezoar.errors import CorruptArtefact, DataError, StoreError
from tests.activations.corpora import texts

SITE = "1.resid_post"
SHARD = "shard-00001.safetensors"


@pytest.fixture
def folder(gpt2, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SHARD_TOKENS", 100)
    harvest(gpt2, texts(30), [SITE, "0.mlp_out"], pooling="mean", budget_tokens=64, out=tmp_path)
    return tmp_path


def test_shards_are_plain_safetensors_in_the_order_of_the_plan(folder):
    store = ActivationStore.open(folder)
    order = load_file(folder / "plan.safetensors")["order"]
    parts = [load_file(path)[SITE] for path in sorted(folder.glob("shard-*.safetensors"))]
    np.testing.assert_array_equal(np.concatenate(parts), store.rows(SITE, order, dtype=None))


def test_rows_are_mapped_not_loaded(folder):
    store = ActivationStore.open(folder)
    store.rows(SITE, [0])
    column = next(iter(store._shards._opened.values()))[SITE]
    assert isinstance(column.base.base, np.memmap) or isinstance(column.base, np.memmap)
    assert len(store._shards._opened) == 1  # one row opens one shard


def test_verify_passes_on_a_sound_store(folder):
    ActivationStore.open(folder).verify()


def alter(path, where=-1):
    data = bytearray(path.read_bytes())
    data[where] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / SHARD).unlink(), "shard-00001.*is missing"),
        (
            lambda f: (f / SHARD).write_bytes((f / SHARD).read_bytes()[:-9]),
            "shard-00001.*bytes where",
        ),
        (lambda f: (f / "plan.safetensors").unlink(), "plan.*is missing"),
        (lambda f: alter(f / "plan.safetensors"), "plan.*was altered"),
        (lambda f: (f / "manifest.json").write_text("{"), "manifest.json cannot be read"),
    ],
)
def test_damage_is_named_on_opening(folder, damage, says):
    damage(folder)
    with pytest.raises(CorruptArtefact, match=says):
        ActivationStore.open(folder)


@pytest.mark.parametrize("where", [-1, 9, 200])
def test_an_altered_shard_is_named_before_it_is_read(folder, where):
    alter(folder / SHARD, where)
    store = ActivationStore.open(folder)
    with pytest.raises(CorruptArtefact, match=r"shard-00001.*was altered"):
        store.rows(SITE)
    with pytest.raises(CorruptArtefact, match=r"shard-00001.*was altered"):
        store.verify()


def test_damage_after_opening_is_found_by_verify(folder):
    store = ActivationStore.open(folder)
    store.rows(SITE)
    alter(folder / SHARD)
    with pytest.raises(CorruptArtefact, match="shard-00001"):
        store.verify()


def rewrite(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 10**18},
        {"texts": 10**18, "rows": 10**18, "tokens": 10**18},
        {"rows": -1},
        {"widths": [32]},
        {"widths": [32, 10**15]},
        {"widths": [64, 16]},
        {"sites": ["../../etc/passwd", "0.mlp_out"]},
        {"dtype": "object"},
        {"dtype": "float32"},
        {"format": "something else"},
        {"shards": []},
        {"shards": [{"rows": 30, "batches": 1, "bytes": 1, "sha256": ""}]},
        {"shards": "../../elsewhere"},
    ],
)
def test_a_manifest_that_lies_is_refused(folder, changes):
    rewrite(folder, **changes)
    with pytest.raises(StoreError):
        ActivationStore.open(folder).rows(SITE)


def forge(folder, data):
    """Put other bytes in a shard's place, and make the manifest vouch for them."""
    import hashlib

    (folder / SHARD).write_bytes(data)
    shards = json.loads((folder / "manifest.json").read_text())["shards"]
    shards[1] |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rewrite(folder, shards=shards)


def refused(folder):
    with pytest.raises(CorruptArtefact, match=r"shard-00001|manifest\.json"):
        ActivationStore.open(folder).rows(SITE)


def header(entries):
    text = json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text


def test_forged_shards_are_refused(folder):
    rows = ActivationStore.open(folder).manifest.shards[1].rows
    good = {"dtype": "F16", "shape": [rows, 32], "data_offsets": [0, rows * 64]}
    other = {"0.mlp_out": good | {"data_offsets": [rows * 64, rows * 128]}}
    body = bytes(rows * 128)
    for data in (
        b"",
        b"\xff" * 8 + b"{}",
        pickle.dumps({"a": 1}),
        header([]),
        header({SITE: good}) + body,
        header({SITE: good} | other | {"more": good}) + body,
        header({SITE: good | {"shape": [rows * 2, 16]}} | other) + body,
        header({SITE: good | {"data_offsets": [-64, rows * 64 - 64]}} | other) + body,
        header({SITE: good | {"data_offsets": [10**17, 10**17 + rows * 64]}} | other) + body,
        header({SITE: good | {"dtype": "F32"}} | other) + body,
        header({SITE: 7} | other) + body,
    ):
        forge(folder, data)
        refused(folder)
        forge(folder, data + bytes(rows * 256))
        refused(folder)
    forge(folder, header({SITE: good} | other) + body)  # the forger's tools do make a sound file
    ActivationStore.open(folder).rows(SITE)


def test_a_plan_that_is_no_permutation_is_refused(folder):
    import hashlib

    arrays = load_file(folder / "plan.safetensors")
    arrays["order"][0] = arrays["order"][1]
    save_file(arrays, folder / "plan.safetensors")
    data = (folder / "plan.safetensors").read_bytes()
    plan = json.loads((folder / "manifest.json").read_text())["plan"]
    rewrite(folder, plan=plan | {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    with pytest.raises(CorruptArtefact, match="no plan of 30 texts"):
        ActivationStore.open(folder)


def test_a_folder_without_a_store_says_so(tmp_path):
    with pytest.raises(StoreError, match="holds no activation store"):
        ActivationStore.open(tmp_path)


@pytest.mark.parametrize("index", [[30], [-31], np.ones(29, dtype=bool)])
def test_rows_that_do_not_exist_are_refused(folder, index):
    with pytest.raises(DataError, match="30 rows"):
        ActivationStore.open(folder).rows(SITE, index)
