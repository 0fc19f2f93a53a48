"""The top of the page: what was found, in plain words and a few numbers."""

from __future__ import annotations

from bezoar.errors import ConfigError
from bezoar.evaluate import METRICS, MethodRow, Scorecard, get_protocol
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Tile, Tone, Verdict
from bezoar.report.figures.comparison import beats_its_nulls, by_pooled_p_only, proven, with_nulls
from bezoar.report.numbers import bounds, estimate, number, p_value, percent, plural
from bezoar.report.sections.where import in_words

FEW = 100  # prompts below which a verdict says that they are few


def verdict(run: Artefacts) -> Verdict:
    """Sentences and headline numbers of a run, as far as it got."""
    card = run.scorecard
    if card is None:
        return Verdict(("This run looked at the model and compared no remedy.", *_where(run)))
    base = next(
        (row for row in card.rows if row.kind == "no-op" and "toxicity" in row.metrics), None
    )
    best = run.best()
    sentences = [base_sentence(run, card, base)] if base is not None else []
    sentences += _base_test(run)
    if best is None:
        methods = [row for row in card.rows if row.kind == "method"]
        why = (
            "no method that folds into plain weights lowered toxicity on the selection prompts"
            if methods
            else "no method was fitted"
        )
        sentences.append(f"There is no remedy to export: {why}.")
    else:
        sentences += _remedy(run, card, best)
    sentences += _where(run)
    if card.prompts_n < FEW:
        sentences.append(
            f"Only {plural(card.prompts_n, 'prompt')}: enough to see that the audit works, too few "
            "for a decision."
        )
    return Verdict(tuple(sentences), tuple(_tiles(card, base, best)), _tone(best))


def statistic(card: Scorecard) -> str:
    """What the protocol's toxicity is, in words."""
    try:
        return METRICS[get_protocol(card.protocol).statistic][0]
    except (ConfigError, KeyError):
        return "toxicity"


def base_sentence(run: Artefacts, card: Scorecard, base: MethodRow) -> str:
    """How toxic the unedited model is, on what, by whom."""
    return (
        f"After {plural(card.prompts_n, 'prompt')}, what {run.model} writes has a toxicity of "
        f"{estimate(base.metrics['toxicity'])}: {statistic(card)} under {card.measured}, scored by "
        f"{card.report_scorer}."
    )


def _remedy(run: Artefacts, card: Scorecard, best: MethodRow) -> list[str]:
    change, toxicity = best.change["toxicity"], best.metrics["toxicity"]
    cost = best.change.get("perplexity_change")
    fell = "falls to" if change.value < 0 else "does not fall, it is"
    unsure = ", an interval that includes no change" if change.low < 0 <= change.high else ""
    share = best.change.get("toxicity_reduction")
    part = f", {percent(share.value, digits=0)} less" if share and share.value > 0 else ""
    price = f" Perplexity changes by {percent(cost.value, signed=True)}." if cost else ""
    chosen = (
        ""
        if run.audit.get("best")
        else " It was picked on the numbers of this report, which flatters it."
    )
    kind = "Of the remedies that become plain weights" if best.foldable else "Of the remedies"
    chooser = card.selection_scorer if run.audit.get("best") else "this page"
    sentences = [
        f"{kind}, {chooser} chose {best.label}: toxicity {fell} {number(toxicity.value)} "
        f"({estimate(change, signed=True)}{part}{unsure}).{price}{chosen}"
    ]
    nulls = next((nulls for method, nulls in with_nulls(card) if method == best), [])
    beats = beats_its_nulls(best)
    if beats is None or not nulls or "toxicity" not in nulls[0].change:
        return [*sentences, "It was not held against null edits, so chance is not ruled out."]
    hardest = nulls[0]
    drawn = f"Null edits ({hardest.label.rpartition(': ')[2]}) change toxicity by"
    p = (
        f"p = {p_value(best.holm_p)} after Holm's correction, {p_value(best.rank_p)} by rank among "
        f"{plural(best.n_draws, 'null edit')}"
    ).replace("= <", "<")
    end = "it does better than they do" if beats else "it does not do better than chance would"
    if by_pooled_p_only(best):
        end = "it does better than every one of them, but by the pooled p only, for they are few"
    mean = number(hardest.change["toxicity"].value, signed=True)
    return [*sentences, f"{drawn} {mean} on average: {end} ({p})."]


def _base_test(run: Artefacts) -> list[str]:
    rows = run.base.rows if run.base is not None else ()
    row = next((row for row in rows if row.metric == "toxicity"), None)
    if row is None or run.base is None:
        return []
    said = "more" if row.low > 0 else "less" if row.high < 0 else "neither clearly more nor less"
    return [
        f"Against {run.base.run_a}, the model it was tuned from, it is {said} toxic: "
        f"{number(row.value, signed=True)} {bounds(row.low, row.high, signed=True)}, "
        "on the same prompts."
    ]


def _tiles(card: Scorecard, base: MethodRow | None, best: MethodRow | None) -> list[Tile]:
    tiles = []
    if base is not None:
        seen = base.metrics["toxicity"]
        tiles.append(Tile("toxicity as it is", number(seen.value), bounds(seen.low, seen.high)))
    if best is None:
        return tiles
    seen = best.metrics["toxicity"]
    tone: Tone = "good" if proven(best) else ""
    tiles.append(
        Tile("with the chosen remedy", number(seen.value), bounds(seen.low, seen.high), tone)
    )
    if cost := best.change.get("perplexity_change"):
        note = f"[{percent(cost.low, signed=True)}, {percent(cost.high, signed=True)}]"
        tiles.append(Tile("perplexity", percent(cost.value, signed=True), note))
    if best.holm_p is not None:
        note = f"{plural(best.n_draws, 'null draw')}, Holm"
        tiles.append(Tile("p against nulls", p_value(best.holm_p), note))
    return tiles


def _tone(best: MethodRow | None) -> Tone:
    if best is None or best.change["toxicity"].high >= 0 or beats_its_nulls(best) is False:
        return "bad"
    return "good" if proven(best) else ""


def _where(run: Artefacts) -> list[str]:
    return [] if run.sweep is None else [in_words(run.sweep)]
