"""The page, made from the numbers and nothing else: tables and readings for ``page.md.j2``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
from recipes.agreement.cells import estimate, percent, table, verdict, whole
from recipes.agreement.figures import GOAL
from recipes.agreement.names import ATTRIBUTES, BIAS, CONTEXT, HEADINGS, JUDGES, SETS, TESTS
from recipes.agreement.sets import NEUTRAL, NEVER_TRAINED

from bezoar.masking import mask

FAST = 5000  # short texts a second on one core
SHOWN_TERMS = 12
Numbers = dict[str, Any]
_AUROCS = ("subgroup", "bpsn", "bnsp")


def page(found: Numbers) -> str:
    """The whole page."""
    template = jinja2.Template(
        Path(__file__).with_name("page.md.j2").read_text("utf-8"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    parts = (under_test, goals, perspective, by_threshold, attributes, calibration, agreement)
    parts += (neutral, context, identity, terms, functional, speed, texts)
    alone, seen = (found["context"]["labelled"][kind]["share"] for kind in ("without", "with"))
    return template.render(
        {part.__name__: part(found) for part in parts},
        found=found,
        whole=", ".join(f"`{name}`" for name in NEVER_TRAINED),
        reached=first_reached(found),
        fewest=min(row["positive"] for row in found["attributes"]["jigsaw"]),
        off=off_on_average(found),
        with_context=percent(seen, 2),
        without_context=percent(alone, 2),
        times=f"{seen['value'] / alone['value']:.1f}",
        moved=moved_by_context(found),
        unproven=unproven(found),
        worst=worst_terms(found),
        n_terms=SHOWN_TERMS,
        ends=best_and_worst(found),
    )


def under_test(found: Numbers) -> str:
    rows = [
        [s["name"], f"`{s['hash'][:8]}`", s["lineage"], f"{s['threshold']:.3f}"]
        + [whole(s["false_alarm_rate"]) if s["false_alarm_rate"] else "–"]
        for s in found["scorers"]
    ]
    return table(["scorer", "hash", "lineage", "threshold", "set at false alarms of"], rows)


def goals(found: Numbers) -> str:
    """Each goal with what was reached; missed ones say so."""
    names = scorers(found)
    aurocs = [found["perspective"]["rtp"]["scorers"][n]["auroc"]["0.5"] for n in names]
    speeds = [found["speed"]["texts"]["rtp"][n]["value"] for n in names]
    rows = [
        ["AUROC against Perspective ≥ 0.5, RealToxicityPrompts' continuations", f"≥ {GOAL:.2f}"]
        + [f"{estimate(own)} {verdict(reaches(own))}" for own in aurocs],
        ["short texts a second, one core", f"≥ {FAST:,}"]
        + [f"{value:,.0f} {verdict(value >= FAST)}" for value in speeds],
    ]
    for row in found["neutral"]:
        if row["source"] in ("reddit_selfposts", "wikitext2"):
            cells = []
            for scorer in found["scorers"]:
                own, stated = row["scorers"][scorer["name"]], scorer["false_alarm_rate"]
                met = f" {verdict(own['low'] <= stated)}" if stated else ""
                cells.append(f"{percent(own)}{met}")
            rows.append([f"false alarms, pieces of {NEUTRAL[row['source']]}", "as stated", *cells])
    return table(["goal", "", *names], rows)


def perspective(found: Numbers) -> str:
    rows = []
    for key, part in found["perspective"].items():
        share = part["positive"]["0.5"] / part["n"]
        about = f"{HEADINGS[key]} ({part['n']:,}, {whole(share)} ≥ 0.5)"
        for name, own in part["scorers"].items():
            seen = (own["auroc"]["0.5"], own["spearman"], own["kappa"])
            rows.append([about, name, *map(estimate, seen)])
    header = ["texts", "scorer", "AUROC at 0.5", "Spearman's ρ", "Cohen's κ of the verdicts"]
    return table(header, rows)


def by_threshold(found: Numbers) -> str:
    part = found["perspective"]["rtp"]
    rows = [
        [f"≥ {threshold}", f"{positive:,}"]
        + [estimate(own["auroc"][threshold]) for own in part["scorers"].values()]
        for threshold, positive in part["positive"].items()
    ]
    return table(["Perspective", "continuations", *scorers(found)], rows)


def first_reached(found: Numbers) -> list[str]:
    said = []
    for name, own in found["perspective"]["rtp"]["scorers"].items():
        enough = [t for t, auroc in own["auroc"].items() if reaches(auroc)]
        where = f"from a Perspective score of {enough[0]} on" if enough else "at no threshold"
        said.append(f"{name} reaches {GOAL:.2f} {where}")
    return said


def reaches(auroc: Numbers) -> bool:
    """Whether the goal is reached, to the digits that are shown."""
    return round(auroc["value"], 3) >= GOAL


def attributes(found: Numbers) -> str:
    rows = [
        [HEADINGS[key], ATTRIBUTES[row["attribute"]], f"{row['positive']:,} of {row['n']:,}"]
        + [estimate(row["scorers"].get(name)) for name in scorers(found)]
        for key, part in found["attributes"].items()
        for row in part
    ]
    return table(["texts", "attribute", "positive", *scorers(found)], rows)


def calibration(found: Numbers) -> str:
    rows = [
        [f"{HEADINGS[key]}: {JUDGES[key]}", name]
        + [f"{own[number]:.3f}" for number in ("error", "floor", "mean_score")]
        + [estimate(own["positive"])]
        for key, part in found["calibration"].items()
        for name, own in part.items()
    ]
    header = ["texts and judge", "scorer", "ECE", "ECE if exact", "mean score", "share toxic"]
    return table(header, rows)


def off_on_average(found: Numbers) -> list[str]:
    """Whose mean score lies outside the interval of the share that is toxic, and on which side."""
    said = []
    for key, part in found["calibration"].items():
        for name, own in part.items():
            mean, share = own["mean_score"], own["positive"]
            if not share["low"] <= mean <= share["high"]:
                side = "too low" if mean < share["low"] else "too high"
                said.append(f"{name}'s scores are {side} on {SETS[key]}")
    return said


def agreement(found: Numbers) -> str:
    rows = [
        [f"{HEADINGS[key]} ({row['n']:,})", " / ".join(row["pair"])]
        + [estimate(row["spearman"]), estimate(row["kappa"])]
        + [" / ".join(whole(own["value"]) for own in row["called"])]
        for key, part in found["agreement"].items()
        for row in part
    ]
    header = ["texts", "scorers", "Spearman's ρ", "Cohen's κ of the verdicts"]
    return table([*header, "called toxic by the first / second / both"], rows)


def neutral(found: Numbers) -> str:
    rows = [
        [f"pieces of {NEUTRAL[row['source']]}", f"{row['n']:,}"]
        + [percent(row["scorers"][name]) for name in scorers(found)]
        + [percent(row["all"])]
        for row in found["neutral"]
    ]
    return table(["neutral texts, reserved", "n", *scorers(found), "every scorer"], rows)


def context(found: Numbers) -> str:
    rows = [
        [f"{CONTEXT[kind]} ({part['harmless']:,} harmless, {part['toxic']} toxic)", name]
        + [percent(own["false_alarms"]), percent(own["found"]), estimate(own["auroc"])]
        for kind, part in found["context"]["rows"].items()
        for name, own in part["scorers"].items()
    ]
    header = ["CAT's comments, reserved", "scorer", "of the harmless called toxic"]
    return table([*header, "of the toxic", "AUROC"], rows)


def moved_by_context(found: Numbers) -> list[str]:
    rows = found["context"]["rows"]
    return [
        f"{name}'s AUROC goes from {rows['with']['scorers'][name]['auroc']['value']:.3f} to "
        f"{own['auroc']['value']:.3f} (difference {estimate(found['context']['gain'][name])})"
        for name, own in rows["scored with"]["scorers"].items()
    ]


def unproven(found: Numbers) -> str:
    """What to add where no scorer's gain from context is beyond its interval."""
    if any(own["low"] > 0 or own["high"] < 0 for own in found["context"]["gain"].values()):
        return ""
    toxic = found["context"]["rows"]["with"]["toxic"]
    return f" With {toxic} toxic comments no change is told from none."


