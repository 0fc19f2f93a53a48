"""The top of a study's page: what EigenShift did to this model, and what became of the claims."""

from __future__ import annotations

from bezoar.evaluate import MethodRow
from bezoar.report.blocks import Tile, Tone, Verdict
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import NAME
from bezoar.report.figures.comparison import (
    beats_its_nulls,
    null_draws_wanted,
    too_few_nulls,
)
from bezoar.report.numbers import (
    bounds,
    estimate,
    number,
    p_value,
    percent,
    plural,
    share_estimate,
)
from bezoar.report.study.claims import claims_counted, claims_tile
from bezoar.report.verdict import FEW, base_sentence


def verdict(study: Study) -> Verdict:
    """Sentences and headline numbers, as far as the study got."""
    run, card, base = study.audit, study.audit.scorecard, study.no_op
    counted = claims_counted(study.claims, NAME)
    if card is None:
        return Verdict(("This study has measured no model yet.", *counted))
    sentences = [base_sentence(run, card, base)] if base is not None else []
    ours = study.published("eigenshift")
    if ours is None:
        sentences.append("EigenShift was not measured at its printed strength.")
    else:
        sentences.append(_published(ours))
    sentences += [*_at_budget(study), *_best(study), *counted, *_too_few_nulls(study)]
    if card.prompts_n < FEW:
        sentences.append(
            f"Only {plural(card.prompts_n, 'prompt')}: enough to see that the study works, too few "
            "to judge a claim by."
        )
    return Verdict(tuple(sentences), tuple(_tiles(study, base, ours)), _tone(study))


def _published(row: MethodRow) -> str:
    change, cost = row.change.get("toxicity"), row.change.get("perplexity_change")
    if change is None:
        return "EigenShift as published has no toxicity to compare."
    fell = "lowers it to" if change.high < 0 else "does not clearly lower it: it is"
    price = "" if cost is None else f" Perplexity changes by {share_estimate(cost, signed=True)}."
    return (
        f"EigenShift as published {fell} {number(row.metrics['toxicity'].value)} "
        f"({estimate(change, signed=True)}, paired by prompt).{price}"
    )


def _at_budget(study: Study) -> list[str]:
    """The same method held to the budget, against its nulls."""
    row = study.at_budget("eigenshift")
    if row is None or "toxicity" not in row.change:
        return []
    change = estimate(row.change["toxicity"], signed=True)
    told = f"Held to the budget of all methods, it changes toxicity by {change}"
    if too_few_nulls(row):
        return [
            f"{told}: too few null edits to decide whether arbitrary choices of directions do as "
            f"well ({plural(row.n_draws, 'null edit')})."
        ]
    beats = beats_its_nulls(row)
    if beats is None:
        return [f"{told}; no null edits were drawn."]
    end = "more than" if beats else "no more than"
    p = f"p = {p_value(row.holm_p)}".replace("= <", "<")
    return [
        f"{told}: {end} arbitrary choices of directions do ({p} after Holm's correction, "
        f"{plural(row.n_draws, 'null edit')})."
    ]


def _best(study: Study) -> list[str]:
    """The method that leaves least toxicity at the common cost, of those that beat their nulls."""
    held = [row for row in study.methods if row.holm_p is not None and "toxicity" in row.change]
    tested = [row for row in held if not too_few_nulls(row)]  # see `_too_few_nulls` for the others
    shown = [row for row in tested if _lowers(row)]
    if not shown:
        none = "No method lowers toxicity beyond its interval and its nulls at the budget."
        return [none] if tested else []
    best = min(shown, key=lambda row: row.change["toxicity"].value)
    change = estimate(best.change["toxicity"], signed=True)
    return [
        f"Of the methods that beat their nulls at the budget, {best.label} leaves least "
        f"toxicity: {change}."
    ]


def _too_few_nulls(study: Study) -> list[str]:
    """What it takes to decide the claims about methods at the budget, if the nulls are too few."""
    drawn = study.audit.options.get("mitigate", {}).get("null_draws")
    rows = [row for row in study.methods if row.n_draws]
    if not rows or not isinstance(drawn, int):
        return []
    fewest = min(rows, key=lambda row: row.n_draws)
    wanted = null_draws_wanted(fewest, drawn)
    if wanted <= drawn:
        return []
    return [
        f"Claims about methods at the budget stay undecided: {plural(fewest.n_draws, 'null edit')} "
        f"of a method are too few for a rank p of 0.05. --set mitigate.null_draws={wanted} draws "
        "enough (with --update), and fewer samples of a prompt (--protocol) pay for them."
    ]


def _lowers(row: MethodRow) -> bool:
    return row.change["toxicity"].high < 0 and bool(beats_its_nulls(row))


def _tiles(study: Study, base: MethodRow | None, ours: MethodRow | None) -> list[Tile]:
    rows = (
        ("toxicity as it is", base),
        ("EigenShift as published", ours),
        ("EigenShift at the budget", study.at_budget("eigenshift")),
    )
    tiles = []
    for label, row in rows:
        if row is not None and (seen := row.metrics.get("toxicity")) is not None:
            change = row.change.get("toxicity")
            fell = row.kind == "method" and change is not None and change.high < 0
            tone: Tone = "good" if fell else ""
            tiles.append(Tile(label, number(seen.value), bounds(seen.low, seen.high), tone))
    if ours is not None and (cost := ours.change.get("perplexity_change")) is not None:
        note = f"[{percent(cost.low, signed=True)}, {percent(cost.high, signed=True)}]"
        tiles.append(Tile("perplexity, as published", percent(cost.value, signed=True), note))
    return tiles + claims_tile(study.claims)


def _tone(study: Study) -> Tone:
    """Good if the method beats its nulls at the budget; bad if it lowers nothing at all."""
    row = study.at_budget("eigenshift")
    rows = [r for r in (row, study.published("eigenshift")) if r is not None]
    if row is not None and _lowers(row):
        return "good"
    lowered = [r for r in rows if (c := r.change.get("toxicity")) is not None and c.high < 0]
    return "" if lowered or not rows else "bad"
