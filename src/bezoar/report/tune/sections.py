"""What only a search has to show: its front, its winner measured again, and every edit tried."""

from __future__ import annotations

from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text, Tone
from bezoar.report.figures.search_front import search_front
from bezoar.report.numbers import number, percent, plural
from bezoar.runs.expressions import parse_budget
from bezoar.search import Finalist, Finals, Found, Trial
from bezoar.stats import Interval


def found(search: Found, finals: Finals | None) -> Section:
    """The picture of the search, and the finalists with both of their estimates."""
    sizes = ", then ".join(str(n) for n in search.rungs)
    intro = (
        f"Every edit was tried on {sizes} selection prompts, going on while few others beat it in "
        "cost and toxicity both. The front is what no other edit beats; an arrow leads from where "
        "a finalist was chosen to where it is on prompts, texts and by a scorer that chose nothing."
    )
    blocks: list[Block] = [_picture(search, finals)]
    if finals is not None:
        blocks.append(_finalists(finals))
    return Section("found", "What was found", intro, tuple(blocks))


def _picture(search: Found, finals: Finals | None) -> Picture:
    whole = sum(len(t.toxicity) == search.rungs[-1] for t in search.trials)
    dear = sum(t.cost is not None and not t.toxicity for t in search.trials)
    return Picture(
        search_front(search, finals),
        f"Toxicity that is left against cost, of {plural(len(search.trials), 'edit')}: {whole} "
        f"tried on all prompts; {dear} cost more than the budget and are not drawn, as what could "
        "not be fitted is not. Orange: measured again, with 95 % intervals; the star is the "
        "chosen one.",
        "Scatter of edits by cost and toxicity; the tables below have the numbers.",
        key="search_front",
    )


def _finalists(finals: Finals) -> Table:
    rows = tuple(
        (
            Cell(one.label, _parts(one), "strong" if one is finals.winner else ""),
            _share(one.selection),
            _share(one.same_scorer),
            _share(one.report),
            Cell(cost(one.cost, finals.budget)),
            Cell(cost(one.cost_again, finals.budget), "", _over(one, finals)),
            _survival(one),
            "yes" if one.foldable else "no",
        )
        for one in finals.finalists
    )
    columns = (
        "edit",
        "chosen by",
        "again",
        "report",
        "cost",
        "again",
        "keys",
        "folds",
    )
    caption = (
        "The finalists, the chosen one first. By which share toxicity falls: on the "
        f"{finals.selection_prompts} prompts that it was chosen by ({finals.scorer_a}), again on "
        f"{finals.report_prompts} others (same scorer), there by {finals.scorer_b}. Cost: where it "
        "was chosen, and on other text. Keys: which share of the reduction is left when keys of "
        "toxic neurons are scaled up."
    )
    return Table(caption, columns, rows, key="finalists")


def cost(value: float | None, budget: str) -> str:
    """In the units of the budget: a share, or nats and the like."""
    if value is None or parse_budget(budget).relative:
        return percent(value, signed=True)
    return number(value, signed=True)


def _parts(one: Finalist) -> str:
    return "; ".join(f"{p.method().label}: {number(p.strength)}" for p in one.parts)


def _over(one: Finalist, finals: Finals) -> Tone:
    return "bad" if one.cost_again > finals.limit else ""


def _share(seen: Interval | None) -> Cell:
    if seen is None:
        return Cell("–", "", "muted")
    bounds = f"[{percent(seen.low, digits=0)}, {percent(seen.high, digits=0)}]"
    return Cell(percent(seen.value, digits=0), bounds, "", (seen.value, seen.low, seen.high))


def _survival(one: Finalist) -> Cell:
    shown = _share(one.survives)
    return Cell(shown.text, shown.note or one.attack, shown.tone, shown.numbers)


def again(finals: Finals) -> Section:
    """The winner's curse in words."""
    intro = (
        "The winner was picked for its number on the selection prompts, so this number flatters "
        "it: of many edits, the one that suits these prompts best by chance comes first. On other "
        "prompts, by the same scorer, that is gone; what the other scorer says is reported."
    )
    blocks: list[Block] = [Text(text) for text in curse(finals)]
    held = [one for one in finals.finalists if one.cost_again <= finals.limit]
    blocks.append(
        Text(
            f"{len(held)} of {plural(len(finals.finalists), 'finalist')} keep to {finals.budget} "
            "on text that they were not chosen by."
        )
    )
    return Section("again", "What is left of it on other prompts", intro, tuple(blocks))


def curse(finals: Finals) -> list[str]:
    """Sentences: how far the winner's estimate shrank, and how far that was to be expected."""
    winner, gone = finals.winner, finals.shrinkage
    if gone is None or winner.selection is None or winner.same_scorer is None:
        return ["The winner's reduction cannot be told from none on one of the two sets."]
    first, second = (percent(s.value, digits=0) for s in (winner.selection, winner.same_scorer))
    how = "shrinks by" if gone > 0 else "grows by"
    told = [
        f"By {finals.scorer_a}, {first} less toxicity where it was chosen is {second} on other "
        f"prompts: the estimate {how} {percent(abs(gone), digits=0)}."
    ]
    if finals.flattery is not None:
        seen = finals.flattery
        told.append(
            f"Picking the best of {plural(seen.candidates, 'edit')} that were tried on all prompts "
            f"explains {percent(seen.reduction)} of the toxicity, over resamples of the selection "
            f"prompts; in {percent(seen.same, digits=0)} of these the same edit wins. Beyond that, "
            "later edits were proposed in the light of earlier ones on the same prompts, and other "
            "prompts are other prompts."
        )
    return told


def tried(search: Found) -> Section:
    """Every edit."""
    rows = tuple(_row(trial, search) for trial in search.trials)
    columns = ("trial", "spend", "cost", "prompts", "left", "edit")
    caption = "Every edit, in the order of the search. Spend: the share of the budget it aimed at."
    table = Table(caption, columns, rows, folded=True, wordy=True, key="trials")
    blocks: list[Block] = [table]
    if search.failed:
        failed = tuple((Cell(spec, "", "bad"), why) for spec, why in search.failed.items())
        caption = f"{plural(len(failed), 'structure')} that could not be had."
        blocks.append(Table(caption, ("edit", "why"), failed, numeric=False, folded=True))
    return Section("tried", "Every edit that was tried", "", tuple(blocks))


def _row(trial: Trial, search: Found) -> tuple[Cell | str, ...]:
    left = trial.left(search.base) if trial.toxicity else None
    return (
        str(trial.number),
        percent(trial.spend, digits=0),
        cost(trial.cost, search.budget),
        str(len(trial.toxicity)),
        percent(left, digits=0),
        trial.label if not trial.why else f"{trial.label}: {trial.why}",
    )
