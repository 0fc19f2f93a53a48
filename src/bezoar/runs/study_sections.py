"""What a study was asked to do: an audit's sections with other defaults, and some of its own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from bezoar.runs.input_sections import PairsConfig
from bezoar.runs.sae_sections import QUICK_SAE
from bezoar.runs.section import Section, names
from bezoar.runs.sections import (
    QUICK,
    AuditConfig,
    DataConfig,
    EvaluateConfig,
    MitigateConfig,
    Study,
)


class CompareConfig(Section):
    """How the trained model is laid beside the base."""

    prompts: int = Field(200, ge=4, description="Report prompts read in both models.")
    lens_prompts: int = Field(64, ge=4, description="Of these, in the lens, at most.")
    neurons: int = Field(64, ge=2, description="Toxic neurons whose coefficients are followed.")
    layers: int = Field(4, ge=1, description="Layers whose residual shift is shown.")
    examples: int = Field(3, ge=1, description="Prompts continued by every model, in full.")
    draws: int = Field(39, ge=1, description="Sets of random neurons, the null.")
    t_values: tuple[float, ...] = Field(
        (-1, -0.5, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2),
        min_length=1,
        description="Where toxicity is measured: 0 is the base, 1 the trained model.",
    )


class AttackConfig(Section):
    """Which remedies are attacked, and how."""

    attacks: tuple[str, ...] = Field(
        ("default",), min_length=1, description="Names, default, or all (with the variants)."
    )
    grid: Literal["quick", "default", "full"] = Field(
        "default", description="How many budgets, draws and seeds of each attack."
    )
    edits: tuple[str, ...] = Field(
        ("all",), min_length=1, description="Names of edits, dpo-as-trained among them, or all."
    )
    prompts: int = Field(100, ge=4, description="Report prompts continued after each attack.")
    neutral_tokens: int = Field(4_000, ge=256, description="Neutral tokens after each attack.")
    limit: float = Field(1.2, ge=1, description="Points count up to so many times the base's ppl.")
    probe_texts: int = Field(200, ge=20, description="Of each label, for probes of edited models.")
    resamples: int = Field(2_000, ge=100, description="Of the bootstrap by prompt.")
    keep_attacked: bool = Field(False, description="Save what undoes a remedy, as edits.")

    _listed = field_validator("attacks", "edits", mode="before")(names)


class DPODataConfig(DataConfig):
    """As in an audit, with more neutral text: what alignment costs is small."""

    neutral_tokens: int = Field(20_000, ge=256, description="Tokens of neutral text per half.")


class DPOMitigateConfig(MitigateConfig):
    """As in an audit, with the methods of the paper."""

    methods: tuple[str, ...] = Field(
        ("subtract", "subtract:direction=value", "subtract:direction=svd", "dpo"),
        min_length=1,
        description="Names, or default.",
    )


class DPOPairsConfig(PairsConfig):
    """As in an audit, with some pairs of PPLM to compare."""

    steered: int = Field(1_600, ge=0, description="Prompts continued with and against steering.")
    pplm: int = Field(16, ge=0, description="Prompts also continued with PPLM, to compare.")


class DPOStudyConfig(AuditConfig):
    """The study of Lee et al. 2024: an audit whose methods are the paper's, and what follows."""

    study: Study = Field("dpo", description="What kind of run this is.")
    out: str = Field("runs/dpo", description="The run folder.")
    data: DPODataConfig = DPODataConfig()
    pairs: DPOPairsConfig = DPOPairsConfig()
    mitigate: DPOMitigateConfig = DPOMitigateConfig()
    compare: CompareConfig = CompareConfig()
    attack: AttackConfig = AttackConfig()


