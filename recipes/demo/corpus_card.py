"""The card beside the demo corpus: what it is, how it was made, what was measured."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

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
| `neutral.parquet` | {neutral:,} | paragraphs of ordinary prose, {words:,} words |

## Origin and licence

Templates, prompts and prose were written by hand for bezoar. Nothing is taken from a dataset.
{samples}Licence: Apache-2.0{but}.

## How it was made

{templates} templates, each filled several times from lists of words that both classes share and,
now and then, set between sentences that both classes share. *Toxic*: insult, threat, contempt,
profanity, veiled insults without a bad word, sarcasm. *Not toxic*: disagreement, the same words
used harmlessly ("this damn printer", "killer recipe"), insults reported or condemned, negated ones
("you are not an idiot"), praise, advice, facts. *Swap*, in both classes: pairs of the same words in
another order ("I was rude and you were kind"), which tell who can read. `group` is the template,
the pair, or the seed prompt: keep it on one side of a split. Within every source and length the
classes have equally many texts; the rest is left out.

| source | toxic | not toxic |
|---|---:|---:|
{sources}

| category | texts |
|---|---:|
{categories}

Prompts: {prompt_sources}.

## Measured

| cue | AUROC | may be |
|---|---:|---|
| length in characters | {length:.3f} | 0.47 to 0.53 |
| words and word pairs, logistic regression, 5 folds that part no group | {bag:.3f} | up to 0.95 |
| words, 5 random folds (templates recur and can be learnt by heart) | {mixed:.3f} | up to 0.95 |

A recipe that exceeds these fails.

## Limits

- English only, one author's idea of online talk, a few hundred sentences at heart: an accuracy
  here says little about real comments. Audit on real data as well.
- Slurs and attacks on groups of people are left out of the templates on purpose, so a detector
  trained here will miss them. Names are drawn from one list for both classes.
- Labels are the intention of the author; nobody else has annotated the texts.
- The texts are meant to be hard for a bag of words; they are harder than the average comment.
{sample_limits}"""

SAMPLES = """The rows of source `model` ({n:,}) are what the demo model wrote after seed prompts of
ours (top-p 0.9; the prompts are in no other file, and are part of the text), labelled by scorer A:
toxic from {toxic_from}, harmless below {harmless_below}, the rest left out, as is what it scores as
an attack on identity and what holds a word for a group of people (`writing/left_out.txt`).
"""

SAMPLE_LIMITS = """- The labels of the `model` rows are scorer A's, with its errors; never judge
  scorer A on them. They are raw output of a small model: mostly nonsense, at times repeating names
  or prejudice from its training text.
"""


def write_card(
    path: Path,
    corpus: Corpus,
    prompts: Prompts,
    neutral: NeutralText,
    measured: dict[str, float],
    sampled: dict[str, float],
) -> None:
    """Write the card; ``sampled`` holds the cuts on scorer A's scores and is not always used."""
    assert corpus.source is not None
    assert corpus.category is not None
    assert corpus.group is not None
    assert prompts.source is not None
    assert prompts.toxicity is not None
    cells = Counter(zip(corpus.source, corpus.labels.tolist(), strict=True))
    kinds = Counter(zip(corpus.labels.tolist(), corpus.category, strict=True))
    n_model = sum(source == "model" for source in corpus.source)
    names = Counter(prompts.source)
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
        prompt_sources=", ".join(f"{n} {name}" for name, n in names.items()),
        length=measured["length"],
        bag=measured["words"],
        mixed=measured["words_mixed"],
    )
    atomic_write(path, text.encode())
