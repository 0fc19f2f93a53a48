"""The code of the how-to runs, on a tiny model."""

from __future__ import annotations

import numpy as np

from bezoar.attack import RankCorrelations
from bezoar.evaluate import get_protocol
from bezoar.locate import rank_values
from bezoar.models import generate
from tests.attack.kit import same, state, weight_remedy
from tests.attack.test_residual import corpus
from tests.docs.pages import ROOT, blocks
from tests.mitigate.kit import TEXTS, inputs


class LikeTheBase:
    """A scorer to which what the unedited model writes is toxic: any edit lowers that."""

    name, hash, attributes, threshold, lineage = "like-the-base", "0", ("toxicity",), 0.5, "none"

    def __init__(self, lm, prompts):
        written = generate(lm, prompts, get_protocol("LEE").decoding, max_prompt_tokens=32)
        self.texts = set(written.text)

    def score(self, texts):
        return {"toxicity": np.array([0.9 if text in self.texts else 0.1 for text in texts])}


def test_the_code_of_the_page_runs(gpt2, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before, probe = state(gpt2), inputs(gpt2).probe
    names = {
        "lm": gpt2,
        "prompts": list(TEXTS) * 2,
        "scorer": LikeTheBase(gpt2, list(TEXTS)),
        "neutral": ["the river is lovely and the tree is good " * 8] * 4,
        "corpus": corpus(40, 1),
        "train_corpus": corpus(40, 1),
        "test_corpus": corpus(40, 2),
        "ranking": rank_values(gpt2, probe, 8),
        "probe_direction": probe,
        "edit": weight_remedy(gpt2, 0.2),
    }
    for number, code in enumerate(blocks(ROOT / "docs" / "how-to" / "attack.md", "py")):
        exec(compile(code, f"attack.md, block {number + 1}", "exec"), names)
        if number < 2:
            assert names["found"].score is not None
            assert names["found"].curve("key scaling").points
    assert isinstance(names["rank_correlation"]({"x": [1]}, [1]), RankCorrelations)
    said = capsys.readouterr().out
    assert "basin_width" in said
    assert "basin width predicts survival" in said or "No statistic predicts" in said
    assert same(state(gpt2), before)
