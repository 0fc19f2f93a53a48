from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bezoar.activations import StreamingMoments, class_moments, forecast, harvest
from bezoar.errors import DataError
from tests.activations.corpora import texts

TEXTS = texts(30, seed=5)
LABELS = np.arange(30) % 3 == 0


def moments_of(x, cuts=(), **options):
    moments = StreamingMoments(x.shape[1], **options)
    for part in np.split(x, sorted(cuts)):
        moments.update(part)
    return moments


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 40), max_size=5), st.integers(0, 40))
def test_moments_do_not_depend_on_how_rows_are_cut_and_merged(cuts, at):
    x = np.random.default_rng(0).normal(size=(40, 4)) * [1, 10, 0.1, 1] + [0, 1e6, 5, 0]
    streamed = moments_of(x, cuts)
    merged = moments_of(x[:at])
    merged.merge(moments_of(x[at:]))
    for moments in (streamed, merged):
        assert moments.count == 40
        np.testing.assert_allclose(moments.mean, x.mean(0), rtol=1e-12)
        np.testing.assert_allclose(moments.covariance(), np.cov(x.T), rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(moments.variance(), x.var(0, ddof=1), rtol=1e-7)
        norms = np.linalg.norm(x, axis=1)
        assert moments.norm_mean == pytest.approx(norms.mean())
        assert moments.norm_max == pytest.approx(norms.max())
        assert moments.norm_rms == pytest.approx((norms**2).mean() ** 0.5)


def test_a_small_variance_beside_a_large_mean_survives():
    x = np.random.default_rng(1).normal(size=(1000, 1)) * 1e-3 + 1e4
    moments = moments_of(x, range(0, 1000, 100), covariance=False)
    assert float(moments.variance()) == pytest.approx(x.var(ddof=1), rel=1e-6)


def test_what_was_not_kept_or_seen_is_refused():
    diagonal = moments_of(np.ones((3, 2)), covariance=False)
    with pytest.raises(DataError, match="not kept"):
        diagonal.covariance()
    with pytest.raises(DataError, match="do not add"):
        diagonal.merge(moments_of(np.ones((3, 2))))
    with pytest.raises(DataError, match="1 rows are too few"):
        moments_of(np.ones((1, 2))).covariance()


@pytest.mark.parametrize("pooling", ["mean", "none"])
def test_class_moments_are_those_of_the_stored_rows(lm, pooling):
    sites = ["0.mlp_out", "1.resid_post"]
    store = harvest(lm, TEXTS, sites, pooling=pooling, budget_tokens=64)
    found = class_moments(lm, TEXTS, LABELS, sites, pooling=pooling, budget_tokens=96)
    assert [str(site) for site in found] == sites
    per_row = np.repeat(LABELS, np.diff(store.offsets))
    for site, by_class in found.items():
        assert list(by_class) == [0, 1]
        for label, moments in by_class.items():
            x = store.rows(site)[per_row == label].astype(np.float64)
            assert moments.count == len(x)
            np.testing.assert_allclose(moments.mean, x.mean(0), atol=1e-5)
            np.testing.assert_allclose(moments.covariance(), np.cov(x.T), atol=1e-5)


def test_one_label_a_text(gpt2):
    with pytest.raises(DataError, match="30 texts"):
        class_moments(gpt2, TEXTS, [0, 1], "0.mlp_out")


@pytest.mark.parametrize("pooling", ["mean", "none"])
def test_a_forecast_counts_what_will_be_stored(gpt2, tmp_path, pooling):
    sites = gpt2.sites(("resid_post", "mlp_post"))
    told = forecast(gpt2, TEXTS, sites, pooling, "float16", budget_tokens=64)
    store = harvest(gpt2, TEXTS, sites, pooling=pooling, budget_tokens=64, out=tmp_path)
    rows = sum(store.rows(site, dtype=None).nbytes for site in sites)
    assert told.bytes == rows
    assert told.rows == len(store)
    assert told.tokens == store.manifest.tokens
    assert 0.5 < told.useful_share <= 1
    assert told.peak_memory > sum(p.numel() * 4 for p in gpt2.model.parameters())
    assert told.seconds > 0
    assert f"{told.rows:,} rows" in str(told)


def test_a_forecast_knows_that_tokens_cost_room(gpt2):
    pooled = forecast(gpt2, TEXTS, ["0.mlp_post"], "mean")
    every = forecast(gpt2, TEXTS, ["0.mlp_post"], "none", "float32")
    assert every.bytes == 2 * pooled.bytes * pooled.tokens / pooled.rows
