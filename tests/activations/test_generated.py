"""States of what a model wrote: those it had at its own words, each beside its token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from bezoar.activations import (
    ActivationStore,
    RecomputedRows,
    choose_rows,
    forecast,
    generated_tokens,
    harvest,
    writer,
)
from bezoar.errors import CorruptArtefact, DataError
from bezoar.models import Decoding, generate
from tests.activations.corpora import texts
from tests.activations.test_rows import drawn, in_order

SITE = "1.resid_post"
PROMPTS = texts(20, longest=15)


@pytest.fixture(scope="module")
def written(gpt2):
    return generate(gpt2, PROMPTS, Decoding(6, sample=True, samples=2, seed=3))


@pytest.fixture(scope="module")
def table(gpt2, written):
    return generated_tokens(gpt2, written)


def test_the_tokens_are_those_that_were_written(gpt2, written, table):
    wanted = [token for row in written.tokens for token in list(row) or gpt2.end_ids[:1]]
    assert table.kept_ids.tolist() == wanted
    prompts = gpt2.encode(PROMPTS)
    for text, prompt in enumerate(written.prompt_index):
        begin = table.offsets[text]
        assert table.ids[begin : begin + table.starts[text]].tolist() == prompts[prompt]


@pytest.mark.parametrize("out", [None, "store"])
def test_states_are_those_at_the_written_tokens(gpt2, table, tmp_path, monkeypatch, out):
    monkeypatch.setattr(writer, "SHARD_TOKENS", 64)
    folder = None if out is None else tmp_path / out
    store = harvest(gpt2, table, [SITE], pooling="none", out=folder, dtype="float32")
    assert len(store) == len(table.kept_ids) < len(table.ids)
    np.testing.assert_array_equal(store.token_ids, table.kept_ids)
    np.testing.assert_array_equal(store.lengths, table.kept)
    for text in (0, 7, 39):
        whole = gpt2.capture(gpt2.batch(table.rows([text])), [store.sites[0]])[store.sites[0]][0]
        alone = whole[int(table.starts[text]) :].numpy()
        np.testing.assert_allclose(store.of_text(SITE, text), alone, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_pooling_leaves_prompts_out(gpt2, table, pooling):
    rows = harvest(gpt2, table, [SITE], pooling="none")
    pooled = harvest(gpt2, table, [SITE], pooling=pooling).rows(SITE)
    for text in (0, 7, 39):
        own = rows.of_text(SITE, text)
        wanted = {"mean": own.mean(0), "max": own.max(0), "last": own[-1]}[pooling]
        np.testing.assert_allclose(pooled[text], wanted, atol=1e-4)


def test_all_ways_to_rows_leave_prompts_out(gpt2, table, tmp_path):
    stored = harvest(gpt2, table, [SITE], pooling="none").rows(SITE)
    again = drawn(RecomputedRows(gpt2, table, SITE))
    assert len(again) == len(stored)
    np.testing.assert_allclose(in_order(again)[:, 0], in_order(stored)[:, 0], atol=1e-4)
    np.testing.assert_allclose(again.sum(0), stored.sum(0), atol=1e-2)
    assert forecast(gpt2, table, [SITE], "none").rows == len(stored)
    said = choose_rows(gpt2, table, [SITE], readings=1.0, folder=tmp_path)
    assert said.bytes == stored.size * 2


def test_the_same_tokens_without_prompts_are_another_harvest(gpt2, table, tmp_path):
    whole = replace(table, starts=None)
    assert whole.digest != table.digest
    assert whole.take([3, 1]).kept_ids.tolist() != table.take([3, 1]).kept_ids.tolist()
    store = harvest(gpt2, table, [SITE], pooling="none", out=tmp_path, dtype="float32")
    again = harvest(gpt2, table, [SITE], pooling="none", out=tmp_path, dtype="float32")
    np.testing.assert_array_equal(store.rows(SITE), again.rows(SITE))


def test_a_plan_that_contradicts_the_manifest_is_damaged(gpt2, table, tmp_path):
    harvest(gpt2, table, [SITE], pooling="none", out=tmp_path)
    path = tmp_path / "manifest.json"
    rows = len(table.kept_ids)
    path.write_text(path.read_text().replace(f'"rows": {rows}', f'"rows": {rows + 1}'))
    with pytest.raises(CorruptArtefact, match=r"contradicts itself|is no plan"):
        ActivationStore.open(tmp_path)


def test_a_model_that_ends_at_once_has_written_its_end(gpt2, written):
    silent = replace(written, tokens=((), *written.tokens[1:]))
    table = generated_tokens(gpt2, silent)
    assert table.kept[0] == 1
    assert table.kept_ids[0] == gpt2.end_ids[0]
    assert torch.isfinite(torch.from_numpy(harvest(gpt2, table, [SITE]).rows(SITE))).all()


def test_what_cannot_be_read_again_is_refused(gpt2, written):
    with pytest.raises(DataError, match="lee2024"):
        generated_tokens(gpt2, replace(written, compat="lee2024"))
    nothing = replace(written, prompt_index=(), sample=(), text=(), tokens=())
    with pytest.raises(DataError, match="no continuation"):
        generated_tokens(gpt2, nothing)
