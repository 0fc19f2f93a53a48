"""ProFS as a method; what holds exactly stands in tests/invariants/test_profs.py."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from bezoar.edits import self_test
from bezoar.errors import ConfigError, DataError
from bezoar.locate import principal_angles
from bezoar.mitigate import null_inputs, parse_method
from bezoar.mitigate import profs as module
from bezoar.mitigate.profs import ProFS
from tests.edits.kit import logits
from tests.mitigate.kit import inputs
from tests.mitigate.remedies import pairs_inputs, word_pairs


def test_it_acts_on_the_upper_half_and_folds(lm):
    edit = ProFS().fit(lm, pairs_inputs(lm))
    assert [at.site.layer for at in edit.ops] == [1, 2]
    result = self_test(edit, lm, ["you are a", "the"])
    assert result.logit_change > 0
    assert result.folded_max_difference < 1e-4
    assert ProFS(layers=(0, -1)).bases(lm, word_pairs()).keys() == {0, 2}


def test_the_keys_read_nothing_of_the_subspace(lm):
    method = ProFS(k=3, keys=True, layers=(1,))
    given = pairs_inputs(lm)
    basis = method.bases(lm, given.pairs)[1]
    edit = method.fit(lm, given)
    rows = {"keys": lm.keys} | ({"gates": lm.gates} if lm.gated else {})
    before = logits(lm)
    with edit.applied_to(lm):
        for read in rows.values():
            assert float((read(1).detach() @ basis.T).abs().max()) < 1e-5
        hooked = logits(lm)
    assert float((hooked - before).abs().max()) > 1e-4
    with edit.fold(lm).applied_to(lm):
        torch.testing.assert_close(logits(lm), hooked, atol=1e-4, rtol=1e-4)


def test_pairs_are_read_once_for_all_strengths_and_mismatched_nulls(gpt2, monkeypatch):
    calls = []
    real = module.harvest
    monkeypatch.setattr(module, "harvest", lambda *a, **k: calls.append(1) or real(*a, **k))
    monkeypatch.setattr(module, "_kept", type(module._kept)())
    given = pairs_inputs(gpt2)
    for fraction in (0.2, 0.5, 1.0):
        ProFS(fraction=fraction).fit(gpt2, given)
    for kind in ProFS().null_kinds:
        list(ProFS().nulls(gpt2, given, 3, 0, kind))
    assert len(calls) == 1


def test_nulls_keep_the_texts_and_lose_the_pairing(gpt2):
    given = pairs_inputs(gpt2)
    for drawn in null_inputs("mismatched-pairs", gpt2, given, 4, 0):
        pairs = drawn.pairs
        assert pairs.chosen == given.pairs.chosen
        assert sorted(pairs.rejected) == sorted(given.pairs.rejected)
        together = zip(pairs.rejected, given.pairs.rejected, strict=True)
        assert all(a != b for a, b in together)
    real = ProFS().bases(gpt2, given.pairs)[2]
    for kind in ProFS().null_kinds:
        few = list(null_inputs(kind, gpt2, given, 2, 1))
        many = list(null_inputs(kind, gpt2, given, 3, 1))
        bases = [ProFS().bases(gpt2, each.pairs)[2] for each in many]
        assert torch.equal(ProFS().bases(gpt2, few[1].pairs)[2], bases[1])
        for basis in bases:
            torch.testing.assert_close(basis @ basis.T, torch.eye(2), atol=1e-5, rtol=0)
            assert max(principal_angles(basis, real)) > 0.2
    drawn = [ProFS().bases(gpt2, each.pairs) for each in many]
    assert not torch.equal(drawn[0][1], drawn[0][2])  # another subspace in each layer


def test_code_pairs_unrelated_sides_and_pools_padding(gpt2):
    texts = tuple(f" the tree and number {i}" + " idiot" * (i % 5) for i in range(60))
    pairs = dataclasses.replace(
        word_pairs(60), chosen=texts, rejected=tuple(f"{t} fool" for t in texts)
    )
    chosen, rejected = ProFS(mode="code")._sides(pairs)
    assert len(chosen) == len(rejected) == 50  # what does not fill a batch is gone
    aligned = sum(b == f"{a} fool" for a, b in zip(chosen, rejected, strict=True))
    assert aligned < 5
    first = ProFS(mode="code").bases(gpt2, pairs)[2]
    real = ProFS().bases(gpt2, pairs)[2]
    assert max(principal_angles(first, real)) > 0.2
    site = gpt2.site("-1.resid_post")
    read = ["you", "you are a fool and the man is good"]
    padded = module._with_padding(gpt2, read, [site])[site]
    clean = module._embedded(gpt2, read, [site], "correct", None)[site]
    np.testing.assert_allclose(padded[1], clean[1], atol=1e-5)
    assert float(np.abs(padded[0] - clean[0]).max()) > 1e-3


def test_options_and_bad_input(gpt2):
    method = parse_method("profs:k=10,layers=1/2,center=false,mode=code")
    assert method == ProFS(k=10, layers=(1, 2), center=False, mode="code")
    assert parse_method(method.spec).with_strength(1.0) == method.with_strength(1.0)
    for spec, word in (
        ("profs:k=-1", "k=-1"),
        ("profs:fraction=1.5", "fraction"),
        ("profs:mode=paper", "mode"),
    ):
        with pytest.raises(ConfigError, match=word):
            parse_method(spec)
    with pytest.raises(ConfigError, match="'pairs'"):
        ProFS().fit(gpt2, inputs(gpt2))
    with pytest.raises(ConfigError, match="32 at most"):
        ProFS(k=33).fit(gpt2, pairs_inputs(gpt2))
    with pytest.raises(ConfigError, match="10 pairs span at most 10"):
        ProFS(k=11).fit(gpt2, pairs_inputs(gpt2, 10))
    empty = dataclasses.replace(word_pairs(5), chosen=("", "", "", "", " a"))
    with pytest.raises(DataError, match="1 of 5 pairs"):
        ProFS().fit(gpt2, dataclasses.replace(pairs_inputs(gpt2), pairs=empty))


def test_nothing_at_fraction_zero(lm):
    before = logits(lm)
    with ProFS(fraction=0.0).fit(lm, pairs_inputs(lm)).applied_to(lm):
        torch.testing.assert_close(logits(lm), before, atol=1e-6, rtol=0)
