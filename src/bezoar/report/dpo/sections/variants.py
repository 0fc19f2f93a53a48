"""Section 6, the paper's open questions: what else could be trained, and the KL's pull."""

from __future__ import annotations

import re

from bezoar.compare.models.drifts import OUTSIDE, DriftSummary
from bezoar.evaluate import MethodRow
from bezoar.mitigate.preference import TrainingLog
from bezoar.report.blocks import Block, Cell, Picture, Section, Table, Text
from bezoar.report.dpo.artefacts import AS_TRAINED, Study
from bezoar.report.dpo.paper import SECTIONS
from bezoar.report.figures.drift_layers import drift_layers
from bezoar.report.figures.training_variants import Variant, training_variants
from bezoar.report.numbers import count, percent, plural
from bezoar.report.study.cells import interval_cell, number_cell, share_cell


def variants(study: Study) -> Section:
    """Every training as it ended: what it moved, what that bought, what it cost."""
    intro = (
        "Open in the paper: whether training toxic value vectors alone would do, or random ones, "
        "biases, late layers, low-rank adapters, one added layer; and what the pull towards the "
        "reference does (β, and fine-tuning on the chosen sides without it)."
    )
    rows = [row for row in study.methods if row.label.endswith(f" {AS_TRAINED}")]
    if not rows:
        blocks: list[Block] = [Text("No model was trained on preferences.", "muted")]
    else:
        blocks = _blocks(study, rows)
    return Section("variants", f"What training needs ({SECTIONS['undoing']})", intro, tuple(blocks))


def _blocks(study: Study, rows: list[MethodRow]) -> list[Block]:
    told = [(row, drift_of(study, row), log_of(study, row)) for row in rows]
    placed = tuple(
        Variant(
            row.label.removesuffix(f" {AS_TRAINED}"),
            drift.relative,
            row.change["toxicity"],
            row.change.get("perplexity_change"),
        )
        for row, drift, _ in told
        if drift is not None and "toxicity" in row.change
    )
    blocks: list[Block] = []
    if len(placed) > 1:
        blocks.append(
            Picture(
                training_variants(placed),
                "How far each training moved all of the model's weights, against what that changed "
                "of toxicity, with 95 % intervals paired by prompt.",
                f"Scatter of {plural(len(placed), 'training')}; the table has the same numbers.",
                "training_variants",
            )
        )
    moved = [drift for _, drift, _ in told if drift is not None and drift.layers]
    if len(moved) > 1:
        blocks.append(
            Picture(
                drift_layers(moved),
                "In which layers each training moved: shares of the squared change of all weights.",
                f"Heat map of layers by trainings. {_where(moved)}",
                "training_layers",
            )
        )
    caption = (
        "Each training as it ended. ‖ΔW‖ / ‖W‖ and cosine are of all weights as one vector, those "
        "that were not free too (an added layer has none to begin with); "
        "the mean stable rank is that of the matrices' differences; KL is that to the reference on "
        "kept-out pairs."
    )
    columns = (
        "training",
        "change of toxicity",
        "change of perplexity, share",
        "‖ΔW‖ / ‖W‖ of all weights",
        "cosine",
        "stable rank",
        "KL a token",
        "numbers free",
        "pairs in order",
    )
    rows_ = tuple(_row(*each) for each in told)
    blocks.append(Table(caption, columns, rows_, key="training_variants_numbers"))
    if len(rows) == 1:
        blocks.append(
            Text("This run trained one variant. Others are named with --methods.", "muted")
        )
    return blocks


def _where(moved: list[DriftSummary]) -> str:
    """The layer that each training moved most, in words."""
    most = [(row.name, *max(row.layers.items(), key=lambda item: item[1])) for row in moved]
    told = (
        f"{name}: {percent(share, digits=0)} "
        f"{'outside of the blocks' if layer == OUTSIDE else f'in layer {layer}'}"
        for name, layer, share in most
    )
    return f"{'; '.join(told)}."


def _row(
    row: MethodRow, drift: DriftSummary | None, log: TrainingLog | None
) -> tuple[Cell | str, ...]:
    change = row.change.get("toxicity")
    return (
        Cell(row.label.removesuffix(f" {AS_TRAINED}"), "" if log is None else log.stop_reason),
        interval_cell(change, signed=True, tone="good" if change and change.high < 0 else ""),
        interval_cell(row.change.get("perplexity_change"), signed=True, share=True),
        share_cell(None if drift is None else drift.relative),
        number_cell(None if drift is None else drift.cosine, digits=5),
        number_cell(None if drift is None else drift.stable_rank, digits=1),
        number_cell(None if log is None else log.best.kl),
        "–" if log is None else count(log.trained),
        "–" if log is None else percent(log.best.accuracy),
    )


def drift_of(study: Study, row: MethodRow) -> DriftSummary | None:
    """How far the training of a row moved the weights."""
    wanted = {_plain(row.method), _plain(row.label), _plain(row.label.removesuffix(AS_TRAINED))}
    rows = () if study.drifts is None else study.drifts.rows
    return next((drift for drift in rows if _plain(drift.name) in wanted), None)


def log_of(study: Study, row: MethodRow) -> TrainingLog | None:
    """The log of the training of a row."""
    return next(
        (log for n, log in study.trainings.items() if _plain(n) == _plain(row.method)), None
    )


def _plain(name: str) -> str:
    """A method as it is written, as a folder or as a label: what is left is the same."""
    words = re.sub("direction|trainable|objective", "", name.casefold())
    return re.sub(r"[^a-z0-9.]+", "", words)
