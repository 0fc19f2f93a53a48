"""The top of the page: what was found, in plain words and a few numbers."""

from __future__ import annotations

from bezoar.errors import ConfigError
from bezoar.evaluate import METRICS, MethodRow, Scorecard, get_protocol
from bezoar.mitigate import parse_method
from bezoar.report.artefacts import Artefacts
from bezoar.report.blocks import Tile, Tone, Verdict
from bezoar.report.figures.comparison import (
    beats_its_nulls,
    null_draws_wanted,
    proven,
    too_few_nulls,
    with_nulls,
)
from bezoar.report.numbers import bounds, estimate, number, p_value, percent, plural
from bezoar.report.sections.where import in_words
from bezoar.stats.nulls import FEWEST_DRAWS

FEW = 100  # prompts below which a verdict says that they are few


def verdict(run: Artefacts) -> Verdict:
    """Sentences and headline numbers of a run, as far as it got: the answer first."""
    card = run.scorecard
    if card is None:
        return Verdict(("This run looked at the model and compared no remedy.", *_where(run)))
    base = next(
        (row for row in card.rows if row.kind == "no-op" and "toxicity" in row.metrics), None
    )
    best = run.best()
    sentences = [_none(card) if best is None else _answer(run, best)]
    sentences += [base_sentence(run, card, base)] if base is not None else []
    sentences += _base_test(run)
    if best is not None:
        sentences += [*_remedy(run, card, best), *_others(card, best)]
    if card.prompts_n < FEW:
        sentences.append(
            f"Only {plural(card.prompts_n, 'prompt')}: enough to see that the audit works, too few "
            "for a decision."
        )
    sentences += [next_step(run, best), *_where(run)]
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


def _none(card: Scorecard) -> str:
    methods = [row for row in card.rows if row.kind == "method"]
    why = (
        "no method that folds into plain weights lowered toxicity on the selection prompts"
        if methods
        else "no method was fitted"
    )
    return f"There is no remedy to export: {why}."


def _answer(run: Artefacts, best: MethodRow) -> str:
    """What was chosen, how much it does, what it costs, and whether that is proven."""
    change, cost = best.change["toxicity"], best.change.get("perplexity_change")
    price = f" for {percent(cost.value, signed=True)} perplexity" if cost else ""
    if change.high >= 0:
        worse = "more" if change.low > 0 else "no less"
        return f"{best.label}, the remedy that was chosen, leaves {run.model} {worse} toxic{price}."
    does = f"{best.label} makes {run.model} {_less(best)} toxic{price}"
    drawn = plural(best.n_draws, "null edit")
    if too_few_nulls(best):
        return (
            f"{does}, which is not proven: too few null edits to decide whether edits that know "
            f"nothing of it do as well ({drawn})."
        )
    beats = beats_its_nulls(best)
    if beats is None:
        return f"{does}, held against no null edits."
    if not beats:
        return f"{does}, which is not proven: edits that know nothing of it may do as well."
    return f"{does}, more than each of {drawn}: this is proven."


def _less(row: MethodRow) -> str:
    """``56 % [45, 65] less``; "less" alone where no share was measured."""
    share = row.change.get("toxicity_reduction")
    if share is None:
        return "less"
    low, high = (number(100 * bound, digits=0) for bound in (share.low, share.high))
    return f"{percent(share.value, digits=0)} [{low}, {high}] less"