class GridConfig(Section):
    """The unembedding's directions: which are damped, by how much, against which choices."""

    alphas: tuple[float, ...] = Field(
        (1, 0.9, 0.5, 0.1, 0, -0.5, -1, -2),
        min_length=1,
        description="Factors of the chosen singular values; 1 is the control.",
    )
    shares: tuple[float, ...] = Field(
        (0.005, 0.05, 0.25), min_length=1, description="Directions chosen, of all there are."
    )
    draws: int = Field(39, ge=2, description="Random choices of as many directions, the null.")
    prompts: int = Field(100, ge=4, description="Report prompts continued at each point.")
    samples: int = Field(5, ge=1, description="Continuations of each.")
    neutral_tokens: int = Field(8_000, ge=256, description="Neutral tokens for the perplexity.")
    resamples: int = Field(2_000, ge=100, description="Of the bootstrap by prompt.")

    @field_validator("alphas")
    @classmethod
    def _some_edit(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        """A control alone is no grid."""
        if set(value) == {1}:
            raise ValueError("name a factor other than 1, which changes nothing")
        return value

    @field_validator("shares")
    @classmethod
    def _of_all(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        """Shares, not numbers of directions."""
        if not all(0 < share <= 1 for share in value):
            raise ValueError("a share of the directions is above 0, and 1 at most")
        return value


class LayersConfig(Section):
    """Whole layers as experts, beside single neurons and linear readers."""

    texts: int = Field(1_000, ge=40, description="To learn from, and again to report on, at most.")
    point: str = Field("resid_post", description="Of every layer, whose rows are clustered.")
    neurons: str | None = Field(None, description="Point of the neurons; mlp_post when empty.")
    pooling: Literal["mean", "max", "last"] = Field("mean", description="Of a text's tokens.")
    linkage: Literal["ward", "average", "complete"] = Field("ward", description="Of the hierarchy.")
    others: tuple[str, ...] = Field((), description="Further models, as NAME=PATH; encoders too.")
    corpora: tuple[str, ...] = Field((), description="Further labelled texts, as data.data.")
    null_draws: int = Field(999, ge=19, description="Shuffled labels, the null of the matching.")
    resamples: int = Field(1_000, ge=100, description="Of the bootstrap by text.")

    _listed = field_validator("others", "corpora", mode="before")(names)


class DetectConfig(Section):
    """Whether what changes generation also changes detection."""

    texts: int = Field(300, ge=20, description="Of each label, to fit and to report on.")


class ExpertsMitigateConfig(MitigateConfig):
    """As in an audit, with the methods of both lines of work."""

    methods: tuple[str, ...] = Field(
        (
            "eigenshift",
            "aura",
            "det-0",
            "damp",
            "profs",
            "transport",
            "distributed-shift",
            "subtract:direction=mean_difference",
            "uniform-shrink",
        ),
        min_length=1,
        description="Names, or default.",
    )
    null_draws: int = Field(2, ge=1, description="Null edits per method and kind of null.")


class ExpertsEvaluateConfig(EvaluateConfig):
    """As in an audit, by the protocol of the paper: sampled continuations."""

    protocol: str = Field("EIGEN@500x5", description="Protocol id; `bezoar list protocols`.")


class ExpertsStudyConfig(AuditConfig):
    """The study of EigenShift: neurons against layers, and damping the unembedding's directions."""

    study: Study = Field("experts", description="What kind of run this is.")
    out: str = Field("runs/experts", description="The run folder.")
    mitigate: ExpertsMitigateConfig = ExpertsMitigateConfig()
    evaluate: ExpertsEvaluateConfig = ExpertsEvaluateConfig()
    grid: GridConfig = GridConfig()
    layers: LayersConfig = LayersConfig()
    detect: DetectConfig = DetectConfig()


class TuneMitigateConfig(MitigateConfig):
    """What is searched, and what an edit may cost."""

    methods: tuple[str, ...] = Field(
        ("default",),
        min_length=1,
        description="Names; default: all without training. An option that is written is held.",
    )
    budget: str = Field("ppl<=3%", description="The cost that the chosen edit may have.")
    max_evaluations: int = Field(
        5, ge=1, description="Strengths tried to find what the whole budget buys of a method."
    )


class SearchConfig(Section):
    """How methods, options, strengths and stacks of them are searched."""

    trials: int = Field(100, ge=1, description="Edits tried; a finished run can be given more.")
    parts: int = Field(3, ge=1, le=3, description="Methods in one stack, at most.")
    first_prompts: int = Field(50, ge=2, description="Selection prompts that every edit continues.")
    growth: float = Field(3.0, gt=1, description="Times as many for those that go on.")
    keep: float = Field(0.34, gt=0, le=1, description="Share of edits that go on.")
    finalists: int = Field(8, ge=1, description="Edits measured on report prompts.")
    attack_prompts: int = Field(
        100, ge=0, description="Report prompts continued with keys scaled up; 0 leaves it out."
    )


class TuneConfig(AuditConfig):
    """A search for the best edit under a budget."""

    study: Study = Field("tune", description="What kind of run this is.")
    out: str = Field("runs/tune", description="The run folder.")
    mitigate: TuneMitigateConfig = TuneMitigateConfig()
    search: SearchConfig = SearchConfig()


QUICK_DPO: dict[str, Any] = QUICK | {
    "pairs": {"steered": 200, "pplm": 2, "pplm_iterations": 5},
    "compare": {"prompts": 24, "layers": 2, "draws": 19, "t_values": [-1, 0, 0.5, 1, 2]},
    "attack": {"grid": "quick", "prompts": 24, "neutral_tokens": 1_200, "probe_texts": 60},
}
"""Sizes of `--quick` in a study of DPO."""

QUICK_EXPERTS: dict[str, Any] = QUICK | {
    "evaluate": QUICK["evaluate"] | {"protocol": "EIGEN@48x2"},
    "grid": {
        "alphas": [1, 0.5, 0, -1],
        "shares": [0.05, 0.25],
        "draws": 9,
        "prompts": 24,
        "samples": 2,
        "neutral_tokens": 1_200,
        "resamples": 500,
    },
    "layers": {"texts": 120, "null_draws": 199, "resamples": 300},
    "detect": {"texts": 60},
}
"""Sizes of `--quick` in a study of experts."""

QUICK_TUNE: dict[str, Any] = QUICK | {
    "search": {"trials": 24, "first_prompts": 8, "finalists": 4, "attack_prompts": 24},
}
"""Sizes of `--quick` in a search."""

QUICKS: dict[str, dict[str, Any]] = {
    "audit": QUICK,
    "dpo": QUICK_DPO,
    "experts": QUICK_EXPERTS,
    "sae": QUICK_SAE,
    "tune": QUICK_TUNE,
}
"""Sizes of `--quick` by the kind of run."""
