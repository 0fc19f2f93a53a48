"""An untouched Hugging Face model with its tokenizer, its anatomy and its numbers."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.activations import ACT2FN
from transformers.pytorch_utils import Conv1D

from bezoar.errors import DataError, ModelError
from bezoar.models.anatomy import Anatomy, AnatomyNames, unknown_point
from bezoar.models.batch import Batch, Side, make_batch
from bezoar.models.capture import Recorder, Reduce
from bezoar.models.find import find_anatomy
from bezoar.models.load import load_pretrained
from bezoar.models.sites import GLOBAL_POINTS, POINTS, Site

LogitsProcessor = Callable[[Tensor, Tensor], Tensor]


class LanguageModel:
    """A model as it is, and the places in it.

    Args:
        model: a Hugging Face model; put into evaluation mode, otherwise untouched.
        tokenizer: its tokenizer.
        name: what to call it in reports.
        anatomy: parts named by hand where the structure is not recognised.
        source_dtype: dtype of the checkpoint, if the model was cast when loaded.

    Attributes:
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
        self.anatomy: Anatomy = find_anatomy(model, anatomy)
        self.source_dtype = source_dtype or self.dtype
        self.logits_processors: list[LogitsProcessor] = []
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._keeps_last = "logits_to_keep" in parameters
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
            from bezoar.models.parity import check_parity

            check_parity(lm)
        return lm

    # Sizes

    @property
    def n_layers(self) -> int:
        return len(self.anatomy.blocks)

    @property
    def d_model(self) -> int:
        return int(self.anatomy.embed.weight.shape[-1])

    @property
    def d_mlp(self) -> int:
        return self.keys(0).shape[0]

    @property
    def n_heads(self) -> int:
        return int(self._config.num_attention_heads)

    @property
    def d_head(self) -> int:
        return out_in_weight(self.anatomy[0].part("attn_out_proj")).shape[1] // self.n_heads

    @property
    def d_vocab(self) -> int:
        matrix = self.W_U if self.has_unembedding else self.anatomy.embed.weight
        return int(matrix.shape[0])

    @property
    def context(self) -> int:
        """The longest input in tokens."""
        for name in (
            "max_position_embeddings",
            "n_positions",
            "max_seq_len",
            "seq_length",
            "n_ctx",
        ):
            if isinstance(value := getattr(self._config, name, None), int):
                return value
        limit = int(min(self.tokenizer.model_max_length, 1 << 30))
        return limit if limit < 1 << 30 else 2048

    @property
    def device(self) -> torch.device:
        return self.anatomy.embed.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.anatomy.embed.weight.dtype

    @property
    def gated(self) -> bool:
        return self.anatomy.gated

    @property
    def has_unembedding(self) -> bool:
        return self.anatomy.unembed is not None

    @property
    def _config(self) -> Any:
        return self.model.config.get_text_config()

    # Weights

    def keys(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Key k_i in row i: a view of the input map (of the ungated factor in a gated MLP)."""
        return out_in_weight(self.anatomy[layer].part("w_in"))

    def gates(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Gate g_i in row i: a view of the gate's map.

        Raises:
            UnsupportedAnatomy: if the MLP is not gated.
        """
        return out_in_weight(self.anatomy[layer].part("w_gate"))

    def values(self, layer: int) -> Float[Tensor, "d_mlp d_model"]:
        """Value vector v_i in row i: a view of the output map; mlp_raw = sum_i a_i v_i + b."""
        return out_in_weight(self.anatomy[layer].part("w_out")).T

    def w_out_bias(self, layer: int) -> Float[Tensor, " d_model"] | None:
        """The bias b of ``mlp_raw = sum_i a_i v_i + b``, if there is one."""
        return getattr(self.anatomy[layer].part("w_out"), "bias", None)

    @property
    def W_U(self) -> Float[Tensor, "d_vocab d_model"]:
        """The unembedding, one row for each token."""
        return out_in_weight(self._unembed_module)

    @property
    def b_U(self) -> Float[Tensor, " d_vocab"] | None:
        """The unembedding's bias, if there is one."""
        return getattr(self._unembed_module, "bias", None)

    @property
    def _unembed_module(self) -> nn.Module:
        if self.anatomy.unembed is None:
            raise ModelError(
                f"The model {self.name!r} has no unembedding (it is no language model)."
            )
        return self.anatomy.unembed

    @property
    def act_fn(self) -> Callable[[Tensor], Tensor]:
        """The MLP's activation function."""
        if self.anatomy[0].act is not None:
            return self.anatomy[0].act
        for name in ("hidden_act", "activation_function", "hidden_activation"):
            if isinstance(value := getattr(self._config, name, None), str):
                return ACT2FN[value]
        raise ModelError(f"The activation function of {self.name!r} was not recognised.")

    def parameter_name(self, module: nn.Module, parameter: str = "weight") -> str:
        """The name of a module's parameter in ``model.state_dict()``.

        Raises:
            ModelError: if the model has no such module or the module no such parameter.
        """
        for name, candidate in self.model.named_modules():
            if candidate is module and isinstance(getattr(module, parameter, None), nn.Parameter):
                return f"{name}.{parameter}"
        raise ModelError(
            f"No {parameter!r} of a {type(module).__name__} in the model {self.name!r}."
        )

    def final_norm(self, x: Float[Tensor, "*rest d_model"]) -> Float[Tensor, "*rest d_model"]:
        """What the unembedding reads, from the last block's residual."""
        return self.anatomy.final_norm(x)

    def unembed(self, x: Float[Tensor, "*rest d_model"]) -> Float[Tensor, "*rest d_vocab"]:
        """Logits of normalised residuals, with bias and soft-capping."""
        logits = self._unembed_module(x)
        cap = getattr(self._config, "final_logit_softcapping", None)
        return logits if cap is None else torch.tanh(logits / cap) * cap

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
            SiteError: if this model has no such point.
        """
        found: list[Site] = []
        for point in points:
            if point in GLOBAL_POINTS:
                found.append(self.site(Site(None, point)))
            elif point in POINTS:
                found += [self.site(Site(layer, point)) for layer in range(self.n_layers)]
            else:
                raise unknown_point(point)
        return sorted(set(found))

    # Text

    def encode(self, texts: Sequence[str], max_tokens: int | None = None) -> list[list[int]]:
        """Token ids as the tokenizer gives them, cut to the first ``max_tokens``.

        A text that already begins with the beginning-of-text token (a chat) does not get another.
        """
        bos = getattr(self.tokenizer, "bos_token", None)
        rows: list[list[int]] = []
        for text in texts:
            special = not (bos and text.startswith(bos))
            rows.append(self.tokenizer(text, add_special_tokens=special)["input_ids"][:max_tokens])
        return rows

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )

    def token_strings(self, ids: Sequence[int]) -> list[str]:
        """Each token as text, with its leading blank where it has one."""
        return [self.tokenizer.decode([i], clean_up_tokenization_spaces=False) for i in ids]

    def chat(self, texts: Sequence[str]) -> list[str]:
        """The texts as user turns in the tokenizer's chat template, ready for the answer.

        Raises:
            ModelError: if the tokenizer has no chat template.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise ModelError(f"The tokenizer of {self.name!r} has no chat template.")
        return [
            self.tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
            for text in texts
        ]

    @property
    def pad_id(self) -> int:
        """The id to pad with; masked, so any would do."""
        return self._special("pad", "eos", "bos")

    @property
    def start_id(self) -> int:
        """The id that stands for an empty text."""
        return self._special("bos", "eos", "pad")

    def _special(self, *kinds: str) -> int:
        ids = (getattr(self.tokenizer, f"{kind}_token_id", None) for kind in kinds)
        return next((i for i in ids if isinstance(i, int)), 0)

    @property
    def end_ids(self) -> list[int]:
        """The tokens that end a text, as Hugging Face's ``generate`` would have them."""
        config = getattr(self.model, "generation_config", None)
        found = getattr(config, "eos_token_id", None)
        if found is None:
            found = getattr(self.tokenizer, "eos_token_id", None)
        return [] if found is None else [found] if isinstance(found, int) else list(found)

    def batch(
        self, ids: Sequence[Sequence[int]], side: Side = "right", length: int | None = None
    ) -> Batch:
        """Pad token ids into a batch on the model's device.

        Raises:
            DataError: if a row is empty or longer than the context.
        """
        longest = max((len(row) for row in ids), default=0)
        if longest > self.context:
            raise DataError(
                f"A text of {longest} tokens exceeds the model's context of {self.context}.",
                hint="Cut it: lm.encode(texts, max_tokens=lm.context).",
            )
        return make_batch(ids, pad_id=self.pad_id, side=side, length=length).to(self.device)

    # Running

    @torch.no_grad()
    def logits(self, batch: Batch) -> Float[Tensor, "batch pos d_vocab"]:
        """Next-token logits at every position, after the logits processors."""
        self._unembed_module  # noqa: B018 - raises if there is none
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
        if self._takes_positions:
            inputs["position_ids"] = batch.position_ids
        return inputs | {"use_cache": False}

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
            cache: ``past_key_values`` of the call before, or None.
        """
        inputs: dict[str, Any] = {"input_ids": input_ids, "attention_mask": attention_mask}
        if self._takes_positions:
            inputs["position_ids"] = position_ids
        if self._keeps_last:
            inputs["logits_to_keep"] = 1
        return self.model(**inputs, past_key_values=cache, use_cache=True)

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
        """A hash of weights and tokenizer; hooks are not part of it. Recomputed if weights change."""
        version = hash(tuple((p.data_ptr(), p._version) for p in self.model.parameters()))
        if self._fingerprint is None or self._fingerprint[0] != version:
            self._fingerprint = (version, self._hash())
        return self._fingerprint[1]

    def _hash(self) -> str:
        digest = hashlib.sha256()
        for name, parameter in self.model.named_parameters():
            digest.update(f"{name} {parameter.dtype} {tuple(parameter.shape)}".encode())
            digest.update(
                parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data
                if parameter.numel()
                else b""
            )
        for token, index in sorted(self.tokenizer.get_vocab().items()):
            digest.update(f"{index} {token}".encode(errors="surrogatepass"))
        return digest.hexdigest()[:32]


def out_in_weight(module: nn.Module) -> Float[Tensor, "d_out d_in"]:
    """The matrix of a linear map with outputs in rows, as a view (``Conv1D`` stores the transpose)."""
    weight = module.weight
    return weight.T if isinstance(module, Conv1D) else weight  # type: ignore[union-attr]
