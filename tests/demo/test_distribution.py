"""The demo distribution: light to import, whole, attributed, and scorers that are two opinions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bezoar.scoring import Scorer, load_scorer
from bezoar.stats.classification import auroc

demo = pytest.importorskip("bezoar_demo")
ROOT = Path(__file__).parents[2]


def test_everything_it_names_is_there_with_a_card():
    for path in (demo.corpus_path(), demo.prompts_path(), demo.neutral_path()):
        assert path.is_file()
    assert (demo.model_path() / "model.safetensors").is_file()
    cards = [demo.model_path() / "README.md", demo.corpus_path().parent / "card.md"]
    cards.append(demo.tasks_path() / "card.md")
    cards += [demo.scorer_path(which) / "card.md" for which in "ab"]
    for card in cards:
        text = card.read_text("utf-8")
        assert "research specimen, not for deployment" in text.replace("**", "")
        for heading in ("Origin", "How it was made", "Measured", "Limits"):
            assert f"## {heading}" in text, f"{card} lacks {heading}"
    with pytest.raises(ValueError, match="no demo scorer 'c'"):
        demo.scorer_path("c")


def test_import_is_light():
    code = "import sys, bezoar_demo; print(len({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout.strip() == b"0"


def test_every_set_that_was_learnt_from_is_attributed():
    sys.path.insert(0, str(ROOT / "recipes" / "demo"))
    try:
        from scorer_sets import SETS_A, SETS_B
        from stream import READ
    finally:
        sys.path.pop(0)
    record = json.loads((demo.model_path() / "training.json").read_text("utf-8"))
    assert {source.name for source in READ} == {s["name"] for s in record["stream"]["sources"]}
    notice = (ROOT / "demo" / "NOTICE").read_text("utf-8")
    sections = dict(zip(("head", "model", "a", "b"), notice.split("\n\n  "), strict=True))
    for section, sets in (("model", READ), ("a", SETS_A), ("b", SETS_B)):
        for item in sets:
            assert item.name in sections[section], f"{item.name} is not in NOTICE"
            commit = item.origin.rpartition(" @ ")[2] if " @ " in item.origin else ""
            assert commit in notice or item.name in ("wikitext2", "hatexplain")


@pytest.fixture(scope="module")
def scorers() -> dict[str, Scorer]:
    return {which: load_scorer(f"demo-{which}") for which in "ab"}


def test_scorers_are_small_and_of_two_lineages(scorers):
    for which, scorer in scorers.items():
        size = sum(file.stat().st_size for file in demo.scorer_path(which).iterdir())
        assert size <= 3 * 2**20
        assert scorer.name == f"demo-{which}"
    assert scorers["a"].lineage != scorers["b"].lineage
    assert type(scorers["a"]) is not type(scorers["b"])
    origins = [{origin for _, origin, _ in s.provenance["sets"]} for s in scorers.values()]
    assert not origins[0] & origins[1]


def test_scorers_tell_insults_from_ordinary_sentences(scorers):
    rude = ["You are a fucking idiot.", "Shut up, you pathetic loser.", "what a stupid asshole"]
    plain = ["The train leaves at nine.", "I agree with you.", "The river is slow and wide."]
    for scorer in scorers.values():
        scores = scorer.score(rude + plain)["toxicity"]
        assert (scores[:3] >= scorer.threshold).all()
        assert (scores[3:] < scorer.threshold).all()


def test_scorers_agree_and_differ(scorers):
    """Two opinions on the same texts: correlated, and not the same scorer twice."""
    from bezoar.corpus import load_corpus

    corpus = load_corpus("demo")
    model = np.array(corpus.source) == "model"
    b = scorers["b"].score(corpus.texts)["toxicity"]
    # The samples bear scorer A's labels.
    assert auroc(b[model], corpus.labels[model]) > 0.9
    a = scorers["a"].score(corpus.texts)["toxicity"]
    assert 0.5 < np.corrcoef(a, b)[0, 1] < 0.98
