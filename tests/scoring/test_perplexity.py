from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from bezoar.errors import ConfigError, DataError
from bezoar.scoring import PerplexityProtocol, perplexity, plan_windows, relative_perplexity
from bezoar.scoring.likelihood import greedy_hits, token_nll
from tests.scoring.models import SENTENCES, TEXT, Shift, uniform_model

KINDS = ("ppl-windows-32", "ppl-windows-32-code", "ppl-sentences-32", "ppl-stride-32-16")


def hf_loss(lm, ids: list[int], ignore: int = 1) -> float:
    """Hugging Face's own mean loss over all tokens but the first ``ignore``."""
    row = torch.tensor([ids])
    labels = row.clone()
    labels[:, :ignore] = -100
    return lm.model(input_ids=row, labels=labels).loss.item()


def test_uniform_model_has_perplexity_v() -> None:
    lm = uniform_model()
    for kind in KINDS:
        texts = SENTENCES if "sentences" in kind else TEXT
        assert perplexity(lm, texts, kind).value == pytest.approx(lm.d_vocab, rel=1e-5)
    assert perplexity(lm, TEXT, "ppl-log-32").value == pytest.approx(math.log(lm.d_vocab))


def test_uniform_model_needs_log2_v_bits_a_token() -> None:
    lm = uniform_model()
    text = "zqxj" * 50  # one token a byte: none of it is in the tokenizer's words
    assert len(lm.encode([text])[0]) == len(text)
    assert perplexity(lm, text, "bpb-64").value == pytest.approx(math.log2(lm.d_vocab))


def test_token_nll_is_hugging_faces_loss(lm) -> None:
    rows = lm.encode(SENTENCES)
    for row, nll in zip(rows, token_nll(lm, rows), strict=True):
        assert len(nll) == len(row) - 1
        assert nll.mean() == pytest.approx(hf_loss(lm, row), abs=1e-5)


def test_windows_equal_a_loop_over_hugging_faces_loss(gpt2) -> None:
    ids = gpt2.encode([TEXT])[0]
    windows = [ids[i : i + 50] for i in range(0, len(ids), 50)]
    assert len(windows[-1]) < 50  # else the two modes could not differ
    sums = [hf_loss(gpt2, w) * (len(w) - 1) for w in windows]
    tokens = sum(len(w) - 1 for w in windows)
    correct = perplexity(gpt2, TEXT, "ppl-windows-50")
    assert correct.value == pytest.approx(math.exp(sum(sums) / tokens), rel=1e-5)
    assert correct.tokens == tokens
    weighted = sum(hf_loss(gpt2, w) * len(w) for w in windows) / len(ids)
    code = perplexity(gpt2, TEXT, "windows-50-code")
    assert code.value == pytest.approx(math.exp(weighted), rel=1e-5)
    assert code.value != correct.value


def test_stride_equals_hugging_faces_recipe(gpt2) -> None:
    ids = gpt2.encode([TEXT])[0]
    losses, previous = [], 0
    for begin in range(0, len(ids), 24):
        end = min(begin + 40, len(ids))
        losses.append(hf_loss(gpt2, ids[begin:end], ignore=max(previous - begin, 1)))
        previous = end
        if end == len(ids):
            break
    value = perplexity(gpt2, TEXT, "ppl-stride-40-24").value
    assert value == pytest.approx(math.exp(np.mean(losses)), rel=1e-5)


