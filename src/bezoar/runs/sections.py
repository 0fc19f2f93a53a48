"""What a run was asked to do: one frozen model per stage.

A section belongs to a stage and is part of that stage's key, so changing it re-runs that stage and
what follows from it, and nothing before. No section has more than fifteen fields.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from bezoar.runs.expressions import parse_budget, parse_gate
from bezoar.runs.input_sections import (
    ExpertsConfig,
    MomentsConfig,
    PairsConfig,
    SAEConfig,
    StatesConfig,
)
from bezoar.runs.section import Pooling, Section, names

Study = Literal["audit", "dpo", "experts", "sae", "tune"]
Dtype = Literal["float32", "float16", "bfloat16"]


class AnatomyConfig(Section):
    """Parts of the model named by hand, where its structure is not recognised."""

    blocks: str | None = Field(None, description="List of the blocks, or 'layer_{}'.")
    embed: str | None = Field(None, description="Token embedding.")
    final_norm: str | None = Field(None, description="After the last block; '' for none.")
    unembed: str | None = Field(None, description="Map to logits.")
    attention: str | None = Field(None, description="In a block: what mixes positions.")
    w_in: str | None = Field(None, description="In a block: map into an MLP without a gate.")
    w_gate: str | None = Field(None, description="In a block: the gate's map of a gated MLP.")
    w_up: str | None = Field(None, description="In a block: the other map into a gated MLP.")
    w_out: str | None = Field(None, description="In a block: map out of the MLP.")
    attn_out: str | None = Field(None, description="In a block: whose output attention adds.")
    mlp_out: str | None = Field(None, description="In a block: whose output the MLP adds.")


class ModelConfig(Section):
    """The model under audit, and the one it was tuned from."""

    name: str = Field("demo", description="Folder, hub id, or 'demo'.")
    base: str | None = Field(None, description="The model it was tuned from, for a paired test.")
    device: str | None = Field(None, description="cpu, cuda, cuda:1, mps; found when empty.")
    dtype: Dtype | None = Field(None, description="Of the weights; float32 on a CPU.")
    device_map: str | None = Field(None, description="As in transformers: 'auto' spreads layers.")
    chat: bool = Field(False, description="Wrap prompts in the model's chat template.")
    anatomy: AnatomyConfig = Field(AnatomyConfig(), description="Parts named by hand.")


class DataConfig(Section):
    """The labelled texts that define the behaviour, the prompts, and the neutral text."""

    data: str = Field("demo", description="Labelled texts: demo, jigsaw:PATH, FILE, hub:ID.")
    prompts: str = Field(
        "demo", description="Prompts: demo, rtp:PATH, FILE[#COLUMN], hub:ID[#COLUMN]."
    )
    neutral: str = Field("demo", description="Neutral text: demo, wikitext:PATH, else as prompts.")
    root: str | None = Field(None, description="Folder that relative paths start from.")
    reserved_only: bool = Field(False, description="Only texts that no demo asset was trained on.")
    text: str | None = Field(None, description="Column of texts; found when empty.")
    label: str | None = Field(None, description="Column of 0/1 labels; found when empty.")
    positive: str | None = Field(None, description="The label value that means 1.")
    threshold: float | None = Field(None, description="Of a column of scores: 1 from here on.")
    source: str | None = Field(None, description="Column naming where each text came from.")
    category: str | None = Field(None, description="Column naming the kind of each text.")
    group: str | None = Field(None, description="Column of what a split keeps together.")
    split: str | None = Field(None, description="Column of train, select, report, if it has one.")
    limit: int = Field(2_000, ge=20, description="Labelled texts at most, balanced by label.")
    neutral_tokens: int = Field(8_000, ge=256, description="Tokens of neutral text per half.")

    def reading(self) -> dict[str, Any]:
        """How `bezoar.corpus.load_corpus` shall read ``data``: its arguments but for the size."""
        elsewhere = {"data", "prompts", "neutral", "root", "limit", "neutral_tokens"}
        return self.model_dump(exclude=elsewhere) | {"data_root": self.root}


class HarvestConfig(Section):
    """Which activations are read, and how they are pooled and kept."""

    points: tuple[str, ...] = Field(("resid_post", "mlp_out"), description="Of every layer.")
    pooling: Pooling = Field("mean", description="Over the tokens of a text.")
    max_tokens: int = Field(128, ge=1, description="A text is cut to this many tokens.")
    budget_tokens: int = Field(4_096, ge=1, description="Padded tokens a batch.")
    dtype: Literal["float16", "float32"] = Field("float16", description="On disk.")


class LocateConfig(Section):
    """Where the behaviour is looked for."""

    site: str = Field("-1.resid_post", description="Whose probe gives the direction.")
    folds: int = Field(5, ge=2, description="Of the cross-validation that picks the penalty.")
    shuffles: int = Field(39, ge=0, description="Shuffled-label probes that form the null.")
    top_values: int = Field(128, ge=1, description="MLP value vectors kept, by cosine.")
    svd_rank: int = Field(3, ge=1, description="Singular directions of those value vectors.")
    promoted: int = Field(20, ge=1, description="Tokens shown for a direction.")
    lens_prompts: int = Field(12, ge=1, description="Prompts in the logit lens.")
    resamples: int = Field(2_000, ge=100, description="Of the probe map's bootstrap.")


class MitigateConfig(Section):
    """Which remedies are fitted, and what they may cost."""

    methods: tuple[str, ...] = Field(("default",), min_length=1, description="Names, or default.")
    budget: str = Field("ppl<=5%", description="The cost each method may spend, and spends.")
    max_evaluations: int = Field(8, ge=1, description="Strengths tried for one method.")
    select_prompts: int = Field(200, ge=4, description="Prompts used to choose; never reported.")
    null_draws: int = Field(10, ge=1, description="Null edits per method and kind of null.")
    trained_nulls: int = Field(3, ge=1, description="At most so many where each is a training.")

    @field_validator("methods")
    @classmethod
    def _own(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """``default`` spelt out where a study has defaults of its own."""
        own = cls.model_fields["methods"].default
        return tuple(n for name in value for n in (own if name == "default" else (name,)))

    @field_validator("budget")
    @classmethod
    def _budget(cls, value: str) -> str:
        parse_budget(value)
        return value


class EvaluateConfig(Section):
    """How remedies are measured, by which scorers."""

    protocol: str = Field("LEE@200", description="Protocol id; `bezoar list protocols`.")
    scorer_a: str = Field("demo-a", description="Labels and selects.")
    scorer_b: str = Field("demo-b", description="Only reports.")
    resamples: int = Field(10_000, ge=100, description="Of the paired bootstrap by prompt.")
    kl_tokens: int = Field(32, ge=1, description="Neutral tokens per text in the divergence.")
    kl_texts: int = Field(32, ge=1, description="Neutral texts in the divergence.")
    capability: tuple[str, ...] = Field(
        ("demo",), description="Tasks: demo (three small ones), FORMAT:PATH, or none."
    )
    continuations: int = Field(12, ge=0, description="Before-and-after examples kept.")

    @field_validator("capability", mode="before")
    @classmethod
    def _capability(cls, value: object) -> object:
        """``none``, nothing, or names with commas between."""
        if value is None or value in ("none", ["none"], ("none",)):
            return ()
        return names(value)


class ReportConfig(Section):
    """What the report shows."""

    unmask: bool = Field(False, description="Show slurs and profanity in full.")
    title: str | None = Field(None, description="Heading of the report.")


class AuditConfig(Section):
    """A whole audit. What `FREE_KEYS` names may change between resumes; the rest may not."""

    study: Study = Field("audit", description="What kind of run this is.")
    out: str = Field("runs/audit", description="The run folder.")
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    harvest: HarvestConfig = HarvestConfig()
    locate: LocateConfig = LocateConfig()
    pairs: PairsConfig = PairsConfig()
    states: StatesConfig = StatesConfig()
    experts: ExpertsConfig = ExpertsConfig()
    moments: MomentsConfig = MomentsConfig()
    sae: SAEConfig = SAEConfig()
    mitigate: MitigateConfig = MitigateConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    report: ReportConfig = ReportConfig()
    seed: int = Field(0, ge=0, description="Of every random draw.")
    threads: int | None = Field(None, ge=1, description="CPU threads; torch decides when empty.")
    fail_if: str | None = Field(None, description="A verdict such as 'toxicity>0.1'.")

    @field_validator("fail_if")
    @classmethod
    def _gate(cls, value: str | None) -> str | None:
        if value is not None:
            parse_gate(value)
        return value


QUICK: dict[str, Any] = {
    "data": {"limit": 300, "neutral_tokens": 4_000},
    "locate": {"folds": 3, "shuffles": 19, "top_values": 32, "lens_prompts": 4, "resamples": 500},
    "pairs": {"steered": 200},
    "states": {"prompts": 200},
    "experts": {"texts": 200, "shuffles": 39, "halves": 3},
    "moments": {"texts": 200},
    "sae": {"tokens": 60_000, "expansion": 4},
    "mitigate": {"max_evaluations": 4, "select_prompts": 24, "null_draws": 2},
    "evaluate": {"protocol": "LEE@48", "resamples": 1_000, "kl_texts": 8, "continuations": 6},
}
"""Sizes of `--quick`: a look in a minute or two, with wide intervals."""

FREE_KEYS = ("out", "fail_if", "threads", "report", "search.trials")
"""What may differ when a run is taken up again: it changes no number."""
