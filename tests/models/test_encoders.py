"""Encoders: harvest, probes and edits of the residual stream, without a next token."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.activations import harvest
from bezoar.edits import Add, NoOp, Project, export, load_edit
from bezoar.errors import BezoarError, ModelError
from bezoar.locate import LinearProbe, promoted_tokens, rank_values
from bezoar.models import Site
from tests.edits.kit import one, unit
from tests.locate.kit import direction
from tests.models import zoo

FOUL = ("you fool", "what an idiot you are", "rotten people", "a stupid fool", "you rotten idiot")
KIND = ("you kind man", "what a lovely day", "good people", "a kind woman", "you lovely river")
TEXTS = FOUL + KIND
LABELS = np.array([1] * len(FOUL) + [0] * len(KIND))


@pytest.fixture(params=zoo.ENCODERS)
def lm(request):
    return zoo.family_model(request.param)


def test_a_probe_is_trained_on_a_harvest_and_its_direction_is_removed(lm):
    site = Site(1, "resid_post")
    store = harvest(lm, TEXTS, [site, "0.mlp_post"], pooling="mean", out=None)
    rows = store.rows(site)
    assert rows.shape == (len(TEXTS), lm.d_model)
    assert store.rows(Site(0, "mlp_post")).shape == (len(TEXTS), lm.d_mlp)
    probe = LinearProbe().fit(rows, LABELS)
    assert (probe.predict_proba(rows)[:, 1] > 0.5).astype(int).tolist() == LABELS.tolist()
    w = probe.direction(site, pooling="mean").vector
    with one("1.resid_post", Project(w[None])).applied_to(lm):
        projected = harvest(lm, TEXTS, [site], pooling="mean", out=None).rows(site)
    assert np.abs(projected @ w.numpy()).max() < 1e-5
    kept = rows - np.outer(rows @ w.numpy(), w.numpy())
    np.testing.assert_allclose(projected, kept, atol=1e-5)


def test_an_early_edit_moves_the_last_state(lm, tmp_path):
    site = Site(1, "resid_post")
    before = harvest(lm, TEXTS, [site], pooling="last", out=None).rows(site)
    edit = one("0.mlp_out", Add(2 * unit(lm.d_model)))
    edit.save(tmp_path, lm)
    with load_edit(tmp_path).applied_to(lm):
        after = harvest(lm, TEXTS, [site], pooling="last", out=None).rows(site)
    assert np.abs(after - before).max() > 1e-2


def test_value_vectors_are_ranked_and_have_no_tokens(lm):
    ranking = rank_values(lm, direction(lm), 5)
    assert ranking.entries[0].cosine > 0.3
    with pytest.raises(ModelError, match="no unembedding"):
        promoted_tokens(lm, ranking.vectors(lm)[0], 5)


def test_what_needs_logits_says_so(lm, tmp_path):
    with pytest.raises(BezoarError, match="no unembedding"):
        export(lm, NoOp(), tmp_path / "out")
    assert not (tmp_path / "out").exists()
