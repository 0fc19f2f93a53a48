"""How good the autoencoders are, and which of them was read."""

from __future__ import annotations

from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.figures.sae_density import MOST, sae_density
from bezoar.report.figures.sae_probing import sae_probing
from bezoar.report.figures.sae_quality import sae_quality
from bezoar.report.numbers import number, percent, plural
from bezoar.report.sae.artefacts import Study
from bezoar.report.study.cells import count_cell, interval_cell, number_cell
from bezoar.sae.quality_results import QualityRow, QualityTable


def quality(study: Study) -> Section:
    """Faithfulness, sparsity and what dies, by layer and architecture."""
    intro = (
        "An autoencoder is worth reading only where it gives back what the model had: on texts "
        "that it was not trained on, in variance, in direction, and in what the model predicts "
        "when it goes on from the reconstruction."
    )
    found = study.quality
    blocks: list[Block] = [Text("This run measured no autoencoder.", "muted")]
    if found is not None and found.rows:
        blocks = [_chosen(found), *_pictures(found), _table(found), *_probing(found)]
    return Section("quality", "How good the autoencoders are", intro, tuple(blocks))


def _chosen(found: QualityTable) -> Text:
    row = found.row(found.chosen)
    return Text(
        f"{plural(len(found.rows), 'autoencoder')}. Read closely: {row.name} "
        f"({row.architecture}, {row.d_sae:,} latents), chosen by {found.rule}."
    )


def _pictures(found: QualityTable) -> list[Block]:
    drawn = f"The first {MOST} are drawn. " if len(found.rows) > MOST else ""
    return [
        Picture(
            sae_quality(found),
            "By layer, on held-out texts: variance explained, loss recovered when the model goes "
            "on from the reconstruction, latents that fire on a token, and latents that fired on "
            "no token of the training texts. Other seeds or options of an architecture stand "
            "beside its line; the orange ring is the autoencoder that was read.",
            "Four panels of lines by layer; the table below has the same numbers.",
            "sae_quality",
        ),
        Picture(
            sae_density(found),
            "How often latents fire: shares of latents by the logarithm of the share of held-out "
            "tokens on which they do. The grey bar apart are those that never do; orange is the "
            f"autoencoder that was read. {drawn}",
            "One histogram an autoencoder.",
            "sae_density",
        ),
    ]


def _table(found: QualityTable) -> Table:
    columns = (
        "autoencoder",
        "latents",
        "L0",
        "explained variance",
        "cosine",
        "loss recovered",
        "length kept",
        "never fire",
    )
    caption = (
        "Held-out tokens, but for the last column, which is of the training texts. Explained "
        "variance is below it on the training texts. Loss recovered: 1 is the model as it is, 0 "
        "zeros in the place of the activations; below it, with their mean in it, which is harder. "
        "Length kept: slope of the reconstruction's length on the activation's, below 1 for what "
        "is shrunk; below it, what reconstructions would have to be divided by."
    )
    rows = tuple(_row(row, row.name == found.chosen) for row in found.rows)
    return Table(caption, columns, rows, key="table_quality")


def _row(row: QualityRow, chosen: bool) -> tuple[Cell | str, ...]:
    told = ", ".join(f"{name} {value}" for name, value in row.options.items())
    note = " · ".join(part for part in (row.architecture, told, f"seed {row.seed}") if part)
    seen = row.held_out
    return (
        Cell(row.name, note, "strong" if chosen else ""),
        count_cell(row.d_sae),
        number_cell(seen.l0),
        Cell(
            number(seen.explained_variance),
            f"{number(row.trained.explained_variance)} trained on", "", (seen.explained_variance,),
        ),
        number_cell(seen.cosine),
        _recovered(row),
        Cell(number(seen.shrinkage), f"bias {number(seen.bias)}", "", (seen.shrinkage,)),
        Cell(percent(row.trained.dead_share), "", "", (row.trained.dead_share,)),
    )  # fmt: skip


def _recovered(row: QualityRow) -> Cell:
    if row.loss is None:
        return Cell("–", "", "muted")
    note = f"{percent(row.loss.recovered_of_mean)} of the mean's"
    return Cell(percent(row.loss.recovered), note, "", (row.loss.recovered,))


def _probing(found: QualityTable) -> list[Block]:
    rows = [row for row in found.rows if row.probing]
    if not rows:
        return []
    ks = sorted({one.k for row in rows for one in row.probing})
    told = tuple(
        (
            Cell(row.name, "", "strong" if row.name == found.chosen else ""),
            *(
                interval_cell(next((one.auroc for one in row.probing if one.k == k), None))
                for k in ks
            ),
        )
        for row in rows
    )
    return [
        Picture(
            sae_probing(found),
            "Probes on few latents: AUROC on held-out texts by how many latents a probe may read, "
            "chosen on the training texts. Where one latent does nearly what sixteen do, the "
            "behaviour has a latent of its own; bars are 95 % intervals.",
            "Lines by the number of latents, the autoencoder that was read in colour.",
            "sae_probing",
        ),
        Table(
            "AUROC of probes on so many latents, with 95 % intervals.",
            ("autoencoder", *(f"k = {k}" for k in ks)),
            told,
            folded=True,
            key="table_probing",
        ),
    ]
