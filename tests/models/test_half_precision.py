"""The same parts are found where numbers are rounded to half precision."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from bezoar.models import Anatomy, LanguageModel
from tests.models import zoo


def described(lm: LanguageModel) -> dict[str, object]:
    """Every part of an anatomy by its name in the model."""
    names = {module: name for name, module in lm.model.named_modules()}

    def plain(value: object) -> object:
        return names.get(value, type(value)) if isinstance(value, nn.Module) else value

    def fields(of: object, *, without: tuple[str, ...] = ()) -> dict[str, object]:
        kept = [f.name for f in dataclasses.fields(of) if f.name not in without]
        return {name: plain(getattr(of, name)) for name in kept}

    whole: Anatomy = lm.anatomy
    found = fields(whole, without=("blocks", "block_parts", "logit_scale"))
    for layer, parts in enumerate(whole.block_parts):
        found |= {f"{layer}.{k}": v for k, v in fields(parts, without=("missing",)).items()}
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("name", zoo.FAMILIES)
def test_the_anatomy_does_not_depend_on_the_dtype(name, dtype):
    model, tokenizer = zoo.hf_model(name)
    half, whole = LanguageModel(model.to(dtype), tokenizer), zoo.family_model(name)
    assert described(half) == described(whole)
    assert half.anatomy.logit_scale == pytest.approx(whole.anatomy.logit_scale, rel=1e-2)
