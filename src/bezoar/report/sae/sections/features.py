"""What the latents of the chosen autoencoder are, and where the rest of them can be read."""

from __future__ import annotations

from bezoar.report.blocks import Block, Cell, Link, Picture, Section, Table, Text
from bezoar.report.figures.sae_interpretability import MOST, sae_interpretability
from bezoar.report.numbers import number, percent, plural, visible_token
from bezoar.report.sae.artefacts import Study
from bezoar.report.sae.features_page import FEATURES
from bezoar.report.study.cells import number_cell, share_cell
from bezoar.sae.feature_results import FeatureCard, FeatureTable

ROWS = 15
TOKENS = 8


def features(study: Study) -> Section:
    """Geometry, the latents that tell most, and the way to all of them."""
    intro = (
        "Numbers of latents are their own, wherever they stand. The interpretability score is a "
        "heuristic of the source: it likes encoder and decoder that agree, and a density near "
        "0.3 %; it asks no reader."
    )
    found = study.features
    blocks: list[Block] = [Text("This run read no latents.", "muted")]
    if found is not None:
        blocks = [*_link(study), *_geometry(found), *_tables(study, found)]
    return Section("features", "What the latents are", intro, tuple(blocks))


def _link(study: Study) -> list[Block]:
    if not study.cards:
        return []
    what = (
        f"A card each of {plural(len(study.cards), 'latent')}, to search and sort: tokens, texts "
        "with each token's activation, categories and sources, and what the decoder promotes."
    )
    return [Link(FEATURES, "Browse the latents", what)]


def _geometry(found: FeatureTable) -> list[Block]:
    alive = sum(density > 0 for density in found.density)
    if not alive:
        return [Text("None of its latents ever fired.", "bad")]
    some = f", the {MOST:,} that contribute most" if alive > MOST else ""
    caption = (
        "Latents by the cosine of their encoder and decoder, how often they fire, and the bias of "
        f"their encoder, on {found.tokens:,} tokens{some}. The size goes with a latent's share of "
        "the reconstruction's variance, the colour with the interpretability score; diamonds are "
        "the twenty with the largest share, with their numbers. A pointer drags it round."
    )
    told = (
        f"A cloud of {plural(alive, 'latent')} in three dimensions; features/features.json has "
        "the numbers."
    )
    return [Picture(sae_interpretability(found), caption, told, "sae_interpretability")]


def _tables(study: Study, found: FeatureTable) -> list[Block]:
    cards = {card.id: card for card in study.cards}
    places = range(len(found))
    largest = sorted(places, key=lambda i: -found.contribution[i])[:ROWS]
    telling = sorted(places, key=lambda i: -abs(found.auroc[i] - 0.5))[:ROWS]
    return [
        _table(
            found, telling, cards, "table_features_telling",
            "The latents that tell the labels apart best, by the AUROC of a text's mean activation "
            "on the texts they were read on; best of many, so that held-out numbers will be lower. "
            "Below one half: active where the label is 0.",
        ),
        _table(
            found, largest, cards, "table_features_largest",
            "The latents that contribute most to the reconstruction.",
        ),
    ]  # fmt: skip


def _table(
    found: FeatureTable, rows: list[int], cards: dict[int, FeatureCard], key: str, caption: str
) -> Table:
    columns: tuple[str, ...] = ("latent", "AUROC", "mean, label 1", "fires on", "contribution")
    columns += ("interpretability",)
    columns += ("cosine to probe",) if found.probe_cosine else ()
    columns += ("top tokens, by mean",) if cards else ()
    told = tuple(_row(found, i, cards) for i in rows)
    return Table(caption, columns, told, wordy=bool(cards), key=key)


def _row(found: FeatureTable, i: int, cards: dict[int, FeatureCard]) -> tuple[Cell | str, ...]:
    latent = found.id[i]
    card = cards.get(latent)
    href = f"{FEATURES}#latent-{latent}" if card is not None else ""
    density = found.density[i]
    cells: list[Cell | str] = [
        Cell(str(latent), "", "", (float(latent),), href),
        number_cell(found.auroc[i]),
        Cell(
            number(found.mean_toxic[i]), f"label 0: {number(found.mean_rest[i])}", "",
            (found.mean_toxic[i],),
        ),
        Cell(percent(density, digits=3), "", "", (density,)),
        share_cell(found.contribution[i]),
        number_cell(found.interpretability[i]),
    ]  # fmt: skip
    if found.probe_cosine:
        cells.append(Cell(number(found.probe_cosine[i]), "", "", (found.probe_cosine[i],)))
    if cards:
        tokens = () if card is None else card.tokens.get("mean", ())
        cells.append(" ".join(visible_token(token) for token, _ in tokens[:TOKENS]) or "–")
    return tuple(cells)
