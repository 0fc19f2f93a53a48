"""PPLM: steer a model by gradients on its own past (Dathathri et al. 2020).

At each new token the past keys and values H are moved, a few small steps, towards what a probe
calls toxic; the next token is drawn from the moved model and the plain one together:

    ΔH ← ΔH − step · ∇[−log p(toxic | x̄) + kl_scale · KL(p_pert ‖ p_unpert)] / ‖∇‖^γ
    p  ∝ p_pert^gm · p_unpert^(1−gm), over the top k

Lee et al. 2024 made the rejected sides of their preference pairs so (section 4.1, Table 6).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bezoar.corpus import Origin
from bezoar.errors import DataError, several
from bezoar.locate import Direction, Probe
from bezoar.models import Batch, Decoding, Generations, LanguageModel, generate
from bezoar.models.generate import continuation
from bezoar.models.sampling import choose, uniforms
from bezoar.pairs.pairs import Pairs
from bezoar.pairs.pplm_attribute import Attribute
from bezoar.pairs.pplm_cache import Reader, without_parameter_gradients
from bezoar.pairs.pplm_settings import PPLM
from bezoar.pairs.pplm_step import Moment
from bezoar.runs.progress import SILENT, Progress


def pplm(
    lm: LanguageModel,
    prompts: Sequence[str],
    probe: Probe | Direction,
    settings: PPLM = PPLM(),  # noqa: B008 (frozen)
    *,
    seed: int = 0,
    batch_tokens: int = 8192,
    progress: Progress | None = None,
) -> Generations:
    """Continue every prompt, steered towards what the probe calls the behaviour.

    Many prompts go together, each as if it were alone (but that in single precision rounding grows
    with the iterations, and may tip a late token); the random streams are those of `generate` for
    the same seed and prompt. Weights stay as they are; no gradient is taken for them.

    Args:
        lm: the model; edits and logits processors in force apply (processors to the fused logits).
        prompts: an empty prompt is read as the beginning-of-text (or end-of-text) token.
        probe: the attribute model. A probe gives its calibrated probability; a direction gives
            σ(w·x̄) of its original vector. Its site and pooling say what x̄ is; negate a direction
            (``-direction``) to steer away.
        settings: Table 6 by default.
        seed: of the random streams.
        batch_tokens: padded tokens a batch, new ones included. The past is held four times.
        progress: where to show it.

    Raises:
        DataError: if a prompt is so long that the context has no room for its continuation.
        UnsupportedAnatomy: if the model keeps something else than keys and values of all tokens.
        ConfigError, SiteError, SiteMismatch: if the probe does not fit the model.
        ModelError: if the model has no unembedding, or reads in both directions.
    """
    prompts = several(prompts, "prompts")
    lm.require_generation()
    attribute = Attribute.of(lm, probe)
    ids = _prompt_ids(lm, prompts, settings)
    decoding = settings.decoding(seed)
    found: dict[int, list[int]] = {}
    steps = len(prompts) * settings.length
    with (
        (progress or SILENT).task("Steering", steps, unit="tokens") as advance,
        without_parameter_gradients(lm.model),
    ):
        for rows in _batches([len(row) for row in ids], settings, batch_tokens):
            batch = lm.batch([ids[row] for row in rows], side="left")
            streams = [uniforms(seed, prompts[row], 0, settings.length) for row in rows]
            u = torch.from_numpy(np.stack(streams)).to(lm.device)
            tokens = _continue(lm, batch, attribute, settings, u, decoding, advance)
            found.update(zip(rows, tokens, strict=True))
    order = range(len(prompts))
    return Generations(
        prompts=tuple(prompts),
        prompt_index=tuple(order),
        sample=(0,) * len(prompts),
        text=tuple(continuation(lm, ids[row], found[row]) for row in order),
        tokens=tuple(tuple(found[row]) for row in order),
        decoding=decoding,
    )


def pplm_pairs(
    lm: LanguageModel,
    prompts: Sequence[str],
    probe: Probe | Direction,
    settings: PPLM = PPLM(),  # noqa: B008 (frozen)
    *,
    seed: int = 0,
    batch_tokens: int = 8192,
    progress: Progress | None = None,
) -> Pairs:
    """Preference pairs as Lee et al. 2024 (section 4.1) made them.

    Chosen is the model's own greedy continuation, rejected the one that PPLM steers to the
    behaviour; neither holds its prompt. No pair is dropped: sides may be equal or empty.

    Args, Raises: as `pplm`.
    """
    rejected = pplm(
        lm, prompts, probe, settings, seed=seed, batch_tokens=batch_tokens, progress=progress
    )
    chosen = generate(lm, prompts, Decoding(settings.length), progress=progress)
    attribute = Attribute.of(lm, probe)
    return Pairs(
        rejected.prompts,
        chosen.text,
        rejected.text,
        name="PPLM",
        origin=Origin("pplm", rows=len(prompts)),
        provenance={
            "how": "pplm",
            "model": {"name": lm.name, "fingerprint": lm.fingerprint},
            "probe": {"site": str(attribute.site), "pooling": attribute.pooling},
            "settings": dataclasses.asdict(settings),
            "seed": seed,
        },
    )


def _prompt_ids(lm: LanguageModel, prompts: Sequence[str], settings: PPLM) -> list[list[int]]:
    room = lm.context - settings.length - max(settings.horizon - 1, 0)
    rows = [row or [lm.start_id] for row in lm.encode(prompts)]
    longest = max(range(len(rows)), key=lambda row: len(rows[row]), default=0)
    if rows and len(rows[longest]) > room:
        raise DataError(
            f"Prompt {longest} has {len(rows[longest])} tokens. The model's context of "
            f"{lm.context} leaves room for {max(room, 0)} beside {settings.length} new tokens and "
            f"a horizon of {settings.horizon}.",
            hint="Shorten the prompt, or lower length.",
        )
    return rows


def _batches(lengths: list[int], settings: PPLM, budget: int) -> Iterator[list[int]]:
    """Longest prompts first, so that memory peaks at the start."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        width = lengths[order[0]] + settings.length + settings.horizon
        rows = max(1, budget // width)
        yield order[:rows]
        order = order[rows:]


@torch.no_grad()
def _continue(
    lm: LanguageModel,
    batch: Batch,
    attribute: Attribute,
    settings: PPLM,
    u: Tensor,
    decoding: Decoding,
    advance: Callable[[int], None],
) -> list[list[int]]:
    """New tokens of each row, up to its end of text."""
    moment, past = Moment.at_end_of(batch, Reader(lm, attribute.site), attribute, settings)
    ends = torch.tensor(lm.end_ids, device=lm.device)
    new: list[list[int]] = [[] for _ in range(len(batch))]
    rows, ids = torch.arange(len(batch), device=lm.device), batch.input_ids
    for left in range(settings.length - 1, -1, -1):
        past, logits = moment.read(moment.perturb(past))
        fused = torch.lerp(moment.logits, logits, settings.gm_scale)
        chosen = choose(lm.process(ids, fused), u[rows, -1 - left], decoding)
        going = ~torch.isin(chosen, ends)
        for row, token in zip(rows[going].tolist(), chosen[going].tolist(), strict=True):
            new[row].append(token)
        advance(len(rows) + left * int((~going).sum()))
        if not left or not going.any():
            break
        ids = torch.cat([ids, chosen.unsqueeze(1)], 1)
        if not going.all():  # a text that has ended would cost as much as one that goes on
            rows, ids, chosen = rows[going], ids[going], chosen[going]
            moment, past = moment.take(going), [tensor[going] for tensor in past]
        moment = moment.next(chosen)
    return new
