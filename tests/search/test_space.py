"""What is searched: every piece reads, an option that is written is held, and stacks are edits."""

from __future__ import annotations

import pytest
import torch

from bezoar.errors import ConfigError
from bezoar.mitigate import methods, parse_method
from bezoar.search import Part, Space, Stack, searched_by_default
from bezoar.search.space import _options
from tests.families import tiny_model
from tests.mitigate.kit import inputs


@pytest.fixture(scope="module")
def lm():
    return tiny_model("gpt2")


def test_every_piece_of_every_method_reads_and_the_first_is_what_it_is_by_default(lm):
    for name, cls in methods().items():
        for values in cls.search_space(lm).values():
            assert len({*values}) == len(values)
            for value in values:
                assert parse_method(f"{name}:{value}" if value else name).name == name


def test_an_option_that_is_written_is_held(lm):
    free, held = Space(("subtract",), lm), Space(("subtract:layers=1",), lm)
    (spec,) = held.specs
    assert set(free.choices["subtract"]) == {"direction", "layers"}
    assert set(held.choices[spec]) == {"direction"}
    assert (
        held.spec(spec, ("direction=value,rank=1",)) == "subtract:layers=1,direction=value,rank=1"
    )
    assert held.size * len(free.choices["subtract"]["layers"]) == free.size
    assert all("layers" not in _options(v) for v in held.choices[spec]["direction"])


def test_a_strength_that_is_written_is_not_passed_over(lm):
    with pytest.raises(ConfigError, match="writes alpha"):
        Space(("subtract", "eigenshift:alpha=0.5"), lm)


def test_controls_and_trainings_are_left_out_unless_asked():
    found = searched_by_default()
    assert {"subtract", "project-out", "word-ban"} <= {*found}
    assert not {"uniform-shrink", "dpo"} & {*found}


def test_a_stack_is_its_parts_one_after_the_other_and_its_factor_multiplies(lm):
    given = inputs(lm)
    parts = (Part("subtract:direction=mean_difference", 0.5), Part("word-ban", 2.0))
    batch = lm.batch(lm.encode(["you are a fool", "the tree"]))
    stack = Stack(parts).with_strength(1.5)
    with stack.fit(lm, given).applied_to(lm):
        found = lm.logits(batch)
    one, two = (part.method().with_strength(1.5 * part.strength).fit(lm, given) for part in parts)
    with one.applied_to(lm), two.applied_to(lm):
        assert torch.equal(found, lm.logits(batch))
    assert stack.requires == {"mean_difference", "words"}
    assert stack.label == "subtract mean difference + word ban"


def test_no_part_goes_beyond_its_own_largest_strength(lm):
    stack = Stack((Part("project-out", 0.8), Part("word-ban", 3.0))).with_strength(10.0)
    assert [part.strength for part in stack.strengths()] == [1.0, 30.0]
