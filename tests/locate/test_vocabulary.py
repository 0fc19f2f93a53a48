"""What directions say, and whether it is the corpus's own words."""

from __future__ import annotations

import io

import pytest
import torch
from rich.console import Console

from bezoar.errors import ConfigError, DataError
from bezoar.locate import (
    TokenList,
    TokenScore,
    class_lexicon,
    lexicon_share,
    promoted_tokens,
    rank_values,
)
from tests.families import tiny_model
from tests.locate.kit import corpus, direction


def test_scores_are_the_unembeddings_product(lm):
    w = direction(lm)
    found = promoted_tokens(lm, w, 7)
    scores = lm.W_U.detach() @ w.vector
    top, low = scores.topk(7), (-scores).topk(7)
    assert [t.id for t in found.promoted] == top.indices.tolist()
    assert [t.id for t in found.suppressed] == low.indices.tolist()
    assert [t.score for t in found.suppressed] == pytest.approx((-low.values).tolist(), abs=1e-6)
    assert [t.token for t in found.promoted] == lm.token_strings(top.indices.tolist())


def test_folded_scores_are_the_derivative_of_the_logits(lm):
    """Up to a positive factor, and a part along the residual, which the norm divides out."""
    torch.manual_seed(0)
    x = 3 * torch.randn(lm.d_model)
    v = torch.randn(lm.d_model)
    v -= (v @ x) / (x @ x) * x
    if not torch.allclose(lm.final_norm(x), lm.final_norm(x + 1)):
        centred = v
    else:  # LayerNorm divides by the spread about the mean
        c = x - x.mean()
        centred = v - (v - v.mean()) @ c / (c @ c) * c
    with torch.no_grad():
        slope = (
            lm.unembed(lm.final_norm(x + 1e-3 * centred))
            - lm.unembed(lm.final_norm(x - 1e-3 * centred))
        ) / 2e-3
    found = promoted_tokens(lm, centred, lm.d_vocab, fold_norm=True)
    scores = torch.tensor([t.score for t in sorted(found.promoted, key=lambda t: t.id)])
    assert float(torch.corrcoef(torch.stack([scores, slope]))[0, 1]) > 0.999


def test_wrong_requests(gpt2):
    with pytest.raises(ConfigError, match="k=0"):
        promoted_tokens(gpt2, direction(gpt2), 0)
    with pytest.raises(DataError, match="width 5"):
        promoted_tokens(gpt2, torch.ones(5))


def test_the_lexicon_finds_the_planted_words(gpt2):
    lexicon = class_lexicon(gpt2, corpus(300, 0), 10)
    assert {t.token for t in lexicon.tokens[:2]} == {" fool", " idiot"}
    assert lexicon.tokens[1].score > 3 * lexicon.tokens[2].score
    assert all(t.score > 0 for t in lexicon.tokens)
    one_class = corpus(20, 0).take(range(0, 20, 2))
    with pytest.raises(DataError, match="0 positive"):
        class_lexicon(gpt2, one_class)


def test_repeating_a_word_in_one_text_does_not_make_it_telling(gpt2):
    base = corpus(200, 1)
    texts = (*base.texts[:1], base.texts[1] + " tree" * 60, *base.texts[2:])
    loud = type(base)(texts, base.labels)
    plain = {t.id: t.score for t in class_lexicon(gpt2, base, 400).tokens}
    tree = next((t for t in class_lexicon(gpt2, loud, 400).tokens if t.token == " tree"), None)
    assert tree is None or tree.score < plain.get(tree.id, 0.0) + 1


def test_a_planted_neuron_is_told_from_random_ones():
    lm = tiny_model("gpt2")
    lexicon = class_lexicon(lm, corpus(300, 0), 2)
    telling = lm.W_U.detach()[lexicon.tokens[0].id]
    w = direction(lm)
    with torch.no_grad():
        for i in range(8):  # near w, and promoting a telling token
            lm.values(i % 3)[i] = 7 * w.vector + 9 * telling / telling.norm()
    found = lexicon_share(lm, rank_values(lm, w, 8), lexicon, vectors=8, k=1)
    assert found.share == pytest.approx(1)
    assert found.p < 0.01
    assert found.null_high < 0.3
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == (1, 1)  # every vector promotes it


def test_unplanted_neurons_are_not(gpt2):
    lexicon = class_lexicon(gpt2, corpus(300, 0), 2)
    found = lexicon_share(gpt2, rank_values(gpt2, direction(gpt2), 16), lexicon)
    assert found.p > 0.05
    assert found.interval is not None
    assert found.interval.low <= found.share <= found.interval.high


def test_a_printed_list_masks_words_and_escapes_markup():
    tokens = (TokenScore(1, " fucking", 2.0), TokenScore(2, "[bold]x[/bold]", 1.0))
    out = io.StringIO()
    Console(file=out, width=100).print(TokenList("v", tokens, tokens))
    assert "fucking" not in out.getvalue()
    assert "[bold]x[/bold]" in out.getvalue()
