"""Moments of single units: what numpy says of the rows that were never kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.activations import harvest
from bezoar.errors import ConfigError, CorruptArtefact, DataError
from bezoar.locate import UnitMoments, collect_moments
from bezoar.models import Site

TEXTS = [
    "you are a fool",
    "the tree is good and the river is lovely in the day",
    "idiot",
    "people think that night is not day",
    "the man and the woman",
    "you will know it as it was",
    "stupid rotten fool",
    "a kind good day",
]
LABELS = np.array([1, 0, 1, 0, 0, 0, 1, 0])
POINTS = ("mlp_post", "mlp_out")


@pytest.mark.parametrize("pooling", ["mean", "max", "none"])
def test_equals_numpy_on_rows_that_were_kept(lm, pooling):
    found = collect_moments(lm, TEXTS, LABELS, points=POINTS, pooling=pooling, budget_tokens=24)
    store = harvest(lm, TEXTS, lm.sites(POINTS), pooling=pooling, out=None)
    labels = LABELS if pooling != "none" else np.repeat(LABELS, np.diff(store.offsets))
    assert found.sites == tuple(lm.sites(POINTS))
    assert found.counts == (int((labels == 0).sum()), int((labels == 1).sum()))
    for site in found.sites:
        rows = np.asarray(store.rows(site), np.float64)
        for label in (0, 1):
            own = rows[labels == label]
            np.testing.assert_allclose(found.mean[site][label], own.mean(0), atol=1e-6)
            np.testing.assert_allclose(
                found.variance[site][label], own.var(0, ddof=1), rtol=1e-4, atol=1e-9
            )


def test_a_small_variance_survives_a_large_mean():
    from bezoar.locate.moments import _Sums

    rng = np.random.default_rng(0)
    rows = 1e6 + 1e-3 * rng.standard_normal((200, 3))
    members = np.stack([np.arange(200) % 2 == 0, np.arange(200) % 2 == 1, np.arange(200) > 150])
    sums = _Sums(3)
    for start in range(0, 200, 7):  # the last group is empty in most batches
        part = slice(start, start + 7)
        sums.update(torch.from_numpy(rows[part]), members[:, part])
    mean, variance = sums.moments()
    for group, mine in enumerate(members):
        np.testing.assert_allclose(mean[group], rows[mine].mean(0), rtol=1e-12)
        np.testing.assert_allclose(variance[group], rows[mine].var(0, ddof=1), rtol=1e-4)


def test_shuffled_labels_are_kept_and_carry_no_signal(gpt2):
    texts = [*["you fool idiot stupid"] * 12, *["the river is a lovely tree"] * 12]
    labels = np.repeat([1, 0], 12)
    found = collect_moments(gpt2, texts, labels, ["-1.mlp_out"], draws=9, seed=3)
    site = gpt2.site("-1.mlp_out")
    true = float((found.mean[site][0] - found.mean[site][1]).norm())
    lengths = [float((m[0] - m[1]).norm()) for m in found.shuffled_mean[site]]
    assert found.draws == 9
    assert true > 1.5 * max(lengths)
    assert torch.equal(found.shuffled(2).mean[site], found.shuffled_mean[site][2])
    fewer = collect_moments(gpt2, texts, labels, ["-1.mlp_out"], draws=4, seed=3)
    torch.testing.assert_close(fewer.shuffled_mean[site], found.shuffled_mean[site][:4])
    with pytest.raises(ConfigError, match="10 shuffled labellings"):
        found.shuffled(9)


def test_a_random_direction_is_as_long(gpt2):
    found = collect_moments(gpt2, TEXTS, LABELS, points=("mlp_out", "mlp_post"))
    turned = found.turned(5)
    for site, rows in found.mean.items():
        mine, other = rows[0] - rows[1], turned.mean[site][0] - turned.mean[site][1]
        assert float(other.norm()) == pytest.approx(float(mine.norm()), rel=1e-5)
        assert abs(float(torch.cosine_similarity(mine, other, dim=0))) < 0.6
        assert torch.equal(turned.variance[site][0], found.variance[site][1])
    assert not torch.equal(turned.mean[site], found.turned(6).mean[site])


@pytest.mark.parametrize("draws", [0, 3])
def test_saved_and_read_back(gpt2, tmp_path, draws):
    found = collect_moments(
        gpt2, TEXTS, LABELS, points=POINTS, draws=draws, trained_on="abc", pooling="max"
    )
    found.save(tmp_path)
    read = UnitMoments.load(tmp_path)
    assert (read.counts, read.pooling, read.trained_on, read.model, read.draws) == (
        (5, 3),
        "max",
        "abc",
        gpt2.fingerprint,
        draws,
    )
    for site in found.sites:
        assert torch.equal(read.mean[site], found.mean[site])
        assert torch.equal(read.variance[site], found.variance[site])
        if draws:
            assert torch.equal(read.shuffled_variance[site], found.shuffled_variance[site])
    (tmp_path / "moments.safetensors").write_bytes(b"0" * 200)
    with pytest.raises(CorruptArtefact, match="moments"):
        UnitMoments.load(tmp_path)


def test_what_cannot_be_gathered_is_said(gpt2):
    with pytest.raises(DataError, match="both of them"):
        collect_moments(gpt2, TEXTS, np.zeros(8), points=POINTS)
    with pytest.raises(DataError, match="8 texts"):
        collect_moments(gpt2, TEXTS, LABELS[:3], points=POINTS)
    with pytest.raises(DataError, match="no variance"):
        collect_moments(gpt2, TEXTS[:3], [1, 0, 0], points=POINTS)
    with pytest.raises(ConfigError, match="no site"):
        collect_moments(gpt2, TEXTS, LABELS)
    found = collect_moments(gpt2, TEXTS, LABELS, points=("mlp_out",))
    with pytest.raises(ConfigError, match=r"transport needs the moments of 0.attn_out.*mlp_out"):
        found.at(Site(0, "attn_out"), "transport")
