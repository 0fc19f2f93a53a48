"""Whole layers as experts: Figures 5 and 6, the curves, and the contests like for like."""

from __future__ import annotations

from bezoar.locate.layer_results import Contest, LayerExperts, LayersReport
from bezoar.report.blocks import Block, Cell, Fold, Picture, Section, Table, Text, Tone
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import LAYERS, NAME, PAPER
from bezoar.report.figures.experts_figure_5_layer_ranks import experts_figure_5_layer_ranks
from bezoar.report.figures.experts_figure_6_auroc_silhouette import (
    experts_figure_6_auroc_silhouette,
)
from bezoar.report.figures.layer_experts import layer_experts
from bezoar.report.numbers import p_value, plural
from bezoar.report.study.cells import count_cell, interval_cell, number_cell, share_cell

_EVERY = (
    "texts",
    "layer",
    "k-means",
    "hierarchical",
    "k-means, matched",
    "by chance",
    "silhouette",
    "for length",
    "at equal lengths",
    "mean neuron",
    "best neuron",
    "mean difference",
    "probe",
)


def layers(study: Study) -> Section:
    """Where the good layers are, and whether they beat what they must."""
    intro = (
        f"{NAME} cuts the texts in two clusters by each layer, without labels, and calls the layer "
        "an expert if the clusters agree with them better than the average neuron does. That "
        "compares a whole layer with one neuron, and lets the labels choose between the clusters "
        "afterwards. Below, contests are also like for like: averages against averages, the best "
        "against the best, all cut without labels."
    )
    found = study.layers
    blocks: list[Block] = [Text("This run clustered no layers.", "muted")]
    if found:
        blocks = [_curves(found[0]), _contests(found), _printed()]
        blocks += [_ranks(found), *_scatter(found), _every(found)]
        if len(found) > 1:
            blocks.append(Fold("The curves of the other models and texts.", _others(found)))
    return Section("layers", "Layers as experts", intro, tuple(blocks))


def _named(one: LayerExperts) -> str:
    return f"{one.model} ({one.kind}) on {one.corpus}"


def _curves(one: LayerExperts, key: str = "layer_experts") -> Picture:
    best = max(one.layers, key=lambda layer: layer.kmeans.auroc.value)
    caption = (
        f"{_named(one)}, {plural(one.test_n, 'text')}: balanced accuracy of verdicts, layer by "
        f"layer, rows pooled by {one.pooling}. Blue: clusters; orange: neurons ({one.neurons}), "
        "the average one cut in two without labels; purple: readers fitted to labels. The band is "
        "what letting the labels choose between two clusters gains by chance (best of all "
        f"layers: p {p_value(one.best_null_p)})."
    )
    told = f"Curves over the layers; clusters do best at layer {best.layer}: {best.kmeans.auroc}."
    return Picture(layer_experts(one), f"{caption} {one.caveat}".strip(), told, key)


def _contests(found: tuple[LayerExperts, ...]) -> Table:
    rows = tuple(
        (Cell(_named(one), "" if i else one.caveat, "muted" if i else ""), *_contest(contest))
        for one in found
        for i, contest in enumerate(one.contests)
    )
    caption = PAPER.table_caption(
        "layers",
        "Differences are paired by text, with 95 % intervals; the best layer or neuron was chosen "
        "on other texts. Alike: both averages or both chosen, both cut without labels, their sides "
        "said by the same labels.",
    )
    columns = ("texts", "clusters", "against", "alike", "AUROC", "rival's", "difference")
    return Table(caption, columns, rows, key="table_layers")


def _contest(contest: Contest) -> tuple[Cell | str, ...]:
    difference = contest.difference
    tone: Tone = "good" if difference.low > 0 else "bad" if difference.high < 0 else ""
    return (
        contest.layers,
        contest.rival,
        "yes" if contest.like_for_like else "no",
        interval_cell(contest.clusters),
        interval_cell(contest.rival_auroc),
        interval_cell(difference, signed=True, tone=tone),
    )


def _printed() -> Table:
    rows = tuple((name, share_cell(neurons), share_cell(layer)) for name, neurons, layer in LAYERS)
    caption = f"What {NAME} prints: mean AUROC, without intervals."
    return Table(caption, ("model", "average neuron", "layers' clusters"), rows, folded=True)


def _ranks(found: tuple[LayerExperts, ...]) -> Picture:
    ours = (
        "1 is the best layer, 0 the worst. A box holds the rank by each criterion, for each set of "
        "texts, in resamples of the texts: those criteria are not independent of one another."
    )
    told = "Box plots of rank against the share of the layers that are passed."
    return PAPER.figure(
        5, "layer_ranks", experts_figure_5_layer_ranks(LayersReport(found)), ours, told
    )


def _scatter(found: tuple[LayerExperts, ...]) -> list[Picture]:
    parted = [layer.kmeans.silhouette is not None for one in found for layer in one.layers]
    if not any(parted):
        return []
    ours = "A point a layer; the numbers beside them count layers from 0."
    told = "Scatter of AUROC, matched by the labels, against silhouette."
    drawn = experts_figure_6_auroc_silhouette(LayersReport(found))
    return [PAPER.figure(6, "auroc_silhouette", drawn, ours, told)]


def _every(found: tuple[LayerExperts, ...]) -> Table:
    rows = tuple(
        (
            Cell(_named(one), "", "muted" if i else ""),
            count_cell(layer.layer),
            interval_cell(layer.kmeans.auroc),
            interval_cell(layer.hierarchical.auroc),
            interval_cell(layer.kmeans.matched),
            number_cell(layer.kmeans.null_high),
            number_cell(layer.kmeans.silhouette),
            number_cell(layer.kmeans.length_auroc),
            interval_cell(layer.kmeans.equal_length),
            interval_cell(layer.mean_neuron.plain),
            interval_cell(layer.best_neuron.auroc),
            interval_cell(layer.mean_difference.auroc),
            interval_cell(layer.probe.auroc),
        )
        for one in found
        for i, layer in enumerate(one.layers)
    )
    caption = (
        "AUROC of everything, layer by layer. Matched: as published, max(AUROC, 1 − AUROC); by "
        "chance: the 95th percentile of that under shuffled labels. For length: how well the same "
        "clusters tell long texts from short ones; at equal lengths: toxicity, on texts of which "
        "either class has as many of every length."
    )
    return Table(caption, _EVERY, rows, folded=True, key="table_layers_all")


def _others(found: tuple[LayerExperts, ...]) -> tuple[Block, ...]:
    return tuple(_curves(one, f"layer_experts_{i}") for i, one in enumerate(found[1:], start=2))
