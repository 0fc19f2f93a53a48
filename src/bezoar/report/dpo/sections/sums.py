"""Who made the change: sums over all neurons and heads that are exact, and interpolation."""

from __future__ import annotations

from bezoar.compare.models import Contributions, HeadContributions, Interpolation
from bezoar.compare.models.verdicts import verdict as said
from bezoar.report.blocks import Block, Picture, Section, Table, Text
from bezoar.report.dpo.artefacts import Study
from bezoar.report.figures.head_changes import head_changes
from bezoar.report.figures.interpolation_curve import interpolation_curve
from bezoar.report.figures.neuron_groups import neuron_groups
from bezoar.report.numbers import count, estimate, number, p_value, percent, plural
from bezoar.report.study.cells import interval_cell, number_cell

HEADS = 8


def sums(study: Study) -> Section:
    """The eight groups of neurons, the heads, and the way between and beyond the two models."""
    intro = (
        "Not in the paper. Toxic neurons that fire less are one way to be less toxic; later work "
        "(Yang et al. 2025) finds that they explain a small part of it. Here the change along the "
        "probe is split over all MLP neurons, all biases and what is left, without remainder."
    )
    blocks: list[Block] = []
    if study.contributions is not None:
        blocks += _groups(study.contributions)
    if study.heads is not None:
        blocks += _heads(study.heads)
    if study.interpolation is not None:
        blocks += _interpolation(study.interpolation, study.compared)
    if not blocks:
        blocks = [Text("This run split no change into its parts.", "muted")]
    return Section("sums", "Who made the change", intro, tuple(blocks))


def _groups(found: Contributions) -> list[Block]:
    text = (
        f"Over {plural(found.new_tokens, 'generated token')} after "
        f"{plural(found.prompts_n, 'prompt')} what all MLPs write along {found.direction} changes "
        f"by {estimate(found.measured, signed=True)}: "
        f"neurons {number(found.neurons, signed=True)}, "
        f"biases {number(found.constant, signed=True)}, "
        f"anything else {number(found.rest, signed=True)}."
    )
    if (share := found.toxic_share) is not None:
        chance = sum(found.random_shares) / max(1, len(found.random_shares))
        null = (
            f"; as many random neurons make {percent(chance)} (p = {p_value(found.null_p)})"
            if found.random_shares
            else ""
        )
        low, high = percent(share.low), percent(share.high)
        text += (
            f" The {count(found.toxic_n)} most toxic of {count(found.neurons_n)} neurons make "
            f"{percent(share.value)} [{low}, {high}] of what neurons changed{null}."
        ).replace("= <", "<")
    picture = Picture(
        neuron_groups(found),
        "The change along the probe, split over all MLP neurons by the sign of their value "
        "vector's cosine to it, of their mean coefficient, and of its change. The first four "
        "groups lower toxicity by their coefficients, the others raise it.",
        f"Bars by group; all sum to {number(found.neurons, signed=True)}.",
        "neuron_groups",
    )
    rows = tuple(
        (
            f"{layer.layer}",
            interval_cell(layer.measured, signed=True),
            number_cell(layer.coefficients, signed=True),
            number_cell(layer.vectors, signed=True),
            number_cell(layer.both, signed=True),
            number_cell(layer.constant, signed=True),
            number_cell(layer.rest, signed=True),
        )
        for layer in found.layers
    )
    columns = (
        "layer",
        "measured",
        "coefficients",
        "value vectors",
        "both at once",
        "biases",
        "rest",
    )
    caption = "The change of every MLP's output along the probe, and its parts."
    return [Text(text), picture, Table(caption, columns, rows, folded=True)]


def _heads(found: HeadContributions) -> list[Block]:
    changed = found.changed()
    picture = Picture(
        head_changes(found),
        f"The change of what each attention head writes "
        f"{'to the logit of' if found.logit else 'along'} {found.target}, at the last token of "
        f"{plural(found.prompts_n, 'prompt')}; a dot marks heads that changed at a false discovery "
        "rate of 5 %.",
        f"Heat map of heads by layers; {len(changed)} of {len(found.heads)} changed.",
        "head_changes",
    )
    rows = tuple(
        (
            f"{head.layer}.{head.head}",
            number_cell(head.base, signed=True),
            number_cell(head.edited, signed=True),
            interval_cell(head.change, signed=True),
            p_value(head.adjusted_p),
        )
        for head in changed[:HEADS]
    )
    if not rows:
        return [picture, Text("No head changed beyond what chance would show.", "muted")]
    columns = ("head", found.base_name, found.edited_name, "change", "p (adjusted)")
    caption = f"The {plural(len(rows), 'head')} that changed most, of {len(changed)} that changed."
    return [Text(said(found)), picture, Table(caption, columns, rows, folded=True)]


def _interpolation(found: Interpolation, n: int) -> list[Block]:
    over = f" Measured on {plural(n, 'prompt')}." if n else ""
    picture = Picture(
        interpolation_curve(found),
        f"{found.measure[:1].upper()}{found.measure[1:]} between the two models and beyond: "
        "W + t (W′ − W), from t = −1 (the opposite of training) to 2 (twice as far). Bars are 95 % "
        f"intervals of the paired change, put at the base's value.{over}",
        f"Line over {plural(len(found.points), 'value')} of t.",
        "interpolation",
    )
    rows = tuple(
        (f"{p.t:g}", interval_cell(p.value), interval_cell(p.change, signed=True))
        for p in found.points
    )
    columns = ("t", found.measure, "against the base")
    table = Table(f"The same in numbers.{over}", columns, rows, folded=True)
    return [Text(f"{said(found)}{over}"), picture, table]
