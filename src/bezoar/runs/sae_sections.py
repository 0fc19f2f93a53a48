"""What a study of sparse autoencoders was asked to do."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from bezoar.runs.input_sections import SAEConfig
from bezoar.runs.section import Section, names
from bezoar.runs.sections import QUICK, AuditConfig, DataConfig, Study


class SAEDataConfig(DataConfig):
    """As in an audit, but with every text that there is."""

    limit: int = Field(1_000_000, ge=20, description="Labelled texts at most, balanced by label.")


class SAEStudySAEConfig(SAEConfig):
    """As in an audit, at every layer."""

    sites: tuple[str, ...] = Field(
        ("every.resid_post",),
        min_length=1,
        description="One set of them at each site; layers may be 'middle' or 'every'.",
    )
    tokens: int = Field(1_000_000, ge=1_000, description="Trained on, texts repeated as needed.")


class FeaturesConfig(Section):
    """Which latents are looked at, and what is kept of each."""

    site: str | None = Field(
        None, description="Whose autoencoder is read; the best by its own measures when empty."
    )
    top: int = Field(500, ge=1, description="Latents with a card: by contribution, by label.")
    tokens: int = Field(12, ge=1, description="Top tokens on a card, by each score.")
    prompts: int = Field(8, ge=1, description="Top texts on a card.")
    ranking: Literal["mean", "max"] = Field(
        "max", description="Of a latent over a text's tokens; top texts are those where it is most."
    )
    promoted: int = Field(12, ge=1, description="Tokens that a latent's direction promotes.")
    alpha: float = Field(0.6, ge=0, le=1, description="Weight of the cosine in the score.")
    mu: float = Field(-2.5, description="log10 of the density that the score likes best.")
    sigma: float = Field(0.5, gt=0, description="Width of that liking, in decades.")


class ContestConfig(Section):
    """Sparse latents against dense probes, on equal terms."""

    poolings: tuple[Literal["mean", "max", "last"], ...] = Field(
        ("mean", "max"), min_length=1, description="Of a text's tokens, for latents and rows alike."
    )
    sparse: tuple[int, ...] = Field((1, 2, 5, 16), description="Latents that a k-sparse probe has.")
    folds: int = Field(5, ge=2, description="Of the cross-validation; the same for all.")
    penalties: int = Field(7, ge=1, description="On each regularisation path.")
    balance: Literal["subsample", "none"] = Field(
        "subsample", description="Of the classes in training."
    )
    sizes: tuple[int, ...] = Field(
        (50, 100, 200, 500, 1_000, 2_000, 5_000), description="Labels in the learning curves."
    )
    draws: int = Field(5, ge=1, description="Of each size, and of each share of wrong labels.")
    noise: tuple[float, ...] = Field((0.05, 0.1, 0.2), description="Shares of wrong labels.")
    harmless: tuple[str, ...] = Field(
        (), description="Harmless texts, each set reported apart: xstest:PATH, alpaca:PATH, FILE."
    )
    harmless_limit: int = Field(4_000, ge=20, description="Texts of each such set at most.")
    false_alarms: float = Field(0.01, gt=0, lt=1, description="Of the detector's threshold.")
    resamples: int = Field(2_000, ge=100, description="Of the paired bootstrap by text.")

    _listed = field_validator("harmless", mode="before")(names)


class SAEStudyConfig(AuditConfig):
    """The study of sparse autoencoders: their latents, against dense probes."""

    study: Study = Field("sae", description="What kind of run this is.")
    out: str = Field("runs/sae", description="The run folder.")
    data: SAEDataConfig = SAEDataConfig()
    sae: SAEStudySAEConfig = SAEStudySAEConfig()
    features: FeaturesConfig = FeaturesConfig()
    contest: ContestConfig = ContestConfig()


QUICK_SAE: dict[str, Any] = QUICK | {
    "data": {"limit": 1_200, "neutral_tokens": 4_000},
    "sae": {"tokens": 60_000, "expansion": 4, "sites": ["middle.resid_post", "-1.resid_post"]},
    "features": {"top": 60},
    "contest": {
        "folds": 3,
        "penalties": 4,
        "sizes": [50, 200],
        "draws": 2,
        "noise": [0.1],
        "harmless_limit": 400,
        "resamples": 500,
    },
}
"""Sizes of `--quick` in a study of sparse autoencoders."""
