"""How the autoencoders learnt."""

from __future__ import annotations

from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.figures.sae_training import sae_training
from bezoar.report.numbers import count, number, percent
from bezoar.report.sae.artefacts import Study
from bezoar.report.study.cells import count_cell, number_cell
from bezoar.sae.curves import TrainingCurve


def training(study: Study) -> Section:
    """Curves by tokens, and where each of them ended."""
    intro = (
        "All autoencoders of a site are trained in one pass over its activations. Batches are of "
        "training texts; what the autoencoders do on others is in the next part."
    )
    curves = tuple(curve for curve in study.curves if curve.tokens)
    blocks: list[Block] = [Text("This run trained no autoencoder.", "muted")]
    if curves:
        caption = (
            "Variance explained of a batch, latents that fire on a token of it, and the share of "
            "latents that have not fired for "
            f"{count(curves[0].dead_after)} tokens, by tokens trained on. Colours are kinds, "
            "dashes sites; below zero the first panel is cut off."
        )
        told = "Lines by tokens, one an autoencoder; the table has where they end."
        blocks = [Picture(sae_training(curves), caption, told, "sae_training"), _ends(curves)]
    return Section("training", "How they were trained", intro, tuple(blocks))


def _ends(curves: tuple[TrainingCurve, ...]) -> Table:
    columns = ("autoencoder", "tokens", "loss", "explained variance", "L0", "dead", "seconds")
    rows = tuple(
        (
            Cell(curve.spec, curve.site),
            count_cell(curve.tokens[-1]),
            number_cell(curve.loss[-1]),
            number_cell(curve.explained[-1]),
            number_cell(curve.l0[-1]),
            Cell(percent(curve.dead[-1]), "", "", (curve.dead[-1],)),
            Cell(number(curve.seconds, digits=0), "of the pass", "", (curve.seconds,)),
        )
        for curve in curves
    )
    return Table("Where each training ended.", columns, rows, folded=True, key="table_training")
