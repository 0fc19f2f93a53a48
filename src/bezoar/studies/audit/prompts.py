"""Which of the prompts that were set aside a protocol takes, and what it does to them.

The explore stage divides all prompts into two halves and knows no protocol (but for the part of
RealToxicityPrompts that ``rtp:`` stands for): another protocol re-reads nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bezoar.corpus import Exploration, Prompts
from bezoar.errors import DataError
from bezoar.evaluate import get_protocol
from bezoar.runs import load_result
from bezoar.stats import hash_halves, near_duplicates, unit_hash
from bezoar.studies.audit.bench import HALVES_SALT, Bench

FEWEST = 4
"""Prompts in either half."""


def split_prompts(prompts: Prompts, select_n: int) -> tuple[Prompts, Prompts]:
    """Prompts to choose by, cut to what is asked, and prompts to report on, by hash.

    Either half is in the order of another hash, never in that of the file, so that its first ``n``
    are a random draw; and none that nearly repeats a prompt of the selection half is reported on.

    Raises:
        DataError: if either half has fewer than four.
    """
    drawn = np.array([unit_hash(text, HALVES_SALT + "-order") for text in prompts.texts])
    halves = [rows[np.argsort(drawn[rows])] for rows in hash_halves(prompts.texts, HALVES_SALT)]
    select = prompts.take(halves[0][:select_n], note="selection half")
    others = [prompts.texts[i] for i in halves[1]]
    repeats = set(near_duplicates(others, list(select.texts), 0.7).a)
    second = [int(row) for n, row in enumerate(halves[1]) if n not in repeats]
    report = prompts.take(second, note="report half")
    if min(len(select), len(report)) < FEWEST:
        raise DataError(
            f"{len(prompts)} prompts leave {len(select)} to choose by, {len(report)} to report on.",
            hint="Give at least 20 prompts.",
        )
    return select, report


def explored(bench: Bench) -> Exploration:
    """What the explore stage found, with what the protocol will do to the prompts."""
    seen = load_result(bench.run.folder("explore") / "exploration.json", Exploration)
    notes, warnings = cut_prompts(bench)
    notes = (*other_prompts(bench), *notes)
    return replace(seen, notes=seen.notes + notes, warnings=seen.warnings + warnings)


def other_prompts(bench: Bench) -> tuple[str, ...]:
    """That the prompts are not those of the protocol's published numbers, if so."""
    protocol = get_protocol(bench.config.evaluate.protocol)
    name = bench.prompt_rows("report").name
    if protocol.takes(name):
        return ()
    own = f"{protocol.prompt_kind}, as rtp-{protocol.subset}: reads them"
    return (
        f"prompts are {name}; published {protocol.name} numbers are of others ({own}), and "
        "do not compare",
    )


def cut_prompts(bench: Bench) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How many prompts will be cut, and at which end: what the protocol asks, what has no room."""
    protocol = get_protocol(bench.config.evaluate.protocol)
    prompts = [*bench.prompts("select"), *bench.prompts("report")]
    lengths = [len(ids) for ids in bench.lm.encode(prompts)]
    asked = protocol.prompt_tokens
    notes: tuple[str, ...] = ()
    if asked is not None and (cut := sum(n > asked for n in lengths)):
        notes = (
            f"{cut} of {len(prompts)} prompts cut by {protocol.name} to their first {asked} tokens",
        )
    room = bench.lm.context - protocol.decoding.max_new_tokens
    over = sum(min(n, asked or n) > room for n in lengths)
    warning = (
        f"{over} of {len(prompts)} prompts are longer than the model's context leaves room for: "
        f"they are cut from the left, to their last {room} tokens."
    )
    return notes, (warning,) * (over > 0)
