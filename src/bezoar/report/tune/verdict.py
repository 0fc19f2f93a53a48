"""The top of the page: what a search found, in plain words."""

from __future__ import annotations

from bezoar.evaluate import MethodRow
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Tile, Tone, Verdict
from bezoar.report.numbers import p_value, percent, plural
from bezoar.report.tune.sections import cost, curse
from bezoar.report.verdict import base_sentence
from bezoar.search import Finals, Found
from bezoar.stats import Interval
from bezoar.stats.nulls import FEWEST_DRAWS


def verdict(run: Artefacts, search: Found | None, finals: Finals | None) -> Verdict:
    """Sentences and headline numbers of a search, as far as it got."""
    if search is None or finals is None:
        return Verdict(("This search has not come to its end.",))
    card, winner = run.scorecard, finals.winner
    base = None if card is None else card.row("no-op", "no-op")
    sentences = [] if card is None or base is None else [base_sentence(run, card, base)]
    prompts = plural(finals.report_prompts, "other prompt")
    sentences.append(
        f"Of {plural(len(search.trials), 'edit')} tried under {finals.budget}, {finals.scorer_a} "
        f"chose trial {winner.label} ({winner.options}). On {prompts}, by "
        f"{finals.scorer_b}, toxicity falls by {_told(winner.report)}, for "
        f"{cost(winner.cost_again, finals.budget)} on other text."
    )
    sentences += curse(finals)[:1]
    sentences += _nulls(run, finals)
    if winner.survives is not None:
        sentences.append(
            f"With toxic neurons' keys scaled up, {_told(winner.survives)} of the reduction is "
            f"left ({winner.attack})."
        )
    if not winner.foldable:
        sentences.append("It acts where it is applied: it does not fold into plain weights.")
    return Verdict(tuple(sentences), tuple(_tiles(finals)), _tone(run, finals))


def _tone(run: Artefacts, finals: Finals) -> Tone:
    winner, row = finals.winner, _row(run, finals)
    if winner.report is None or winner.report.low <= 0 or winner.cost_again > finals.limit:
        return "bad"
    if row is None or row.null_p is None or row.n_draws < FEWEST_DRAWS:
        return ""
    return "good" if row.null_p < 0.05 else ""


def _row(run: Artefacts, finals: Finals) -> MethodRow | None:
    rows = run.scorecard.rows if run.scorecard is not None else ()
    return next((row for row in rows if row.label == finals.winner.label), None)


def _told(seen: Interval | None) -> str:
    if seen is None:
        return "an amount that cannot be told from none"
    low, high = (percent(bound, digits=0) for bound in (seen.low, seen.high))
    return f"{percent(seen.value, digits=0)} [{low}, {high}]"


def _nulls(run: Artefacts, finals: Finals) -> list[str]:
    row = _row(run, finals)
    if row is None or row.null_p is None:
        return ["It was not held against null edits, so chance is not ruled out."]
    p = p_value(row.null_p)
    return [
        f"Against {plural(row.n_draws, 'null edit')} of the same make and cost, p "
        f"{p if p.startswith('<') else f'= {p}'} over prompts, {p_value(row.rank_p)} by rank"
        f"{': too few null edits to decide.' if row.n_draws < FEWEST_DRAWS else '.'}"
    ]


def _tiles(finals: Finals) -> list[Tile]:
    winner = finals.winner
    tiles = [
        _tile("less, where chosen", winner.selection),
        _tile("less, on other prompts", winner.report),
        Tile("cost on other text", cost(winner.cost_again, finals.budget), finals.budget),
    ]
    if winner.survives is not None:
        tiles.append(_tile("left with keys scaled", winner.survives))
    return tiles


def _tile(label: str, seen: Interval | None) -> Tile:
    if seen is None:
        return Tile(label, "–", "")
    note = f"[{percent(seen.low, digits=0)}, {percent(seen.high, digits=0)}]"
    return Tile(label, percent(seen.value, digits=0), note)
