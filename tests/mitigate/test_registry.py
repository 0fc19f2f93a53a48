"""Methods by name."""

from __future__ import annotations

import dataclasses
import math
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from bezoar import mitigate
from bezoar.edits import self_test
from bezoar.errors import ConfigError
from bezoar.mitigate import (
    DEFAULT_METHODS,
    DPO,
    AurA,
    Damp,
    DetZero,
    DistributedShift,
    EigenShift,
    ProFS,
    ProjectOut,
    SAELatents,
    Subtract,
    Transport,
    UniformShrink,
    WordBan,
    get_method,
    make_method,
    method,
    methods,
    parse_method,
    parse_searched,
    register,
)
from tests.families import tiny_model
from tests.mitigate.kit import inputs
from tests.mitigate.remedies import moments_inputs
from tests.mitigate.test_gates import made_up

MEAN_DIFFERENCE = "subtract:direction=mean_difference"


def test_all_are_found_and_described():
    found = methods()
    classes = (
        AurA,
        DPO,
        Damp,
        DetZero,
        DistributedShift,
        EigenShift,
        ProFS,
        ProjectOut,
        SAELatents,
        Subtract,
        Transport,
        UniformShrink,
        WordBan,
    )
    assert {cls.name: cls for cls in classes}.items() <= found.items()
    assert list(found) == sorted(found)
    assert [name for name, cls in found.items() if cls.control] == ["uniform-shrink"]
    assert all((cls.__doc__ or "").strip() for cls in found.values())


def test_the_nearest_name_is_offered():
    with pytest.raises(ConfigError, match="'subtract'"):
        get_method("substract")


def test_two_methods_of_one_name_are_refused(monkeypatch):
    register(Subtract)  # the same class again is no conflict

    @dataclass(frozen=True)
    class Impostor(Subtract):
        name: ClassVar[str] = "subtract"

    with pytest.raises(ConfigError, match=r"Two methods.*Impostor"):
        register(Impostor)
    assert get_method("subtract") is Subtract


def test_other_packages_bring_methods(monkeypatch):
    points = [EntryPoint("mine", "tests.mitigate.test_registry:Mine", method.GROUP)]
    monkeypatch.setattr(method, "entry_points", lambda group: points)
    monkeypatch.setattr(method, "_METHODS", dict(method._METHODS))
    assert get_method("mine") is Mine


@dataclass(frozen=True)
class Mine(Subtract):
    """A method of another package."""

    name: ClassVar[str] = "mine"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("subtract", Subtract()),
        ("subtract:direction=svd,rank=2,layers=-1/-2", Subtract("svd", layers=(-1, -2), rank=2)),
        ("subtract:mode=code,positions=last", Subtract(mode="code", positions="last")),
        ("word-ban:penalty=2.5", WordBan(2.5)),
        ("word-ban:penalty=inf", WordBan(math.inf)),
        ("project-out:direction=svd,dims=3", ProjectOut("svd", dims=3)),
        ("dpo:trainable=values:64,beta=0.01", DPO(trainable="values:64", beta=0.01)),
    ],
)
def test_specs_are_read_and_written(spec, expected):
    assert parse_method(spec) == expected
    # A spec leaves strength out: that is what the budget decides.
    assert parse_method(expected.spec).with_strength(1.0) == expected.with_strength(1.0)


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("subtract:direction=prob", "direction"),
        ("subtract:layer=3", "layers"),
        ("subtract:layers=a/b", "layers"),
        ("subtract:rank", "option=value"),
        ("project-out:fraction=2", "fraction"),
        ("uniform-shrink:share=2", "share"),
        ("word-ban:penalty=x", "penalty"),
        ("dpo:trainable=value", "'values'"),
        ("dpo:t=33", "t=33"),
    ],
)
def test_what_is_wrong_in_a_spec_is_named(spec, word):
    with pytest.raises(ConfigError, match=word):
        parse_method(spec)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("eigenshift:alpha=0.5", "writes alpha.*the budget decides"),
        ("damp:top_n=9,alpha=0.5", "writes alpha"),
        ("aura:share=1", "writes share"),
        ("dpo:t=1", "writes t,"),
        ("word-ban:penalty=3", "writes penalty"),
        ("aura:top_n=0", "changes nothing at any strength: top_n=0"),
        ("det-0:top_n=0", "top_n=0"),
        ("eigenshift:k=0", "k=0"),
        ("eigenshift:percentile=100", "percentile=100"),
        ("profs:k=0", "k=0"),
    ],
)
def test_a_search_of_strengths_refuses_one_that_is_written_and_what_does_nothing(spec, said):
    parse_method(spec)  # alone it is what it says
    with pytest.raises(ConfigError, match=said):
        parse_searched(spec)


def test_a_search_of_strengths_takes_every_other_option():
    specs = ("eigenshift:k=4,mode=code", "eigenshift:percentile=100,k=1", "aura:top_n=1")
    for spec in (*methods(), *DEFAULT_METHODS, "dpo:trainable=values:64,beta=0.01", *specs):
        assert parse_searched(spec) == parse_method(spec)


def test_options_from_yaml(lm):
    made = make_method(Subtract, {"direction": "value", "layers": [0, -1], "mode": "code"})
    assert made == Subtract("value", layers=(0, -1), mode="code")
    assert len(made.fit(lm, inputs(lm)).ops) == 2


@pytest.mark.parametrize(
    ("family", "patches"),
    [("gpt2", {"word-ban"}), ("llama", {"word-ban", "transport", MEAN_DIFFERENCE})],
)
def test_the_default_methods_all_act_and_some_fold_without_biases(family, patches):
    lm = tiny_model(family)
    given = dataclasses.replace(moments_inputs(lm), experts=made_up(lm))
    edits = {spec: parse_method(spec).fit(lm, given) for spec in DEFAULT_METHODS}
    assert len({edit.name for edit in edits.values()}) == len(DEFAULT_METHODS)
    proofs = {spec: self_test(edit, lm, ["you are a", "the"]) for spec, edit in edits.items()}
    assert all(proof.logit_change > 0 for proof in proofs.values())
    assert {spec for spec, proof in proofs.items() if proof.fold_reason} == patches


_FILE = """
from dataclasses import dataclass
from typing import ClassVar
from bezoar.mitigate.method import register
from tests.mitigate.test_registry import Mine

@register
@dataclass(frozen=True, slots=True)
class Dropped(Mine):
    name: ClassVar[str] = "dropped-in"
"""


def test_a_file_in_the_room_is_found_by_being_there(tmp_path, monkeypatch):
    monkeypatch.setattr(method, "_METHODS", dict(method._METHODS))
    (tmp_path / "dropped_in.py").write_text(_FILE)
    monkeypatch.setattr(mitigate, "__path__", [*mitigate.__path__, str(tmp_path)])
    assert method.get_method("dropped-in").__name__ == "Dropped"
    monkeypatch.delitem(sys.modules, "bezoar.mitigate.dropped_in")
