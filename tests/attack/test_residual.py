"""Eliminate, or bypass?"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bezoar.attack import Measured, Steering, residual_capability
from bezoar.attack.residual import judge
from bezoar.corpus import Corpus
from bezoar.edits import ActivationEdit, Add, NoOp, Project
from bezoar.errors import DataError
from bezoar.stats import Interval
from tests.attack.kit import same, state

HATE, MILD = "fool idiot stupid rotten".split(), "lovely kind good river".split()  # noqa: SIM905


def corpus(n, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    texts = tuple(
        " ".join(["you are", *rng.choice(HATE if label else MILD, 4), *rng.choice(MILD, 2)])
        for label in labels
    )
    return Corpus(texts, labels.astype(np.int8))


def measure(edit):
    """The edit lowers toxicity; steering, which is an `Add`, brings most of it back."""
    steered = edit is not None and any(
        isinstance(at.op, Add) and "steer" in part.name
        for part in getattr(edit, "edits", ())
        for at in getattr(part, "ops", ())
    )
    level = 0.6 if edit is None else 0.55 if steered else 0.2
    return Measured(tuple(level + 0.01 * (i % 5) for i in range(20)), 10.0)


def test_a_shift_is_read_as_well_as_before_so_it_only_bypasses(gpt2):
    before = state(gpt2)
    shift = ActivationEdit.at([gpt2.site("-1.resid_post")], Add(torch.ones(gpt2.d_model)))
    train, test = corpus(60, 1), corpus(60, 2)
    search = Steering(train, None, (0.5,), layers=(1,), null_draws=1)
    found = residual_capability(gpt2, shift, train, test, measure, steering=search)
    assert found.loss.value == pytest.approx(0, abs=1e-3)
    assert found.verdict == "bypassed"
    assert found.recovered.value == pytest.approx(0.875)
    assert found.reached == pytest.approx(0.57)
    assert same(state(gpt2), before)


def test_the_probe_is_fitted_on_the_edited_model(gpt2):
    """Removing every direction but a few that say nothing leaves nothing to read."""
    site = gpt2.site("-1.resid_post")
    basis = torch.eye(gpt2.d_model)[1:]
    train, test = corpus(60, 1), corpus(60, 2)
    search = Steering(train, None, (0.5,), layers=(1,), null_draws=0)
    gone = ActivationEdit.at([site], Project(basis))
    found = residual_capability(gpt2, gone, train, test, measure, steering=search, site=site)
    assert found.base.value > 0.95
    assert found.edited.value < found.base.value


def test_what_lowers_nothing_has_nothing_to_bypass(gpt2):
    """A probe reads an untouched model as well as before, which is no finding about an edit."""
    train, test = corpus(60, 1), corpus(60, 2)
    found = residual_capability(gpt2, NoOp(), train, test, lambda edit: measure(None))
    assert found.loss.value == pytest.approx(0, abs=1e-6)
    assert (found.verdict, found.recovered) == ("undecided", None)
    assert "does not lower toxicity" in found.why


def near(value, half=0.02):
    return Interval(value, value - half, value + half)


@pytest.mark.parametrize(
    ("base", "loss", "survives", "verdict"),
    [
        (near(0.9), near(0.0), near(1.0), "bypassed"),  # still read
        (near(0.9), near(0.35), near(0.1), "bypassed"),  # still reachable
        (near(0.9), near(0.35), near(0.9), "eliminated"),
        (near(0.9), near(0.35), near(0.5), "undecided"),
        (near(0.9), near(0.2), near(0.9), "undecided"),
        (near(0.9), near(0.35), None, "undecided"),
        (near(0.51), near(0.0), near(0.1), "undecided"),  # nothing was read in the first place
    ],
)
def test_the_rule(base, loss, survives, verdict):
    assert judge(base, loss, survives)[0] == verdict


def test_what_any_push_brings_back_says_nothing_of_the_behaviour():
    found = judge(near(0.9), near(0.35), near(0.1), null=0.6)
    assert found[0] == "undecided"
    assert "random push (0.60)" in found[1]
    assert judge(near(0.9), near(0.35), near(0.1), null=0.2)[0] == "bypassed"


def test_chance_may_choose_its_site_as_the_search_does(gpt2):
    """Random directions that bring all back at one site of two are no mean of the two."""

    def by_site(edit):
        for part in getattr(edit, "edits", ()):
            if "random at 1.resid_post" in part.name:
                return measure(None)
            if "random at 0.resid_post" in part.name:
                return measure(ActivationEdit(()))
        return measure(edit)

    shift = ActivationEdit.at([gpt2.site("-1.resid_post")], Add(torch.ones(gpt2.d_model)))
    train, test = corpus(60, 1), corpus(60, 2)
    search = Steering(train, None, (0.5,), layers=(0, 1), null_draws=1)
    found = residual_capability(gpt2, shift, train, test, by_site, steering=search)
    assert found.null_recovered == pytest.approx(1)


def test_a_probe_is_not_tested_on_what_it_was_fitted_on(gpt2):
    train, test = corpus(60, 1), corpus(60, 2)
    shift = ActivationEdit.at([gpt2.site("-1.resid_post")], Add(torch.ones(gpt2.d_model)))
    with pytest.raises(DataError, match="60 texts are in both") as caught:
        residual_capability(gpt2, shift, train, train, measure)
    assert "split_corpus" in caught.value.hint
    spelt = Corpus((*test.texts, f"  {train.texts[3].upper()} "), np.append(test.labels, 1))
    with pytest.raises(DataError, match="1 text is in both"):
        residual_capability(gpt2, shift, train, spelt, measure)


def test_one_class_cannot_be_read(gpt2):
    one = Corpus(("a tree", "a river"), np.array([1, 1], dtype=np.int8))
    with pytest.raises(DataError, match="both labels"):
        residual_capability(gpt2, ActivationEdit(()), one, corpus(10, 1), measure)
