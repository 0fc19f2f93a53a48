"""Attacks by name, at the budgets of a grid."""

from __future__ import annotations

import numpy as np
import pytest

from bezoar.attack import (
    ATTACKS,
    AttackInputs,
    attack_names,
    make_attacks,
    run_attacks,
)
from bezoar.attack.grids import BUDGETS, GRIDS
from bezoar.attack.registry import RARE
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError, DataError
from bezoar.locate import rank_values
from tests.attack.kit import CORPUS, same, state, weight_remedy, word_measure
from tests.mitigate.kit import inputs as fit_inputs


def given(lm, top=8):
    probe = fit_inputs(lm).probe
    return AttackInputs(CORPUS, rank_values(lm, probe, top), probe)


def test_every_attack_has_a_budget_in_every_grid():
    assert ATTACKS.keys() == BUDGETS.keys()
    assert all(tuple(by) == GRIDS for by in BUDGETS.values())


@pytest.mark.parametrize("grid", GRIDS)
def test_all_attacks_are_made_with_names_of_their_own(lm, grid):
    attacks, left_out = make_attacks("all", given(lm), lm, grid)
    names = [attack.name for attack in attacks]
    assert len(set(names)) == len(names) == len(ATTACKS) - len(left_out)
    assert left_out.keys() <= set(RARE)
    assert ("key-scaling-up" in left_out) == (not lm.gated)
    assert all(attack.settings(lm) for attack in attacks)


def test_a_larger_grid_holds_more(gpt2):
    sizes = []
    for grid in GRIDS:
        attacks, _ = make_attacks("default", given(gpt2), gpt2, grid)
        sizes.append([len(attack.settings(gpt2)) for attack in attacks])
    for small, middle, large in zip(*sizes, strict=True):
        assert small <= middle <= large
    assert sum(sizes[0]) < sum(sizes[1]) / 2 < sum(sizes[2]) / 4


def test_table_4_is_in_every_grid(gpt2):
    for grid in GRIDS:
        for attack in make_attacks("key-scaling,key-scaling-bias", given(gpt2), gpt2, grid)[0]:
            labels = [s.label for s in attack.settings(gpt2) if not s.null]
            assert "×10, 7 keys" in labels


def test_names_are_read_and_wrong_ones_told_of():
    assert attack_names("pruning, noise,pruning") == ("pruning", "noise")
    assert set(attack_names("all")) == set(ATTACKS)
    assert set(ATTACKS) - set(attack_names(("default",))) == set(RARE)
    assert attack_names(("default", "key-scaling-up"))[-1] == "key-scaling-up"
    with pytest.raises(ConfigError, match=r"'prunning'.*pruning"):
        attack_names("prunning")
    with pytest.raises(ConfigError, match="No attack"):
        attack_names(" , ")


def test_what_the_attacker_lacks_is_said(gpt2):
    poor = AttackInputs(CORPUS)
    attacks, left_out = make_attacks("key-scaling,steering", poor, gpt2)
    assert [attack.name for attack in attacks] == ["steering"]
    assert "no ranking" in left_out["key-scaling"]
    with pytest.raises(ConfigError, match="grid 'ful'"):
        make_attacks("default", poor, gpt2, "ful")
    one = Corpus(("a tree",), np.array([0], dtype=np.int8))
    with pytest.raises(DataError, match="both labels"):
        make_attacks("default", AttackInputs(one), gpt2)


def test_toxic_texts_train_and_harmless_ones_calibrate(gpt2):
    attacks, _ = make_attacks("default", given(gpt2), gpt2)
    by = {attack.name: attack for attack in attacks}
    toxic = {t for t, label in zip(CORPUS.texts, CORPUS.labels, strict=True) if label}
    assert set(by["fine-tuning on toxic texts"].texts) == set(by["relearning"].texts) == toxic
    assert set(by["toxic context"].texts) == toxic
    for name in ("benign fine-tuning", "pruning by activation"):
        assert not set(by[name].texts) & toxic


def test_where_texts_are_too_few_all_of_them_are_tried(gpt2):
    (tuning,), _ = make_attacks("fine-tuning", given(gpt2), gpt2, "full")
    n = len(given(gpt2).toxic)
    assert tuning.counts == (1, n)


def test_the_quick_grid_runs_and_restores_the_model(lm):
    before, remedy, measure = state(lm), weight_remedy(lm), word_measure(lm)
    sign = 1 if measure(None).mean > measure(remedy).mean else -1

    def wide(edit):
        found = measure(edit)
        mean = sign * (sum(found.toxicity) / len(found.toxicity) - 0.5) + 0.5
        return type(found)(tuple(mean + 0.01 * i for i in range(9)), 10.0)

    attacks, _ = make_attacks("default", given(lm), lm, "quick")
    found = run_attacks(lm, remedy, attacks, wide)
    assert found.curve("interpolation").points[-1].survives.value == pytest.approx(0, abs=1e-6)
    assert {c.attack for c in found.curves if c.skipped} == {"sampling", "toxic context"}
    assert same(state(lm), before)
