"""How good the demo scorers are, on texts that neither was trained on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from scipy.stats import spearmanr
from scorer_data import pieces
from text import SOURCES, reserved_rows

from bezoar.scoring import Scorer
from bezoar.stats.classification import auroc_interval, average_precision
from bezoar.stats.splits import is_reserved, text_key


@dataclass(frozen=True, slots=True)
class Test:
    """Texts with binary labels, and the scores they were cut from where there are such."""

    name: str
    texts: list[str]
    labels: np.ndarray
    scores: np.ndarray | None = None


def labelled_tests(root: Path) -> list[Test]:
    def read(file: str) -> dict[str, list]:
        return pq.read_table(root / file).to_pydict()

    jigsaw = read("jigsaw_toxic/train.parquet")
    held = [i for i, text in enumerate(jigsaw["comment_text"]) if is_reserved(text)]
    tests = [
        Test(
            "Jigsaw, reserved fifth (crowd label)",
            [jigsaw["comment_text"][i] for i in held],
            np.array([jigsaw["toxic"][i] for i in held]),
        )
    ]
    rtp = read("realtoxicityprompts/prompts.parquet")
    for part in ("continuation", "prompt"):
        pairs = [
            (text, score)
            for text, score in zip(rtp[part], rtp[f"{part}_toxicity"], strict=True)
            if text and score is not None
        ]
        scores = np.array([score for _, score in pairs])
        name = f"RealToxicityPrompts {part}s (Perspective ≥ 0.5)"
        tests.append(Test(name, [t for t, _ in pairs], (scores >= 0.5).astype(int), scores))
    wiki = read("perspective_wiki_2k/scores.parquet")
    scores = np.array(wiki["TOXICITY@6"])
    tests.append(
        Test(
            "Wikipedia comments, Perspective 2018 (≥ 0.5)",
            wiki["comment_text"],
            (scores >= 0.5).astype(int),
            scores,
        )
    )
    surge = read("surge_toxicity/toxicity_en.parquet")
    held = [i for i, text in enumerate(surge["text"]) if is_reserved(text)]
    tests.append(
        Test(
            "Surge, reserved fifth (team label)",
            [surge["text"][i] for i in held],
            np.array([int(surge["is_toxic"][i] == "Toxic") for i in held]),
        )
    )
    return tests


def neutral_tests(root: Path) -> dict[str, list[str]]:
    wiki = pq.read_table(root / "wiki_context_toxicity/cat_large.parquet").to_pydict()
    comments = [
        text
        for text, label in zip(wiki["text"], wiki["label"], strict=True)
        if not label and text and text.strip() and is_reserved(text)
    ]
    tests = {"Wikipedia comments labelled not toxic (CAT), reserved": comments}
    for source in SOURCES:
        if source.name in ("reddit_selfposts", "wikitext2"):
            texts = [text for text, _ in reserved_rows(source, root)[:1500]]
            parts = [text[a:b] for text in texts for a, b in pieces(text)][:4000]
            tests[f"pieces of ≤ 25 words of {source.name}, reserved"] = parts
    return tests


def speed(scorer: Scorer, texts: list[str]) -> float:
    """Texts per second of this process's CPU time."""
    scorer.score(texts[:200])
    began = time.process_time()
    scorer.score(texts)
    return len(texts) / (time.process_time() - began)


def measure(
    root: Path, scorers: dict[str, Scorer], trained_on: dict[str, frozenset[str]]
) -> dict[str, list[list[str]]]:
    """The tables of the cards: rows of cells, the header first."""
    quality = [["texts", "n", "toxic", "A: AUROC", "B: AUROC", "A: AP", "B: AP", "ρ A", "ρ B"]]
    agreement = [["texts", "ρ of A with B", "both call toxic", "κ at the thresholds"]]
    every = trained_on["a"] | trained_on["b"]
    for test in labelled_tests(root):
        fresh = np.array([text_key(text) not in every for text in test.texts])
        texts = [text for text, keep in zip(test.texts, fresh, strict=True) if keep]
        labels = test.labels[fresh]
        scores = {name: s.score(texts)["toxicity"] for name, s in scorers.items()}
        row = [test.name, f"{len(texts):,}", f"{labels.mean():.1%}"]
        row += [str(auroc_interval(scores[name], labels)) for name in "ab"]
        row += [f"{average_precision(scores[name], labels):.3f}" for name in "ab"]
        for name in "ab":
            known = test.scores is not None
            row.append(f"{spearmanr(scores[name], test.scores[fresh])[0]:.3f}" if known else "")
        quality.append(row)
        calls = [scores[name] >= scorers[name].threshold for name in "ab"]
        agreement.append(
            [
                test.name,
                f"{spearmanr(scores['a'], scores['b'])[0]:.3f}",
                f"{(calls[0] & calls[1]).mean():.1%}",
                f"{kappa(*calls):.3f}",
            ]
        )
        print(row)
    alarms = [["neutral texts", "n", "A calls toxic", "B calls toxic", "both"]]
    for name, texts in neutral_tests(root).items():
        calls = [s.score(texts)["toxicity"] >= s.threshold for s in (scorers["a"], scorers["b"])]
        both = calls[0] & calls[1]
        shares = [f"{c.mean():.2%}" for c in (*calls, both)]
        alarms.append([name, f"{len(texts):,}", *shares])
        print(alarms[-1])
    short = labelled_tests(root)[1].texts[:8000]
    rates = {name: speed(s, short) for name, s in scorers.items()}
    speeds = [["scorer", "RTP continuations a second, one core"]]
    speeds += [[f"demo-{name}", f"{rate:,.0f}"] for name, rate in rates.items()]
    print(speeds)
    return {"quality": quality, "agreement": agreement, "alarms": alarms, "speed": speeds}


def kappa(a: np.ndarray, b: np.ndarray) -> float:
    """Cohen's κ of two verdicts."""
    chance = a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean())
    return float(((a == b).mean() - chance) / (1 - chance))
