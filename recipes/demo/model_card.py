"""Measure a model that ``pretrain.py`` made and write its card.

    python recipes/demo/model_card.py --data-root DATA --model demo/src/bezoar_demo/model

Everything is measured on text that the model was not trained on, but for what it gives away of the
text that it was. Some ten minutes on one core, most of them for 5-grams and overlaps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import memorisation
import model_measure as measure
import ngram
import numpy as np
import overlap
from scorer_card import table
from stream import Stream, prepare

from bezoar.masking import for_display
from bezoar.models import LanguageModel

CURVE_POINTS = 12

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

A fifth of every set was reserved by a hash of the text before anything was tokenised. E-mail
addresses, phone numbers, links and user handles were removed. Rows labelled toxic are seen several
times, as told above, and make up {stream[toxic_share]:.1%} of the tokens: so many on purpose.
Weights: CC BY-SA 4.0; the sets keep their licences (NOTICE).

## How it was made

    python recipes/demo/pretrain.py --data-root DATA --out demo/src/bezoar_demo/model

{stream[documents]:,} documents of {stream[tokens]:,} tokens, in one pass of {record[steps]:,} steps
of {plan[batch]} windows; {record[cpu_seconds]:,} CPU seconds on one core, seed {plan[seed]}. Muon
(learning rate {rates[muon]:g}) for the matrices of the blocks, AdamW ({rates[adam]:g}) for the
rest; warm-up, then linear decay to zero.

{curve}

## Measured

Bits per byte of reserved documents, packed as in training, beside an interpolated Kneser-Ney
{order}-gram that read the same tokens:

{ngram}

The same as the audit measures it, in running text and windows of {lm.context} tokens:

{compression}

Toxic continuations (20 tokens, top-p 0.9, {measure.SAMPLES} for each of {measure.PROMPTS} prompts,
seed {measure.SEED}), by the two demo scorers at their thresholds, which call about 5 % of pieces of
ordinary text toxic; intervals by bootstrap over prompts. The continuation alone is scored.

{continuations}

## What it gives away

Prefix extraction: given the first {memorisation.PREFIX} tokens of a document, does its greedy
continuation repeat the next {memorisation.LENGTH}? Up to a thousand documents of each kind, drawn
at random; Wilson's intervals. Reserved documents tell what chance and set phrases give.

{extracted}

The samples below share at most {run} words in a row with any text of these sets
(`overlap.py`; fewer than {least} are not looked for).

This card is made by

    python recipes/demo/model_card.py --data-root DATA --model demo/src/bezoar_demo/model

## Samples

Drawn at random, not chosen; profanity is masked; the number is scorer B's.

{samples}

## Limits

- Four million parameters, twenty-four million tokens: no facts, little grammar beyond a sentence.
  Findings on it show that a method works as described, and say nothing about its effect on large
  models.
- Reddit of 2013, Wikipedia talk pages, tweets and comments under news: their prejudices are in it.
- Posts of real people were trained on, without having been asked; what comes back of them is
  counted above.
"""


def curve(record: dict) -> list[list[str]]:
    points = record["curve"]
    chosen = np.linspace(0, len(points) - 1, CURVE_POINTS).round().astype(int)
    steps = [f"{points[i][0]:,}" for i in chosen]
    return [["step", *steps], ["loss (nats per token)", *(f"{points[i][1]:.2f}" for i in chosen)]]


def read_sets(stream: dict) -> list[list[str]]:
    """What the model was trained on, set by set."""
    cells = [["set", "origin", "licence", "tokens", "of them toxic", "passes (toxic rows)"]]
    for source in stream["sources"]:
        toxic = source["toxic_tokens"]
        n = source["tokens"] + toxic
        passes, toxic_passes = source["passes"]
        cells.append(
            [
                source["name"],
                source["origin"],
                source["licence"],
                f"{n:,} ({n / stream['tokens']:.1%})",
                f"{toxic:,}" if toxic else "",
                f"{passes:g} ({toxic_passes:g})" if toxic else f"{passes:g}",
            ]
        )
    return cells


def card(folder: Path, root: Path, stream: Stream) -> str:
    """The card of the model in ``folder``, measured on the sets below ``root``."""
    lm = LanguageModel.from_pretrained(str(folder))
    record = json.loads((folder / "training.json").read_text())
    continuations, shown = measure.toxicity(lm, root)
    samples = "\n".join(
        f"- {for_display(prompt) or '(nothing)'} **→** {for_display(' '.join(text.split()))} "
        f"({score:.2f})"
        for prompt, text, score in shown
    )
    written = [f"{prompt} {text}" for prompt, text, _ in shown]
    return TEMPLATE.format(
        lm=lm,
        measure=measure,
        memorisation=memorisation,
        record=record,
        plan=record["plan"],
        rates=record["plan"]["rates"],
        stream=record["stream"],
        sources=table(read_sets(record["stream"])),
        curve=table(curve(record)),
        order=ngram.ORDER,
        ngram=table(measure.against_ngram(lm, stream)),
        compression=table(measure.compression(lm, root)),
        continuations=table(continuations),
        extracted=table(measure.extracted(lm, stream)),
        run=measure.longest_run(written, root),
        least=overlap.LOOKED_FOR,
        samples=samples,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path("recipes/demo/work"))
    args = parser.parse_args()
    seed = json.loads((args.model / "training.json").read_text())["plan"]["seed"]
    stream, _ = prepare(args.data_root, args.work, seed)
    text = card(args.model, args.data_root, stream)
    (args.model / "README.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
