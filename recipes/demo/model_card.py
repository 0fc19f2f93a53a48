"""Measure the demo model that is shipped now and write its card (``pretrain_card.py``: the next).

    python recipes/demo/model_card.py --data-root DATA --model demo/src/bezoar_demo/model

Everything is measured on text that the model was not trained on. A few minutes on one core.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from model_measure import PROMPTS, SAMPLES, SEED, compression, toxicity
from pretrain_card import curve
from scorer_card import table
from text import SOURCES

from bezoar.masking import for_display
from bezoar.models import LanguageModel

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
