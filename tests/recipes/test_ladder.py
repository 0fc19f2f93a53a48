"""The ladder's page and figures say what the numbers say, and nothing of a masked twin's words."""

from __future__ import annotations

import copy

import pytest
from recipes.ladder.figures import FIGURES, compression, layers, title, toxicity
from recipes.ladder.page import page


def interval(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.01, "high": value + 0.01}


def rung(parameters: int, bits: float, *, decoder: bool = True) -> dict:
    sites = ["embed", *(f"{layer}.resid_post" for layer in range(6))]
    return {
        "size": "0.5",
        "decoder": decoder,
        "parameters": parameters,
        "width": 48,
        "layers": 6,
        "tokens": 24_000_000,
        "cpu_seconds": 2000,
        "loss": [[4096, 9.0], [8192, 5.0]],
        "reserve": [
            {"tokens": n, "bits": {"wikitext2": bits + extra, "reddit_selfposts": bits + extra}}
            for n, extra in ((12_000_000, 0.5), (24_000_000, 0.0))
        ],
        "probes": {
            "train": 2400,
            "test": 1200,
            "sites": [
                {"site": site, "auroc": interval(0.80 + n / 100), "null": 0.55}
                for n, site in enumerate(sites)
            ],
            "best": "4.resid_post",
            "rivals": {"bag of words": interval(0.91), "untrained twin": interval(0.7)},
            "over_words": interval(-0.06),
        },
        "toxic": {k: interval(0.1) for k in ("demo-a", "demo-b", "both")} if decoder else None,
    }


@pytest.fixture
def numbers() -> dict:
    rungs = [rung(575_000, 1.9), rung(4_290_000, 1.5), rung(4_340_000, 3.0, decoder=False)]
    return {"ngram": {"wikitext2": 1.63, "reddit_selfposts": 1.84}, "rungs": rungs}


def test_rungs_are_named_by_what_they_have(numbers):
    assert [title(found) for found in numbers["rungs"]] == ["0.6 M", "4.3 M", "4.3 M, masked"]


def test_page_gives_the_last_measurement_and_leaves_the_twin_out_where_it_has_none(numbers):
    text = page(numbers)
    assert "| 4.3 M | 1.500 | 1.500 |" in text
    assert "| 5-gram (Kneser-Ney) | 1.630 | 1.840 |" in text
    assert "0.850 [0.840, 0.860] (4.resid_post)" in text
    decoders, _, twin = text.partition("bits per hidden token")
    assert "3.000" not in decoders  # bits of a hidden token are not bits per byte
    assert "| 4.3 M, masked | 3.000 | 3.000 |" in twin
    assert "| 4.3 M, masked | masked twin (BERT) | 4,340,000 |" in text


def test_figures_draw_every_number(numbers):
    curves = [t for t in compression(numbers).data if t.name]
    assert len(curves) == 2 * 2
    assert list(curves[0].y) == [2.4, 1.9]
    shown = layers(numbers).data
    assert [trace.name for trace in shown] == ["0.6 M", "4.3 M", "4.3 M, masked"]
    assert list(shown[0].y) == pytest.approx([0.80 + n / 100 for n in range(7)])
    assert all(len(trace.x) == 2 for trace in toxicity(numbers).data)


def test_a_page_of_other_numbers_is_another_page(numbers):
    other = copy.deepcopy(numbers)
    other["rungs"][0]["probes"]["rivals"]["bag of words"] = interval(0.5)
    assert page(other) != page(numbers)
    assert len(FIGURES) == 3
