"""The lines that end a study, and the stage that writes its page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from bezoar.evaluate import Scorecard
from bezoar.report import write_report
from bezoar.report.figures.comparison import too_few_nulls
from bezoar.runs import Result, load_result, save_json
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.finish import about
from bezoar.studies.claims import VERDICTS, Claims

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class StudySummary(Result):
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


def report_stage(bench: Bench) -> None:
    """Write the page anew; it is cheap."""
    run, study = bench.run.path, bench.config.study
    told = about(bench) | {"command": f"bezoar study {study} --config config.yaml --out RUN"}
    save_json(run / "audit.json", told)
    with bench.run.stage("report", key=[bench.lm.fingerprint], after=["claims"]):
        pass  # the page belongs to the run's folder, and is never taken for done
    write_report(run, unmask=bench.config.report.unmask)


def summarise(bench: Bench) -> StudySummary:
    """The lines that end a study."""
    run = bench.run.path
    page = run / "report.html"
    return StudySummary(
        model=bench.lm.name,
        run=str(run),
        report=str(page) if page.exists() else "",
        lines=tuple(_lines(bench)),
    )


def _lines(bench: Bench) -> Iterator[str]:
    run = bench.run.path
    yield f"model       {bench.lm.name}, {bench.lm.n_layers} layers, {bench.lm.fingerprint[:12]}"
    if "evaluate" in bench.run.finished():
        yield from _measured(load_result(run / "evaluate" / "scorecard.json", Scorecard))
    if "claims" in bench.run.finished():
        claims = load_result(run / "claims" / "claims.json", Claims)
        counted = ", ".join(f"{v} {n}" for v in VERDICTS if (n := claims.count(v)))
        yield f"claims      {counted}"
        for claim in claims.claims:
            if claim.verdict == "fails":
                yield from wrap(f"  fails     {claim.statement}", 80, subsequent_indent=" " * 12)
    if (run / "report.html").exists():
        yield f"report      {run / 'report.html'}"
        yield f"figures     {run / 'figures'}, tables in {run / 'tables'}"
    else:
        yield f"stages      {', '.join(bench.run.finished())}"


def _measured(card: Scorecard) -> Iterator[str]:
    yield f"prompts     {card.prompts_n} of {card.prompts}, by {card.report_scorer}"
    yield f"toxicity    {card.row('no-op', 'no-op').metrics['toxicity']}"
    for row in card.rows:
        if row.kind != "method":
            continue
        told = f"{row.metrics['toxicity'].value:.3f}"
        if (cost := row.change.get("perplexity_change")) is not None:
            told += f" for {cost.value:+.1%} perplexity"
        if too_few_nulls(row):
            told += f", too few null edits ({row.n_draws}) to decide"
        elif row.holm_p is not None:
            told += f", p {row.holm_p:.2g} (Holm, {row.n_draws} null edits)"
        yield f"  {told}: {row.label}"
