"""Rankings, their null, the SVD of the top vectors and its dependence on their number."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.errors import ConfigError, DataError, UnsupportedAnatomy
from bezoar.locate import (
    Direction,
    ValueRanking,
    n_sweep,
    principal_angles,
    random_values,
    rank_values,
    value_svd,
)
from bezoar.models import Site
from bezoar.runs import load_result, save_result
from tests.families import tiny_model
from tests.locate.kit import direction


def test_code_mode_centres_value_vectors_and_changes_cosines(gpt2):
    w = direction(gpt2)
    modes = ("correct", "paper", "code")
    plain, paper, code = (rank_values(gpt2, w, 400, mode=mode) for mode in modes)
    assert paper.entries == plain.entries
    rows = code.vectors(gpt2)
    assert float(rows.mean(dim=1).abs().max()) < 1e-6
    by_place = {(e.layer, e.index): e.cosine for e in plain.entries}
    moved = [abs(e.cosine - by_place.get((e.layer, e.index), 9)) for e in code.entries]
    assert max(moved) > 1e-3
    first = code.entries[0]
    raw = gpt2.values(first.layer)[first.index].detach()
    centred = raw - raw.mean()
    assert first.cosine == pytest.approx(float(centred @ w.vector / centred.norm()), abs=1e-6)
    assert code.at(gpt2).cosine(w) == pytest.approx(first.cosine, abs=1e-6)


def test_a_uniform_offset_fools_only_the_uncentred_ranking():
    lm = tiny_model("gpt2")
    w = Direction.of(torch.ones(lm.d_model), Site(2, "resid_post"))
    with torch.no_grad():
        lm.values(0)[0] = 3.0
    assert rank_values(lm, w, 1).entries[0].cosine == pytest.approx(1)
    assert rank_values(lm, w, 1, mode="code").entries[0].cosine < 0.1


def test_keys_gates_and_values_of_the_entries(lm):
    ranking = rank_values(lm, direction(lm), 6)
    e = ranking.entries[3]
    assert torch.equal(ranking.vectors(lm)[3], lm.values(e.layer)[e.index])
    assert torch.equal(ranking.keys(lm)[3], lm.keys(e.layer)[e.index])
    if lm.gated:
        assert torch.equal(ranking.gates(lm)[3], lm.gates(e.layer)[e.index])
    else:
        with pytest.raises(UnsupportedAnatomy, match="gate"):
            ranking.gates(lm)
    found = ranking.at(lm, 3)
    assert str(found.site) == f"{e.layer}.mlp_out"
    assert found.norm == pytest.approx(e.norm)
    with pytest.raises(DataError, match="Rank 6"):
        ranking.at(lm, 6)


def test_random_values_are_drawn_without_return_and_extend(gpt2):
    w = direction(gpt2)
    drawn = random_values(gpt2, w, 50, seed=3)
    assert len({(e.layer, e.index) for e in drawn.entries}) == 50
    assert drawn.entries[:20] == random_values(gpt2, w, 20, seed=3).entries
    assert drawn.entries[:20] != random_values(gpt2, w, 20, seed=4).entries
    assert abs(np.mean([e.cosine for e in drawn.entries])) < 0.1


def test_a_ranking_is_saved_as_json(gpt2, tmp_path):
    ranking = rank_values(gpt2, direction(gpt2), 9)
    save_result(tmp_path / "values.json", ranking)
    assert load_result(tmp_path / "values.json", ValueRanking) == ranking


@pytest.mark.usefixtures("_unhooked")
def test_wrong_requests_name_what_is_right(gpt2):
    w = direction(gpt2)
    with pytest.raises(ConfigError, match="code"):
        rank_values(gpt2, w, 5, mode="cod")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="d_model 32"):
        rank_values(gpt2, Direction.of(torch.ones(9), w.site))
    with pytest.raises(ConfigError, match="top=9"):
        value_svd(gpt2, rank_values(gpt2, w, 5), 9, direction=w)


def test_the_sign_of_a_basis_follows_the_direction(gpt2):
    w = direction(gpt2)
    ranking = rank_values(gpt2, w, 20)
    there, back = (value_svd(gpt2, ranking, direction=d) for d in (w, -w))
    assert torch.allclose(there.basis, -back.basis)
    assert there.site == w.site
    assert there.direction(0).cosine(w) > 0


def test_principal_angles_of_known_planes():
    a = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0]])
    turned = torch.tensor([[1.0, 0, 0, 0], [0, 3**0.5 / 2, 0.5, 0]])
    assert principal_angles(a, turned) == pytest.approx((0, 30), abs=1e-4)
    assert principal_angles(a, 5 * a.flip(0)) == pytest.approx((0, 0), abs=1e-4)


def test_a_planted_plane_stays_put_as_n_grows():
    lm = tiny_model("gpt2")
    w = direction(lm)
    torch.manual_seed(1)
    other = torch.randn(lm.d_model)
    other -= (other @ w.vector) * w.vector
    with torch.no_grad():
        for i in range(64):  # value vectors of one plane, all near w
            lm.values(i % 3)[i] = w.vector + 0.5 * np.cos(i) * other / other.norm()
    sweep = n_sweep(lm, w, (8, 32, 64), k=2)
    assert max(a for p in sweep.points[:-1] for a in p.angles) < 0.1
    assert sweep.points[-1].angles == ()
    assert [p.n for p in sweep.points] == [8, 32, 64]
    assert all(p.first_cosine > 0.95 for p in sweep.points)
    assert max(n_sweep(lm, w, (64, 256), k=3).points[0].angles) > 10  # the third is arbitrary
    with pytest.raises(ConfigError):
        n_sweep(lm, w, (4,), k=8)
