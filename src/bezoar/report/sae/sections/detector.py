"""What was made of the winner: a detector, its threshold, and what it costs in false alarms."""

from __future__ import annotations

from bezoar.evaluate.detector_results import DetectorInfo, Tried
from bezoar.report.blocks import Block, Cell, Code, Facts, Section, Table, Text, Tone
from bezoar.report.numbers import estimate, number, plural
from bezoar.report.sae.artefacts import Study
from bezoar.report.sae.verdict import minus
from bezoar.report.study.cells import count_cell, interval_cell


def detector(study: Study) -> Section:
    """How it was calibrated, what it does on report texts, and how it is asked."""
    intro = (
        "The winner as a small artefact for one model. Its threshold was set on texts that fitted "
        "nothing, for a rate of false alarms that was asked for; the report texts set nothing."
    )
    made = study.detector
    none = "This run made no detector; none is made where a study reads what the model writes."
    blocks: list[Block] = [Text(none, "muted")]
    if made is not None:
        blocks = [_rates(made), *_tried(made), Facts(_facts(made))]
        blocks += [Text(minus(made.note))] if made.note else []
        command = 'bezoar detect --probe RUN/detector --text "…"'
        blocks.append(Code(command, "It says which tokens drove a decision:"))
    return Section("detector", "The detector", intro, tuple(blocks))


def _rates(made: DetectorInfo) -> Table:
    rows = (
        (
            "texts of label 0 that are flagged",
            interval_cell(made.false_alarms, share=True),
            interval_cell(made.reported_false_alarms, share=True),
        ),
        (
            "texts of label 1 that are flagged",
            interval_cell(made.hits, share=True),
            interval_cell(made.reported_hits, share=True),
        ),
        ("AUROC", Cell("–", "", "muted"), interval_cell(made.auroc)),
    )
    zeros, ones = made.calibration
    caption = (
        f"At the threshold, with 95 % intervals. It was set for {made.asked:.2%} false alarms on "
        f"{plural(zeros, 'calibration text')} of label 0, one of each family of near repeats, and "
        f"{ones:,} of label 1 say how much it finds; the second column is of report texts."
    )
    return Table(caption, ("rate", "to expect", "seen"), rows, key="table_detector")


def _tried(made: DetectorInfo) -> list[Table]:
    """What it flags among harmless texts, and in each category of the report texts."""
    rows = tuple(
        (
            Cell(one.texts),
            Cell(str(one.label), "" if one.label else "every flag is a false alarm"),
            count_cell(one.n),
            interval_cell(one.flagged, share=True, tone=_tone(one, made.asked)),
        )
        for one in made.tried
    )
    caption = (
        "What it flags elsewhere, with 95 % intervals: of sets of harmless texts, which had no "
        "part in it, and of the report texts by category. The rate that was asked for is promised "
        "for texts like those of label 0 alone; in red, where it is surely exceeded."
    )
    columns = ("texts", "label", "number", "flagged")
    folded = len(rows) > 24
    return (
        [Table(caption, columns, rows, folded=folded, key="table_detector_tried")] if rows else []
    )


def _tone(one: Tried, asked: float) -> Tone:
    return "bad" if one.label == 0 and one.flagged.low > asked else ""


def _facts(made: DetectorInfo) -> tuple[tuple[str, str], ...]:
    latents = f"latents {', '.join(map(str, made.latents[:16]))}" if made.latents else ""
    latents += " …" if len(made.latents) > 16 else ""
    told = (
        ("reads", f"{made.reads} at {made.site}, {made.pooling} over tokens"),
        ("made from", made.reader),
        ("autoencoder", made.autoencoder),
        ("of it", latents),
        ("flags above", f"log-odds {number(made.threshold, signed=True)}"),
        ("AUROC", estimate(made.auroc)),
        ("trained on", made.trained_on),
        ("licence", made.licence_note),
    )
    return tuple((name, value) for name, value in told if value)
