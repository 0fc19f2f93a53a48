"""A detector: a linear reader of a model's states as a small artefact that scores texts.

It holds the weights of a probe at a site, of states or of sparse latents (with their rows of the
encoder, so that the autoencoder is not needed), the threshold at a stated rate of false alarms, and
the fingerprint of the one model that it reads. A decision is a sum over tokens: with mean pooling a
token adds ``w · x / tokens``, with max pooling whatever features have their largest value on it,
with last pooling only the last token counts. So the tokens that drove a decision are not estimated,
they add up to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float, Float64
from scipy.special import expit
from torch import Tensor

from bezoar.activations import plan_batches, tokenise
from bezoar.activations.passes import forward_passes
from bezoar.edits import SteerLatents
from bezoar.errors import DataError, ModelError
from bezoar.evaluate.contest_rows import POOLINGS
from bezoar.evaluate.detector_results import DetectorInfo, Verdict, Verdicts
from bezoar.locate.artefact import corrupt, load_artefact, save_artefact
from bezoar.models import LanguageModel
from bezoar.runs.progress import SILENT, Progress
from bezoar.runs.results import one_line

_KIND = "detector"
_BATCH = 4_096  # padded tokens a pass
_CHUNK = 256  # texts that are read together
_ENCODER = ("encoder", "bias", "threshold", "gain", "shift")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Detector:
    """A linear reader with its threshold; made by a study of sparse autoencoders.

    Attributes:
        info: what it is.
        weights: of the site's dimensions, or of ``info.latents``.
        encoder: what turns states into those latents; None if it reads states.

    Raises:
        DataError: if the parts do not belong together.
    """

    info: DetectorInfo
    weights: Float[Tensor, " k"]
    encoder: SteerLatents | None = None

    __repr__ = one_line

    def __post_init__(self) -> None:
        latents = len(self.encoder.decoder) if self.encoder is not None else len(self.weights)
        reads = "states" if self.encoder is None else "latents"
        if latents != len(self.weights) or reads != self.info.reads:
            raise DataError(
                f"{len(self.weights)} weights for {latents} {reads}, said to be of "
                f"{self.info.reads}.",
                hint="One weight a feature, and an encoder exactly where latents are read.",
            )
        if self.info.pooling not in POOLINGS:
            raise DataError(
                f"A detector does not pool by {self.info.pooling!r}.",
                hint=f"Use {', '.join(POOLINGS)}.",
            )

    @property
    def width(self) -> int:
        """Dimensions of the states that it reads."""
        return len(self.weights) if self.encoder is None else self.encoder.width

    def save(self, folder: str | Path) -> None:
        """Write ``detector.safetensors`` and ``detector.json`` into a folder."""
        tensors = {"weights": self.weights}
        if self.encoder is not None:
            tensors |= {name: getattr(self.encoder, name) for name in _ENCODER}
        save_artefact(folder, _KIND, self.info, tensors)

    @classmethod
    def load(cls, folder: str | Path) -> Detector:
        """Read it back.

        Raises:
            CorruptArtefact: if a file is missing, damaged or altered.
        """
        info, tensors = load_artefact(folder, _KIND, DetectorInfo)
        wanted = {"weights", *(_ENCODER if info.reads == "latents" else ())}
        if set(tensors) != wanted:
            raise corrupt(folder, _KIND, f"it holds {', '.join(sorted(tensors))}")
        try:
            encoder = _encoder(tensors, info) if info.reads == "latents" else None
            return cls(info, tensors["weights"], encoder)
        except (DataError, RuntimeError, ValueError) as error:
            raise corrupt(folder, _KIND, str(error)) from error

    def require(self, lm: LanguageModel) -> None:
        """Refuse any model but the one that it was made on.

        Raises:
            ModelError: if its weights or its tokenizer are others.
        """
        if lm.fingerprint != self.info.fingerprint:
            raise ModelError(
                f"The detector reads {self.info.model!r} ({self.info.fingerprint[:12]}), and this "
                f"is {lm.name!r} ({lm.fingerprint[:12]}).",
                hint="Name the model that it was made on with --model, or make a detector for "
                "this one.",
            )

    def score(
        self, lm: LanguageModel, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Verdicts:
        """Read texts and say what it finds in each.

        Raises:
            ModelError: if the model is another than it was made on.
            DataError: if a text is empty.
        """
        return Verdicts(tuple(self.stream(lm, texts, progress=progress)))

    def stream(
        self, lm: LanguageModel, texts: Sequence[str], *, progress: Progress | None = None
    ) -> Iterator[Verdict]:
        """As `score`, some hundred texts at a time, so that results come while it works."""
        self.require(lm)
        empty = [i for i, text in enumerate(texts, start=1) if not text.strip()]
        if empty:
            shown = ", ".join(map(str, empty[:5])) + (", …" if len(empty) > 5 else "")
            raise DataError(
                f"{len(empty)} of {len(texts)} texts are empty (number {shown}).",
                hint="A detector needs words; leave empty texts out.",
            )
        with (progress or SILENT).task("Reading texts", len(texts), unit="texts") as advance:
            for first in range(0, len(texts), _CHUNK):
                some = texts[first : first + _CHUNK]
                yield from self._read(lm, some)
                advance(len(some))

    def contributions(self, rows: Float[Tensor, "tokens d"]) -> Float64[Tensor, " tokens"]:
        """What each token adds to the log-odds of a text, of the states of its tokens."""
        features = rows.float() if self.encoder is None else self.encoder.latents(rows.float())
        features, w = features.double(), self.weights.double()
        if self.info.pooling == "mean":
            return features @ w / len(features)
        added = torch.zeros(len(features), dtype=torch.float64)
        if self.info.pooling == "last":
            added[-1] = features[-1] @ w
            return added
        largest, where = features.max(0)
        return added.index_add_(0, where, largest * w)

    def _read(self, lm: LanguageModel, texts: Sequence[str]) -> list[Verdict]:
        shown = lm.chat(list(texts)) if self.info.chat else texts
        table = tokenise(lm, shown, self.info.max_tokens)
        lengths = table.lengths
        plan = plan_batches(lengths, _BATCH)
        site = lm.site(self.info.site)
        found: dict[int, Verdict] = {}
        passes = forward_passes(
            lm, table, plan, [site], "none", lambda _, values, pool: pool(values)
        )
        for done in passes:
            parts = done.values[site].float().cpu().split(lengths[done.texts].tolist())
            for text, rows in zip(done.texts, parts, strict=True):
                ids = table.rows([text])[0]
                found[text] = self._verdict(lm.token_strings(ids), rows)
        if table.truncated:
            whole = [len(ids) for ids in lm.encode(list(shown))]
            for text, verdict in found.items():
                if whole[text] > lengths[text]:
                    found[text] = replace(verdict, cut=True)
        return [found[text] for text in range(len(texts))]

    def _verdict(self, tokens: Sequence[str], rows: Float[Tensor, "tokens d"]) -> Verdict:
        added = self.contributions(rows)
        log_odds = float(added.sum()) + self.info.intercept
        return Verdict(
            probability=float(expit(log_odds)),
            log_odds=log_odds,
            flagged=log_odds > self.info.threshold,
            tokens=tuple(tokens),
            contributions=tuple(added.tolist()),
            cut=False,
        )


def _encoder(tensors: dict[str, Tensor], info: DetectorInfo) -> SteerLatents:
    """The encoder of chosen latents; nothing is written back, so its decoder is empty."""
    k = len(tensors["weights"])
    nothing = torch.zeros(k)
    return SteerLatents(
        **{name: tensors[name] for name in _ENCODER},
        decoder=torch.zeros(k, tensors["encoder"].shape[1]),
        factor=nothing + 1,
        value=nothing,
        active=info.active,
        ids=info.latents,
    )
