"""What the tests of PPLM share: a model in double precision, a direction, a batch at its end."""

from __future__ import annotations

import copy
import functools

import torch

from bezoar.locate import Direction
from bezoar.models import LanguageModel
from bezoar.pairs.pplm_attribute import Attribute
from bezoar.pairs.pplm_cache import Reader
from bezoar.pairs.pplm_step import Moment
from tests.families import tiny_hf_model

PROMPTS = ("the fool is not a good man", "you", "people said that this house", "it was kind")


@functools.cache
def double(family: str = "gpt2") -> LanguageModel:
    """A tiny model in double precision, so that rounding decides no token. Do not change it."""
    model, tokenizer = tiny_hf_model(family)
    return LanguageModel(model.double(), tokenizer, name=f"tiny-{family}")


def fresh(family: str = "gpt2") -> LanguageModel:
    """One to change."""
    lm = double(family)
    return LanguageModel(copy.deepcopy(lm.model), lm.tokenizer, name=lm.name)


def direction(lm: LanguageModel, site: str = "-1.resid_post", pooling: str = "mean") -> Direction:
    """A random direction at a site, as strong as a probe on activations of this size."""
    place = lm.site(site)
    generator = torch.Generator().manual_seed(1)
    return Direction.of(
        torch.randn(lm.site_width(place), generator=generator), place, pooling=pooling
    )


def at_end(lm, settings, prompts=PROMPTS, **options):
    """The moment at the end of the prompts, and the past before it."""
    attribute = Attribute.of(lm, direction(lm, **options))
    batch = lm.batch(lm.encode(list(prompts)), side="left")
    with torch.no_grad():
        return Moment.at_end_of(batch, Reader(lm, attribute.site), attribute, settings)
