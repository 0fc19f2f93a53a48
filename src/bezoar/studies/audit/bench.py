"""The bench: what the stages of an audit share, each loaded once and only when a stage needs it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from bezoar.corpus import Corpus, NeutralText, Prompts
from bezoar.edits import Edit, load_edit
from bezoar.evaluate import Protocol, get_protocol
from bezoar.locate import Direction, Subspace, ValueRanking
from bezoar.mitigate.preference import Trained
from bezoar.models import AnatomyNames, LanguageModel
from bezoar.pairs import Pairs
from bezoar.runs import AuditConfig, Progress, Result, Run, load_result
from bezoar.scoring import CachedScorer, load_scorer

HALVES_SALT = "bezoar-audit-halves-1"


@dataclass(frozen=True, slots=True)
class Texts(Result):
    """What the explore stage set aside, before anything was fitted.

    Attributes:
        train, report: labelled texts to fit on, and to report on.
        prompts_select, prompts_report: prompts to choose by, to report on (as many as the protocol
            takes; ``texts.json`` has all that there are).
        neutral_select, neutral_report: neutral texts of either half.
        neutral_tokens: tokens of the report half.
        dropped: labelled texts left out, by reason.
        hashes: content hash of each part.
        near_repeats: texts left out because another part has them nearly, by where.
    """

    train: int
    report: int
    prompts_select: int
    prompts_report: int
    neutral_select: int
    neutral_report: int
    neutral_tokens: int
    dropped: dict[str, int]
    hashes: dict[str, str]
    near_repeats: dict[str, int] = field(default_factory=dict)


class Bench:
    """A run at work.

    Args:
        run: the open run folder.
        config: what was asked.
        progress: where to show it.
    """

    def __init__(self, run: Run, config: AuditConfig, progress: Progress | None = None) -> None:
        self.run = run
        self.config = config
        self.progress = progress

    @cached_property
    def lm(self) -> LanguageModel:
        return self._load(self.config.model.name)

    @cached_property
    def base(self) -> LanguageModel | None:
        """The model that this one was tuned from, if one was named."""
        name = self.config.model.base
        return None if name is None else self._load(name)

    def _load(self, name: str) -> LanguageModel:
        asked = self.config.model
        return LanguageModel.from_pretrained(
            name,
            device=asked.device,
            dtype=asked.dtype,
            device_map=asked.device_map,
            anatomy=AnatomyNames(**asked.anatomy.model_dump()),
        )

    @cached_property
    def scorer_a(self) -> CachedScorer:
        """Labels and selects."""
        return CachedScorer(load_scorer(self.config.evaluate.scorer_a))

    @cached_property
    def scorer_b(self) -> CachedScorer:
        """Only reports."""
        return CachedScorer(load_scorer(self.config.evaluate.scorer_b))

    @property
    def data_root(self) -> Path | None:
        root = self.config.data.root
        return None if root is None else Path(root)

    # What stages left

    @cached_property
    def texts(self) -> Texts:
        aside = load_result(self.run.folder("explore") / "texts.json", Texts)
        taken = self.prompt_rows("report")
        hashes = aside.hashes | {"prompts-report": taken.hash}
        return replace(aside, prompts_report=len(taken), hashes=hashes)

    def corpus(self, part: str) -> Corpus:
        """The ``train`` or ``report`` part of the labelled texts."""
        return Corpus.load(self.run.folder("explore") / f"{part}.parquet")

    def prompt_rows(self, part: str) -> Prompts:
        """The ``select`` or ``report`` prompts as they were read; of the latter, what the protocol
        takes."""
        rows = Prompts.load(self.run.folder("explore") / f"prompts-{part}.parquet")
        if part != "report":
            return rows
        asked = get_protocol(self.config.evaluate.protocol).prompts_n
        return rows.take(range(min(asked, len(rows))), note=f"the first {asked}")

    def prompts(
        self, part: str, lm: LanguageModel | None = None, *, plain: bool = False
    ) -> list[str]:
        """The ``select`` or ``report`` prompts, in the chat template if that was asked for.

        Args:
            part: which half.
            lm: whose template; the audited model's if None. A base without one gets plain text.
            plain: as they were read.

        Raises:
            ModelError: if a template was asked for and the audited model has none.
        """
        texts = list(self.prompt_rows(part).texts)
        if plain or not self.config.model.chat:
            return texts
        if lm is not None and lm is not self.lm and not lm.has_chat_template:
            return texts
        return (lm or self.lm).chat(texts)

    @property
    def prompts_name(self) -> str:
        """Name of the set that the prompts are of, and whether they stand in a chat template."""
        name = self.prompt_rows("report").name
        return f"{name} in the chat template" if self.config.model.chat else name

    def neutral(self, part: str) -> NeutralText:
        """The ``select`` or ``report`` half of the neutral text."""
        return NeutralText.load(self.run.folder("explore") / f"neutral-{part}.parquet")

    @cached_property
    def protocol(self) -> Protocol:
        """The protocol asked for, at the number of prompts that there are."""
        asked = self.config.evaluate.protocol
        return get_protocol(asked, prompts=self.texts.prompts_report)

    @cached_property
    def direction(self) -> Direction:
        """The probe's direction."""
        return Direction.load(self.run.folder("locate") / "direction")

    @cached_property
    def mean_difference(self) -> Direction:
        return Direction.load(self.run.folder("locate") / "mean_difference")

    @cached_property
    def values(self) -> ValueRanking | None:
        """The ranked value vectors; None for a mixture of experts."""
        path = self.run.folder("locate") / "values.json"
        return load_result(path, ValueRanking) if path.exists() else None

    @cached_property
    def svd(self) -> Subspace | None:
        """Their singular directions; None for a mixture of experts."""
        path = self.run.folder("locate") / "svd"
        return Subspace.load(path) if path.exists() else None

    @cached_property
    def _pairs(self) -> dict[str, Pairs]:
        return Pairs.load(self.run.folder("pairs") / "pairs.parquet").split()

    def pairs(self, part: str) -> Pairs:
        """The ``train`` or ``select`` part of the preference pairs, cut by prompt."""
        return self._pairs[part]

    def trained(self, spec: str = "dpo") -> Trained:
        """What a training on the pairs made, as trained; see `bezoar.studies.audit.training`."""
        from bezoar.studies.audit.training import trained

        return trained(self, spec)

    def edit(self, name: str) -> Edit:
        """The edit that the mitigate stage fitted under this name."""
        return load_edit(self.run.folder("mitigate") / "edits" / name, self.lm)
