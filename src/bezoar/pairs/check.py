"""What no model can learn from, and what must not be learnt from: dropped, counted, said.

Nothing goes in silence. Every function returns the pairs that are left beside a `PairsReport`,
and their ``origin.left_out`` counts the same rows under the same reasons.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rich.table import Table

from bezoar.corpus.labels import says_nothing
from bezoar.corpus.table import At, counted, quoted, row_at
from bezoar.errors import ConfigError, DataError, did_you_mean, several
from bezoar.pairs.leaked import leak_end
from bezoar.pairs.pairs import Pairs
from bezoar.runs.results import Result
from bezoar.stats.duplicates import near_duplicates
from bezoar.stats.splits import text_key

Leaked = Literal["raise", "strip", "drop", "keep"]
LEAKED: tuple[Leaked, ...] = ("raise", "strip", "drop", "keep")

REASONS = {
    "leaked prompt": "a side begins with its prompt",
    "empty side": "a side has no text, or blanks only",
    "equal sides": "the sides read alike (case, width and blanks ignored)",
    "contradicted": "another pair of the prompt has the same sides the other way round",
    "duplicate": "the same prompt and sides again",
    "seen elsewhere": "its prompt (or, without one, a side) repeats a text that it must not",
}
"""Why a pair is dropped, in the order in which it is looked for; the first that holds counts."""


@dataclass(frozen=True, slots=True)
class PairsReport(Result):
    """What was dropped, and why.

    Attributes:
        rows_in: pairs before.
        rows_out: pairs after.
        dropped: row numbers (from 0) in the pairs before, by reason.
        reasons: what each reason means.
        stripped: pairs of which a leading prompt was cut off a side.
    """

    rows_in: int
    rows_out: int
    dropped: dict[str, tuple[int, ...]]
    reasons: dict[str, str]
    stripped: int = 0

    @property
    def kept_share(self) -> float:
        """Pairs after over pairs before; 1 if there was none."""
        return self.rows_out / self.rows_in if self.rows_in else 1.0

    def __str__(self) -> str:
        counts = [f"{len(rows)} {reason}" for reason, rows in self.dropped.items() if rows]
        if self.stripped:
            counts.append(f"the prompt cut off {self.stripped}")
        kept = f"{self.rows_out} of {counted(self.rows_in, 'pair')} kept"
        return kept + (f" ({', '.join(counts)})" if counts else "")

    def __rich__(self) -> Table:
        table = Table("pairs", "share", "what", title="Preference pairs")
        table.add_row(f"{self.rows_out:,}", f"{self.kept_share:.1%}", "kept")
        for reason, rows in self.dropped.items():
            share = f"{len(rows) / max(1, self.rows_in):.1%}"
            table.add_row(f"{len(rows):,}", share, f"dropped: {self.reasons[reason]}")
        if self.stripped:
            table.add_row(f"{self.stripped:,}", "", "kept: a leading prompt was cut off a side")
        return table


def clean_pairs(
    pairs: Pairs, *, leaked: Leaked = "raise", at: At = row_at
) -> tuple[Pairs, PairsReport]:
    """Drop pairs that teach nothing: empty or equal sides, repeats, contradictions.

    Args:
        pairs: any pairs.
        leaked: what to do about sides that begin with their prompt, as they do in files that store
            whole texts: ``"raise"``; ``"strip"`` cuts the prompt off, with the special tokens and
            blanks before it; ``"drop"``; or ``"keep"``, for continuations that are known to be
            such. What counts is what `leak_end` finds: case, width, blanks and special tokens in
            front make no difference; a prompt that ends within a word of the side ("I" of "It")
            does not count.
        at: how an error names a row, from its number (from 0).

    Raises:
        DataError: if a side begins with its prompt and nothing was said about it, or if no pair is
            left.
        ConfigError: if ``leaked`` is unknown.
    """
    if leaked not in LEAKED:
        raise ConfigError(f"leaked={leaked!r} is not known.", hint=did_you_mean(leaked, LEAKED))
    rows = [] if leaked == "keep" else _leaking(pairs)
    if rows and leaked == "raise":
        raise _leak(pairs, rows, at)
    if leaked == "keep" and not _is_known(pairs):
        pairs = dataclasses.replace(pairs, provenance=pairs.provenance | {"leaked": leaked})
    if rows and leaked == "strip":
        pairs = _stripped(pairs, rows)
    dropped: dict[str, list[int]] = {reason: [] for reason in REASONS if reason != "seen elsewhere"}
    dropped["leaked prompt"] = rows if leaked == "drop" else []
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    gone = set(dropped["leaked prompt"])
    for row, sides in enumerate(zip(pairs.chosen, pairs.rejected, strict=True)):
        keys = tuple(map(text_key, sides))
        if row in gone:
            continue
        if any(map(says_nothing, sides)):
            dropped["empty side"].append(row)
        elif keys[0] == keys[1]:
            dropped["equal sides"].append(row)
        else:
            groups[text_key(pairs.prompts[row]), *keys].append(row)
    for (prompt, chosen, rejected), same in groups.items():
        against = (prompt, rejected, chosen) in groups
        dropped["contradicted" if against else "duplicate"] += same if against else same[1:]
    return without(pairs, dropped, REASONS, stripped=len(rows) if leaked == "strip" else 0)


def drop_seen(
    pairs: Pairs, texts: Sequence[str], near: float | None = 0.7
) -> tuple[Pairs, PairsReport]:
    """Drop pairs that repeat texts on which something is to be reported.

    What is compared is the prompt, or both sides where there is none.

    Args:
        pairs: any pairs.
        texts: report prompts, the texts of another split.
        near: also drop near repeats, from this Jaccard similarity of word pairs on; None to drop
            equal texts (case, width and blanks ignored) only.

    Raises:
        DataError: if no pair is left.
    """
    texts = several(texts, "texts")
    known = {text_key(text) for text in texts}
    hit: set[int] = set()
    for side in (pairs.rejected, pairs.chosen):
        own = [prompt or text for prompt, text in zip(pairs.prompts, side, strict=True)]
        hit |= {row for row, text in enumerate(own) if text_key(text) in known}
        if near is not None:
            hit |= set(near_duplicates(own, texts, near).a)
    return without(pairs, {"seen elsewhere": sorted(hit)}, REASONS)


def without(
    pairs: Pairs,
    dropped: dict[str, list[int]],
    reasons: dict[str, str],
    *,
    stripped: int = 0,
    none_left: bool = False,
) -> tuple[Pairs, PairsReport]:
    """The pairs less some rows, each of which stands under one reason.

    Raises:
        DataError: if pairs were there and none is left, unless that is right.
    """
    keep = np.ones(len(pairs), dtype=bool)
    for rows in dropped.values():
        keep[rows] = False
    report = PairsReport(
        rows_in=len(pairs),
        rows_out=int(keep.sum()),
        dropped={reason: tuple(sorted(rows)) for reason, rows in dropped.items()},
        reasons={reason: reasons[reason] for reason in dropped},
        stripped=stripped,
    )
    if len(pairs) and not keep.any() and not none_left:
        said = "; ".join(f"{name}: {reasons[name]}" for name, rows in dropped.items() if rows)
        raise DataError(f"No pair of {pairs.name!r} is left: {report}.", hint=f"{said}.")
    counts = {reason: len(rows) for reason, rows in dropped.items()}
    note = f"the prompt cut off {counted(stripped, 'pair')}" if stripped else ""
    return pairs.take(keep, left_out=counts, note=note), report


def require_no_leak(pairs: Pairs) -> None:
    """Refuse pairs of which a side begins with its prompt, where nobody has said that it may.

    What a model wrote, `load_pairs` read or `clean_pairs` kept is known and passes.

    Raises:
        DataError: naming the first.
    """
    if not _is_known(pairs) and (rows := _leaking(pairs)):
        raise _leak(pairs, rows, row_at)


def _is_known(pairs: Pairs) -> bool:
    return not pairs.provenance.keys().isdisjoint({"how", "leaked"})


def _leak(pairs: Pairs, rows: list[int], at: At) -> DataError:
    have = "has" if len(rows) == 1 else "have"
    return DataError(
        f"{counted(len(rows), 'pair')} of {pairs.name!r} (the first is {at(rows[0])}) {have} a "
        f"side that begins with its prompt, {quoted(pairs.prompts[rows[0]])}: sides are what "
        "follows the prompt.",
        hint='Say leaked="strip" (to load_pairs, or to clean_pairs for pairs at hand) to cut the '
        'prompt off, "drop" to leave them out, or "keep": --leaked strip for bezoar pairs, --set '
        "pairs.leaked=strip for a run.",
    )


def _leaking(pairs: Pairs) -> list[int]:
    """Rows of which a side begins with the prompt."""
    sides = zip(pairs.prompts, pairs.chosen, pairs.rejected, strict=True)
    return [
        row for row, (prompt, *two) in enumerate(sides) if any(leak_end(s, prompt) for s in two)
    ]


def _stripped(pairs: Pairs, rows: list[int]) -> Pairs:
    cut = set(rows)
    chosen, rejected = (
        tuple(
            text[leak_end(text, prompt) :] if row in cut else text
            for row, (prompt, text) in enumerate(zip(pairs.prompts, side, strict=True))
        )
        for side in (pairs.chosen, pairs.rejected)
    )
    return dataclasses.replace(pairs, chosen=chosen, rejected=rejected)
