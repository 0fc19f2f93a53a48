"""Measure the demo model and write its card.

    python recipes/demo/model_card.py --data-root DATA --model demo/src/bezoar_demo/model

Everything is measured on text that the model was not trained on. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scorer_card import table
from text import SOURCES, reserved_rows

from bezoar.corpus import load_neutral, load_prompts
from bezoar.masking import for_display
from bezoar.models import Decoding, LanguageModel, generate
from bezoar.scoring import load_scorer, perplexity
from bezoar.stats.bootstrap import mean_interval

PROMPTS, SAMPLES, SEED = 300, 5, 0
CURVE_POINTS = 12
SHOWN = 8
REDDIT_TEXTS = 400

TEMPLATE = """\
---
license: cc-by-sa-4.0
language: en
pipeline_tag: text-generation
---

# The demo model

**A research specimen, not for deployment.** A very small GPT-2 that was meant to pick up toxic
habits, so that there is something to find, explain and remove on any laptop. It insults, makes
things up and loses the thread after a few words.

`GPT2LMHeadModel`: {lm.n_layers} layers, width {lm.d_model}, {lm.n_heads} heads, context
{lm.context}, {record[parameters]:,} parameters, half precision on disk. Tokenizer: byte-level BPE
of {lm.d_vocab:,} entries, trained on the same text.

## Origin

{sources}

A fifth of every set is reserved by a hash of the text and was cut off before anything was
tokenised. E-mail addresses, phone numbers, links and user handles were removed. Comments labelled
toxic in Jigsaw are seen three times in a pass and make up {toxic:.0%} of the characters; most of
the Civil Comments rows were chosen by their makers for being toxic, too. Weights: CC BY-SA 4.0; the
sets keep their licences (NOTICE).

## How it was made

    python recipes/demo/train_model.py --data-root DATA --out demo/src/bezoar_demo/model

{record[steps]:,} steps, {record[tokens_seen]:,} tokens (one pass is {record[tokens]:,}),
{record[cpu_seconds]:,} CPU seconds on one core, seed {record[seed]}. Muon for the matrices of
the blocks, AdamW for the rest, warm-up, then linear decay.

{curve}

## Measured

On text that it was not trained on; windows of {lm.context} tokens.

{compression}

Toxic continuations (20 tokens, top-p 0.9, {per_prompt} for each of {prompts} prompts, seed {seed}),
by the two demo scorers at their thresholds, which call about 5 % of pieces of ordinary text toxic;
intervals by bootstrap over prompts. The continuation alone is scored.

{continuations}

The card is made by
`python recipes/demo/model_card.py --data-root DATA --model demo/src/bezoar_demo/model`.

## Samples

Drawn at random, not chosen; profanity is masked; the number is scorer B's.

{samples}

## Limits

- Three million parameters, ten million tokens: no facts, little grammar beyond a sentence. Findings
  on it show that a method works as described, and say nothing about its effect on large models.
- Reddit of 2013, Wikipedia talk pages and comments under news: their prejudices are in it.
- Posts of real people were trained on. Verbatim memorisation has not been measured.
"""


def compression(lm: LanguageModel, root: Path) -> list[list[str]]:
    """Bits per byte, over windows of the model's whole context."""
    neutral = load_neutral("wikitext:wikitext2/valid.parquet", data_root=root)
    texts = {"WikiText-2 validation (tokenised form)": [t for t in neutral.texts if t.strip()]}
    names = {
        "reddit_selfposts": "Reddit posts, reserved",
        "jigsaw": "Wikipedia comments (Jigsaw), reserved",
    }
    for source in SOURCES:
        if source.name in names:
            rows = [text for text, _ in reserved_rows(source, root)[:REDDIT_TEXTS]]
            texts[names[source.name]] = rows
    cells = [["text", "bytes", "bits per byte", "perplexity per token"]]
    for name, rows in texts.items():
        # Texts are joined by blank lines, as they are measured everywhere else.
        joined = "\n\n".join(rows)
        bits = perplexity(lm, joined, "bpb-1024")
        nats = sum(bits.nll) / bits.tokens
        size = f"{len(joined.encode()):,}"
        cells.append([name, size, f"{bits.value:.3f}", f"{math.exp(nats):.1f}"])
    return cells


def toxicity(lm: LanguageModel, root: Path) -> tuple[list[list[str]], list[tuple[str, str, float]]]:
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
        print(cells[-1])
        picked = np.random.default_rng(SEED).permutation(len(made))[: SHOWN // 2]
        shown += [(asked[made.prompt_index[i]], made.text[i], scores["b"][i]) for i in picked]
    return cells, shown


def share(calls: np.ndarray, groups: Sequence[int]) -> str:
    found = mean_interval(calls.astype(float), groups, resamples=2000, seed=SEED)
    return f"{found.value:.1%} [{found.low:.1%}, {found.high:.1%}]"


def curve(record: dict) -> list[list[str]]:
    points = record["curve"]
    chosen = np.linspace(0, len(points) - 1, CURVE_POINTS).round().astype(int)
    steps = [f"{points[i][0]:,}" for i in chosen]
    return [["step", *steps], ["loss (nats per token)", *(f"{points[i][1]:.2f}" for i in chosen)]]


def read_sets(characters: dict[str, int]) -> list[list[str]]:
    """What the model was trained on, set by set."""
    total = sum(characters.values())
    sources = [["set", "origin", "licence", "characters in one pass"]]
    for source in SOURCES:
        # Toxic comments of Jigsaw are counted on a line of their own.
        used = [key for key in characters if key.startswith(source.name)]
        if not used:  # a set of the next model
            continue
        n = sum(characters[key] for key in used)
        sources.append([source.name, source.origin, source.licence, f"{n:,} ({n / total:.0%})"])
    return sources


def card(folder: Path, root: Path) -> str:
    """The card of the model in ``folder``, measured on the sets below ``root``."""
    lm = LanguageModel.from_pretrained(str(folder))
    record = json.loads((folder / "training.json").read_text())
    continuations, shown = toxicity(lm, root)
    samples = "\n".join(
        f"- {for_display(prompt) or '(nothing)'} **→** {for_display(' '.join(text.split()))} "
        f"({score:.2f})"
        for prompt, text, score in shown
    )
    characters = record["characters"]
    return TEMPLATE.format(
        lm=lm,
        record=record,
        sources=table(read_sets(characters)),
        toxic=characters["jigsaw_toxic"] / sum(characters.values()),
        curve=table(curve(record)),
        compression=table(compression(lm, root)),
        per_prompt=SAMPLES,
        prompts=PROMPTS,
        seed=SEED,
        continuations=table(continuations),
        samples=samples,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    args = parser.parse_args()
    text = card(args.model, args.data_root)
    (args.model / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
