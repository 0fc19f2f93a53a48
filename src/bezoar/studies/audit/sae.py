"""Stage sae: one sparse autoencoder, and what its latents have to do with the behaviour.

Runs only if a method steers by latents. It is trained on every token of the training texts and of
the neutral text by which strengths are chosen, or loaded from ``sae.path``. Files: ``trained/``
(the autoencoder), ``latents/`` (`bezoar.sae.LatentProfile`) and ``report.json`` (how good it is, on
texts that it was not trained on). Activations lie in ``tokens/`` while the stage runs, and a
checkpoint in ``training/``, so that a killed one goes on where it was; both are then removed.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bezoar.activations import ActivationStore, StoredRows, harvest
from bezoar.errors import ConfigError, SAEError, SiteError
from bezoar.models import LanguageModel, Site, named_sites
from bezoar.runs import Result, load_result, save_result
from bezoar.runs.input_sections import SAEConfig
from bezoar.runs.stages import file_hash
from bezoar.sae import SparseAutoencoder, load_sae, train_saes
from bezoar.sae.profile import LatentProfile, profile_latents
from bezoar.sae.quality import measure_quality
from bezoar.sae.quality_results import SAEQuality
from bezoar.sae.storage import WEIGHTS
from bezoar.studies.audit.about import licence_note
from bezoar.studies.audit.asked import needs
from bezoar.studies.audit.bench import Bench

_HELD_OUT = 500
"""Texts of the report half that the quality is measured on, at most."""


@dataclass(frozen=True, slots=True)
class AuditSAE(Result):
    """The autoencoder of an audit.

    Attributes:
        architecture, site, d_sae: of it.
        origin: "trained here", or the folder it was loaded from.
        texts: that it was trained on here; 0 if it was loaded.
        rows: tokens of these.
        tokens: that it was trained on, repetitions counted.
        quality: on texts that nothing was trained on.
        silent: share of its latents that are active on no token of the labelled training texts.
    """

    architecture: str
    site: str
    d_sae: int
    origin: str
    texts: int
    rows: int
    tokens: int
    quality: SAEQuality
    silent: float

    def __str__(self) -> str:
        trained = f"on {self.tokens:,} tokens" if self.tokens else "elsewhere"
        where = "" if self.origin == "trained here" else f" ({self.origin})"
        told = f"{self.architecture}, {self.d_sae:,} latents at {self.site}"
        return (
            f"{told}, trained {trained}{where}; of other texts {self.quality.l0:.3g} latents a "
            f"token explain {self.quality.explained_variance:.1%} of the variance; "
            f"{self.silent:.1%} are silent"
        )


def sae_stage(bench: Bench) -> None:
    """Train (or load) the autoencoder and profile its latents; nothing if no method asks for it.

    Raises:
        ConfigError, SAEError: as `check_sae`; or if there are fewer tokens than latents.
    """
    config, asked = bench.config, bench.config.sae
    if "sae" not in needs(config):
        return
    key = [asked, config.harvest.budget_tokens, config.harvest.dtype, config.seed]
    key += [bench.lm.fingerprint, "" if asked.path is None else weights_hash(asked.path)]
    with bench.run.stage("sae", key=key, after=["explore"]) as stage:
        if stage.done:
            return
        check_sae(bench)
        given = None if asked.path is None else _given(bench, asked.path)
        site = _site(bench) if given is None else Site.parse(given.info.site)
        store, parts = _tokens(bench, site, stage.folder / "tokens")
        sae = _trained(bench, store, parts, stage.folder / "training") if given is None else given
        sae.save(stage.folder / "trained")
        train = bench.corpus("train")
        latents = profile_latents(
            sae,
            store,
            train.labels,
            parts["train"],
            trained_on=train.hash,
            seed=bench.run.seed("sae"),
            progress=bench.progress,
        )
        latents.save(stage.folder / "latents")
        report = _report(bench, sae, store, parts, latents)
        save_result(stage.folder / "report.json", report)
        for name in ("tokens", "training"):
            shutil.rmtree(stage.folder / name, ignore_errors=True)


def autoencoder(bench: Bench) -> SparseAutoencoder:
    """The one that the stage left."""
    return load_sae(bench.run.folder("sae") / "trained")


def latent_profile(bench: Bench) -> LatentProfile:
    """What the stage found of its latents."""
    return LatentProfile.load(bench.run.folder("sae") / "latents")


def sae_in_words(bench: Bench) -> dict[str, str]:
    """What the report says of the autoencoder; nothing if there is none."""
    path = bench.run.folder("sae") / "report.json"
    return {"sparse autoencoder": str(load_result(path, AuditSAE))} if path.exists() else {}


def check_sae(bench: Bench) -> None:
    """Refuse what cannot be trained or loaded, before any work.

    Raises:
        ConfigError: if more than one autoencoder is asked for, or one of generated tokens.
        SAEError: if the one at ``sae.path`` is of another model, site or width.
        SiteError: if the model has no such site.
        CorruptArtefact: if there is none at ``sae.path``.
    """
    asked = bench.config.sae
    if asked.path is not None:
        _given(bench, asked.path)
        return
    several = {"sae.saes": asked.saes, "sae.sites": tuple(map(str, _sites(bench)))}
    for option, named in several.items():
        if len(named) > 1:
            raise ConfigError(
                f"{option} names {', '.join(named)}, and an audit steers by one autoencoder.",
                hint=f"Name one: --set '{option}=[{named[0]}]'.",
            )
    if asked.tokens_of != "prompts":
        raise ConfigError(
            f"sae.tokens_of={asked.tokens_of} is for 'bezoar study sae'; an audit trains on what "
            "it reads.",
            hint="Leave it out, or name a trained one: --set sae.path=FOLDER.",
        )


def weights_hash(path: str) -> str:
    """Of the autoencoder at a path; "" if there is none."""
    file = Path(path).expanduser() / WEIGHTS
    return file_hash(file) if file.is_file() else ""


def _sites(bench: Bench) -> list[Site]:
    return named_sites(bench.lm, bench.config.sae.sites)


def _site(bench: Bench) -> Site:
    return _sites(bench)[0]


def given_sae(
    lm: LanguageModel, path: str, sites: tuple[str, ...], unset: Collection[tuple[str, ...]]
) -> SparseAutoencoder:
    """The autoencoder at a path, if it is one of this model.

    It is read at its own site. Sites that were asked for must have that one among them; they name
    it where it names none itself.

    Args:
        lm: the model.
        path: ``sae.path``.
        sites: ``sae.sites``.
        unset: what these are where nobody chose them.

    Raises:
        SAEError: if it is of another model, site or width, or names no site.
        SiteError: if the model has no such site.
        CorruptArtefact: if there is none.
    """
    sae = load_sae(Path(path).expanduser())
    named = named_sites(lm, sites)
    if sae.site is None:
        if len(named) > 1:
            raise SAEError(
                f"The autoencoder at {path} does not say which site it reads.",
                hint="Name its site: --set 'sae.sites=[3.resid_post]', for example.",
            )
        sae.info = replace(sae.info, site=str(named[0]))
    try:
        sae.require(lm)
    except (SAEError, SiteError) as error:
        raise type(error)(f"sae.path={path}: {error.message}", hint=error.hint) from error
    if sites not in unset and sae.site not in named:
        raise SAEError(
            f"sae.path={path}: the autoencoder reads {sae.site}, and sae.sites asks for "
            f"{', '.join(map(str, named))}.",
            hint="Leave sae.sites out: one that is given is read at its own site.",
        )
    return sae


def _given(bench: Bench, path: str) -> SparseAutoencoder:
    return given_sae(bench.lm, path, bench.config.sae.sites, [SAEConfig().sites])


def _tokens(
    bench: Bench, site: Site, folder: Path
) -> tuple[ActivationStore, dict[str, np.ndarray]]:
    """Every token of all texts that the stage reads, and which of these belong to which part."""
    texts: list[str] = []
    parts: dict[str, np.ndarray] = {}
    read = {
        "train": bench.corpus("train").texts,
        "neutral": bench.neutral("select").texts if bench.config.sae.path is None else (),
        "report": bench.corpus("report").texts[:_HELD_OUT],
    }
    for part, some in read.items():
        parts[part] = np.arange(len(texts), len(texts) + len(some))
        texts += some
    harvested = harvest(
        bench.lm,
        texts,
        [site],
        pooling="none",
        out=folder,
        budget_tokens=bench.config.harvest.budget_tokens,
        max_tokens=bench.config.sae.max_tokens,
        dtype=bench.config.harvest.dtype,
        progress=bench.progress,
    )
    return harvested, parts


def _trained_on(bench: Bench, parts: dict[str, np.ndarray]) -> np.ndarray:
    """The texts that it is trained on: with the behaviour too, unless told otherwise."""
    train = parts["train"]
    if bench.config.sae.train_on == "non_target":
        train = train[bench.corpus("train").labels == 0]
    return np.concatenate([train, parts["neutral"]])


def _trained(
    bench: Bench, store: ActivationStore, parts: dict[str, np.ndarray], folder: Path
) -> SparseAutoencoder:
    asked, lm = bench.config.sae, bench.lm
    chosen = _trained_on(bench, parts)
    [trained] = train_saes(
        asked.saes,
        StoredRows(store, store.sites[0], chosen, skip_first=asked.skip_first),
        tokens=asked.tokens,
        batch=asked.batch,
        lr=asked.lr,
        expansion=asked.expansion,
        seed=bench.run.seed("sae"),
        lm_info=(lm.name, lm.fingerprint),
        trained_on=f"{len(chosen):,} texts of an audit: {bench.config.data.data} and neutral text",
        licence_note=licence_note(bench, "labelled texts", "neutral text"),
        out=folder,
        device=lm.device,
        precision=asked.precision,
        progress=bench.progress,
    )
    return trained.sae


def _report(
    bench: Bench,
    sae: SparseAutoencoder,
    store: ActivationStore,
    parts: dict[str, np.ndarray],
    latents: LatentProfile,
) -> AuditSAE:
    path = bench.config.sae.path
    chosen = _trained_on(bench, parts) if path is None else np.arange(0)
    return AuditSAE(
        architecture=sae.architecture,
        site=sae.info.site,
        d_sae=sae.d_sae,
        origin="trained here" if path is None else path,
        texts=len(chosen),
        rows=int(store.lengths[chosen].sum()),
        tokens=sae.info.tokens,
        quality=measure_quality(sae, store, texts=parts["report"]),
        silent=float((latents.density == 0).double().mean()),
    )
