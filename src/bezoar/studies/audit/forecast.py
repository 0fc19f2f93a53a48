"""What an audit will take, said before the work begins."""

from __future__ import annotations

from dataclasses import dataclass

from bezoar.activations import Forecast, forecast
from bezoar.activations.forecast import size
from bezoar.mitigate import DPO, parse_method
from bezoar.models import LanguageModel, named_sites
from bezoar.pairs.steered import STEERED
from bezoar.runs import AuditConfig, Result
from bezoar.studies.audit.asked import needs, null_draws, specs_of
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitting import NULL_EVALUATIONS
from bezoar.studies.audit.locate import PARTS, sites_of
from bezoar.studies.audit.pairs import human_pairs, sentences
from bezoar.studies.audit.room import PAGE, room_of

NEW_TOKEN = 3.0  # a token generated costs about this many tokens read in a batch
_TRAINED_TOKEN = 4.0  # the reference, forward, and back, which is twice as dear
_PPLM_STEP = 10.0  # an iteration of PPLM on a past of some tokens, forward and back
_PRODUCTS = 6.0  # of [d_model d_sae] a token: encode, decode, and each of them back, if all dense


@dataclass(frozen=True, slots=True)
class AuditForecast(Result):
    """An estimate of a whole audit; the fits may end early, so it is an upper one.

    Attributes:
        variants: edits that will be measured, null edits included.
        tokens: read or written in all, in units of tokens read.
        seconds: of harvest, pairs, trainings, fits and measurements, from the time of a small
            batch.
        bytes: on disk in the end: activations, trainings with their nulls, their edits, pages.
        peak_memory: bytes, while harvesting or training, whichever takes more.
        trainings: on pairs, nulls included. They count to their last epoch, and mostly stop early.
        checkpoint: bytes more on disk while one of them is under way.
    """

    variants: int
    tokens: int
    seconds: float
    bytes: int
    peak_memory: int
    trainings: int = 0
    checkpoint: int = 0

    def __str__(self) -> str:
        disk = f"{size(self.bytes)} on disk"
        memory = f"about {size(self.peak_memory)} of memory."
        if self.trainings:
            disk = f"(trainings may stop early), {disk}, {size(self.checkpoint)} more while one"
            memory = f"is under way, {memory}"
        between = "\n       " if self.trainings else ", "
        return (
            f"To do: {self.variants} variants to measure, {self.tokens / 1e6:.1f} million tokens; "
            f"{duration(self.seconds)} at most{'' if self.trainings else ','}\n"
            f"       {disk}{between}{memory}"
        )


def duration(seconds: float) -> str:
    """``12 min``, ``1.7 h``."""
    return f"{seconds / 3600:.1f} h" if seconds > 5400 else f"{max(1, seconds / 60):.0f} min"


def forecast_harvest(bench: Bench) -> Forecast:
    """What reading the labelled texts takes, with the time of a small batch."""
    config = bench.config
    texts = [text for part in PARTS for text in bench.corpus(part).texts]
    return forecast(
        bench.lm,
        texts,
        sites_of(bench),
        pooling=config.harvest.pooling,
        dtype=config.harvest.dtype,
        budget_tokens=config.harvest.budget_tokens,
        max_tokens=config.harvest.max_tokens,
    )


def prompt_tokens(bench: Bench) -> float:
    """What continuing one prompt takes, in units of tokens read."""
    decoding = bench.protocol.decoding
    return (bench.protocol.prompt_tokens or 32) + NEW_TOKEN * decoding.max_new_tokens


def forecast_audit(bench: Bench) -> AuditForecast:
    """Count what the stages after ``explore`` will read and write, and time a small batch."""
    config, lm = bench.config, bench.lm
    harvested = forecast_harvest(bench)
    methods = [parse_method(spec) for spec in specs_of(config.mitigate.methods)]
    draws = [null_draws(method, config) for method in methods]
    kinds = [len(m.null_kinds) + bool(m.null_kinds) for m in methods]
    nulls = sum(n * k for n, k in zip(draws, kinds, strict=True))
    variants = 2 + len(methods) + nulls
    trained = [(m, 1 + n) for m, n in zip(methods, draws, strict=True) if "pairs" in m.requires]
    passes = sum(n * (m.recipe_for(lm).epochs if isinstance(m, DPO) else 1) for m, n in trained)
    decoding = bench.protocol.decoding
    prompt = prompt_tokens(bench)
    written = prompt * decoding.samples * bench.texts.prompts_report
    chosen = prompt * decoding.samples * bench.texts.prompts_select * len(methods)
    neutral = config.data.neutral_tokens
    fits = len(methods) * config.mitigate.max_evaluations * neutral
    searches = nulls * NULL_EVALUATIONS * min(neutral, 4_000)
    measured = variants * (written + bench.texts.neutral_tokens)
    learnt, room = _pairs_and_trainings(bench, passes), room_of(bench)
    if "sae" in needs(config):
        learnt += harvested.tokens + neutral + _autoencoder(config, lm)
    tokens = int(harvested.tokens + chosen + fits + searches + measured + learnt)
    return AuditForecast(
        variants=variants,
        tokens=tokens,
        seconds=tokens / harvested.tokens_per_second,
        bytes=harvested.bytes + room.kept + PAGE,
        peak_memory=max(harvested.peak_memory, room.memory),
        trainings=sum(n for _, n in trained),
        checkpoint=room.checkpoint,
    )


def _pairs_and_trainings(bench: Bench, passes: int) -> float:
    """Tokens of the preference pairs, and of passes over them if every pair is kept."""
    if not passes:
        return 0.0
    asked, new = bench.config.pairs, STEERED.max_new_tokens
    if asked.file:
        pairs, written = len(human_pairs(bench)), 0.0
    else:
        pairs = len(sentences(bench, asked.steered)) * asked.samples
        written = 2 * pairs * (asked.words + NEW_TOKEN * new)
    pplm = asked.pplm * new * (NEW_TOKEN + _PPLM_STEP * asked.pplm_iterations)
    return written + pplm + passes * _TRAINED_TOKEN * 2 * pairs * (asked.words + new)


def _autoencoder(config: AuditConfig, lm: LanguageModel) -> float:
    """What training one takes, in units of tokens read by the model, by numbers multiplied."""
    asked = config.sae
    if asked.path is not None:
        return 0.0
    width = lm.site_width(named_sites(lm, asked.sites)[0])
    parameters = sum(p.numel() for p in lm.model.parameters())
    return asked.tokens * _PRODUCTS * asked.expansion * width**2 / parameters
