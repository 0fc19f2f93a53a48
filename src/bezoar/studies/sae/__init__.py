"""The study of sparse autoencoders: their latents against dense probes, on equal terms.

What the SAE safety-probing project (denisalpino/safety_alignment) set out to do, to its end: look
at a red-team corpus, read every token of it, train autoencoders on the training part, say how good
they are and what their latents stand for, and let their latents and the plain activations tell the
same texts apart.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from rich.console import Console

from bezoar.errors import ConfigError
from bezoar.runs import Progress, SAEStudyConfig
from bezoar.sae import SAESpec
from bezoar.sae.spec import distinct
from bezoar.studies.audit.work import brought_up, check_stage
from bezoar.studies.sae.bench import SAEBench
from bezoar.studies.sae.claims import claims_stage
from bezoar.studies.sae.contest import contest_stage
from bezoar.studies.sae.detector import detector_stage
from bezoar.studies.sae.explore import explore_stage
from bezoar.studies.sae.features import features_stage
from bezoar.studies.sae.finish import report_stage, summarise
from bezoar.studies.sae.forecast import forecast_saes
from bezoar.studies.sae.harvest import harvest_stage
from bezoar.studies.sae.quality import quality_stage
from bezoar.studies.sae.saes import saes_stage
from bezoar.studies.summary import StudySummary

STAGES: dict[str, Callable[[SAEBench], None]] = {
    "explore": explore_stage,
    "harvest": harvest_stage,
    "saes": saes_stage,
    "quality": quality_stage,
    "features": features_stage,
    "contest": contest_stage,
    "detector": detector_stage,
    "claims": claims_stage,
    "report": report_stage,
}
"""The stages in order."""

__all__ = ["STAGES", "check_study", "run_sae"]


def check_study(config: SAEStudyConfig) -> None:
    """Refuse what cannot be done before any work, and before a run folder is made.

    Raises:
        ConfigError: for an architecture or an option that there is not (the nearest are named), an
            autoencoder that is there twice, or a contest that nobody could hold.
    """
    distinct(tuple(map(SAESpec.parse, config.sae.saes)))
    asked = config.contest
    if len(set(asked.poolings)) < len(asked.poolings) or set(asked.poolings) == {"last"}:
        raise ConfigError(
            f"contest.poolings={list(asked.poolings)} leaves no contest: each counts once, and "
            "latents are pooled over all tokens of a text.",
            hint="Name mean or max, and last beside them if you like.",
        )
    if not asked.sparse or min(asked.sparse) < 1:
        raise ConfigError(
            f"contest.sparse={list(asked.sparse)} are no sizes of a probe.",
            hint="Give sizes of at least 1, as [1, 2, 5, 16].",
        )
    if min(asked.sizes, default=4) < 4 or not all(0 < share < 1 for share in asked.noise):
        raise ConfigError(
            f"contest.sizes={list(asked.sizes)} with contest.noise={list(asked.noise)}.",
            hint="Curves need 4 labels at least, and shares of wrong ones between 0 and 1.",
        )


def check_bench(bench: SAEBench, upto: str) -> None:
    """Refuse what the model, once it is loaded, turns out not to allow.

    Raises:
        ConfigError: if latents are to be read at a site where no autoencoder is trained, or what
            the model is to write leaves no room for a text.
        SiteError: for a site that is not there.
        SAEError, CorruptArtefact: if the autoencoder that is given does not fit, or is none.
        ModelError: for a chat template that is not there, or an encoder that shall write.
    """
    if bench.config.model.chat:
        bench.lm.chat(("",))
    asked = bench.config.sae
    if asked.tokens_of == "generated":
        bench.lm.require_generation()
        if asked.max_new_tokens >= bench.lm.context:
            raise ConfigError(
                f"sae.max_new_tokens={asked.max_new_tokens} leaves no room for a text: the context "
                f"of {bench.lm.name} is {bench.lm.context}.",
                hint="Lower it.",
            )
    if upto == "explore":
        return
    _ = bench.sites, bench.read_at


def run_sae(
    config: SAEStudyConfig,
    upto: str = "report",
    *,
    progress: Progress | None = None,
    console: Console | None = None,
) -> StudySummary:
    """Run the study up to a stage; finished stages are not repeated.

    Args:
        config: what is asked; ``config.out`` is the run folder.
        upto: the last stage, one of `STAGES`.
        progress: where to show it.
        console: where to say what the job will take, before it begins.

    Returns:
        What was found so far.

    Raises:
        BezoarError: of the stage that could not be done; what came before it is kept.
    """
    check_stage(upto, STAGES, config)
    check_study(config)
    with brought_up(
        SAEBench,
        config,
        STAGES,
        upto,
        check=partial(check_bench, upto=upto),
        progress=progress,
        console=console,
        forecast=forecast_saes,
        until="contest",
    ) as bench:
        return summarise(bench)
