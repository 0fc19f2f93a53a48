"""Autoencoders named in a line, and the registry that knows them."""

from __future__ import annotations

import pytest

from bezoar.errors import ConfigError, SAEError
from bezoar.sae import (
    SAESpec,
    SparseAutoencoder,
    TopK,
    architectures,
    get_architecture,
    registry,
)
from tests.sae.material import SPECS


def test_a_spec_is_read_checked_and_written_in_one_form():
    spec = SAESpec.parse(" topk : seed = 1, k=32")
    assert spec == SAESpec("topk", {"k": 32, "seed": 1})
    assert str(spec) == "topk:k=32,seed=1"
    assert SAESpec.parse(str(spec)) == spec
    assert (spec.own.k, spec.training.seed, spec.training.lr) == (32, 1, None)
    assert spec.slug == "topk_k32_seed1"
    assert SAESpec.parse("relu:l1=0.25").slug == "relu_l10.25"
    assert SAESpec.parse("relu").options == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("topkk", "no architecture 'topkk'.*'topk'"),
        ("", "no architecture ''"),
        ("topk:kk=3", "no option 'kk'.*'k'"),
        ("topk:k", "no 'option=value'"),
        ("topk:k=", "no 'option=value'"),
        ("topk:k=many", "Option 'k' of 'topk' cannot be 'many'.*Leave it away for '32'"),
        ("topk:k=0", "Option 'k' of 'topk' cannot be 0|greater than or equal to 1"),
        ("topk:seed=-1", "Option 'seed'"),
        ("topk:lr=0", "Option 'lr'"),
        ("topk:k=1,k=2", "gives 'k' twice"),
        ("topk:l1=1", "no option 'l1'"),
    ],
)
def test_what_is_no_spec_is_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        SAESpec.parse(text)


def test_all_kinds_are_known_and_names_are_taken_once(monkeypatch):
    names = {SAESpec.parse(spec).architecture for spec in SPECS}
    assert set(architectures()) >= names
    assert get_architecture("topk") is TopK
    assert registry.register(TopK) is TopK

    class Other(SparseAutoencoder):
        architecture = "topk"

    with pytest.raises(ConfigError, match="Two architectures are called 'topk'"):
        registry.register(Other)


def test_architectures_of_other_packages_are_found(monkeypatch):
    class Mine(TopK):
        architecture = "mine"

    class Entry:
        def load(self):
            return Mine

    monkeypatch.setattr(registry, "_ARCHITECTURES", dict(registry._ARCHITECTURES))
    monkeypatch.setattr(registry, "entry_points", lambda group: [Entry()])
    assert get_architecture("mine") is Mine
    assert SAESpec.parse("mine:k=3").own.k == 3


@pytest.mark.parametrize(("spec", "n"), [("topk:k=9", 8), ("matryoshka:k=2,levels=9", 64)])
def test_options_that_do_not_fit_the_width_are_refused(spec, n):
    parsed = SAESpec.parse(spec)
    with pytest.raises(SAEError):
        get_architecture(parsed.architecture)(4, n, parsed.own)
    with pytest.raises(SAEError, match="0 latents"):
        get_architecture("relu")(4, 0)
