"""What makes one doubt a set of texts: noise, repeats, languages."""

from __future__ import annotations

from collections.abc import Sequence

from bezoar.corpus.explore_language import LanguageCount
from bezoar.corpus.explore_noise import REASONS, NoiseReport
from bezoar.corpus.explore_repeats import Repeats
from bezoar.report.blocks import Cell, Facts, Section, Table
from bezoar.report.numbers import count


def doubtful(
    noise: NoiseReport,
    repeats: Repeats,
    languages: Sequence[LanguageCount],
    listed: str,
    keys: tuple[str, str] = ("table_noise", "table_languages"),
) -> Section:
    """One section for all three.

    Args:
        noise: what the noise filter left out.
        repeats: texts that are there again.
        languages: what the texts seem to be written in.
        listed: where every text that was left out stands.
        keys: of the two tables.
    """
    reasons = tuple(
        (reason, Cell(count(len(noise.dropped[reason]))), Cell(REASONS[reason]))
        for reason in REASONS
    )
    facts = Facts(
        (
            ("texts looked at", count(repeats.texts)),
            ("repeat an earlier one", count(repeats.exact)),
            ("nearly repeat one", count(repeats.near)),
            ("families of repeats", count(repeats.families)),
            ("largest family", count(repeats.largest)),
            ("families of several sources", count(repeats.across_sources)),
            ("families of both labels", count(repeats.across_labels)),
        )
    )
    asked = f"fewer than {noise.min_characters} characters, or of less than two words"
    intro = (
        f"Noise is what has {asked}; {listed} lists every such text. Near repeats share "
        f"{repeats.similarity:.0%} of their word pairs."
    )
    left_out = Table(
        "What the noise filter leaves out.",
        ("reason", "texts", "that is"),
        reasons,
        wordy=True,
        key=keys[0],
    )
    spoken = Table(
        "Languages, by script and small words; unknown is what is too short or mixed to tell.",
        ("language", "texts"),
        tuple((one.language, Cell(count(one.n))) for one in languages),
        folded=len(languages) > 12,
        key=keys[1],
    )
    return Section("doubtful", "Noise, repeats, languages", intro, (left_out, facts, spoken))
