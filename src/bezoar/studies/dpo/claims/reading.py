"""Section 3: the probe reads toxicity, and toxic value vectors stand for toxic tokens."""

from __future__ import annotations

from bezoar.compare.models.shown import p_value
from bezoar.report.dpo.paper import SECTIONS
from bezoar.studies.claims.results import Verdict
from bezoar.studies.claims.rules import (
    Finding,
    above,
    all_of,
    claim,
    difference,
    exactly,
    not_measured,
    rare,
)
from bezoar.studies.dpo.claims.found import Found

_NO_SWEEP = "There is no probe map."


@claim(
    "probe-reads",
    "A linear probe on the residual stream tells toxic texts from others.",
    SECTIONS["toxicity"],
    "AUROC at the best site, on texts that no probe was fitted to",
)
def probe_reads(found: Found) -> Finding:
    """Holds if the interval lies above 0.5 and at most 5 % of probes that were fitted to shuffled
    labels do as well; fails if the interval lies below 0.5."""
    if found.sweep is None:
        return not_measured(_NO_SWEEP)
    best, p = found.sweep.best, found.sweep.best_null_p
    beaten: Verdict = "holds" if rare(p) == "holds" else "undecided"
    return Finding(
        all_of(above(best.auroc, 0.5), beaten),
        best.auroc,
        f"At {best.site}; accuracy {best.accuracy:.1%}, where always naming the commoner class "
        f"has {found.sweep.majority_rate:.1%} (the paper's probe: 94 %).",
        p,
    )


@claim(
    "probe-over-words",
    "The probe reads more than the words: it beats a bag of words.",
    "not in the paper",
    "AUROC of the probe less that of a bag of words, paired by text",
)
def probe_over_words(found: Found) -> Finding:
    """Holds if the interval lies above zero; fails if it lies below."""
    if found.sweep is None:
        return not_measured(_NO_SWEEP)
    gain = found.sweep.over_words
    words = next(rival for rival in found.sweep.rivals if rival.name == "bag of words")
    why = f"AUROC {found.sweep.best.auroc} against {words.auroc}."
    return Finding(above(gain), gain, why)


@claim(
    "probe-over-untrained",
    "What the probe reads was learnt: it beats a probe on an untrained twin of the model.",
    "not in the paper",
    "AUROC of the probe less that on the twin",
)
def probe_over_untrained(found: Found) -> Finding:
    """Holds if the interval lies above zero; fails if it lies below. (The interval is that of
    independent estimates: on the same texts it is too wide, if anything.)"""
    rivals = () if found.sweep is None else found.sweep.rivals
    twin = next((rival for rival in rivals if rival.name == "untrained twin"), None)
    if found.sweep is None or twin is None:
        return not_measured("No untrained twin was read.")
    gain = difference(found.sweep.best.auroc, twin.auroc)
    return Finding(above(gain), gain, f"AUROC {found.sweep.best.auroc} against {twin.auroc}.")


@claim(
    "probe-over-embedding",
    "Toxicity is read better inside the model than off its token embeddings.",
    "not in the paper",
    "AUROC of the probe less that on the embeddings",
)
def probe_over_embedding(found: Found) -> Finding:
    """Holds if the interval lies above zero; fails if it lies below. (The interval is that of
    independent estimates: on the same texts it is too wide, if anything.)"""
    embedded = None if found.sweep is None else found.sweep.at("embed")
    if found.sweep is None or embedded is None:
        return not_measured("No embeddings were read.")
    best = found.sweep.best
    gain = difference(best.auroc, embedded.auroc)
    return Finding(above(gain), gain, f"AUROC {best.auroc} against {embedded.auroc}.")


@claim(
    "values-promote",
    "MLP value vectors that point along the probe stand for toxic tokens.",
    f"Table 1, {SECTIONS['toxicity']}",
    "share of their promoted tokens that are in the toxic class's lexicon",
)
def values_promote(found: Found) -> Finding:
    """Holds if at most 5 % of draws of equally many random value vectors have such a share; fails
    if at least 95 % have. The interval resamples the vectors; it is shown and decides nothing."""
    share = found.share
    if share is None:
        return not_measured("No value vectors were read as tokens.")
    why = (
        f"{share.share:.1%} of the {share.k} tokens that each of the {share.vectors} nearest "
        f"promotes; of random ones {share.null_mean:.1%}, at most {share.null_high:.1%} in 95 % of "
        f"draws (p {p_value(share.p)})."
    )
    if share.interval is None:
        why += (
            " One vector has no interval."
            if share.vectors == 1
            else " How far other vectors along the probe would change it was not kept."
        )
    return Finding(rare(share.p), share.interval or exactly(share.share), why, share.p)


CLAIMS = (
    probe_reads,
    probe_over_words,
    probe_over_untrained,
    probe_over_embedding,
    values_promote,
)
