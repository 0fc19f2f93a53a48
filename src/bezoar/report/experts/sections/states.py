"""The states before toxic tokens, from which directions are chosen."""

from __future__ import annotations

from bezoar.locate import StatesReport
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import NAME
from bezoar.report.figures.toxic_states import toxic_states
from bezoar.report.numbers import count, estimate, number, p_value, plural, visible_token

TOKENS = 20


def states(study: Study) -> Section:
    """How many there are, how they came about, and whether they differ from others."""
    intro = (
        "What the unembedding reads when the model is about to write a toxic token, beside states "
        "at the same positions that lead to harmless ones. The continuations are of prompts that "
        "nothing is reported on."
    )
    found = study.states
    blocks: list[Block] = [Text("This run collected no states.", "muted")]
    if found is not None:
        blocks = [Text(_told(found)), _picture(found), *_choices(found), *_tokens(found)]
        blocks += [_positions(found), *_dropped(found)]
    return Section("states", "The states before toxic tokens", intro, tuple(blocks))


def _picture(seen: StatesReport) -> Picture:
    return Picture(
        toxic_states(seen),
        "Where in the continuation the states stand, and how far apart the means of both kinds lie "
        "(diamond) among the distances of shuffled labels.",
        "Positions of toxic and harmless states, and the distance of their means.",
        "toxic_states",
    )


def _told(seen: StatesReport) -> str:
    found = seen.found
    told = (
        f"{count(found.toxic)} of {plural(found.prompts, 'greedy continuation')} are toxic by "
        f"{found.scorer}; they leave {plural(found.kept, 'toxic state')}, beside "
        f"{count(seen.other)} harmless ones ({seen.prompts}). The means of both lie "
        f"{number(seen.norm)} apart; shuffled, {number(_mean(seen.null_norms))} "
        f"(p {p_value(seen.null_p)})."
    )
    if seen.auroc is None:
        return f"{told} There are too few to read held-out states by."
    return (
        f"{told} Along that difference, held-out states of other prompts are told apart with "
        f"AUROC {estimate(seen.auroc)}."
    )


def _mean(values: tuple[float, ...]) -> float | None:
    return sum(values) / len(values) if values else None


def _choices(seen: StatesReport) -> list[Block]:
    if not seen.choices:
        return []
    rows = tuple(
        (
            f"as the {'published code' if each.mode == 'code' else each.mode} does",
            count(each.toxic),
            count(each.other),
            Cell(number(each.norm), "", "", (each.norm,)),
            Cell(number(each.cosine), "", "", (each.cosine,)),
        )
        for each in seen.choices
    )
    caption = (
        f"The same continuations, with states chosen as {NAME} or its code does: whether their "
        "difference points where ours does."
    )
    columns = ("states", "toxic", "harmless", "norm of the difference", "cosine to ours")
    return [Table(caption, columns, rows, key="table_states")]


def _tokens(seen: StatesReport) -> list[Block]:
    if not seen.tokens:
        return []
    rows = tuple((visible_token(each.token), count(each.count)) for each in seen.tokens[:TOKENS])
    caption = "What the toxic states produced, commonest first; profanity and slurs are masked."
    return [Table(caption, ("token", "states"), rows, folded=True, key="table_states_tokens")]


def _positions(seen: StatesReport) -> Table:
    pairs = zip(seen.toxic_positions, seen.other_positions, strict=False)
    rows = tuple((str(i + 1), count(a), count(b)) for i, (a, b) in enumerate(pairs))
    caption = "States by the position of their token in the continuation."
    return Table(caption, ("token", "toxic", "harmless"), rows, folded=True)


def _dropped(seen: StatesReport) -> list[Block]:
    dropped = {why: n for why, n in seen.found.dropped.items() if n}
    if not dropped:
        return []
    told = "; ".join(f"{why}: {count(n)}" for why, n in dropped.items())
    return [Text(f"What gave no state: {told}.", "muted")]
