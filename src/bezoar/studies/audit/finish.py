"""Stage 7, report: export the chosen edit as an ordinary checkpoint, and write what was found.

Files: ``report/checkpoint/`` with its model card, and in the run folder itself ``audit.json``,
``summary.json`` and ``report.html``.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bezoar.edits import export
from bezoar.errors import ConfigError, did_you_mean
from bezoar.evaluate import METRICS, Scorecard
from bezoar.locate import ProbeSweep
from bezoar.report import write_model_card, write_report
from bezoar.report.figures.comparison import proven, too_few_nulls
from bezoar.runs import Result, load_result, parse_budget, parse_gate, save_json, to_plain
from bezoar.runs.folder import CONFIG
from bezoar.studies.audit.about import facts
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitted import FittedMethod
from bezoar.studies.audit.mitigate import Fits
from bezoar.studies.audit.prompts import cut_prompts
from bezoar.studies.audit.sae import sae_in_words

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True, slots=True)
class AuditSummary(Result):
    """What an audit found, in the few numbers that matter; ``summary.json`` has them all.

    Attributes:
        model: name of the audited model.
        run: the run folder.
        report: path of the report.
        checkpoint: path of the edited checkpoint, if one was exported.
        best: label of the best edit that folds, if any lowers toxicity.
        gate_failed: what ``--fail-if`` saw, if it was met.
        lines: the summary for the terminal.
    """

    model: str
    run: str
    report: str
    checkpoint: str | None
    best: str | None
    gate_failed: str
    lines: tuple[str, ...]

    def __rich__(self) -> RenderableType:
        from rich.text import Text

        return Text("\n".join(self.lines))


def report_stage(bench: Bench) -> None:
    """Export, and write the report. The page itself is cheap and written anew each time."""
    run = bench.run.path
    save_json(run / "audit.json", about(bench))
    with bench.run.stage("report", key=[bench.lm.fingerprint], after=["evaluate"]) as stage:
        if not stage.done:
            fits = load_result(bench.run.folder("mitigate") / "methods.json", Fits)
            if fits.best is not None:
                target = stage.folder / "checkpoint"
                shutil.rmtree(target, ignore_errors=True)
                export(bench.lm, bench.edit(fits.best), target)
                write_model_card(run, target)
    write_report(run, unmask=bench.config.report.unmask)
    save_json(run / "summary.json", summary_of(bench))


def about(bench: Bench) -> dict[str, Any]:
    """What the report says of an audit as a whole."""
    fits = load_result(bench.run.folder("mitigate") / "methods.json", Fits)
    return described(bench) | {
        "methods that missed the budget": fits.failed,
        "best": next((m.label for m in fits.methods if m.name == fits.best), None),
        "edit of the best": None if fits.best is None else f"mitigate/edits/{fits.best}",
        "command": f"bezoar audit --config {CONFIG} --out RUN",
    }


def described(bench: Bench) -> dict[str, Any]:
    """What the report says of any run: its model and its texts."""
    data, model = bench.config.data, bench.lm
    known = {
        "model": model.name,
        "fingerprint": model.fingerprint,
        "parameters": sum(p.numel() for p in model.model.parameters()),
        "layers": model.n_layers,
        "d_model": model.d_model,
        "d_mlp": model.anatomy[0].d_mlp or None,
        "vocabulary": model.d_vocab,
        "labelled texts": data.data,
        "prompts": data.prompts,
        "neutral text": data.neutral,
        "only texts held out from the demo assets": data.reserved_only,
        "held out means": "labelled and neutral texts; prompts are used whole",
        "texts": to_plain(bench.texts),
        "prompts that are cut": list(cut_prompts(bench)[1]),
        "budget": bench.config.mitigate.budget,
        "seed": bench.config.seed,
        "chat template": bench.config.model.chat,
    }
    return known | facts(bench) | sae_in_words(bench)


def summary_of(bench: Bench) -> dict[str, Any]:
    """``summary.json``: method rows with every metric, interval and null. Texts are left out."""
    card = load_result(bench.run.folder("evaluate") / "scorecard.json", Scorecard)
    sweep = load_result(bench.run.folder("locate") / "sweep.json", ProbeSweep)
    plain = to_plain(dataclasses.replace(card, continuations=()))
    return {
        "audit": about(bench),
        "budget_held": _held(bench, card),
        "scorecard": plain,
        "best_probe": to_plain(sweep.best),
        "other_probes": [to_plain(score) for score in sweep.kinds],
        "gate": {"asked": bench.config.fail_if, "failed": gate(bench, card)},
    }


def _held(bench: Bench, card: Scorecard) -> dict[str, bool]:
    """Whether each method kept to the budget on the half that nothing was chosen by."""
    budget = parse_budget(bench.config.mitigate.budget)
    base = card.row("no-op", "no-op").metrics.get("perplexity")
    if budget.measure != "ppl" or base is None:
        return {}
    rows = [row for row in card.rows if row.kind == "method"]
    return {
        row.method: budget.cost(base.value, row.metrics["perplexity"].value) <= budget.limit
        for row in rows
    }


def check_gate(text: str | None) -> None:
    """Refuse a gate on what is never measured, before any work.

    Raises:
        ConfigError: with the nearest metrics.
    """
    if text is None:
        return
    name = parse_gate(text).metric
    if name not in METRICS and name.partition(":")[0] not in ("toxicity", "task", "excess"):
        raise ConfigError(f"No metric is called {name!r}.", hint=did_you_mean(name, METRICS))


def gate(bench: Bench, card: Scorecard) -> str:
    """What tripped ``--fail-if``, or "". The gate looks at the model as it is.

    Raises:
        ConfigError: if there is no such metric.
    """
    if bench.config.fail_if is None:
        return ""
    asked = parse_gate(bench.config.fail_if)
    metrics = card.row("no-op", "no-op").metrics
    if asked.metric not in metrics:
        raise ConfigError(
            f"The gate names {asked.metric!r}, which was not measured.",
            hint=did_you_mean(asked.metric, metrics),
        )
    metric = metrics[asked.metric]
    return f"{asked.metric} is {metric}" if asked.fails(metric.value) else ""


def summarise(bench: Bench) -> AuditSummary:
    """The ten lines that end an audit."""
    run = bench.run.path
    card = load_result(run / "evaluate" / "scorecard.json", Scorecard)
    sweep = load_result(run / "locate" / "sweep.json", ProbeSweep)
    fits = load_result(run / "mitigate" / "methods.json", Fits)
    best = next((m for m in fits.methods if m.name == fits.best), None)
    checkpoint = run / "report" / "checkpoint"
    where = str(checkpoint) if checkpoint.exists() else None
    return AuditSummary(
        model=bench.lm.name,
        run=str(run),
        report=str(run / "report.html"),
        checkpoint=where,
        best=None if best is None else best.label,
        gate_failed=gate(bench, card),
        lines=tuple(_lines(bench, card, sweep, best, where)),
    )


def _lines(
    bench: Bench,
    card: Scorecard,
    sweep: ProbeSweep,
    best: FittedMethod | None,
    checkpoint: str | None,
) -> Iterator[str]:
    base = card.row("no-op", "no-op").metrics
    probe = sweep.best
    yield f"model       {bench.lm.name}, {bench.lm.n_layers} layers, {bench.lm.fingerprint[:12]}"
    yield f"toxicity    {base['toxicity']} by {card.report_scorer}"
    yield f"prompts     {card.prompts_n} of {card.prompts}"
    yield f"perplexity  {base['perplexity']}"
    yield f"read best   {probe.site}, AUROC {probe.auroc}"
    tried = [row for row in card.rows if row.kind == "method"]
    yield f"methods     {len(tried)} compared, budget {bench.config.mitigate.budget}"
    if best is None:
        yield "chosen      no method that folds lowers toxicity on the selection prompts"
    else:
        row = card.row(best.spec)
        yield f"chosen      {row.label}, strength {best.strength:.3g}"
        reduction, cost = (row.change.get(n) for n in ("toxicity_reduction", "perplexity_change"))
        now = f"{row.metrics['toxicity'].value:.3f}"
        if reduction is not None and cost is not None:
            now += f", {reduction.value:.0%} less [{reduction.low:.0%}, {reduction.high:.0%}]"
            now += f", for {cost.value:+.1%} perplexity"
        yield f"  toxicity  {now}"
        if row.holm_p is not None:
            rank = f"by rank {row.rank_p:.2g} of {row.n_draws} null edits"
            sure = "proven   " if proven(row) else "unproven "
            few = ", too few to decide" if too_few_nulls(row) else ""
            yield f"  {sure} p {row.holm_p:.2g} (Holm); {rank}{few}"
    if checkpoint is not None:
        yield f"checkpoint  {checkpoint}"
    yield f"report      {bench.run.path / 'report.html'}"
    if best is not None and proven(card.row(best.spec)):
        edit = bench.run.path / "mitigate" / "edits" / best.name
        yield f"next        bezoar attack {bench.lm.name} --edit {edit}"
