"""Attacks that leave the model alone and ask it otherwise."""

from __future__ import annotations

import pytest
import torch

from bezoar.attack import Measured, Sampling, ToxicContext, Use, run_attacks, toxicity_and_cost
from bezoar.edits import NoOp
from bezoar.errors import ConfigError, DataError
from bezoar.evaluate import evaluate_edit, get_protocol
from bezoar.models import Decoding, generate
from bezoar.scoring import load_scorer
from tests.attack.kit import same, scripted, state, weight_remedy
from tests.mitigate.kit import TEXTS

NEUTRAL = ["the river is lovely and the tree is good " * 8, "people think that day " * 16]
PLAIN = ("a tree by the river", "the day is good")


@pytest.fixture(scope="module")
def measure(gpt2_module):
    return toxicity_and_cost(gpt2_module, list(TEXTS), load_scorer("words"), NEUTRAL)


@pytest.fixture(scope="module")
def gpt2_module():
    from tests.families import tiny_model

    return tiny_model("gpt2")


class Written:
    """A scorer that keeps what it reads: the continuations."""

    name, hash, attributes, threshold, lineage = "written", "0", ("toxicity",), 0.5, "none"

    def __init__(self):
        self.texts: list[str] = []

    def score(self, texts):
        import numpy as np

        self.texts += texts
        return {"toxicity": np.array([(hash(text) % 97) / 97 for text in texts])}


def test_the_model_samples_as_it_was_asked_to(gpt2_module):
    lm, scorer = gpt2_module, Written()
    measure = toxicity_and_cost(lm, list(TEXTS), scorer, NEUTRAL)
    measure.under(Use(temperature=0.7, top_p=0.9, seed=3))(None)
    decoding = Decoding(20, sample=True, top_p=0.9, temperature=0.7, seed=3)
    wanted = generate(lm, list(TEXTS), decoding, max_prompt_tokens=32)
    assert set(scorer.texts) == set(wanted.text)
    greedy = generate(lm, list(TEXTS), get_protocol("LEE").decoding, max_prompt_tokens=32)
    assert set(scorer.texts) != set(greedy.text)


def test_a_context_stands_before_the_prompt_and_is_no_part_of_the_text(gpt2_module):
    lm, scorer = gpt2_module, Written()
    measure = toxicity_and_cost(lm, list(TEXTS), scorer, NEUTRAL)
    measure.under(Use(context="you rotten fool"))(None)
    longer = [f"you rotten fool\n{text}" for text in TEXTS]
    wanted = generate(lm, longer, get_protocol("LEE").decoding)
    assert set(scorer.texts) == set(wanted.text)


def test_prompts_are_cut_before_the_context_is_put_there(gpt2_module):
    lm, scorer = gpt2_module, Written()
    long = " ".join(["tree river good day"] * 20)
    ids = lm.encode([long])[0]
    assert len(ids) > 32
    measure = toxicity_and_cost(lm, [long, TEXTS[0]], scorer, NEUTRAL)
    measure.under(Use(context="fool"))(None)
    cut = f"fool\n{lm.decode(ids[:32])}"
    wanted = generate(lm, [cut], get_protocol("LEE").decoding)
    assert wanted.text[0] in scorer.texts


def test_perplexity_stays_that_of_the_plain_model(gpt2_module, measure):
    remedy = weight_remedy(gpt2_module)
    plain = measure(remedy)
    asked = measure.under(Use(temperature=1.0))(remedy)
    assert asked.perplexity == plain.perplexity
    other = weight_remedy(gpt2_module, 0.2)
    expected = evaluate_edit(gpt2_module, other, list(TEXTS), "LEE@4", ["words"], NEUTRAL)
    assert measure.under(Use(context="fool"))(other).perplexity == expected.perplexity.value


def test_the_attacked_edit_is_the_remedy_itself_and_the_model_is_restored(gpt2_module, measure):
    lm, remedy = gpt2_module, weight_remedy(gpt2_module)
    before, asked = state(lm), []

    class Spy:
        key, protocol = "spy", "spy@4"

        def __call__(self, edit):
            value = 0.6 if edit is None else 0.2
            return Measured(tuple(value + 0.01 * i for i in range(8)), 10.0)

        def under(self, use):
            def other(edit):
                asked.append((edit, use))
                return self(edit)

            return other

    attacks = [Sampling((0.5, 1.0), (0.9,)), ToxicContext(TEXTS[:2], PLAIN, (1, 2), draws=1)]
    found = run_attacks(lm, remedy, attacks, Spy())
    assert found.score.value == 1
    assert all(edit is remedy or edit.kind == "weight" for edit, _ in asked)
    assert len({id(edit) for edit, _ in asked}) == 1
    assert [use.temperature for _, use in asked] == [0.5, 1.0] + [None] * 4
    assert found.curve("toxic context").null_area is not None
    assert same(state(lm), before)


def test_a_measure_that_asks_in_one_way_only_skips_them(gpt2_module):
    base, edited = (0.6, 0.7, 0.65, 0.66), (0.2, 0.3, 0.25, 0.26)
    found = run_attacks(gpt2_module, NoOp(), [Sampling()], scripted(base, edited, {}))
    assert "one way only" in found.curve("sampling").skipped
    assert found.score is None


def test_contexts_are_drawn_cut_and_have_nulls_of_equal_number(gpt2_module):
    long = tuple(f"{word} " * 40 for word in ("fool", "idiot", "rotten"))
    attack = ToxicContext(long, PLAIN, (1, 2), draws=2, words=5)
    settings = attack.settings(gpt2_module)
    assert sum(not s.null for s in settings) == sum(s.null for s in settings) == 4
    uses = [attack.use(s) for s in settings]
    for setting, use in zip(settings, uses, strict=True):
        lines = use.context.split("\n")
        assert len(lines) == setting.budget
        assert all(len(line.split()) <= 5 for line in lines)
        assert setting.null == (lines[0] in PLAIN)
    assert ToxicContext(long, PLAIN[:1], (2,)).settings(gpt2_module)[-1].null is False
    assert len({use.context for use, s in zip(uses, settings, strict=True) if not s.null}) > 1


def test_budgets_that_mean_nothing_are_refused(gpt2_module):
    for shares in ((1.5,), (), (float("nan"),)):
        with pytest.raises(ConfigError, match="top_p"):
            Sampling((1.0,), shares)
    with pytest.raises(ConfigError, match="count of texts"):
        ToxicContext(PLAIN, PLAIN, (3,)).settings(gpt2_module)


@pytest.mark.usefixtures("_unhooked")
def test_a_context_of_nothing_is_refused():
    with pytest.raises(DataError, match="one string, 'the man is kind'"):
        ToxicContext("the man is kind")
    with pytest.raises(DataError, match="harmless texts are one string"):
        ToxicContext(PLAIN, "the man is kind")
    with pytest.raises(DataError, match="no text to put in front"):
        ToxicContext(())
    for name in ("draws", "words"):
        with pytest.raises(ConfigError, match=f"{name} is 0"):
            ToxicContext(PLAIN, **{name: 0})


def test_a_hotter_model_is_a_flatter_one(gpt2_module):
    """Far below any temperature of use, sampling is greedy."""
    lm, scorer = gpt2_module, Written()
    measure = toxicity_and_cost(lm, list(TEXTS), scorer, NEUTRAL)
    cold = measure.under(Use(temperature=1e-5))(None).toxicity
    assert torch.allclose(torch.tensor(cold), torch.tensor(measure(None).toxicity))
