"""What methods are fitted from, and how much of it: pairs, states, experts, moments, latents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from bezoar.runs.section import Pooling, Section, names


class PairsConfig(Section):
    """The preference pairs of an audit with a method like DPO, which learns from them."""

    source: str = Field(
        "rest", description="Prose to continue: rest (what the audit leaves over), or as neutral."
    )
    file: str | None = Field(None, description="Pairs that people wrote, instead of steered ones.")
    chosen: str | None = Field(None, description="Its column of milder sides; empty: by name.")
    rejected: str | None = Field(None, description="Its column of more toxic sides, likewise.")
    prompt: str | None = Field(None, description="Its column of prompts, likewise.")
    leaked: Literal["raise", "strip", "drop", "keep"] = Field(
        "raise",
        description="Sides of a file that begin with their prompt: raise, strip, drop, keep.",
    )
    steered: int = Field(1_200, ge=0, description="Prompts continued with and against steering.")
    samples: int = Field(1, ge=1, description="Steered pairs of a prompt.")
    words: int = Field(8, ge=1, description="Of a sentence that make a prompt.")
    layer: int | None = Field(None, description="That is steered; the middle one when empty.")
    alpha: float = Field(
        0.4, ge=-10, le=10, description="Shift, in mean norms of the residual stream."
    )
    margin: float = Field(0.05, ge=0, le=1, description="Least difference of scorer A's scores.")
    pplm: int = Field(0, ge=0, description="Prompts also continued with PPLM, to compare.")
    pplm_iterations: int = Field(50, ge=0, description="Of PPLM at each token.")


class StatesConfig(Section):
    """The states before toxic tokens that the model writes, for methods like EigenShift."""

    prompts: int = Field(1_000, ge=4, description="Prompts continued greedily; none is reported.")
    max_new_tokens: int = Field(20, ge=1, description="Of a continuation.")
    words: int = Field(1, ge=1, description="Most toxic words of a continuation that count.")
    matched: int = Field(5, ge=1, description="Harmless states at the position of a toxic one.")
    attribution: Literal["occlusion", "gradient", "saliency"] = Field(
        "occlusion", description="How scorer A's opinion is laid on words."
    )
    shuffles: int = Field(39, ge=1, description="Shuffled labellings the report compares with.")


class ExpertsConfig(Section):
    """The units that methods like AurA turn down, and the controls of how many there are."""

    points: tuple[str, ...] = Field(
        ("paper", "mlp_post"),
        min_length=1,
        description="Of every layer; paper: what the maps of an MLP write.",
    )
    pooling: Literal["mean", "max", "last"] = Field("max", description="Over the tokens of a text.")
    texts: int = Field(1_000, ge=20, description="Training texts at most, balanced by label.")
    max_tokens: int = Field(128, ge=1, description="A text is cut to this many tokens.")
    dtype: Literal["float16", "bfloat16", "float32"] = Field(
        "float16", description="Of pooled activations, on disk while the stage runs."
    )
    shuffles: int = Field(199, ge=1, description="Shuffled labellings that form the bands.")
    kept: int = Field(20, ge=0, description="Of these, kept unit by unit for nulls of methods.")
    halves: int = Field(10, ge=0, description="Divisions of the texts, for whether halves agree.")
    top: int = Field(500, ge=1, description="Best units compared between halves and corpora.")
    other: str | None = Field(
        None, description="Labelled texts that shall name the same units, as data."
    )


class MomentsConfig(Section):
    """Mean and variance of single units on each class, for methods like transport."""

    points: tuple[str, ...] = Field(
        ("attn_out", "mlp_out", "mlp_post"), min_length=1, description="Of every layer."
    )
    pooling: Pooling = Field("mean", description="Of tokens; none: every token counts.")
    max_tokens: int = Field(128, ge=1, description="A text is cut to this many tokens.")
    texts: int = Field(1_000, ge=20, description="Training texts at most, balanced by label.")


class SAEConfig(Section):
    """The sparse autoencoders that are trained on single tokens, and on which."""

    saes: tuple[str, ...] = Field(
        ("topk:k=32",), min_length=1, description="Specs, ARCHITECTURE[:option=value,...]."
    )
    sites: tuple[str, ...] = Field(
        ("middle.resid_post",),
        min_length=1,
        description="One set of them at each site; layers may be 'middle' or 'every'.",
    )
    expansion: int = Field(8, ge=1, description="Latents for one dimension of the site.")
    tokens: int = Field(500_000, ge=1_000, description="Trained on, texts repeated as needed.")
    batch: int = Field(1_024, ge=8, description="Tokens a step.")
    lr: float = Field(1e-3, gt=0, description="Of Adam, after its warm-up.")
    train_on: Literal["all", "non_target"] = Field(
        "all", description="non_target: none of the texts with label 1."
    )
    tokens_of: Literal["prompts", "generated"] = Field(
        "prompts", description="generated: what the model writes after each text."
    )
    max_tokens: int = Field(128, ge=1, description="A text is cut to this many tokens.")
    max_new_tokens: int = Field(
        20, ge=1, description="Written after each text, if tokens_of is generated."
    )
    store: Literal["auto", "disk", "recompute"] = Field(
        "auto", description="Keep rows on disk, run the model again, or what is measured cheaper."
    )
    skip_first: int = Field(
        0, ge=0, description="Positions at the beginning of each text that are not trained on."
    )
    precision: Literal["highest", "high", "medium"] = Field(
        "highest", description="Of products in training, in torch's words; high allows TF32."
    )
    path: str | None = Field(None, description="A trained one's folder, instead of training.")

    @field_validator("saes", mode="before")
    @classmethod
    def _one(cls, value: object) -> object:
        """One spec alone, whose commas are its own, is a list of one."""
        return (value,) if isinstance(value, str) else value

    _listed = field_validator("sites", mode="before")(names)
