"""Edits on disk, and folders that wish us ill."""

from __future__ import annotations

import json
import pickle
import struct

import pytest
import safetensors.torch
import torch

from bezoar.edits import (
    Add,
    Bottleneck,
    Chain,
    Clamp,
    ColumnScale,
    Composed,
    Conditional,
    Dense,
    LogitEdit,
    LowRank,
    ModuleEdit,
    NoOp,
    Project,
    RowScale,
    WeightEdit,
    load_edit,
)
from bezoar.errors import BezoarError, CorruptArtefact, EditError
from bezoar.models import Site
from tests.edits.kit import affine_ops, logits, noise, one, unit
from tests.families import tiny_model
from tests.models.zoo import family_model

INF = torch.tensor([torch.inf])


def everything(lm) -> Composed:
    d = lm.d_model
    v = unit(d)
    inside = Conditional(v, -0.25, Add(v), "below")
    clamp = Clamp(v[None], v[None], torch.zeros(1), -INF, torch.zeros(1), True)
    matrix = lm.parameter_name(lm.anatomy[1].attn_out_proj)
    rows, cols = lm.model.get_parameter(matrix).shape
    deltas = Chain((LowRank(noise(rows, 2), noise(2, cols)), ColumnScale(noise(cols))))
    norm = lm.parameter_name(lm.anatomy.final_norm)
    return Composed(
        (
            NoOp(),
            *(one(f"{i % 3}.mlp_out", op) for i, op in enumerate(affine_ops(d).values())),
            one("0.attn_out", Conditional(v, 0.5, inside)),
            one("2.resid_post", clamp, "last"),
            WeightEdit({matrix: deltas, norm: Chain((Dense(noise(d)), RowScale(noise(d))))}),
            LogitEdit(((3, 4), (5,)), torch.tensor([-torch.inf, 0.5])),
            ModuleEdit(Site(1, "attn_out"), Bottleneck(noise(3, d), noise(3), noise(d, 3))),
        ),
        name="everything ☠",
        provenance={"method": "test", "strength": 2.5, "layers": [1, 2], "none": None},
    )


def test_what_is_read_back_does_the_same(lm, tmp_path):
    edit = everything(lm)
    edit.save(tmp_path / "edit", lm)
    again = load_edit(tmp_path / "edit", lm, same_model=True)
    assert (again.name, again.kind, dict(again.provenance)) == (
        edit.name,
        edit.kind,
        dict(edit.provenance),
    )
    with edit.applied_to(lm):
        expected = logits(lm)
    with again.applied_to(lm):
        assert torch.equal(logits(lm), expected)
    about = json.loads((tmp_path / "edit" / "edit.json").read_text())
    assert about["model"]["fingerprint"] == lm.fingerprint
    assert about["bezoar"]
    again.save(tmp_path / "again", lm)
    for name in ("edit.json", "edit.safetensors"):
        one_file, other = ((tmp_path / f / name).read_bytes() for f in ("edit", "again"))
        assert one_file == other


def test_a_change_of_stacked_experts_is_read_back(tmp_path):
    """A mixture keeps its experts in one parameter with three axes."""
    experts = family_model("Mixtral")
    name = next(n for n, p in experts.model.named_parameters() if p.ndim == 3)
    shape = tuple(experts.model.get_parameter(name).shape)
    edit = WeightEdit({name: Dense(noise(*shape, scale=0.3))})
    edit.save(tmp_path / "edit", experts)
    with edit.applied_to(experts):
        expected = logits(experts)
    with load_edit(tmp_path / "edit", experts).applied_to(experts):
        assert torch.equal(logits(experts), expected)
    assert not torch.equal(logits(experts), expected)
    WeightEdit({name: Dense(noise(*shape[1:]))}).save(tmp_path / "flat", experts)
    with pytest.raises(EditError, match="another size"):
        load_edit(tmp_path / "flat", experts)


def test_another_model_is_refused(gpt2, tmp_path):
    one("1.mlp_out", Add(unit(gpt2.d_model))).save(tmp_path, gpt2)
    other = tiny_model("gpt2", seed=1)
    load_edit(tmp_path, other)
    with pytest.raises(EditError, match="other weights"):
        load_edit(tmp_path, other, same_model=True)
    about = json.loads((tmp_path / "edit.json").read_text())
    about["model"]["d_model"] = 64
    (tmp_path / "edit.json").write_text(json.dumps(about))
    with pytest.raises(EditError, match="d_model 64"):
        load_edit(tmp_path, gpt2)
    about["model"] = None
    (tmp_path / "edit.json").write_text(json.dumps(about))
    load_edit(tmp_path, gpt2)
    with pytest.raises(EditError, match="which model"):
        load_edit(tmp_path, gpt2, same_model=True)


def test_a_width_that_lies_about_the_model_is_found(gpt2, tmp_path):
    one("1.mlp_out", Add(unit(64))).save(tmp_path, gpt2)
    with pytest.raises(EditError, match="width 64"):
        load_edit(tmp_path, gpt2)


