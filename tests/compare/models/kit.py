"""What the tests of base against edited share."""

from __future__ import annotations

import copy

import pytest
import torch

from bezoar.edits import Dense, LowRank, WeightEdit
from bezoar.locate import Direction
from bezoar.models import LanguageModel, Site
from tests.families import tiny_model, tiny_tokenizer

PROMPTS = (
    "you are a fool and",
    "the night is so",
    "it was a very good day but I think that people",
    "man",
    "a stupid idiot would know the river",
    "a tree in the house",
)
FAMILIES = ("gpt2", "llama", "gpt_neox", "gemma2")


def model(family: str, seed: int = 0) -> LanguageModel:
    """A tiny random model; Gemma 2 norms what attention and MLP write before it is added."""
    if family != "gemma2":
        return tiny_model(family, seed)
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(seed)
    tokenizer = tiny_tokenizer()
    config = Gemma2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        final_logit_softcapping=None,
        sliding_window=64,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    lm = LanguageModel(Gemma2ForCausalLM(config), tokenizer, name="tiny-gemma2")
    with torch.no_grad():
        for parameter in lm.model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return lm


def tuned(lm: LanguageModel, scale: float = 0.02, seed: int = 1) -> LanguageModel:
    """A copy whose every parameter has some noise added."""
    other = copy.deepcopy(lm.model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=generator))
    return LanguageModel(other, lm.tokenizer, name="tuned")


def value_edit(lm: LanguageModel, layer: int, scale: float = 0.1) -> WeightEdit:
    """Noise on the value vectors of one layer."""
    weight = lm.anatomy[layer].w_out.weight
    noise = torch.randn(weight.shape, generator=torch.Generator().manual_seed(7))
    name = lm.parameter_name(lm.anatomy[layer].w_out)
    return WeightEdit({name: Dense(scale * noise)}, name="values")


def low_rank_edit(lm: LanguageModel, layer: int, rank: int) -> WeightEdit:
    rows, columns = lm.anatomy[layer].w_out.weight.shape
    g = torch.Generator().manual_seed(3)
    a, b = torch.randn(rows, rank, generator=g), torch.randn(rank, columns, generator=g)
    name = lm.parameter_name(lm.anatomy[layer].w_out)
    return WeightEdit({name: LowRank(0.01 * a, b)}, name="low rank")


def direction(lm: LanguageModel, seed: int = 0) -> Direction:
    g = torch.Generator().manual_seed(seed)
    site = Site(lm.n_layers - 1, "resid_post")
    return Direction.of(torch.randn(lm.d_model, generator=g), site, name="w")


def near(value: float, rel: float = 1e-4, scale: float = 1.0):
    return pytest.approx(value, rel=rel, abs=rel * scale)
