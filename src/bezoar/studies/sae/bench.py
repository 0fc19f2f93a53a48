"""The bench of a study of sparse autoencoders: what its stages share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from bezoar.activations import ActivationStore, TokenTable, generated_tokens, tokenise
from bezoar.corpus import Corpus
from bezoar.errors import ConfigError
from bezoar.models import Decoding, Generations, LanguageModel, Site, generate, named_sites
from bezoar.runs.sae_sections import QUICK_SAE, SAEStudyConfig, SAEStudySAEConfig
from bezoar.sae import SAESpec, SparseAutoencoder, folder_name, load_sae
from bezoar.studies.audit import Bench
from bezoar.studies.audit.sae import given_sae

WRITTEN = "written.parquet"
UNSET_SITES = (SAEStudySAEConfig().sites, tuple(QUICK_SAE["sae"]["sites"]))
"""Sites that nobody chose: a given autoencoder is read at its own."""


class SAEBench(Bench):
    """A run of the study at work; see `bezoar.studies.audit.bench.Bench`."""

    config: SAEStudyConfig

    @cached_property
    def sites(self) -> list[Site]:
        """Where autoencoders are trained, in order of execution; the given one's own site."""
        if self.given is not None:
            return [self.lm.site(self.given.info.site)]
        return named_sites(self.lm, self.config.sae.sites)

    @property
    def read_at(self) -> Site | None:
        """Where the autoencoder is read closely, if the run says so.

        Raises:
            ConfigError: if none is trained there, or several sites are named.
            SiteError: if the model has no such site.
        """
        asked = self.config.features.site
        if asked is None:
            return None
        named = named_sites(self.lm, [asked])
        if len(named) > 1 or named[0] not in self.sites:
            raise ConfigError(
                f"features.site={asked}, and autoencoders are trained at "
                f"{', '.join(map(str, self.sites))}.",
                hint="Name one of these, or leave it out for the best by its own measures.",
            )
        return named[0]

    @cached_property
    def given(self) -> SparseAutoencoder | None:
        """The autoencoder at ``sae.path``, which none is trained beside; None without a path.

        Raises:
            SAEError, SiteError, CorruptArtefact: as `given_sae`.
        """
        asked = self.config.sae
        if asked.path is None:
            return None
        return given_sae(self.lm, asked.path, asked.sites, UNSET_SITES)

    @cached_property
    def specs(self) -> tuple[SAESpec, ...]:
        """The autoencoders asked for at each site."""
        return tuple(map(SAESpec.parse, self.config.sae.saes))

    @property
    def names(self) -> dict[str, tuple[Site, str]]:
        """Site and spec of each autoencoder, by the name of its folder."""
        specs = self.config.sae.saes if self.given is None else (self.given.architecture,)
        asked = ((site, spec) for site in self.sites for spec in specs)
        return {folder_name(str(site), spec): (site, spec) for site, spec in asked}

    @cached_property
    def corpora(self) -> dict[str, Corpus]:
        """The ``train`` and ``report`` parts of the labelled texts."""
        return {part: self.corpus(part) for part in ("train", "report")}

    @cached_property
    def tokens(self) -> TokenTable:
        """Tokens of the labelled texts: all of ``train``, then all of ``report``.

        The stage harvest asks for them first, and keeps what the model writes.
        """
        texts = [text for part in self.corpora for text in self.prompts(part)]
        return self.tokens_of(texts, self.run.folder("harvest") / WRITTEN)

    def tokens_of(self, prompts: Sequence[str], kept: Path) -> TokenTable:
        """Tokens of texts as the study reads them; or of what the model writes after each.

        Args:
            prompts: the texts, in the chat template if that was asked for.
            kept: where what the model writes is kept, in the folder of the stage at work.

        Raises:
            DataError: if a text gives no token.
            ModelError: if the model cannot write and shall.
        """
        asked = self.config.sae
        if asked.tokens_of == "prompts":
            return tokenise(self.lm, prompts, asked.max_tokens, self.progress)
        # The end of a chat is where its answer begins.
        keep: Literal["first", "last"] = "last" if self.config.model.chat else "first"
        if kept.exists():
            written = Generations.load(kept)
        else:
            written = generate(
                self.lm,
                prompts,
                Decoding(max_new_tokens=asked.max_new_tokens),
                max_prompt_tokens=asked.max_tokens,
                keep=keep,
                progress=self.progress,
            )
            written.save(kept)
        return generated_tokens(self.lm, written, max_prompt_tokens=asked.max_tokens, keep=keep)

    def prompts(
        self, part: str, lm: LanguageModel | None = None, *, plain: bool = False
    ) -> list[str]:
        """The labelled texts, which are what this study shows to the model.

        Args:
            part: ``select`` for the training part, or ``report``.
            lm: whose chat template; the model's own if None.
            plain: as they were read.

        Raises:
            ModelError: if a template was asked for and there is none.
        """
        texts = list(self.corpora["train" if part == "select" else part].texts)
        return texts if plain or not self.config.model.chat else (lm or self.lm).chat(texts)

    def rows_of(self, part: str) -> range:
        """Which texts of `tokens` (and of the store) a part has."""
        first = len(self.corpora["train"])
        return range(first) if part == "train" else range(first, len(self.tokens))

    @property
    def store(self) -> ActivationStore:
        """Activations of all tokens at all sites, in the order of `tokens`.

        Raises:
            StoreError: if they were not kept on disk.
        """
        return ActivationStore.open(self.run.folder("harvest") / "tokens")

    def sae_folder(self, name: str) -> Path:
        """Where an autoencoder is kept."""
        return self.run.folder("saes") / name

    def sae(self, name: str) -> SparseAutoencoder:
        """A trained autoencoder, by the name of its folder."""
        return load_sae(self.sae_folder(name))
