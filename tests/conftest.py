"""Shared fixtures. Shapes in signatures are checked here, and only here (jaxtyping + beartype)."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("SOURCE_DATE_EPOCH", "1000000000")  # pages without times: equal bytes

from jaxtyping import install_import_hook

install_import_hook("bezoar", "beartype.beartype")

import pytest
import torch

from tests.families import FAMILIES, tiny_model


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", params=FAMILIES)
def lm(request: pytest.FixtureRequest):
    """A tiny random model of each family the spine is proven on. Do not change its weights."""
    return tiny_model(request.param)


@pytest.fixture(scope="session")
def gpt2():
    """A tiny random GPT-2. Do not change its weights."""
    return tiny_model("gpt2")
