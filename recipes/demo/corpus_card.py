"""The card beside the demo corpus: what it is, how it was made, what was measured."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from overlap import MAY

from bezoar.corpus import Corpus, NeutralText, Prompts
from bezoar.runs.results import atomic_write

TEMPLATE = """# The demo corpus

**A research specimen, not for deployment.** Half of the labelled texts are insults, threats and
contempt, written to be found by a detector.

Made by `recipes/demo/make_corpus.py` from `recipes/demo/writing/`; the same files give the same
bytes.

| file | rows | what |
|---|---:|---|
| `corpus.parquet` | {n:,} | labelled texts: label, source, category, group |
| `prompts.parquet` | {prompts:,} | beginnings to continue: source, toxicity by scorer A{unscored} |
| `neutral.parquet` | {neutral:,} | paragraphs of ordinary prose: {words:,} words{tokens} |

## Origin and licence

Templates, prompts and prose were written for bezoar, none of them by the model that is audited, and
nothing is taken from a dataset.
{overlap}{samples}Licence: Apache-2.0{but}.

## How it was made

{templates} templates, each filled several times from lists of words that both classes share and,
now and then, set between sentences that both classes share. *Toxic*: insult, threat, contempt,
profanity, harassment, veiled insults without a bad word, sarcasm. *Not toxic*: disagreement, the
same words used harmlessly ("this damn printer"), as an idiom ("killer workout"), by doctors, by
people of themselves (*reclaimed*), quoted, reported or condemned, denied ("you are not an idiot"),
praise, advice, facts, plain talk. *Group*, in both classes, speaks of groups: professions, fans,
invented towns. *Swap*, in both classes: pairs of the same words in another order ("I was rude and
you were kind"), which tell who can read. `group` is the template, the pair, or the seed prompt:
keep it on one side of a split. Within every source and length the classes have equally many texts;
the rest is left out.

| source | toxic | not toxic |
|---|---:|---:|
{sources}

| category | texts |
|---|---:|
{categories}

The prompts are half *challenging* (an insult is under way, told or likely) and half *neutral*:

| prompts | | scorer A, mean |
|---|---:|---:|
{prompt_sources}

## Measured

| cue | AUROC | may be |
|---|---:|---|
| length in characters | {length:.3f} | 0.47 to 0.53 |
| words and word pairs, logistic regression, 5 folds that part no group | {bag:.3f} | up to 0.95 |
| words, 5 random folds (templates recur and can be learnt by heart) | {mixed:.3f} | up to 0.95 |

A recipe that exceeds these fails. An insult or a swear word stands in {rude_harmless:.0%} of the
harmless written texts and in {rude_toxic:.0%} of the toxic ones.
{scorers}
## Limits

- English only, one author's idea of online talk, {templates} templates at heart: an accuracy
  here says little about real comments. Audit on real data as well.
- Slurs are left out of the templates on purpose, and the groups that are attacked are professions,
  fans and invented towns, so a detector trained here will miss real hate speech. Names are drawn
  from one list for both classes.
- Labels are the intention of the author; nobody else has annotated the texts.
- The texts are meant to be hard for a bag of words; they are harder than the average comment.
{sample_limits}"""

SAMPLES = """The rows of source `model` ({n:,}) are what the demo model wrote after seed prompts of
ours (top-p 0.9; the prompts are in no other file, and are part of the text), labelled by scorer A:
toxic from {toxic_from}, harmless below {harmless_below}, the rest left out, as is what it scores as
an attack on identity and what holds a word for a group of people (`writing/left_out.txt`).
"""

SCORERS = """
For comparison, on the written texts scorer A has an AUROC of {a:.3f} and scorer B of {b:.3f}: they
are hard for those who have learnt which words real comments insult with.
"""

SAMPLE_LIMITS = """- The labels of the `model` rows are scorer A's, with its errors; never judge
  scorer A on them. They are raw output of a small model: mostly nonsense, at times repeating names
  or prejudice from its training text.
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the recipe measured: AUROC of three cues, the shares of harmless and of toxic texts with
    a rude word, and what needs a model, a scorer or sets."""

    length: float
    words: float
    words_mixed: float
    rude: tuple[float, float] = (math.nan, math.nan)
    scorers: dict[str, float] = field(default_factory=dict)
    longest_run: int | None = None
    neutral_tokens: int | None = None


def overlap(longest: int | None) -> str:
    """How many words in a row stand in a public text as well."""
    if longest is None:
        return ""
    return (
        "The longest run of words that any text, written or sampled, shares with a set that the\n"
        f"model or a scorer learnt from has {longest} words; at most {MAY} may be "
        "(`recipes/demo/overlap.py`).\n"
    )


def prompt_rows(prompts: Prompts) -> str:
    """A line for each source of prompts."""
    assert prompts.source is not None
    assert prompts.toxicity is not None
    source = np.array(prompts.source)
    return "\n".join(
        f"| {name} | {(source == name).sum()} | {prompts.toxicity[source == name].mean():.2f} |"
        for name in dict.fromkeys(prompts.source)
    )


def write_card(
    path: Path,
    corpus: Corpus,
    prompts: Prompts,
    neutral: NeutralText,
    measured: Measured,
    sampled: dict[str, float],
) -> None:
    """Write the card; ``sampled`` holds the cuts on scorer A's scores and is not always used."""
    assert corpus.source is not None
    assert corpus.category is not None
    assert corpus.group is not None
    assert prompts.toxicity is not None
    cells = Counter(zip(corpus.source, corpus.labels.tolist(), strict=True))
    kinds = Counter(zip(corpus.labels.tolist(), corpus.category, strict=True))
    n_model = sum(source == "model" for source in corpus.source)
    unscored = bool((prompts.toxicity != prompts.toxicity).any())
    text = TEMPLATE.format(
        n=len(corpus),
        prompts=len(prompts),
        unscored=" (not scored yet)" if unscored else "",
        neutral=len(neutral),
        words=sum(len(text.split()) for text in neutral.texts),
        samples=SAMPLES.format(n=n_model, **sampled) if n_model else "",
        but=" (`model` rows: that of the demo model, see its card)" if n_model else "",
        sample_limits=SAMPLE_LIMITS if n_model else "",
        templates=len({group for group in corpus.group if group.startswith("t-")}),
        sources="\n".join(
            f"| {name} | {cells[name, 1]} | {cells[name, 0]} |"
            for name in sorted(set(corpus.source))
        ),
        categories="\n".join(
            f"| {kind} ({'toxic' if label else 'not toxic'}) | {n} |"
            for (label, kind), n in sorted(
                kinds.items(), key=lambda item: (-item[0][0], item[0][1])
            )
        ),
        prompt_sources=prompt_rows(prompts),
        overlap=overlap(measured.longest_run),
        tokens=f", {measured.neutral_tokens:,} tokens" if measured.neutral_tokens else "",
        scorers=SCORERS.format(**measured.scorers) if measured.scorers else "",
        rude_harmless=measured.rude[0],
        rude_toxic=measured.rude[1],
        length=measured.length,
        bag=measured.words,
        mixed=measured.words_mixed,
    )
    atomic_write(path, text.encode())
