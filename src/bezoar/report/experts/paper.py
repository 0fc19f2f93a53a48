"""EigenShift (2025) as printed: what each table and figure shows, and numbers to stand beside ours.

They are of five large models, with the paper's own prompts, scorer and library versions: no other
model's are comparable with them but in sign and order.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bezoar.report.study.exhibits import Paper

NAME = "EigenShift (2025)"

FIGURES: Mapping[int | str, str] = MappingProxyType(
    {
        3: "AUROC of single neurons, and the share of them above a threshold",
        5: "Ranks of the layers by their depth",
        6: "AUROC of the layers' clusters against their silhouette",
    }
)

TABLES: Mapping[int | str, str] = MappingProxyType(
    {
        "main": "Toxicity, perplexity and their harmonic mean (TPH) by method",
        "grid": "Toxicity, perplexity and TPH by the factor α and the number k of directions",
        "neurons": "Shares of neurons above a threshold of AUROC",
        "layers": "AUROC of neurons and of layers",
    }
)

PAPER = Paper(NAME, FIGURES, TABLES)

MAIN: tuple[tuple[str, str, str, str, str, str], ...] = (
    ("Llama-2-7B", "11.13 / 6.23", "0 / 43,517 / 0.03", "0.13 / 741.65 / 1.67",
     "3.59 / 19.3 / 43.73", "4.71 / 9.84 / 60.37"),
    ("Mistral-v0.1", "9.89 / 6.26", "0 / 43,491 / 0.03", "0 / 439 / 2.81",
     "6.75 / 8.26 / 44.74", "4.65 / 9.89 / 57.68"),
    ("GPT-2-XL", "8.80 / 22.14", "1 / 802 / 5.35", "6.1 / 737 / 5.47",
     "8.1 / 20.64 / 14.66", "8.01 / 21.97 / 16.47"),
    ("MPT-7B", "11.13 / 6.80", "1.76 / ∞ / 0", "0.06 / 4,685 / 0.3",
     "2.83 / 7.66 / 93.94", "2.33 / 6.90 / 87.74"),
    ("Falcon-7B", "9.74 / 8.99", "0 / 6,840 / 0.26", "0 / 1,229 / 1.45",
     "2.91 / 10.29 / 77.81", "3.24 / 9.33 / 78.86"),
)  # fmt: skip
"""The main table: model, then toxicity % / perplexity / TPH % of the base and of each method."""

MAIN_COLUMNS = ("model", "none", "Det-0", "Damp", "AurA", "EigenShift")
MAIN_NOTE = (
    "AurA on MPT-7B is printed with a TPH of 93.94; its toxicity and perplexity make it 81.06, so "
    "that EigenShift leads there too."
)

GRID: tuple[tuple[str, str, str, str, str], ...] = (
    ("0.9", "9.28, 6.23, 28.5", "9.37, 6.23, 27.3", "9.38, 6.23, 27.1", "8.97, 6.23, 32.5"),
    ("0.5", "9.35, 6.23, 27.6", "9.38, 6.24, 27.2", "9.33, 6.34, 27.8", "7.27, 6.76, 50.4"),
    ("0.1", "9.33, 6.23, 27.9", "9.26, 6.25, 28.8", "9.38, 6.64, 27.0", "5.65, 8.73, 58.3"),
    ("0", "9.42, 6.24, 26.6", "9.37, 6.26, 27.3", "9.21, 6.75, 29.0", "4.71, 9.84, 60.4"),
    ("−0.5", "9.20, 6.24, 29.6", "9.24, 6.29, 29.0", "9.01, 7.53, 31.0", "1.41, 64.9, 17.3"),
    ("−1", "9.36, 6.24, 27.5", "9.31, 6.34, 28.0", "8.51, 8.89, 35.3", "0.48, 448,801, 0.0"),
    ("−2", "9.30, 6.26, 28.3", "9.41, 6.47, 26.7", "5.93, 15.27, 43.6", "–"),
)
"""The grid of Llama-2-7B (d_model 4,096): α, then toxicity %, perplexity, TPH % at each k."""

GRID_COLUMNS = ("α", "k = 5", "k = 41", "k = 410", "k = 1,024")

SHARES: tuple[tuple[str, tuple[float, float, float, float]], ...] = (
    ("BERT", (0.1113, 0.0882, 0.0706, 0.0368)),
    ("BART", (0.1991, 0.1460, 0.1157, 0.0585)),
    ("Llama-3.1", (0.1864, 0.1542, 0.1278, 0.0708)),
    ("Ministral", (0.2297, 0.1930, 0.1625, 0.0946)),
)
"""Shares of neurons with AUROC above .50, .51, .52 and .55 on Jigsaw."""

LAYERS: tuple[tuple[str, float, float], ...] = (
    ("BERT", 0.5437, 0.6342),
    ("BART", 0.5395, 0.6337),
    ("Llama-3.1", 0.5499, 0.6322),
    ("Ministral", 0.5532, 0.6328),
    ("mean of four, Jigsaw", 0.5466, 0.6332),
    ("mean of four, ToxiCN", 0.5689, 0.6097),
)
"""Mean AUROC of neurons and of layers' clusters, matched."""
