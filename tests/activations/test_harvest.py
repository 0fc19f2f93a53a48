"""What is stored is what each text gives alone, in the order of the texts."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch

from bezoar.activations import ActivationStore, harvest, plan_batches, tokenise, writer
from bezoar.activations.passes import forward_passes
from bezoar.errors import ModelError, SiteError, StoreError
from bezoar.models import Site
from tests.activations.corpora import texts
from tests.activations.test_pooling import REFERENCE

POINTS = ("resid_pre", "attn_out", "mlp_out", "mlp_post", "resid_post", "resid_delta", "z")
TEXTS = texts(16)
MORE = texts(60)


@pytest.fixture(scope="module")
def alone():
    """Per model: text by text, unbatched captures of every site."""
    seen = {}

    def of(lm):
        if lm.name not in seen:
            sites = lm.sites((*POINTS, "embed", "unembed_in"))
            rows = [lm.capture(lm.batch([ids]), sites, stop=False) for ids in lm.encode(TEXTS)]
            seen[lm.name] = sites, [{s: v[0].clone() for s, v in row.items()} for row in rows]
        return seen[lm.name]

    return of


@pytest.mark.parametrize("pooling", ["mean", "max", "last", "none"])
@pytest.mark.parametrize("budget", [16, 4096])
def test_equal_to_every_text_alone(lm, alone, pooling, budget):
    sites, rows = alone(lm)
    store = harvest(lm, TEXTS, sites, pooling=pooling, budget_tokens=budget)
    assert store.sites == tuple(sites)
    for site in sites:
        expected = torch.cat([REFERENCE[pooling](row[site]) for row in rows]).numpy()
        np.testing.assert_allclose(store.rows(site), expected, atol=1e-4)


def test_residuals_are_those_of_hugging_face(lm):
    store = harvest(lm, TEXTS, ["0.resid_pre", "1.resid_post", "unembed_in"], pooling="none")
    for number, ids in enumerate(lm.encode(TEXTS)):
        with torch.no_grad():
            out = lm.model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        for site, hidden in (
            ("0.resid_pre", out[0]),
            ("1.resid_post", out[2]),
            ("unembed_in", out[3]),
        ):
            np.testing.assert_allclose(store.of_text(site, number), hidden[0], atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "none"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_disk_holds_what_memory_does(gpt2, tmp_path, monkeypatch, pooling, dtype):
    monkeypatch.setattr(writer, "SHARD_TOKENS", 100)  # several shards
    sites = gpt2.sites(("resid_post", "mlp_post"))
    memory = harvest(gpt2, MORE, sites, pooling=pooling, budget_tokens=64)
    disk = harvest(gpt2, MORE, sites, pooling=pooling, budget_tokens=64, dtype=dtype, out=tmp_path)
    assert len(disk.manifest.shards) > 3
    for site in sites:
        exact = torch.from_numpy(memory.rows(site)).to(getattr(torch, dtype)).float().numpy()
        np.testing.assert_array_equal(disk.rows(site), exact)
    stored = disk.rows(sites[0], dtype=None)
    assert stored.dtype == {"float16": "f2", "bfloat16": "u2", "float32": "f4"}[dtype]


def test_rows_are_selected_as_numpy_would(gpt2, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "SHARD_TOKENS", 100)
    site = Site(1, "resid_post")
    store = harvest(gpt2, TEXTS, [site], pooling="none", budget_tokens=64, out=tmp_path)
    whole = store.rows(site)
    rng = np.random.default_rng(0)
    for index in (
        slice(3, 40, 2),
        rng.permutation(len(store)),
        np.array([5, -1, 5]),
        [],
        rng.random(len(store)) < 0.3,
    ):
        np.testing.assert_array_equal(store.rows(site, index), whole[index])
    np.testing.assert_array_equal(np.concatenate(list(store.chunks(site, 17))), whole)


def test_tokens_stand_beside_their_rows(gpt2, tmp_path):
    store = harvest(gpt2, TEXTS, ["embed"], pooling="none", out=tmp_path, dtype="float32")
    flat = [token for ids in gpt2.encode(TEXTS) for token in ids]
    assert store.token_ids.tolist() == flat
    embedded = gpt2.anatomy.embed.weight[torch.tensor(flat)].detach().numpy()
    np.testing.assert_array_equal(store.rows("embed"), embedded)
    for number, ids in enumerate(gpt2.encode(TEXTS)):
        start, stop = store.offsets[number : number + 2]
        assert store.token_ids[start:stop].tolist() == ids


def test_tokens_made_before_serve_as_well_as_texts(gpt2):
    table = tokenise(gpt2, TEXTS, max_tokens=4)
    a = harvest(gpt2, table, ["0.mlp_out"], pooling="mean")
    b = harvest(gpt2, TEXTS, ["0.mlp_out"], pooling="mean", max_tokens=4)
    np.testing.assert_array_equal(a.rows("0.mlp_out"), b.rows("0.mlp_out"))
    assert a.manifest.truncated == sum(len(ids) > 4 for ids in gpt2.encode(TEXTS)) > 0


@pytest.mark.parametrize("pooling", ["mean", "max", "last", "none"])
def test_nothing_of_a_batch_is_held_while_it_runs(gpt2, pooling):
    table, held = tokenise(gpt2, TEXTS), []
    plan = plan_batches(table.lengths)
    sites = gpt2.sites(("resid_post", "mlp_post"))
    manifest = harvest(gpt2, table, sites, pooling=pooling).manifest
    buffer = writer.Buffer(manifest)
    buffer.reserve(manifest.rows)
    for done in forward_passes(gpt2, table, plan, sites, pooling, buffer.take):
        held += [value.untyped_storage().nbytes() for value in done.values.values()]
    assert held == [0] * len(sites) * len(plan)


def test_one_pass_stops_after_the_last_site(gpt2):
    ran = []
    handle = gpt2.anatomy.blocks[2].register_forward_pre_hook(lambda *_: ran.append(1))
    try:
        harvest(gpt2, TEXTS, ["0.mlp_out", "1.resid_post"], pooling="mean")
    finally:
        handle.remove()
    assert not ran


def test_two_buffers_hold_a_shard_or_a_batch_each(gpt2, tmp_path, monkeypatch):
    row_bytes = 2 * gpt2.d_model
    monkeypatch.setattr(writer, "SHARD_BYTES", 10 * row_bytes)
    made, rooms = writer.Buffer.__init__, writer._columns
    buffers, capacities = [], []

    def note(self, manifest):
        buffers.append(self)
        made(self, manifest)

    def measure(manifest, capacity):
        capacities.append(capacity)
        return rooms(manifest, capacity)

    monkeypatch.setattr(writer.Buffer, "__init__", note)
    monkeypatch.setattr(writer, "_columns", measure)
    for n in (100, 400):
        store = harvest(
            gpt2, texts(n), ["0.mlp_out"], pooling="mean", out=tmp_path / str(n), budget_tokens=64
        )
        assert max(shard.rows for shard in store.manifest.shards) <= max(capacities)
    assert len(buffers) == 4
    assert max(capacities) <= 10


@pytest.mark.parametrize("out", [False, True])
def test_values_beyond_half_precision_are_refused_not_stored_as_infinity(tmp_path, out):
    from tests.families import tiny_model

    lm = tiny_model("gpt2")
    with torch.no_grad():
        lm.model.transformer.h[0].mlp.c_proj.bias[3] = 1e5
    if not out:
        assert np.isfinite(
            harvest(lm, TEXTS, ["0.mlp_out"], pooling="mean").rows("0.mlp_out")
        ).all()
        return
    with pytest.raises(StoreError, match=r"0\.mlp_out reach 1e\+05, beyond float16"):
        harvest(lm, TEXTS, ["0.mlp_out"], pooling="mean", out=tmp_path / "half")
    harvest(lm, TEXTS, ["0.mlp_out"], pooling="mean", out=tmp_path / "bf16", dtype="bfloat16")


def test_nan_activations_are_an_error():
    from tests.families import tiny_model

    lm = tiny_model("gpt2")
    with torch.no_grad():
        lm.model.transformer.h[1].mlp.c_proj.bias[3] = float("nan")
    harvest(lm, TEXTS, ["0.mlp_out"], pooling="mean")
    with pytest.raises(ModelError, match=r"1\.mlp_out are NaN"):
        harvest(lm, TEXTS, ["1.mlp_out"], pooling="mean")


def test_an_edited_model_must_be_named(gpt2, tmp_path):
    handle = gpt2.anatomy.blocks[0].register_forward_hook(lambda m, a, out: out)
    try:
        with pytest.raises(StoreError, match="variant"):
            harvest(gpt2, TEXTS, ["0.mlp_out"], pooling="mean", out=tmp_path)
        store = harvest(gpt2, TEXTS, ["0.mlp_out"], pooling="mean", out=tmp_path, variant="no-op")
    finally:
        handle.remove()
    store.require(lm=gpt2, variant="no-op")
    with pytest.raises(StoreError, match="no-op"):
        store.require(variant="")


def test_an_unknown_site_is_refused(gpt2):
    with pytest.raises(SiteError, match="layer 9"):
        harvest(gpt2, TEXTS, ["9.mlp_out"], pooling="mean")
    with pytest.raises(StoreError, match="No site"):
        harvest(gpt2, TEXTS, [], pooling="mean")


def test_a_store_says_what_it_lacks(gpt2):
    store = harvest(gpt2, TEXTS, ["0.mlp_out", "1.mlp_out"], pooling="mean")
    with pytest.raises(StoreError, match=r"Valid: '0\.mlp_out', '1\.mlp_out'"):
        store.rows("2.mlp_out")
    with pytest.raises(StoreError, match="pooled by 'mean', not 'last'"):
        store.require(pooling="last")
    assert isinstance(store, ActivationStore)
    assert "16 rows of 2 sites" in repr(store)


def test_a_disk_without_room_is_refused_before_anything_is_read(gpt2, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(type(gpt2), "capture", lambda *_, **__: pytest.fail("was read"))
    with pytest.raises(StoreError, match=r"GB of rows are still to be written.*1e-06 GB"):
        harvest(gpt2, texts(30), ["1.resid_post"], pooling="none", out=tmp_path)


def test_what_the_last_block_adds_is_what_it_writes(lm):
    """Not the final norm's output less what the block read, which is what the last of Hugging
    Face's ``hidden_states`` would give."""
    last = lm.n_layers - 1
    store = harvest(lm, texts(5), [f"{last}.resid_delta", f"{last}.resid_pre"], pooling="none")
    written = []
    hook = lm.anatomy.blocks[last].register_forward_hook(
        lambda _, args, out: written.append(out[0] if isinstance(out, tuple) else out)
    )
    for text, row in enumerate(lm.encode(texts(5))):
        with torch.no_grad():
            states = lm.model(torch.tensor([row]), output_hidden_states=True).hidden_states
        own = (written[text] - states[last])[0].numpy()
        np.testing.assert_allclose(store.of_text(f"{last}.resid_delta", text), own, atol=1e-4)
        trap = (states[last + 1] - states[last])[0].numpy()
        assert np.abs(trap - own).max() > 0.01
    hook.remove()
