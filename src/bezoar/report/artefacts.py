"""What a run folder holds for the report. Everything is read from files; nothing is computed.

Every part is optional: a run that stopped early, or left something out, still gets a page that says
what is missing. A part that is there and damaged is an error that names the file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from bezoar.compare import Comparison
from bezoar.corpus import Exploration
from bezoar.errors import CorruptArtefact, RunError
from bezoar.evaluate import MethodRow, Scorecard
from bezoar.locate import (
    LensResult,
    LexiconShare,
    LogitAttribution,
    ProbeSweep,
    TokenList,
    ValueRanking,
    Writers,
)
from bezoar.mitigate import BudgetTrace
from bezoar.runs.config import read_yaml
from bezoar.runs.folder import CONFIG, ENVIRONMENT
from bezoar.runs.plain import MAX_OPTIONS
from bezoar.runs.reading import RunFiles
from bezoar.runs.usage import Times, read_times


@dataclass(frozen=True, slots=True)
class _Tokens:
    lists: tuple[TokenList, ...]


@dataclass(frozen=True, slots=True)
class Artefacts:
    """One run, as far as it got.

    Attributes:
        folder: the run folder.
        audit: ``audit.json``: model, fingerprint, sizes, seeds, the best method's label, …
        config: the resolved configuration as YAML.
        environments: where the run was made.
        exploration, sweep, values, tokens, share, lens, frozen, components, writers, traces,
            scorecard, base: of the stages; ``frozen`` is the lens at the last state's scale.
        times: what fits and stages took, from the log.
    """

    folder: Path
    audit: dict[str, Any]
    config: str
    environments: tuple[dict[str, Any], ...]
    exploration: Exploration | None
    sweep: ProbeSweep | None
    values: ValueRanking | None
    tokens: tuple[TokenList, ...]
    share: LexiconShare | None
    lens: LensResult | None
    frozen: LensResult | None
    components: LogitAttribution | None
    writers: Writers | None
    traces: tuple[BudgetTrace, ...]
    scorecard: Scorecard | None
    base: Comparison | None
    times: Times = field(default_factory=Times)

    @property
    def model(self) -> str:
        named = self.options.get("model", {}).get("name", "the model")
        return str(self.audit.get("model", named))

    @property
    def options(self) -> dict[str, Any]:
        """The configuration as nested dicts."""
        loaded = yaml.safe_load(self.config) if self.config else {}
        return loaded if isinstance(loaded, dict) else {}

    def best(self) -> MethodRow | None:
        """The best remedy that folds into weights: chosen by the audit, on its selection half.

        Without the audit's choice, the one whose toxicity the report's own numbers put lowest.
        """
        if self.scorecard is None:
            return None
        methods = [row for row in self.scorecard.rows if row.kind == "method"]
        if "best" in self.audit:
            return next((row for row in methods if row.label == self.audit["best"]), None)
        folding = [row for row in methods if row.foldable and "toxicity" in row.change]
        return min(folding, key=lambda row: row.change["toxicity"].value, default=None)


def load_artefacts(folder: Path) -> Artefacts:
    """Read a run folder.

    Raises:
        RunError: if it holds nothing to report.
        CorruptArtefact: if a part is damaged, a link, or not what its stage wrote; the file is
            named.
        ConfigError: if the configuration is no YAML.
    """
    run = RunFiles(folder)
    tokens = run.result("locate/tokens.json", _Tokens)
    audit = run.json("audit.json", dict) or {}
    found = Artefacts(
        folder=folder,
        audit=audit,
        config=_config(run),
        environments=_environments(run),
        exploration=_exploration(run, audit),
        sweep=run.result("locate/sweep.json", ProbeSweep),
        values=run.result("locate/values.json", ValueRanking),
        tokens=tokens.lists if tokens is not None else (),
        share=run.result("locate/share.json", LexiconShare),
        lens=run.result("lens/lens.json", LensResult),
        frozen=run.result("lens/frozen.json", LensResult),
        components=run.result("lens/components.json", LogitAttribution),
        writers=run.result("lens/writers.json", Writers),
        traces=_traces(run),
        scorecard=run.result("evaluate/scorecard.json", Scorecard),
        base=run.result("evaluate/base.json", Comparison),
        times=read_times(folder),
    )
    if not any((found.audit, found.exploration, found.sweep, found.scorecard)):
        raise RunError(
            f"{folder} holds nothing to report.", hint="Run 'bezoar audit' with --out, or a stage."
        )
    return found


def _exploration(run: RunFiles, audit: dict[str, Any]) -> Exploration | None:
    """What was seen of the texts, and what the protocol will do to the prompts."""
    seen = run.result("explore/exploration.json", Exploration)
    said = audit.get("prompts that are cut")
    if seen is None or not isinstance(said, list):
        return seen
    return replace(seen, warnings=(*seen.warnings, *map(str, said)))


def _traces(run: RunFiles) -> tuple[BudgetTrace, ...]:
    name = "mitigate/fitted.json"
    try:
        return TypeAdapter(tuple[BudgetTrace, ...]).validate_python(run.json(name, list) or [])
    except ValidationError as error:
        raise CorruptArtefact(
            f"{run.folder / name} holds no searches for a strength: {str(error).splitlines()[0]}.",
            hint="Run its stage again.",
        ) from error


def _config(run: RunFiles) -> str:
    path = run.find(CONFIG, limit=MAX_OPTIONS)
    if path is None:
        return ""
    read_yaml(path)
    return path.read_text("utf-8")


def _environments(run: RunFiles) -> tuple[dict[str, Any], ...]:
    seen = run.json(ENVIRONMENT, list) or []
    if not all(isinstance(each, dict) for each in seen):
        raise CorruptArtefact(
            f"{run.folder / ENVIRONMENT} tells of no environments.", hint="Remove the file."
        )
    return tuple(seen)