def test_provenance_that_is_no_plain_data_is_refused(gpt2, tmp_path):
    with pytest.raises(EditError, match="cannot be saved"):
        NoOp(provenance={"model": gpt2}).save(tmp_path)


@pytest.fixture
def saved(gpt2, tmp_path):
    one("1.mlp_out", Project(unit(gpt2.d_model)[None])).save(tmp_path, gpt2)
    return tmp_path


def rewrite(folder, change) -> None:
    path = folder / "edit.json"
    about = json.loads(path.read_text())
    change(about)
    path.write_text(json.dumps(about))


HOSTILE_JSON = {
    "a type from outside the list": lambda a: a["edit"].update(type="os.system"),
    "a part where an edit belongs": lambda a: a.update(edit={"type": "add", "vector": "x"}),
    "an edit where an operation belongs": lambda a: a["edit"]["ops"][0].update(
        op={"type": "no-op", "name": "x", "provenance": {}}
    ),
    "a missing field": lambda a: a["edit"].pop("name"),
    "an extra field": lambda a: a["edit"].update(__class__="x"),
    "a tensor that is not there": lambda a: a["edit"]["ops"][0]["op"].update(
        basis={"tensor": "../../etc/passwd"}
    ),
    "text for a number": lambda a: a["edit"]["ops"][0]["op"].update(fraction="1; import os"),
    "a bool for a number": lambda a: a["edit"]["ops"][0]["op"].update(fraction=True),
    "no number": lambda a: a["edit"]["ops"][0]["op"].update(fraction=None),
    "no such site": lambda a: a["edit"]["ops"][0].update(site="1.__init__"),
    "no such position": lambda a: a["edit"]["ops"][0].update(positions="first"),
    "a number for a list": lambda a: a["edit"].update(ops=3),
    "another format": lambda a: a.update(format="pickle"),
    "another version": lambda a: a.update(version=99),
    "no hash": lambda a: a.pop("sha256"),
    "another hash": lambda a: a.update(sha256="0" * 64),
}


@pytest.mark.parametrize("what", HOSTILE_JSON)
def test_json_that_is_not_an_edit_is_refused(saved, what):
    rewrite(saved, HOSTILE_JSON[what])
    with pytest.raises(CorruptArtefact):
        load_edit(saved)


def test_deep_nesting_and_noise_are_refused(saved):
    for text in ("[" * 200_000, "\x00", "", "[1]", '{"format": "bezoar.edit"}', "nan"):
        (saved / "edit.json").write_text(text)
        with pytest.raises(CorruptArtefact):
            load_edit(saved)


def hash_of(folder) -> None:
    import hashlib

    digest = hashlib.sha256((folder / "edit.safetensors").read_bytes()).hexdigest()
    rewrite(folder, lambda a: a.update(sha256=digest))


@pytest.mark.parametrize(
    "tensor",
    [
        torch.zeros(2, 2, 2),
        torch.zeros(1, 32, dtype=torch.float64),
        torch.zeros(32, dtype=torch.int64),
        torch.full((1, 32), torch.nan),
        torch.full((1, 32), 3.0),  # not orthonormal
        torch.zeros(32),
    ],
)
def test_tensors_that_cannot_be_right_are_refused(saved, tensor):
    safetensors.torch.save_file({"t0": tensor}, saved / "edit.safetensors")
    hash_of(saved)
    with pytest.raises(CorruptArtefact):
        load_edit(saved)


def test_an_absurd_shape_is_refused_before_it_is_read(saved):
    header = {"t0": {"dtype": "F32", "shape": [2**40, 2**20], "data_offsets": [0, 2**62]}}
    text = json.dumps(header).encode()
    (saved / "edit.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    hash_of(saved)
    with pytest.raises(CorruptArtefact):
        load_edit(saved)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was executed",))


def test_pickles_are_never_read(saved):
    pickled = pickle.dumps(Bomb())
    (saved / "edit.safetensors").write_bytes(pickled)
    hash_of(saved)
    with pytest.raises(CorruptArtefact):
        load_edit(saved)
    (saved / "edit.safetensors").unlink()
    (saved / "edit.pt").write_bytes(pickled)
    with pytest.raises(CorruptArtefact, match=r"edit\.pt may run code"):
        load_edit(saved)


def test_links_are_not_followed(saved, tmp_path_factory):
    away = tmp_path_factory.mktemp("away") / "secret"
    (saved / "edit.safetensors").rename(away)
    (saved / "edit.safetensors").symlink_to(away)
    with pytest.raises(CorruptArtefact, match="link"):
        load_edit(saved)


def test_truncation_at_any_byte_is_an_error_and_never_another_edit(saved):
    for name in ("edit.json", "edit.safetensors"):
        whole = (saved / name).read_bytes()
        for cut in range(0, len(whole) - 1, 37):
            (saved / name).write_bytes(whole[:cut])
            with pytest.raises(BezoarError):
                load_edit(saved)
        (saved / name).write_bytes(whole)
    load_edit(saved)
