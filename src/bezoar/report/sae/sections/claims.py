"""What became of what the source set out to show, and of what it left open."""

from __future__ import annotations

from bezoar.report.blocks import Block, Section, Text
from bezoar.report.sae.artefacts import Study
from bezoar.report.study.claims import claims_table, rules_table


def claims(study: Study) -> Section:
    """The claims, and the rules by which they were judged."""
    intro = (
        "The source promised a classifier on latents and a comparison with a dense probe, and "
        "published neither. Each claim, and what was seen of it on this model and these texts, by "
        "the rule that stands below. “Undecided” means that the interval allows both."
    )
    blocks: list[Block] = [Text("This run judged no claims.", "muted")]
    if study.claims:
        blocks = [claims_table(study.claims), rules_table(study.claims)]
    return Section("source-claims", "Claims", intro, tuple(blocks))
