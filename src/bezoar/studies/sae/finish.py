"""The stage that writes the study's page, and the lines that end it."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Any

from bezoar.evaluate.contest_results import Contest
from bezoar.report import write_report
from bezoar.runs import load_result, save_json
from bezoar.runs.folder import CONFIG
from bezoar.sae.quality_results import QualityTable
from bezoar.studies.audit.about import created, licences
from bezoar.studies.claims import VERDICTS, Claims
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.summary import StudySummary

NONE_MADE = "none: it reads the texts it is given, and this study read what the model writes"


def report_stage(bench: SAEBench) -> None:
    """Write the pages anew; it is cheap."""
    run = bench.run.path
    save_json(run / "audit.json", about(bench))
    with bench.run.stage("report", key=[bench.lm.fingerprint], after=["claims"]):
        pass  # the pages belong to the run's folder, and are never taken for done
    write_report(run, unmask=bench.config.report.unmask)


def about(bench: SAEBench) -> dict[str, Any]:
    """What the report says of the run as a whole."""
    data, model = bench.config.data, bench.lm
    return {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "layers": model.n_layers,
        "d_model": model.d_model,
        "d_mlp": model.anatomy[0].d_mlp or None,
        "vocabulary": model.d_vocab,
        "labelled texts": data.data,
        "only texts held out from the demo assets": data.reserved_only,
        "texts": {part: len(corpus) for part, corpus in bench.corpora.items()},
        "tokens": len(bench.tokens.ids),
        "seed": bench.config.seed,
        "chat template": bench.config.model.chat,
        "command": f"bezoar study sae --config {CONFIG} --out RUN",
        "created": created(bench.run),
        "licences": licences(bench),
    }


def summarise(bench: SAEBench) -> StudySummary:
    """The lines that end a study."""
    run = bench.run.path
    page = run / "report.html"
    return StudySummary(
        model=bench.lm.name,
        run=str(run),
        report=str(page) if page.exists() else "",
        lines=tuple(_lines(bench)),
    )


def _lines(bench: SAEBench) -> Iterator[str]:
    run, done = bench.run.path, bench.run.finished()
    yield f"model       {bench.lm.name}, {bench.lm.n_layers} layers, {bench.lm.fingerprint[:12]}"
    if "explore" in done:
        counted = ", ".join(f"{len(c):,} {part}" for part, c in bench.corpora.items())
        yield f"texts       {counted}"
    if "quality" in done:
        yield from _read(load_result(run / "quality" / "quality.json", QualityTable))
    if "contest" in done:
        yield from _contests(bench)
    if "claims" in done:
        claims = load_result(run / "claims" / "claims.json", Claims)
        counted = ", ".join(f"{v} {n}" for v in VERDICTS if (n := claims.count(v)))
        yield f"claims      {counted}"
    if "detector" in done:
        made = (run / "detector" / "detector.json").exists()
        asked = f"bezoar detect --probe {run / 'detector'} --text …"
        yield f"detector    {asked if made else NONE_MADE}"
    if (run / "report.html").exists():
        yield f"report      {run / 'report.html'}"
        yield f"latents     {run / 'features.html'}"
    else:
        yield f"stages      {', '.join(done)}"


def _read(table: QualityTable) -> Iterator[str]:
    row = table.row(table.chosen)
    recovered = "" if row.loss is None else f", {row.loss.recovered:.1%} of the loss recovered"
    told = (
        f"latents of  {row.name}: {row.held_out.l0:.1f} a token, "
        f"{row.held_out.explained_variance:.1%} explained{recovered}, "
        f"{row.trained.dead_share:.1%} dead"
    )
    yield from wrap(told, 80, subsequent_indent=" " * 12)


def _contests(bench: SAEBench) -> Iterator[str]:
    for path in sorted(bench.run.folder("contest").glob("*.json")):
        if path.name not in ("stage.json", "settings.json"):
            contest = load_result(path, Contest)
            told = f"{contest.task}: {contest.verdict}"
            yield from wrap(f"contest     {told}", 80, subsequent_indent=" " * 12)
