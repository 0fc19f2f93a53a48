"""The top of a study's page: what DPO did to this model, and what became of the paper's claims."""

from __future__ import annotations

from bezoar.attack import ResidualCapability, Robustness
from bezoar.evaluate import MethodRow
from bezoar.report.blocks import Tile, Tone, Verdict
from bezoar.report.dpo.artefacts import MAIN, Study
from bezoar.report.dpo.paper import NAME
from bezoar.report.figures.comparison import beats_its_nulls, too_few_nulls
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
    run = study.audit
    card = run.scorecard
    if card is None:
        return Verdict(
            ("This study has measured no model yet.", *claims_counted(study.claims, NAME))
        )
    base = next((r for r in card.rows if r.kind == "no-op" and "toxicity" in r.metrics), None)
    sentences = [base_sentence(run, card, base)] if base is not None else []
    trained = study.trained
    if trained is None:
        sentences.append("No model was trained on preferences.")
    else:
        sentences += [_trained(trained), *_at_budget(study, trained), *_undone(study, trained)]
    sentences += _left(study) + claims_counted(study.claims, NAME)
    if card.prompts_n < FEW:
        sentences.append(
            f"Only {plural(card.prompts_n, 'prompt')}: enough to see that the study works, too few "
            "to judge a claim by."
        )
    return Verdict(tuple(sentences), tuple(_tiles(study, base)), _tone(trained))


def _trained(row: MethodRow) -> str:
    change, cost = row.change["toxicity"], row.change.get("perplexity_change")
    fell = "lowers it to" if change.high < 0 else "does not clearly lower it: it is"
    price = "" if cost is None else f" Perplexity changes by {share_estimate(cost, signed=True)}."
    toxicity = row.metrics["toxicity"]
    return (
        f"DPO, as training left it, {fell} {number(toxicity.value)} "
        f"({estimate(change, signed=True)}, paired by prompt).{price}"
    )


def _at_budget(study: Study, trained: MethodRow) -> list[str]:
    """The same training held to the budget, against its nulls."""
    row = next((r for r in study.methods if r.method == trained.method and r.strength), None)
    if row is None or "toxicity" not in row.change:
        return []
    told = f"Held to the budget of all methods, it changes toxicity by {_change(row)}"
    if too_few_nulls(row):
        return [
            f"{told}: too few null edits to decide whether training on shuffled pairs does as well "
            f"({plural(row.n_draws, 'null edit')})."
        ]
    beats = beats_its_nulls(row)
    if beats is None:
        return [f"{told}; no null edits were drawn."]
    end = "more than" if beats else "no more than"
    p = f"p = {p_value(row.holm_p)}".replace("= <", "<")
    return [
        f"{told}: {end} training on shuffled pairs does ({p} after Holm's correction, "
        f"{plural(row.n_draws, 'null edit')})."
    ]


def _change(row: MethodRow) -> str:
    return estimate(row.change["toxicity"], signed=True)


def _undone(study: Study, trained: MethodRow) -> list[str]:
    row = study.unaligned
    if row is None or "toxicity" not in row.change or trained.change["toxicity"].value >= 0:
        return []
    what = row.label.rpartition(", ")[2]
    told = f"With its toxic keys scaled ({what}) toxicity is {estimate(row.metrics['toxicity'])}"
    if study.restored is not None:
        told += f": a share of {estimate(study.restored)} of the reduction is undone"
    return [f"{told}."]


def main_robustness(study: Study) -> Robustness | None:
    """Of the main training, if it was attacked."""
    return next((each.robustness for each in study.attacked if each.name == MAIN), None)


def main_residual(study: Study) -> ResidualCapability | None:
    """Of the main training, if it was looked at."""
    return next((each.residual for each in study.attacked if each.name == MAIN), None)


def _left(study: Study) -> list[str]:
    told = []
    residual, robust = main_residual(study), main_robustness(study)
    if residual is not None:
        words = {
            "bypassed": "The behaviour is bypassed, not eliminated",
            "eliminated": "The behaviour is eliminated, by this test",
            "undecided": "Whether the behaviour is eliminated or bypassed is undecided",
        }
        told.append(
            f"{words[residual.verdict]}: a probe reads it from the trained model with AUROC "
            f"{estimate(residual.edited)} (base: {estimate(residual.base)}; it loses "
            f"{estimate(residual.loss)}, paired by text)."
        )
    if robust is not None and robust.score is None:
        told.append(f"Its robustness has no score: {robust.undefined}.")
    elif robust is not None and robust.score is not None:
        told.append(
            f"Over all attacks {share_estimate(robust.score, digits=0)} of the reduction survives "
            f"on average, least against {robust.weakest} ({plural(robust.prompts_n, 'prompt')})."
        )
    return told


def _tiles(study: Study, base: MethodRow | None) -> list[Tile]:
    tiles = []
    for label, row in (
        ("toxicity as it is", base),
        ("DPO as trained", study.trained),
        ("its toxic keys scaled", study.unaligned),
    ):
        if row is not None and (seen := row.metrics.get("toxicity")) is not None:
            change = row.change.get("toxicity")
            fell = row is study.trained and change is not None and change.high < 0
            tone: Tone = "good" if fell else ""
            tiles.append(Tile(label, number(seen.value), bounds(seen.low, seen.high), tone))
    if study.trained is not None and (cost := study.trained.change.get("perplexity_change")):
        note = f"[{percent(cost.low, signed=True)}, {percent(cost.high, signed=True)}]"
        tiles.append(Tile("perplexity, as trained", percent(cost.value, signed=True), note))
    return tiles + claims_tile(study.claims)


def _tone(trained: MethodRow | None) -> Tone:
    if trained is None:
        return ""
    return "good" if trained.change["toxicity"].high < 0 else "bad"