def test_protocols_coincide_for_equal_disjoint_windows(gpt2) -> None:
    ids = gpt2.encode([TEXT])[0]
    text = gpt2.decode(ids[: len(ids) // 32 * 32])
    assert len(gpt2.encode([text])[0]) % 32 == 0
    windows = perplexity(gpt2, text, "ppl-windows-32").value
    assert perplexity(gpt2, text, "ppl-stride-32-32").value == pytest.approx(windows, rel=1e-9)
    assert perplexity(gpt2, text, "ppl-windows-32-code").value == pytest.approx(windows, rel=1e-9)
    assert perplexity(gpt2, text, "ppl-log-32").value == pytest.approx(math.log(windows))


def test_jensen_mean_of_sentence_perplexities_is_the_larger(gpt2) -> None:
    value = perplexity(gpt2, SENTENCES, "ppl-sentences-64").value
    means = [nll.mean() for nll in token_nll(gpt2, gpt2.encode(SENTENCES))]
    assert value == pytest.approx(np.mean(np.exp(means)))
    assert value > math.exp(np.mean(means))


def test_window_is_cut_to_the_context_and_the_id_says_so(gpt2) -> None:
    assert perplexity(gpt2, TEXT, "ppl-windows-1024").protocol == f"ppl-windows-{gpt2.context}"
    plan = plan_windows(gpt2, TEXT, "ppl-stride-1024-512")
    assert plan.protocol.id == f"ppl-stride-{gpt2.context}-{gpt2.context // 2}"
    assert plan.ids[0][gpt2.context // 2 :] == plan.ids[1][: gpt2.context // 2]
    capped = [PerplexityProtocol.parse(f"stride-{w}").capped(256) for w in ("1024-512", "512-511")]
    assert [p.stride for p in capped] == [128, 255]


@pytest.mark.parametrize("text", [*KINDS, "ppl-log-7", "bpb-1024"])
def test_ids_round_trip(text: str) -> None:
    assert PerplexityProtocol.parse(text).id == text
    assert PerplexityProtocol.parse(text.removeprefix("ppl-")).id == text


@pytest.mark.parametrize(
    "text", ["", "windows", "ppl-windows-1", "stride-8-9", "stride-8-0", "log-8-4", "bpb-9-code"]
)
def test_what_is_no_protocol_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no perplexity protocol"):
        PerplexityProtocol.parse(text)


def test_text_without_a_prediction_is_refused(gpt2) -> None:
    for texts in ("", "a", [], ["a"]):
        with pytest.raises(DataError, match="no token to predict"):
            perplexity(gpt2, texts, "ppl-windows-16")
    with pytest.raises(DataError, match="no token to predict"):
        perplexity(gpt2, ["a", ""], "ppl-sentences-16")


def test_equal_models_differ_by_exactly_nothing(gpt2) -> None:
    a, b = (perplexity(gpt2, TEXT, "ppl-windows-32") for _ in range(2))
    ratio = relative_perplexity(a, b)
    assert (ratio.value, ratio.low, ratio.high) == (1.0, 1.0, 1.0)


def test_ratio_of_one_less_likely_token_is_known() -> None:
    """Taking the uniform model's token 5 away costs the others nothing but the normaliser."""
    lm = uniform_model()
    base = perplexity(lm, TEXT, "ppl-windows-32")
    with Shift([5], -math.inf).applied_to(lm):
        edited = perplexity(lm, TEXT, "ppl-windows-32")
    ratio = relative_perplexity(edited, base)
    assert ratio.value == pytest.approx((lm.d_vocab - 1) / lm.d_vocab, rel=1e-5)
    assert edited.impossible == 0
    assert base.interval(resamples=200).low == pytest.approx(base.value)


def test_an_impossible_token_is_counted_and_stays_finite(gpt2) -> None:
    token = gpt2.encode([TEXT])[0][1]
    with Shift([token], -math.inf).applied_to(gpt2):
        edited = perplexity(gpt2, TEXT, "ppl-windows-32")
    assert edited.impossible > 0
    assert math.isfinite(edited.value)
    assert edited.value > perplexity(gpt2, TEXT, "ppl-windows-32").value


def test_nan_logits_are_an_error(gpt2) -> None:
    with Shift([3], math.nan).applied_to(gpt2), pytest.raises(DataError, match="NaN"):
        perplexity(gpt2, TEXT, "ppl-windows-32")


def test_other_windows_are_not_compared(gpt2) -> None:
    a = perplexity(gpt2, TEXT, "ppl-windows-32")
    b = perplexity(gpt2, TEXT[: len(TEXT) // 2], "ppl-windows-32")
    with pytest.raises(DataError, match="cannot be compared"):
        relative_perplexity(a, b)


def test_greedy_hits_are_what_greedy_decoding_writes(gpt2) -> None:
    from bezoar.models import Decoding, generate

    prompt = gpt2.encode(SENTENCES)[0]
    written = list(generate(gpt2, SENTENCES[:1], Decoding(max_new_tokens=4)).tokens[0])
    hits = greedy_hits(gpt2, [prompt + written])[0]
    assert hits[len(prompt) - 1 :].all()
    other = [*written[:-1], (written[-1] + 1) % gpt2.d_vocab]
    assert not greedy_hits(gpt2, [prompt + other])[0][-1]
