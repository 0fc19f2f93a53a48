"""Evaluation protocols: frozen recipes, each with an id that says how many prompts and samples.

| id | prompts | decoding | statistic | quality |
|---|---|---|---|---|
| LEE | 1,199 challenging, cut to 32 tokens | greedy 20 | mean of largest attribute | windows, F1 |
| LEE-code | the same, padded without a mask | greedy 20 | the same | as in the code |
| LEE-tok | the same | greedy 20 | the same | tokenised WikiText |
| PROFS | 1,199 challenging | greedy 10 | mean toxicity | stride 1024-512 |
| DEX | 10,000 non-toxic | 25 × top-p 0.9, 20 | expected max, any of k | windows |
| RTP-0 | 99,442, all | 25 × top-p 0.9, 20 | expected max, any of k | windows |
| APPLE | 1,000 | 1 sample, 20 | toxic share, any of k | sentences |
| EIGEN | 5,000 toxic (> 0.5) | 25 × top-p 0.95, top-k 50, 20 | toxic share, any | sentences |

Prompts are RealToxicityPrompts; a number on others names its prompts beside the id. Tokenised
WikiText (`<unk>` for rare words) has other perplexities than the raw form, hence an id of its own:
neither is taken for the other (`Protocol.check_neutral`). The scorer is no part of a protocol: its
name and hash stand beside every number. DEX, RTP-0 and APPLE name no perplexity of the *edited*
model on neutral text; ours stands beside theirs under its own id.

`get_protocol("EIGEN@100x5")`, also written `EIGEN@100×5`, is EIGEN on 100 prompts with 5 samples; a
seed other than 0 is written `EIGEN@100x5s3`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bezoar.errors import ConfigError, DataError, did_you_mean
from bezoar.models import Decoding, LanguageModel
from bezoar.runs.results import Result
from bezoar.scoring import Windows, plan_windows

Neutral = Literal["raw", "tokenised", "sentences"]
Subset = Literal["challenging", "toxic", "nontoxic", "all"]


@dataclass(frozen=True, slots=True)
class Protocol(Result):
    """What is generated from what, and which number comes of it.

    Attributes:
        name: "LEE", …
        prompts_n: how many prompts.
        prompt_kind: which prompts, in words.
        subset: the part of RealToxicityPrompts that these are.
        decoding: how continuations are made; ``samples`` of them a prompt.
        prompt_tokens: prompts are cut to so many tokens; None for no cut.
        statistic: the headline, one of `bezoar.scoring.STATISTICS`.
        also: further statistics that the protocol reports.
        perplexity: id of the perplexity protocol.
        neutral: which kind of neutral text perplexity is of.
        f1: whether F1 of continuations of neutral text is reported.
        compat: the reference whose behaviour is imitated, if any.
    """

    name: str
    prompts_n: int
    prompt_kind: str
    subset: Subset
    decoding: Decoding
    statistic: str
    also: tuple[str, ...] = ()
    prompt_tokens: int | None = None
    perplexity: str = "ppl-windows-1024"
    neutral: Neutral = "raw"
    f1: bool = False
    compat: str | None = None

    @property
    def id(self) -> str:
        """Name and prompts; where it samples also the samples, and the seed if it is not 0."""
        if not self.decoding.sample:
            return f"{self.name}@{self.prompts_n}"
        seed = f"s{self.decoding.seed}" if self.decoding.seed else ""
        return f"{self.name}@{self.prompts_n}x{self.decoding.samples}{seed}"

    def resized(self, prompts: int) -> Protocol:
        """The same with another number of prompts, for when fewer are at hand.

        Raises:
            ConfigError: if there are none.
        """
        if prompts < 1:
            raise ConfigError(
                f"{self.name} cannot be run on {prompts} prompts.",
                hint=f"Write {self.name}@200 for two hundred.",
            )
        return replace(self, prompts_n=prompts)

    def takes(self, prompts: str) -> bool:
        """Whether a set of prompts, by name, is the one that the published numbers are of."""
        return prompts == f"rtp-{self.subset}"

    def check_neutral(self, tokenised: bool, name: str = "The neutral text") -> None:
        """Refuse neutral text of another form than perplexity is taken on here.

        Args:
            tokenised: whether it has ``<unk>`` for rare words (`NeutralText.tokenised`).
            name: of the text, for the message.

        Raises:
            ConfigError: naming the protocol that takes it.
        """
        if tokenised == (self.neutral == "tokenised"):
            return
        forms = ("raw", "tokenised (<unk> for rare words)")
        fitting = [p.name for p in PROTOCOLS.values() if (p.neutral == "tokenised") == tokenised]
        family = [other for other in fitting if other.split("-")[0] == self.name.split("-")[0]]
        use = f"Use {replace(self, name=family[0]).id} (--protocol), or give" if family else "Give"
        raise ConfigError(
            f"{name} is {forms[tokenised]}, and {self.id} takes perplexity on text that is "
            f"{forms[not tokenised]}: the two compare with nothing of each other's.",
            hint=f"{use} text of the other form (--neutral).",
        )

    def windows(self, lm: LanguageModel, texts: Sequence[str]) -> Windows:
        """Neutral text as perplexity is taken on it here.

        Raises:
            DataError: if it is too little for an interval.
        """
        windows = plan_windows(lm, texts, self.perplexity)
        if len(windows.ids) < 2:
            raise DataError(
                f"The neutral text fills one window of {windows.protocol.id}.",
                hint="An interval needs at least two windows: give more text (--neutral), or take "
                "more of what there is (data.neutral_tokens).",
            )
        return windows


_LEE = Protocol(
    name="LEE",
    prompts_n=1199,
    prompt_kind="RTP challenging",
    subset="challenging",
    decoding=Decoding(max_new_tokens=20),
    prompt_tokens=32,
    statistic="mean_max_attribute",
    also=("mean_score", "toxic_share"),
    f1=True,
)
_NUCLEUS = Decoding(max_new_tokens=20, sample=True, top_p=0.9, samples=25)
_DEX = Protocol(
    name="DEX",
    prompts_n=10_000,
    prompt_kind="RTP non-toxic",
    subset="nontoxic",
    decoding=_NUCLEUS,
    statistic="expected_max_toxicity",
    also=("any_of_k", "mean_score"),
)

PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        _LEE,
        replace(_LEE, name="LEE-code", compat="lee2024", perplexity="ppl-windows-1024-code"),
        replace(_LEE, name="LEE-tok", neutral="tokenised"),
        Protocol(
            name="PROFS",
            prompts_n=1199,
            prompt_kind="RTP challenging",
            subset="challenging",
            decoding=Decoding(max_new_tokens=10),
            statistic="mean_score",
            perplexity="ppl-stride-1024-512",
        ),
        _DEX,
        replace(_DEX, name="RTP-0", prompts_n=99_442, prompt_kind="RTP, all", subset="all"),
        Protocol(
            name="APPLE",
            prompts_n=1000,
            prompt_kind="RTP, all",
            subset="all",
            decoding=Decoding(max_new_tokens=20, sample=True),
            statistic="toxic_share",
            also=("any_of_k", "mean_score"),
            perplexity="ppl-sentences-128",
            neutral="sentences",
        ),
        Protocol(
            name="EIGEN",
            prompts_n=5000,
            prompt_kind="RTP with toxicity > 0.5",
            subset="toxic",
            decoding=replace(_NUCLEUS, top_p=0.95, top_k=50),
            statistic="toxic_share",
            also=("any_of_k", "mean_score"),
            perplexity="ppl-sentences-128",
            neutral="sentences",
        ),
    )
}
"""The protocols at their published sizes."""

_SPEC = re.compile(
    r"(?P<name>[^@]+)(?:@(?P<prompts>\d+)(?:[x×](?P<samples>\d+))?(?:s(?P<seed>\d+))?)?"
)


def get_protocol(spec: str, *, prompts: int | None = None, seed: int | None = None) -> Protocol:
    """A protocol by id: ``NAME``, ``NAME@200``, ``NAME@200x5``, ``NAME@200x5s1`` (seed 1).

    Args:
        spec: the id.
        prompts: overrides the number of prompts.
        seed: of the sampling, where the id names none.

    Raises:
        ConfigError: if there is no such protocol, or samples are asked of a greedy one.
    """
    match = _SPEC.fullmatch(spec)
    name = match[1] if match else spec
    if match is None or name not in PROTOCOLS:
        raise ConfigError(
            f"There is no protocol {spec!r}.",
            hint=f"{did_you_mean(name.partition('@')[0], PROTOCOLS)} Sizes: LEE@200, EIGEN@100x5.",
        )
    protocol = PROTOCOLS[name]
    decoding = protocol.decoding
    samples = int(match["samples"] or decoding.samples)
    if samples > 1 and not decoding.sample:
        raise ConfigError(
            f"{name} decodes greedily: {samples} samples would be equal.", hint=f"Write {name}@N."
        )
    chosen = int(match["seed"] or seed or 0)
    decoding = replace(decoding, samples=samples, seed=chosen if decoding.sample else 0)
    number = prompts if prompts is not None else int(match["prompts"] or protocol.prompts_n)
    return replace(protocol, decoding=decoding).resized(number)
