"""Stage 10, report: one page, in which each table and figure stands under its number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bezoar.report import write_report
from bezoar.runs import Result, save_json
from bezoar.studies.audit.finish import about
from bezoar.studies.dpo.bench import DPOBench

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class DPOSummary(Result):
    """What a study found.

    Attributes:
        model: name of the model.
        run: the run folder.
        report: path of the report; "" if it was not written.
        lines: the summary for the terminal.
    """

    model: str
    run: str
    report: str
    lines: tuple[str, ...]

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text("\n".join(self.lines))


def report_stage(bench: DPOBench) -> None:
    """Write the page anew; it is cheap."""
    run = bench.run.path
    told = about(bench) | {"command": "bezoar study dpo --config config.yaml --out RUN"}
    save_json(run / "audit.json", told)
    with bench.run.stage("report", key=[bench.lm.fingerprint], after=["evaluate"]):
        pass
    write_report(run, unmask=bench.config.report.unmask)


def summarise(bench: DPOBench) -> DPOSummary:
    """The lines that end a study."""
    run = bench.run.path
    page = run / "report.html"
    lines = [f"model   {bench.lm.name}", f"stages  {', '.join(bench.run.finished())}"]
    if page.exists():
        lines.append(f"report  {page}")
    return DPOSummary(bench.lm.name, str(run), str(page) if page.exists() else "", tuple(lines))
