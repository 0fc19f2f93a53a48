"""Detection is not generation: every edit as a writer and as a reader."""

from __future__ import annotations

from bezoar.evaluate.detection_results import DETECTORS, Detection, EditDetection
from bezoar.report.blocks import Block, Cell, Facts, Picture, Section, Table, Text, Tone
from bezoar.report.experts.artefacts import Study
from bezoar.report.experts.paper import NAME
from bezoar.report.figures.detection import detection as picture
from bezoar.report.numbers import bounds, number, plural
from bezoar.report.study.cells import interval_cell

_TITLE = "Detection is not generation"


def detection(study: Study) -> Section:
    """What each edit takes from writing, and what from reading."""
    intro = (
        f"The central claim of {NAME}: what detects toxicity in a model is not what writes it, and "
        "only the second must be damped. Every edit is held against the unedited model twice: by "
        "what it writes, and by what detectors read in it on labelled texts. Detectors are fitted "
        "anew on each edited model, and one whose input an edit cannot reach is marked: that it "
        "does not change is no finding."
    )
    found = study.detection
    blocks: list[Block] = [Text("This run looked at no edit as a reader.", "muted")]
    if found is not None:
        blocks = [*_figure(found), _table(found), _detectors(found)]
    return Section("detection", _TITLE, intro, tuple(blocks))


def _figure(found: Detection) -> list[Block]:
    if not any(edit.toxicity is not None for edit in found.edits):
        return []
    caption = (
        "Each edit's change of what is written (left is less toxic) against its change of what can "
        "be read (down is blinder), once for every detector, with 95 % intervals. Hollow marks "
        "cannot change by construction."
    )
    told = "Scatter of the edits; the table below has the same numbers."
    return [Picture(picture(found), caption, told, "detection_against_generation")]


def _table(found: Detection) -> Table:
    names = [name for name in DETECTORS if any(edit.score(name) for edit in found.edits)]
    base = [interval_cell(found.base.get(name)) for name in names]
    first = (Cell("unedited: AUROC", "", "muted"), Cell("–", "", "muted"), *base)
    rows = [first, *((Cell(edit.label), *_row(edit, names)) for edit in found.edits)]
    caption = (
        f"Changes with 95 % intervals. Toxicity of what is written: {found.protocol}, scored by "
        f"{found.scorer}. AUROC on {plural(found.test, 'text')}, probes fitted on "
        f"{plural(found.train, 'other text')}. “Fixed”: it cannot change by construction."
    )
    columns = ("edit", "writes: toxicity", *(f"reads: {_called(name)}" for name in names))
    return Table(caption, columns, tuple(rows), key="table_detection")


def _row(edit: EditDetection, names: list[str]) -> list[Cell]:
    cells = [interval_cell(edit.toxicity, signed=True, tone=_tone(edit))]
    for name in names:
        score = edit.score(name)
        if score is None:
            cells.append(Cell("–", "", "muted"))
        elif score.identity:
            cells.append(Cell("fixed", "", "muted"))
        else:
            change = score.change
            tone: Tone = "bad" if change.high < 0 else "good" if change.low > 0 else ""
            note = bounds(change.low, change.high, signed=True)
            numbers = (change.value, change.low, change.high)
            cells.append(Cell(number(change.value, signed=True), note, tone, numbers))
    return cells


def _tone(edit: EditDetection) -> Tone:
    change = edit.toxicity
    if change is None:
        return ""
    return "good" if change.high < 0 else "bad" if change.low > 0 else ""


def _called(name: str) -> str:
    return name.replace("_", " ")


def _detectors(found: Detection) -> Facts:
    names = {"probe": f"{DETECTORS['probe']} ({found.site})"}
    return Facts(tuple((_called(name), names.get(name, told)) for name, told in DETECTORS.items()))
