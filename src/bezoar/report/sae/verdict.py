"""The top of the page: who won, by how much, and whether that says anything."""

from __future__ import annotations

import re

from bezoar.evaluate.contest_results import FAMILIES, Contest, Difference
from bezoar.report.blocks import Tile, Tone, Verdict
from bezoar.report.numbers import bounds, estimate, number, percent, plural
from bezoar.report.sae.artefacts import Study
from bezoar.report.study.claims import claims_counted, claims_tile

SOURCE = "the SAE safety-probing project"
FEW = 300
"""Texts below which a contest shows that the study works, and settles nothing."""
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


def verdict(study: Study) -> Verdict:
    """Sentences and headline numbers, as far as the study got."""
    counted = claims_counted(study.claims, SOURCE)
    contest = study.contest
    if contest is None:
        return Verdict(("This study has held no contest yet.", *counted), tuple(_read(study)))
    sentences = [f"{contest.task[:1].upper()}{contest.task[1:]}: {minus(contest.verdict)}"]
    sentences += [_fewest(contest), *_harmless(study.harmless), *_autoencoder(study), *counted]
    if contest.report_n < FEW:
        sentences.append(
            f"Only {plural(contest.report_n, 'text')} to report on: enough to see that the study "
            "works, too few to settle a contest."
        )
    tiles = (*_tiles(contest), *_read(study), *claims_tile(study.claims))
    return Verdict(tuple(sentences), tiles, _tone(contest))


def main_difference(contest: Contest, metric: str = "auroc") -> Difference | None:
    """The contest itself: the best reader of latents minus the best dense one."""
    return next((one for one in contest.differences if one.metric == metric), None)


def minus(text: str) -> str:
    """Negative numbers with a real minus sign."""
    return _MINUS.sub("−", text)


def _fewest(contest: Contest) -> str:
    k = contest.fewest.get("sae")
    if k is None:
        return "No small set of latents comes up to the best dense probe."
    return f"{plural(k, 'latent')} are not measurably worse than the best dense probe."


def _harmless(contests: tuple[Contest, ...]) -> list[str]:
    """One sentence for all sets of harmless texts."""
    told = []
    for contest in contests:
        best = {family: contest.best(family) for family in FAMILIES}
        seen = [f"{FAMILIES[f]} {estimate(row.auroc)}" for f, row in best.items() if row]
        told.append(f"{contest.task}: {', '.join(seen)}")
    return [f"Held apart from harmless texts, in AUROC: {'; '.join(told)}."] if told else []


def _autoencoder(study: Study) -> list[str]:
    if study.quality is None:
        return []
    row = study.quality.row(study.quality.chosen)
    told = (
        f"The autoencoder that was read ({row.name}) explains "
        f"{percent(row.held_out.explained_variance)} of the variance with "
        f"{number(row.held_out.l0, digits=1)} latents a token"
    )
    if row.loss is not None:
        told += f" and recovers {percent(row.loss.recovered)} of the loss that zeros cost"
    return [f"{told}; {percent(row.trained.dead_share)} of its latents never fire."]


def _tiles(contest: Contest) -> list[Tile]:
    tiles = []
    for family in FAMILIES:
        if (row := contest.best(family)) is not None:
            tone: Tone = "good" if family == contest.winner else ""
            note = f"{bounds(row.auroc.low, row.auroc.high)} {row.label}"
            tiles.append(Tile(f"AUROC, {FAMILIES[family]}", number(row.auroc.value), note, tone))
    if (one := main_difference(contest)) is not None:
        seen = one.interval
        note = f"{bounds(seen.low, seen.high, signed=True)} paired by text"
        tiles.insert(0, Tile("latents minus dense", number(seen.value, signed=True), note))
    return tiles


def _read(study: Study) -> list[Tile]:
    if study.quality is None:
        return []
    row = study.quality.row(study.quality.chosen)
    return [Tile("explained variance", percent(row.held_out.explained_variance), row.name)]


def _tone(contest: Contest) -> Tone:
    """Good if latents win; bad if they lose; neither while it is open."""
    return {"sae": "good", "dense": "bad"}.get(contest.winner, "")  # type: ignore[return-value]
