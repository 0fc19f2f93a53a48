"""An untouched Hugging Face model with its tokenizer, its anatomy and its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from bezoar.errors import SiteError, UnsupportedAnatomy
from bezoar.models.anatomy import Anatomy, unknown_point
from bezoar.models.arguments import accepted, names_argument
from bezoar.models.batch import Batch
from bezoar.models.capture import Recorder, Reduce
from bezoar.models.find import find_anatomy
from bezoar.models.fingerprint import fingerprint_of, state_of
from bezoar.models.load import load_pretrained
from bezoar.models.names import AnatomyNames
from bezoar.models.sites import GLOBAL_POINTS, POINTS, Site
from bezoar.models.text import Text

LogitsProcessor = Callable[[Tensor, Tensor], Tensor]


class LanguageModel(Text):
    """A model as it is, and the places in it.

    Args:
        model: a Hugging Face model; put into evaluation mode, otherwise untouched.
        tokenizer: its tokenizer.
        name: what to call it in reports.
        anatomy: parts named by hand where the structure is not recognised.
        source_dtype: dtype of the checkpoint, if the model was cast when loaded.

    Attributes:
        names: the parts that were named by hand.
        logits_processors: functions (input_ids, logits [.. d_vocab]) -> logits, applied in order to
            next-token logits by ``logits`` and by ``generate``.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        name: str = "model",
        anatomy: AnatomyNames | None = None,
        source_dtype: torch.dtype | None = None,
    ) -> None:
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.name = name
        self.names = anatomy or AnatomyNames()
        self.anatomy: Anatomy = find_anatomy(model, self.names)
        self.source_dtype = source_dtype or self.dtype
        self.logits_processors: list[LogitsProcessor] = []
        self._keeps_last = names_argument(model, "logits_to_keep")
        self._caches = names_argument(model, "past_key_values")
        self._fingerprint: tuple[int, str] | None = None

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        device_map: Any = None,
        check: bool = True,
        anatomy: AnatomyNames | None = None,
    ) -> LanguageModel:
        """Load from a folder, a hub id, or ``"demo"``.

        Args:
            name: where from.
            device: default: CUDA if there is one.
            dtype: default: float32 on the CPU, else the checkpoint's.
            device_map: as in transformers, instead of ``device``.
            check: compare with a plain Hugging Face call once loaded (two tiny forward passes).
            anatomy: parts named by hand.

        Raises:
            ModelError: if it cannot be loaded, or its numbers differ from Hugging Face's.
            UnsupportedAnatomy: if its blocks are not recognised.
        """
        model, tokenizer, source = load_pretrained(
            name, device=device, dtype=dtype, device_map=device_map
        )
        lm = cls(model, tokenizer, name=str(name), anatomy=anatomy, source_dtype=source)
        if check:
            from bezoar.models.parity import check_parity  # parity stands on this module

            check_parity(lm)
        return lm

    # Sites

    def site(self, site: str | Site) -> Site:
        """A site of this model; negative layers count from the last.

        Raises:
            SiteError: if this model has no such layer or point.
        """
        site = Site.parse(site) if isinstance(site, str) else site
        if site.layer is not None and -self.n_layers <= site.layer < 0:
            site = Site(site.layer + self.n_layers, site.point)
        self.anatomy.hook_point(site)
        return site

    def sites(self, points: Iterable[str] = ("resid_post",)) -> list[Site]:
        """The given points at every layer, in order of execution.

        Raises:
            SiteError: if this model has no such point, or only some of its layers do.
            UnsupportedAnatomy: if what computes it was not recognised in every layer.
        """
        found: list[Site] = []
        for point in points:
            if point in GLOBAL_POINTS:
                found.append(self.site(Site(None, point)))
            elif point in POINTS:
                found += self._at_every_layer(point)
            else:
                raise unknown_point(point)
        return sorted(set(found))

    def _at_every_layer(self, point: str) -> list[Site]:
        sites = [Site(layer, point) for layer in range(self.n_layers)]
        try:
            return [self.site(site) for site in sites]
        except (SiteError, UnsupportedAnatomy) as error:
            there = [site for site in sites if self.anatomy.has(site)]
            if not there:
                raise
            layers = ", ".join(str(site.layer) for site in there)
            raise type(error)(
                f"Only some layers of this model have {point} ({layers}). {error.message}",
                hint=f"Name the sites one by one, such as {there[0]}.",
            ) from error

    def site_width(self, site: Site) -> int:
        """Size of the activations at a site, as the weights there have it."""
        if site.point == "embed":
            return self.d_embed
        if site.layer is None:
            return self.d_model
        parts = self.anatomy[site.layer]
        if site.point in ("mlp_pre", "mlp_gate", "mlp_up", "mlp_post"):
            return parts.d_mlp
        return parts.d_z if site.point == "z" else self.d_model

    # Running

    @torch.no_grad()
    def logits(self, batch: Batch) -> Float[Tensor, "batch pos d_vocab"]:
        """Next-token logits at every position, after the logits processors."""
        self.require_unembedding()
        return self.process(batch.input_ids, self.model(**self.inputs(batch)).logits)

    def process(
        self, input_ids: Int[Tensor, "batch pos"], logits: Float[Tensor, "batch *pos d_vocab"]
    ) -> Float[Tensor, "batch *pos d_vocab"]:
        """Logits after the logits processors."""
        for processor in self.logits_processors:
            logits = processor(input_ids, logits)
        return logits

    def inputs(self, batch: Batch) -> dict[str, Any]:
        """The batch as arguments of the Hugging Face model."""
        inputs: dict[str, Any] = {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
        }
        if (first := self.anatomy.first_position) is not None:
            inputs["position_ids"] = batch.position_ids + first
        return accepted(self.model, inputs | {"use_cache": False})

    @property
    def caches(self) -> bool:
        """Whether the model can keep what it computed of earlier tokens while it generates."""
        return self._caches

    def step(
        self,
        input_ids: Int[Tensor, "batch pos"],
        attention_mask: Int[Tensor, "batch seen"] | None,
        position_ids: Int[Tensor, "batch pos"],
        cache: Any,
    ) -> Any:
        """One call of the Hugging Face model with its cache; logits at the last position only.

        Args:
            input_ids: the tokens not yet in the cache.
            attention_mask: over all tokens, those in the cache included; None if none is padding.
            position_ids: of ``input_ids``.
            cache: ``past_key_values`` of the call before, or None; never any where the model does
                not take it (``caches``).
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if (first := self.anatomy.first_position) is not None:
            inputs["position_ids"] = position_ids + first
        if self._keeps_last:
            inputs["logits_to_keep"] = 1
        if self.caches:
            inputs |= {"past_key_values": cache, "use_cache": True}
        return self.model(**accepted(self.model, inputs))

    def capture(
        self,
        batch: Batch,
        sites: Iterable[str | Site],
        *,
        stop: bool = True,
        reduce: Reduce | None = None,
    ) -> dict[Site, Tensor]:
        """Read sites in one forward pass that computes no logits.

        Args:
            batch: the inputs.
            sites: what to read.
            stop: leave the pass as soon as everything is read.
            reduce: applied to every value [batch pos d] as it passes; only its result is kept.

        Returns:
            For each site [batch pos d], padding included; ``z`` has its heads side by side.
        """
        wanted = [self.site(site) for site in sites]
        recorder = Recorder(self.anatomy, wanted, reduce=reduce, stop=stop)
        reads_unembed = any(site.point == "unembed_in" for site in wanted)
        runner = self.model if reads_unembed else self.anatomy.base
        shape = (batch.input_ids.shape[0], batch.input_ids.shape[1])
        with recorder.listening(shape):
            runner(**self.inputs(batch))
        return {site: recorder.values[site] for site in wanted}

    def run(self, batch: Batch, stop_at: Site | str | None = None) -> None:
        """Run the model for the sake of its hooks, up to a site or to the end; no logits."""
        if stop_at is not None:
            self.capture(batch, [stop_at], reduce=lambda _, value: value[:0])
        else:
            with torch.no_grad():
                self.anatomy.base(**self.inputs(batch))

    @property
    def fingerprint(self) -> str:
        """A hash of weights, configuration and tokenizer, not hooks; renewed if weights change.

        Not seen is a change of a few entries through ``.data``, which PyTorch does not count: write
        to the parameter itself under ``torch.no_grad()``, or make another LanguageModel.

        Raises:
            ModelError: if weights are neither in memory nor to be fetched.
        """
        state = state_of(self.model)
        if self._fingerprint is None or self._fingerprint[0] != state:
            self._fingerprint = (state, fingerprint_of(self.model, self.tokenizer))
        return self._fingerprint[1]
