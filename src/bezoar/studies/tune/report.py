"""The stage report: one page of what was searched and found, and the lines for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bezoar.report import write_report
from bezoar.runs import Result, load_result, save_json
from bezoar.runs.folder import CONFIG
from bezoar.search import Finals, Found
from bezoar.stats import Interval
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.finish import described

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class TuneSummary(Result):
    """What a search found.

    Attributes:
        model: name of the model.
        run: the run folder.
        report: path of the report; "" if it was not written.
        finals: the finalists, if it got so far.
        lines: the summary for the terminal.
    """

    model: str
    run: str
    report: str
    finals: Finals | None
    lines: tuple[str, ...]

    def __rich__(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [Text("\n".join(self.lines))]
        return Group(*parts, "", self.finals) if self.finals is not None else parts[0]


def report_stage(bench: Bench) -> None:
    """Write the page anew; it is cheap."""
    run = bench.run.path
    finals = load_result(bench.run.folder("finalists") / "finals.json", Finals)
    told = {"best": finals.winner.label, "command": f"bezoar tune --config {CONFIG} --out RUN"}
    save_json(run / "audit.json", described(bench) | told)
    with bench.run.stage("report", key=[bench.lm.fingerprint], after=["finalists"]):
        pass  # the page belongs to the run's folder, and is never taken for done
    write_report(run, unmask=bench.config.report.unmask)


def summarise(bench: Bench) -> TuneSummary:
    """The lines that end a search."""
    run, done = bench.run.path, bench.run.finished()
    page = run / "report.html"
    finals = run / "finalists" / "finals.json"
    return TuneSummary(
        model=bench.lm.name,
        run=str(run),
        report=str(page) if page.exists() else "",
        finals=load_result(finals, Finals) if "finalists" in done else None,
        lines=tuple(_lines(bench, done)),
    )


def _lines(bench: Bench, done: list[str]) -> Iterator[str]:
    run = bench.run.path
    yield f"model       {bench.lm.name}, {bench.lm.n_layers} layers, {bench.lm.fingerprint[:12]}"
    if "search" in done:
        found = load_result(run / "search" / "found.json", Found)
        whole = sum(len(t.toxicity) == found.rungs[-1] for t in found.trials)
        yield f"tried       {len(found.trials)} edits under {found.budget}, {whole} on all prompts"
    if "finalists" in done:
        yield from _found(load_result(run / "finalists" / "finals.json", Finals))
    if (run / "report.html").exists():
        yield f"report      {run / 'report.html'}"
    else:
        yield f"stages      {', '.join(done)}"


def _found(finals: Finals) -> Iterator[str]:
    best = finals.winner
    yield f"chosen      trial {best.label}"
    yield f"            {best.options}"
    yield f"  less      {_told(best.selection)} where it was chosen ({finals.scorer_a})"
    yield f"  again     {_told(best.same_scorer)} on other prompts, by the same scorer"
    yield f"  report    {_told(best.report)} there, by {finals.scorer_b}"
    yield f"  cost      {best.cost:+.3g} where it was chosen, {best.cost_again:+.3g} on other text"
    if best.survives is not None:
        yield f"  keys      {_told(best.survives)} of that is left under {best.attack}"
    if finals.shrinkage is not None and finals.flattery is not None:
        foreseen = finals.flattery.reduction
        yield f"  flattered {finals.shrinkage:.0%} of the estimate is gone on other prompts;"
        yield f"            {foreseen:.1%} of the toxicity was foreseen from the choice alone"


def _told(seen: Interval | None) -> str:
    if seen is None:
        return "not to be told"
    return f"{seen.value:.0%} [{seen.low:.0%}, {seen.high:.0%}]"
