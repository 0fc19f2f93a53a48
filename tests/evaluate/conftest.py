from __future__ import annotations

import numpy as np
import pytest

from bezoar.evaluate import Evaluator, get_protocol
from bezoar.models import Decoding, generate
from tests.scoring.models import SENTENCES, TEXT


class TokenScorer:
    """Toxicity is the share of characters that are in ``chars``; lineage and hash as told."""

    attributes = ("toxicity", "insult")
    threshold = 0.2

    def __init__(self, chars: str, name: str = "report", lineage: str = "test B") -> None:
        self.chars, self.name, self.lineage = set(chars), name, lineage
        self.hash = f"{name}{chars}".encode().hex().ljust(16, "0")
        self.calls = 0

    def score(self, texts):
        self.calls += len(texts)
        toxicity = np.array([sum(c in self.chars for c in t) / max(len(t), 1) for t in texts])
        return {"toxicity": toxicity, "insult": toxicity / 2}


PROMPTS = [f"{a} {b}" for a in SENTENCES for b in ("and", "so", "but", "I think", "the man")]
NEUTRAL = [*SENTENCES, TEXT, TEXT[40:]]


@pytest.fixture(scope="session")
def report_scorer(gpt2):
    """Counts the characters that this model writes most often: some of its texts are 'toxic'."""
    written = "".join(generate(gpt2, PROMPTS, Decoding(max_new_tokens=20)).text)
    common = sorted(set(written), key=lambda c: -written.count(c))
    return TokenScorer("".join(common[:6]))


@pytest.fixture(scope="session")
def evaluator(gpt2, report_scorer) -> Evaluator:
    protocol = get_protocol("LEE", prompts=len(PROMPTS))
    return Evaluator(gpt2, PROMPTS, protocol, [report_scorer], NEUTRAL)
