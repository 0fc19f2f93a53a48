"""Where an autoencoder comes from, and so what it may read."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.errors import SAEError, SiteError
from bezoar.models import LanguageModel, Site
from bezoar.runs.results import Result


@dataclass(frozen=True, slots=True)
class SAEInfo(Result):
    """Where an autoencoder comes from.

    Attributes:
        architecture: its name in the registry.
        site: what it reads; "" if unknown.
        d_model: width of the site.
        d_sae: latents.
        options: of its architecture and training.
        model: name of the model.
        fingerprint: of the model's weights and tokenizer; "" if unknown.
        trained_on: the data, in words.
        tokens: trained on, repetitions counted.
        seed: of its initial weights.
        scale: the factor that inputs were multiplied by in training; folded into the weights.
        licence_note: what the licences of its data say about passing it on.
    """

    architecture: str
    site: str
    d_model: int
    d_sae: int
    options: dict[str, float | int | str]
    model: str = ""
    fingerprint: str = ""
    trained_on: str = ""
    tokens: int = 0
    seed: int = 0
    scale: float = 1.0
    licence_note: str = ""

    def its_site(self) -> Site | None:
        """What it reads; None if unknown, or no site of ours."""
        try:
            return Site.parse(self.site)
        except SiteError:
            return None

    def require(self, lm: LanguageModel, site: Site | str | None = None) -> None:
        """Refuse a model or site that the autoencoder was not made for.

        Raises:
            SAEError: if the model's fingerprint, the site, or the width at the site is another.
        """
        own = self.its_site()
        if self.fingerprint and self.fingerprint != lm.fingerprint:
            raise SAEError(
                f"This autoencoder was trained on {self.model or 'another model'}, which has "
                f"other weights than {lm.name!r}.",
                hint="Train one on this model, or load the model it was trained on.",
            )
        asked = own if site is None else lm.site(site)
        if asked is None:
            raise SAEError(
                f"This autoencoder names no site of ours ({self.site!r}).",
                hint="Say which site it reads.",
            )
        asked = lm.site(asked)
        if own is not None and asked != own:
            raise SAEError(
                f"This autoencoder reads {own}, and {asked} was asked for.",
                hint=f"Use it at {own}, or train one at {asked}.",
            )
        if (width := lm.site_width(asked)) != self.d_model:
            raise SAEError(
                f"This autoencoder reads {self.d_model} dimensions, and {asked} of {lm.name!r} has "
                f"{width}.",
                hint="Use one that was trained at this site of this model.",
            )
