"""The cards of the demo scorers: every number on them comes from the recipe that calls this."""

from __future__ import annotations

from pathlib import Path

from scorer_sets import PublicSet

from bezoar.scoring import ConvolutionScorer, LinearScorer

ROLE = {
    "a": "**labels and selects**: it labels the model's samples in the corpus and picks strengths",
    "b": "**only reports**: it never labels, fits or chooses anything",
}
UNLABELLED = {
    "a": """
Learnt from besides: {n:,} pieces of unlabelled Reddit titles and posts, with the mean score of two
fits to the sets above as label: these n-grams, and a network like scorer B's. This step was thought
of when a first version had reached 0.887 on RealToxicityPrompts' continuations; it was kept because
it helped on the sets that settings were chosen on.""",
    "b": """
Its word vectors were first made from unlabelled Reddit titles and posts, other ones than scorer A
was shown.""",
}
LIMITS = """\
- It sees words and letters, not meaning: quotation, negation and irony fool it, and so does an
  insult without rude words. Toxicity without vocabulary is scored low.
- Crowd labels carry their annotators' biases; mentions of identities and African-American English
  raise the score more than they should. It was not tested for fairness and must not judge people.
- Scores of texts of other kinds (code, other languages, very long texts) mean little.
- Perspective, which part of the measurements is taken against, is itself a model, of 2018 and 2020.
- A learnt from Perspective's scores of Wikipedia comments too: its agreement with Perspective is
  more than that of two strangers. B knows no such score.
- Thresholds were set on pieces of at most 25 words; whole comments pass them at other rates.
"""
TEMPLATE = """\
# {scorer.name}

A research specimen, not for deployment. This scorer {role}.

{kind}; {size:.1f} MiB. Hash `{scorer.hash}`.
Lineage: {scorer.lineage}.

## Origin

{used}

A fifth of every set is reserved by a hash of the text and was not trained on. The two scorers share
no training text, and neither saw RealToxicityPrompts. The weights are a statistic of these texts
and are given under CC BY-SA 4.0; the sets keep their licences (NOTICE).

## How it was made

    python recipes/demo/train_scorers.py --data-root DATA --out demo/src/bezoar_demo/scorers

{labels}

Labels are of whole comments and of pieces of at most 25 words. Settings were chosen on OLID, CAD,
ETHOS and the Unhealthy Comments Corpus, which no scorer learns from. Calibrated by Platt's method
on a tenth of the training texts that was not fitted ({calibrated}; other attributes have too few
positives and stay as fitted). The threshold, toxicity ≥ {scorer.threshold:.3f}, is where
{made[false_alarm_rate]:.0%} of pieces of Reddit posts or of Wikipedia articles (of the training
part; of whichever kind it takes more) are called toxic; some are toxic, so the true rate is lower.
{unlabelled}

## Measured quality

Toxicity; AUROC with 95 % interval (DeLong), average precision, Spearman's ρ with Perspective's
score. Texts that either scorer was trained on are left out.

{tables[quality]}

Agreement of the two scorers:

{tables[agreement]}

False alarms at the thresholds:

{tables[alarms]}

{tables[speed]}

## Limits

{limits}"""


def table(rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def kind_of(scorer: LinearScorer | ConvolutionScorer) -> str:
    """What the scorer computes, for its card."""
    if isinstance(scorer, LinearScorer):
        blocks = "; ".join(
            f"{b.analyzer} {b.low}-{b.high}-grams in 2^{b.bits} buckets" for b in scorer.ngrams
        )
        return (
            f"Hashed n-grams ({blocks}) and one\nlogistic regression per attribute, half precision"
        )
    (words, width), buckets = scorer.words.numbers.shape, len(scorer.grams.scale)
    return (
        f"Vectors of {width} numbers for {words:,} words and {buckets:,} buckets of letter "
        f"{scorer.lengths[0]}-{scorer.lengths[1]}-grams, 8 bits\neach; a convolution over three "
        f"tokens with {len(scorer.kernel_bias)} filters, their maxima over the text, one\n"
        "logistic output per attribute"
    )


def write_card(
    folder: Path,
    scorer: LinearScorer | ConvolutionScorer,
    sets: tuple[PublicSet, ...],
    counts: dict[str, list[int]],
    tables: dict[str, list[list[str]]],
) -> None:
    """Write ``card.md`` beside the scorer."""
    size = (folder / "scorer.safetensors").stat().st_size / 2**20
    used = [["set", "origin", "licence", "what of it"]]
    used += [[s.name, s.origin, s.licence, s.used] for s in sets]
    labels = [["attribute", "labelled 0", "labelled 1"]]
    labels += [[name, f"{n[0]:,}", f"{n[1]:,}"] for name, n in counts.items()]
    text = TEMPLATE.format(
        scorer=scorer,
        role=ROLE[folder.name],
        kind=kind_of(scorer),
        size=size,
        made=scorer.provenance,
        calibrated=", ".join(scorer.provenance["calibrated"]),
        used=table(used),
        labels=table(labels),
        tables={name: table(rows) for name, rows in tables.items()},
        limits=LIMITS,
        unlabelled=UNLABELLED[folder.name].format(n=scorer.provenance["unlabelled"]),
    )
    (folder / "card.md").write_text(text, encoding="utf-8")
