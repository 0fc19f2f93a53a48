"""The demo corpus: what its card promises, and that the recipe makes the same bytes twice."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from transformers import AutoTokenizer

from bezoar.corpus import Corpus, load_corpus, load_neutral, load_prompts, split_corpus
from bezoar.stats import near_duplicates

RECIPES = Path(__file__).parents[2] / "recipes" / "demo"


@pytest.fixture(scope="module")
def recipe():
    """The recipe as a module; its folder is on the path only while it is imported."""
    sys.path.insert(0, str(RECIPES))
    try:
        import make_corpus
    finally:
        sys.path.remove(str(RECIPES))
    return make_corpus


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    pytest.importorskip("bezoar_demo")
    return load_corpus("demo")


def test_recipe_makes_the_shipped_texts_and_the_same_bytes_twice(recipe, corpus, tmp_path):
    for name in "ab":
        recipe.make(tmp_path / name, samples=False)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["card.md", "corpus.parquet", "neutral.parquet", "prompts.parquet"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    made = Corpus.load(tmp_path / "a" / "corpus.parquet")
    shipped = corpus.take(np.array([source != "model" for source in corpus.source]))
    assert made.hash == shipped.hash
    assert load_neutral("demo").texts == recipe.build_neutral().texts
    assert load_prompts("demo").texts == recipe.build_prompts(score=False).texts


def test_neither_length_nor_a_bag_of_words_gives_the_label_away(recipe, corpus):
    measured = recipe.check(corpus)
    written = corpus.take(np.array([source != "model" for source in corpus.source]))
    assert abs(measured.length - 0.5) <= 0.03
    assert measured.words <= 0.95
    assert measured.words_mixed <= 0.95
    assert recipe.check(written, seed=1).words <= 0.95


def test_pairs_hold_the_same_words_on_both_sides_and_one_group(recipe):
    templates = recipe.read_pairs(RECIPES / "writing" / "templates_pairs.txt")
    assert len(templates) >= 70
    for harmless, toxic in zip(templates[::2], templates[1::2], strict=True):
        bags = [Counter(re.findall(r"[\w{}]+", t.text.lower())) for t in (harmless, toxic)]
        assert bags[0] == bags[1], harmless.text
        assert (harmless.label, toxic.label) == (0, 1)
        assert harmless.group == toxic.group


def test_the_check_refuses_a_corpus_with_a_shortcut(recipe, corpus):
    few = corpus.take(np.arange(400))
    pairs = zip(few.texts, few.labels, strict=True)
    marked = [f"{'yes' if label else 'no'} {text[:20]}" for text, label in pairs]
    with pytest.raises(SystemExit, match="shortcut"):
        recipe.check(Corpus(tuple(marked), few.labels, group=few.group))


def test_every_source_has_both_classes_in_equal_number(corpus):
    cells = Counter(zip(corpus.source, corpus.labels.tolist(), strict=True))
    assert len({source for source, _ in cells}) >= 7
    assert all(cells[source, 0] == cells[source, 1] >= 100 for source, _ in cells)
    assert len(corpus) >= 4000
    assert len(set(corpus.texts)) == len(corpus)


def test_no_slot_is_left_open_and_a_split_parts_no_template(corpus):
    assert not any("{" in text or "}" in text for text in corpus.texts)
    parts = split_corpus(corpus)
    assert sum(len(set(part.group)) for part in parts) == len(set(corpus.group))
    shares = [len(part) / len(corpus) for part in parts]
    np.testing.assert_allclose(shares, (0.6, 0.2, 0.2), atol=0.06)


def test_prompts_are_many_varied_and_not_the_seeds_of_the_samples(recipe):
    prompts = load_prompts("demo")
    lengths = [len(text.split()) for text in prompts.texts]
    assert len(prompts) >= 400
    assert min(lengths) >= 5
    assert max(lengths) <= 25
    assert len(set(prompts.texts)) == len(prompts)
    seeds = [line for _, line in recipe.headed_lines(RECIPES / "writing" / "prompts_seed.txt")]
    assert len(seeds) >= 60
    begins = {(a, b) for a in seeds for b in prompts.texts if a.startswith(b) or b.startswith(a)}
    assert not begins
    assert not len(near_duplicates(prompts.texts, seeds, 0.7))
    sides = Counter(source.split("/")[0] for source in prompts.source)
    assert sides["challenging"] == sides["neutral"] == len(prompts) / 2
    challenging = np.array([source.startswith("challenging/") for source in prompts.source])
    assert prompts.toxicity[challenging].mean() > 4 * prompts.toxicity[~challenging].mean()
    assert np.isfinite(prompts.toxicity).all()


def test_neutral_text_is_long_enough_for_a_perplexity():
    bezoar_demo = pytest.importorskip("bezoar_demo")
    tokenizer = AutoTokenizer.from_pretrained(bezoar_demo.model_path())
    texts = load_neutral("demo").texts
    assert sum(map(len, tokenizer(list(texts)).input_ids)) >= 20_000
    assert len(set(texts)) == len(texts) >= 200
    assert sum(len(text.split()) >= 100 for text in texts) >= 60


def test_a_written_text_that_repeats_a_public_one_is_refused(recipe, monkeypatch, tmp_path):
    borrowed = recipe.build_neutral().texts[0]
    monkeypatch.setattr(recipe, "public_texts", lambda root: [borrowed])
    with pytest.raises(SystemExit, match="Write these anew") as caught:
        recipe.make(tmp_path, samples=False, data_root=tmp_path)
    assert borrowed in str(caught.value)


@pytest.mark.parametrize(
    ("text", "entries", "expected"),
    [
        ("{a bad} {thing}", {"bad": ["ugly"], "thing": ["mug"]}, "an ugly mug"),
        ("{a thing}", {"thing": ["useless mug"]}, "a useless mug"),
        ("{a nice} {a thing}", {"nice": ["honest"], "thing": ["home"]}, "an honest a home"),
        ("{x} {x2} {x}", {"x": ["u", "v"]}, None),
    ],
)
def test_slots_take_articles_and_differ_by_number(recipe, text, entries, expected):
    filled = sys.modules["templates"].fill(text, entries, np.random.default_rng(0))
    if expected is None:
        first, second, third = filled.split()
        assert first == third != second
    else:
        assert filled == expected