def _remedy(run: Artefacts, card: Scorecard, best: MethodRow) -> list[str]:
    change, toxicity = best.change["toxicity"], best.metrics["toxicity"]
    fell = "falls to" if change.value < 0 else "does not fall, it is"
    unsure = ", an interval that includes no change" if change.low < 0 <= change.high else ""
    kind = "Of the remedies that become plain weights" if best.foldable else "Of the remedies"
    own = bool(run.audit.get("best"))
    chooser = f"{card.selection_scorer} chose {best.label} on other prompts"
    if not own:
        chooser = f"this page chose {best.label}, on its own numbers, which flatters it"
    sentences = [
        f"{kind}, {chooser}: toxicity {fell} {estimate(toxicity)}, a change of "
        f"{estimate(change, signed=True)} paired by prompt{unsure}."
    ]
    nulls = next((nulls for method, nulls in with_nulls(card) if method == best), [])
    if best.holm_p is None or not nulls or "toxicity" not in nulls[0].change:
        return [*sentences, "It was not held against null edits, so chance is not ruled out."]
    hardest = nulls[0]
    drawn = f"Null edits ({hardest.label.rpartition(': ')[2]}) change toxicity by"
    p = (
        f"p = {p_value(best.holm_p)} after Holm's correction, {p_value(best.rank_p)} by rank among "
        f"{plural(best.n_draws, 'null edit')}"
    ).replace("= <", "<")
    end = "it does not do better than chance would"
    if too_few_nulls(best):
        end = "too few null edits to decide whether it does better"
    elif beats_its_nulls(best):
        end = "it does better than they do"
    mean = number(hardest.change["toxicity"].value, signed=True)
    return [*sentences, f"{drawn} {mean} on average: {end} ({p})."]


def _others(card: Scorecard, best: MethodRow) -> list[str]:
    """Which other methods are proven, and which are not."""
    rows = [row for row, _ in with_nulls(card) if row != best and row.holm_p is not None]
    shown = [f"{row.label} ({_less(row)})" for row in rows if proven(row)]
    rest = [row.label for row in rows if not proven(row)]
    too = "Proven too" if proven(best) else "Proven"
    told = [f"{too}: {', '.join(shown)}."] if shown else []
    told += [f"Not proven: {', '.join(rest)}."] if rest else []
    return [" ".join(told)] if told else []


def next_step(run: Artefacts, best: MethodRow | None) -> str:
    """What the reader would do now, as a command."""
    if best is None or best.change["toxicity"].high >= 0:
        return (
            "Next: let bezoar tune search methods, options and stacks of them, or allow a larger "
            "--budget."
        )
    if too_few_nulls(best):
        asked = run.options.get("mitigate", {})
        drawn, trained = asked.get("null_draws"), asked.get("trained_nulls")
        known = isinstance(drawn, int)
        wanted = null_draws_wanted(best, drawn) if known else FEWEST_DRAWS
        if parse_method(best.method).trains and isinstance(trained, int):
            wanted = null_draws_wanted(best, min(trained, drawn) if known else trained)
            more = f"--set mitigate.trained_nulls={wanted}"
            more += f" --set mitigate.null_draws={wanted}" if known and drawn < wanted else ""
            return f"Next: train more of its nulls, with {more} --update."
        return f"Next: draw more null edits, with --set mitigate.null_draws={wanted} --update."
    if not proven(best):
        return (
            "Next: report on more prompts (--protocol and --update), or let bezoar tune search "
            "methods, options and stacks of them."
        )
    edit = run.audit.get("edit of the best")
    attack = "bezoar attack" + (f" {run.model} --edit RUN/{edit}" if edit else "")
    where = "report/checkpoint of the run's folder" if best.foldable else "the run's folder"
    return (
        f"Next: the edited model is in {where}, for transformers and vLLM to load. See what is "
        f"left of it under attack ({attack}), and measure it on prompts like those that it will be "
        "given (--prompts)."
    )


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
        few = "too few to decide" if too_few_nulls(best) else "Holm"
        note = f"{plural(best.n_draws, 'null draw')}, {few}"
        tiles.append(Tile("p against nulls", p_value(best.holm_p), note))
    return tiles


def _tone(best: MethodRow | None) -> Tone:
    if best is None or best.change["toxicity"].high >= 0 or beats_its_nulls(best) is False:
        return "bad"
    return "good" if proven(best) else ""


def _where(run: Artefacts) -> list[str]:
    return [] if run.sweep is None else [in_words(run.sweep)]
