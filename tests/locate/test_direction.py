"""Directions and subspaces: what they keep, and what a damaged folder does."""

from __future__ import annotations

import json

import pytest
import torch

from bezoar.errors import CorruptArtefact, DataError
from bezoar.locate import Direction, Subspace
from bezoar.models import Site

SITE = Site(4, "resid_post")


def make() -> Direction:
    return Direction.of(
        torch.tensor([3.0, 0.0, -4.0]), SITE, pooling="mean", trained_on="ab12", name="probe"
    )


def test_a_direction_is_a_unit_vector_and_remembers_its_norm():
    d = make()
    assert d.norm == 5
    assert torch.allclose(d.vector, torch.tensor([0.6, 0.0, -0.8]))
    assert torch.allclose(d.raw, torch.tensor([3.0, 0.0, -4.0]))
    assert (-d).cosine(d) == pytest.approx(-1)
    assert (-d).norm == 5


@pytest.mark.parametrize("raw", [[0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_what_has_no_direction_is_refused(raw):
    with pytest.raises(DataError, match="no direction"):
        Direction.of(torch.tensor(raw), SITE)


def test_large_and_small_vectors_keep_their_norm():
    for size in (1e30, 1e-30):
        d = Direction.of(torch.tensor([size, size]), SITE)
        assert d.norm == pytest.approx(size * 2**0.5)
        assert float(d.vector.norm()) == pytest.approx(1, abs=1e-6)


def test_saved_and_loaded_is_the_same(tmp_path):
    d = make()
    d.save(tmp_path)
    other = Direction.load(tmp_path)
    assert torch.equal(other.vector, d.vector)
    for name in ("norm", "site", "pooling", "sign", "trained_on", "name"):
        assert getattr(other, name) == getattr(d, name)


def test_a_subspace_gives_directions_and_round_trips(tmp_path):
    basis = torch.linalg.qr(torch.randn(6, 3)).Q.T.contiguous()
    space = Subspace(basis, (3.0, 2.0, 1.0), SITE, name="svd")
    space.save(tmp_path)
    other = Subspace.load(tmp_path)
    assert torch.equal(other.basis, basis)
    assert other.singular_values == (3.0, 2.0, 1.0)
    assert len(other.first(2)) == 2
    assert other.direction(-1).name == "svd[2]"
    assert torch.equal(other.direction(1).vector, basis[1])
    with pytest.raises(DataError, match="number 3"):
        space.direction(3)


def damage(folder, name, change):
    path = folder / name
    path.write_bytes(change(path.read_bytes()))


def rewritten(**fields):
    """Change fields of the JSON's ``about``."""

    def change(data: bytes) -> bytes:
        envelope = json.loads(data)
        envelope["about"] |= fields
        return json.dumps(envelope).encode()

    return change


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("direction.safetensors", lambda data: data[:-1]),
        ("direction.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("direction.safetensors", lambda data: b""),
        ("direction.json", lambda data: data[: len(data) // 2]),
        ("direction.json", lambda data: b"[]"),
        ("direction.json", lambda data: b"\xff\xfe"),
        ("direction.json", rewritten(norm=-1.0)),
        ("direction.json", rewritten(norm="1e999")),
        ("direction.json", rewritten(site="4.nowhere")),
        ("direction.json", rewritten(site=4)),
        ("direction.json", rewritten(name=None)),
    ],
)
def test_damage_is_named_not_read(tmp_path, name, change):
    make().save(tmp_path)
    damage(tmp_path, name, change)
    with pytest.raises(CorruptArtefact, match="cannot be read as a direction"):
        Direction.load(tmp_path)


@pytest.mark.parametrize(
    "vector", [torch.tensor([1.0, 1.0]), torch.ones(1, 1), torch.tensor([float("nan"), 1.0])]
)
def test_a_vector_that_is_no_unit_vector_is_refused_even_with_the_right_hash(tmp_path, vector):
    from bezoar.locate.artefact import save_artefact
    from bezoar.locate.direction import _About

    about = _About("x", "4.resid_post", "mean", "", "", 1.0)
    save_artefact(tmp_path, "direction", about, {"vector": vector})
    with pytest.raises(CorruptArtefact):
        Direction.load(tmp_path)


def test_a_subspace_that_is_not_orthonormal_is_refused(tmp_path):
    Subspace(torch.ones(2, 3), (1.0, 1.0), SITE).save(tmp_path)
    with pytest.raises(CorruptArtefact, match="orthonormal"):
        Subspace.load(tmp_path)


def test_one_kind_is_not_read_as_another(tmp_path):
    make().save(tmp_path)
    with pytest.raises(CorruptArtefact):
        Subspace.load(tmp_path)