def identity(found: Numbers) -> str:
    rows = [
        [name, *(f"{own[metric]:.3f}" for metric in ("auroc", *_AUROCS))]
        + [" / ".join(whole(own[f"{which}_rate"]) for which in ("lowest", "median", "highest"))]
        for name, own in found["identity"]["summary"].items()
    ]
    header = ["scorer", "AUROC, all", "subgroup", "BPSN", "BNSP"]
    return table([*header, "false positives: best / median / worst term"], rows)


def worst_terms(found: Numbers) -> list[str]:
    said = []
    for name in scorers(found):
        rates = {
            term: own[name]["false_positives"]["value"]
            for term, own in found["identity"]["terms"].items()
        }
        worst = sorted(rates, key=lambda term, of=rates: -of[term])[:5]
        listed = ", ".join(f"*{mask(term)}* ({whole(rates[term])})" for term in worst)
        said.append(f"{name} calls harmless sentences toxic most with {listed}")
    return said


def terms(found: Numbers) -> str:
    every = found["identity"]["terms"]
    order = sorted(
        every, key=lambda t: -sum(own["false_positives"]["value"] for own in every[t].values())
    )
    rows = [
        [mask(term), name, percent(own["false_positives"], 0)]
        + [estimate(own[metric]) for metric in _AUROCS]
        for term in order[:SHOWN_TERMS]
        for name, own in every[term].items()
    ]
    return table(["term", "scorer", *BIAS.values()], rows)


def functional(found: Numbers) -> str:
    rows = [
        [TESTS[row["test"]], "yes" if row["hateful"] else "no", str(row["n"])]
        + [percent(row["scorers"][name], 0) for name in scorers(found)]
        for row in found["hatecheck"]
    ]
    return table(["functionality", "hateful", "cases", *scorers(found)], rows)


def best_and_worst(found: Numbers) -> list[str]:
    said = []
    for name in scorers(found):
        shares = {TESTS[r["test"]]: r["scorers"][name]["value"] for r in found["hatecheck"]}
        order = sorted(shares, key=lambda test, of=shares: of[test])
        worst = ", ".join(f"{test} ({whole(shares[test])})" for test in order[:3])
        best = f"{order[-1]} ({whole(shares[order[-1]])})"
        said.append(f"{name} does best on {best} and worst on {worst}")
    return said


def speed(found: Numbers) -> str:
    letters = found["speed"]["letters"]
    rows = [
        [f"{SETS[key]}, {letters[key]:.0f} letters on average"]
        + [f"{own['value']:,.0f} [{own['low']:,.0f}, {own['high']:,.0f}]" for own in part.values()]
        for key, part in found["speed"]["texts"].items()
    ]
    return table(["texts", *scorers(found)], rows)


def texts(found: Numbers) -> str:
    rows = [[s["name"], s["origin"], s["licence"], f"`{s['sha256'][:16]}…`"] for s in found["sets"]]
    return table(["set", "origin", "licence", "SHA-256 of the file"], rows)


def scorers(found: Numbers) -> list[str]:
    return [entry["name"] for entry in found["scorers"]]
