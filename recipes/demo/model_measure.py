"""What the demo model's card says, measured on text that it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import ngram
import numpy as np
import pretrain
from memorisation import LENGTH, LONG, extraction
from overlap import public_texts, shared_runs
from stream import Stream, windows
from text import SOURCES, reserved_rows

from bezoar.corpus import load_neutral, load_prompts
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.scoring import load_scorer, perplexity
from bezoar.stats.bootstrap import mean_interval

PROMPTS, SAMPLES, SEED = 300, 5, 0
SHOWN = 8
REDDIT_TEXTS = 400
NAMES = {
    "wikitext2": "WikiText-2, reserved",
    "reddit_selfposts": "Reddit posts, reserved",
    "jigsaw": "Wikipedia comments (Jigsaw), reserved",
}

Cells = list[list[str]]


def against_ngram(lm: LanguageModel, stream: Stream) -> Cells:
    """Bits per byte of the reserved windows, by the model and by a 5-gram of the same tokens."""
    counted = ngram.KneserNey(stream.tokens, len(stream.token_bytes))
    cells = [["reserved text", "windows", "this model", f"{ngram.ORDER}-gram (Kneser-Ney)"]]
    for name, tokens in stream.reserves.items():
        n = windows(tokens)
        ours = pretrain.bits_per_byte(lm.model, stream, name, n)
        theirs = ngram.bits_per_byte(counted, tokens, stream.token_bytes)
        cells.append([NAMES[name], f"{n:,}", f"{ours:.3f}", f"{theirs:.3f}"])
    return cells


def compression(lm: LanguageModel, root: Path) -> Cells:
    """Bits per byte as the audit measures them, over windows of the model's whole context."""
    neutral = load_neutral("wikitext:wikitext2/valid.parquet", data_root=root)
    texts = {"WikiText-2 validation (tokenised form)": [t for t in neutral.texts if t.strip()]}
    for source in SOURCES:
        if source.name in ("reddit_selfposts", "jigsaw"):
            rows = [text for text, _ in reserved_rows(source, root)[:REDDIT_TEXTS]]
            texts[NAMES[source.name]] = rows
    cells = [["text", "bytes", "bits per byte", "perplexity per token"]]
    for name, rows in texts.items():
        # Texts are joined by blank lines, as they are measured everywhere else.
        joined = "\n\n".join(rows)
        bits = perplexity(lm, joined, "bpb-1024")
        nats = sum(bits.nll) / bits.tokens
        size = f"{len(joined.encode()):,}"
        cells.append([name, size, f"{bits.value:.3f}", f"{math.exp(nats):.1f}"])
    return cells


def toxicity(lm: LanguageModel, root: Path) -> tuple[Cells, list[tuple[str, str, float]]]:
    """Share of continuations that each scorer calls toxic, by kind of prompt; and some of them."""
    scorers = {name: load_scorer(f"demo-{name}") for name in "ab"}
    prompts = {
        "none (beginning of text)": [""] * PROMPTS,
        "RealToxicityPrompts, challenging": load_prompts(
            "rtp-challenging:realtoxicityprompts", data_root=root, limit=PROMPTS
        ).texts,
        "RealToxicityPrompts, not toxic": load_prompts(
            "rtp-nontoxic:realtoxicityprompts", data_root=root, limit=PROMPTS
        ).texts,
        "of the demo corpus": load_prompts("demo", limit=PROMPTS).texts,
    }
    cells = [["prompts", "continuations", "A calls toxic", "B calls toxic", "both"]]
    shown: list[tuple[str, str, float]] = []
    for name, texts in prompts.items():
        # Streams belong to prompts, so without one the samples have to differ instead.
        same = len(set(texts)) == 1
        samples = PROMPTS * SAMPLES if same else SAMPLES
        asked = texts[:1] if same else texts
        decoding = Decoding(max_new_tokens=20, sample=True, top_p=0.9, samples=samples, seed=SEED)
        made = generate(lm, asked, decoding)
        scores = {key: scorer.score(made.text)["toxicity"] for key, scorer in scorers.items()}
        calls = [scores[key] >= scorers[key].threshold for key in "ab"]
        groups = list(range(samples)) if same else list(made.prompt_index)
        shares = [share(call, groups) for call in (*calls, calls[0] & calls[1])]
        cells.append([name, f"{len(made):,}", *shares])
        if same or "demo" in name:  # prompts of a public set are not for us to print
            picked = np.random.default_rng(SEED).permutation(len(made))[:SHOWN]
            shown += [(asked[made.prompt_index[i]], made.text[i], scores["b"][i]) for i in picked]
    return cells, shown


def share(calls: np.ndarray, groups: Sequence[int]) -> str:
    """A share with its interval by bootstrap over prompts."""
    found = mean_interval(calls.astype(float), groups, resamples=2000, seed=SEED)
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def extracted(lm: LanguageModel, stream: Stream) -> Cells:
    """Prefix extraction: how often the model goes on as a document does."""
    head = [f"≥ {n} of {LENGTH} tokens" for n in (LONG, LENGTH)]
    cells = [["documents", "tried", "tokens right, mean", *head]]
    for found in extraction(lm.model, stream.tokens, stream.reserves.values()):
        shares = [
            "{:.2%} [{:.2%}, {:.2%}]".format(*found.share(tokens)) for tokens in (LONG, LENGTH)
        ]
        cells.append([found.group, f"{len(found.run):,}", f"{found.run.mean():.2f}", *shares])
    return cells


def longest_run(samples: Sequence[str], root: Path) -> int:
    """Words in a row that any of the samples shares with a public text that was learnt from."""
    return max(length for length, _ in shared_runs(samples, public_texts(root)))
