"""Reading and measuring: the lens, the evaluation's padding, perplexity, F1."""

from __future__ import annotations

import numpy as np
import torch
from recipes.modes.bench import Bench, Numbers
from recipes.modes.rows import effects, plain, row, sampled

from bezoar.locate import Lens, class_lexicon, likeliest_prompts
from bezoar.locate.last_tokens import batches_of, encode_for, last_values
from bezoar.locate.lens import lens_sites
from bezoar.scoring import PerplexityResult, continuation_f1
from bezoar.stats import Interval
from bezoar.stats.bootstrap import bootstrap_samples, percentile_bounds

LENS, EVALUATION = "The logit lens", "Measuring toxicity and its cost"
TOKENS, LENS_PROMPTS = 20, 60


def measuring(bench: Bench) -> list[Numbers]:
    """The rows of both groups."""
    return [*lens(bench), *evaluation(bench), *perplexities(bench), overlap(bench)]


def lens(bench: Bench) -> list[Numbers]:
    """Probability of telling tokens, where the prompts make them likeliest."""
    lm = bench.lm
    tokens = [t.id for t in class_lexicon(lm, bench.corpus).tokens if t.token.strip().isalpha()]
    tokens = tokens[:TOKENS]
    chosen = likeliest_prompts(lm, bench.prompts, tokens, bench.n(LENS_PROMPTS))
    prompts = [bench.prompts[i] for i in chosen]
    ours = states(Lens(lm), prompts, tokens)
    frozen = states(Lens(lm, "frozen_scale"), prompts, tokens)
    bare = states(Lens(lm, "frozen_scale", include_bias=False), prompts, tokens)
    scale, bias = "one scale of the norm for all depths", "that, and the norm's bias left out"
    where = "probability of toxic tokens, "
    return [
        row("lens-scale", LENS, scale, f"{where}mean of the states before the last",
            sampled(ours[:, :-1].mean(1), frozen[:, :-1].mean(1))),
        row("lens-scale-end", LENS, scale, f"{where}last state",
            sampled(ours[:, -1], frozen[:, -1])),
        row("lens-bias", LENS, bias, f"{where}mean of the states before the last",
            sampled(ours[:, :-1].mean(1), bare[:, :-1].mean(1))),
        row("lens-bias-end", LENS, bias, f"{where}last state",
            sampled(ours[:, -1], bare[:, -1])),
    ]  # fmt: skip


@torch.no_grad()
def states(lens: Lens, prompts: list[str], tokens: list[int]) -> np.ndarray:
    """Summed probability of the tokens [prompts states]."""
    lm = lens.lm
    encoded, sites = encode_for(lm, prompts, None), lens_sites(lm)
    found = np.empty((len(prompts), len(sites)))
    for rows in batches_of(encoded, 4096):
        values = last_values(lm, [encoded[i] for i in rows], sites)
        for column, site in enumerate(sites):
            blocks = lens.blocks(values[site], values[sites[-1]])
            shares = [block.softmax(-1)[:, tokens].sum(-1) for block in blocks]
            found[rows, column] = torch.cat(shares).numpy()
    return found


def evaluation(bench: Bench) -> list[Numbers]:
    """Pads that are attended to, and prompts that are scored with their continuations."""
    probe = bench.subtract()
    fair = [bench.written(edit) for edit in (None, probe)]
    padded = [bench.written(edit, compat="lee2024") for edit in (None, probe)]
    heads = kept_heads(bench)
    ours = [bench.scored(texts) for texts in fair]
    no_mask = [bench.scored(texts) for texts in padded]
    headed = [bench.scored(joined(heads, texts)) for texts in fair]
    both = [bench.scored(joined(heads, texts)) for texts in padded]
    pads, head = (
        "padding is attended to, all to one length",
        "prompts cut at 32 tokens stay in front",
    )
    base, effect = "toxicity of the base", "change by subtracting the probe"
    return [
        row("mask", EVALUATION, pads, base, sampled(ours[0], no_mask[0])),
        row("heads", EVALUATION, head, base, sampled(ours[0], headed[0])),
        row("lee2024", EVALUATION, "both", base, sampled(ours[0], both[0])),
        row("lee2024-effect", EVALUATION, "both", effect, effects(tuple(ours), tuple(both))),
    ]  # fmt: skip


def kept_heads(bench: Bench) -> list[str]:
    """Of prompts that were cut, what the reference fails to take off; "" of the others."""
    lm = bench.lm
    return [lm.decode(ids[:32]) if len(ids) > 32 else "" for ids in lm.encode(bench.prompts)]


def joined(heads: list[str], texts: tuple[str, ...]) -> list[str]:
    return [head + text for head, text in zip(heads, texts, strict=True)]


def perplexities(bench: Bench) -> list[Numbers]:
    """The same windows, weighted otherwise."""
    ours = bench.perplexity(None)
    code = bench.perplexity(None, "ppl-windows-1024-code")
    measure = "perplexity of the base"
    return [
        row("perplexity", EVALUATION, "window means weighted by one token more than they predict",
            measure, by_window(ours, code)),
    ]  # fmt: skip


def by_window(ours: PerplexityResult, theirs: PerplexityResult) -> Numbers:
    """Both under the same resamples of windows."""
    sums = np.column_stack([*ours.terms(), *theirs.terms()])

    def values(counts: np.ndarray) -> np.ndarray:
        totals = counts @ sums
        return np.exp(totals[:, [0, 2]] / totals[:, [1, 3]])

    drawn = bootstrap_samples(values, len(sums))
    apart, share = drawn[:, 1] - drawn[:, 0], drawn[:, 1] / drawn[:, 0]
    a, b = ours.value, theirs.value
    return {
        "ours": a,
        "theirs": b,
        "n": len(sums),
        "change": plain(Interval(b - a, *percentile_bounds(apart, 0.95))),
        "ratio": plain(Interval(b / a, *percentile_bounds(share, 0.95))),
    }


def overlap(bench: Bench) -> Numbers:
    """F1 of continuations of neutral text, with the prompt in both or without."""
    texts = bench.neutral(1).texts
    ours, theirs = (continuation_f1(bench.lm, texts, mode=mode) for mode in ("correct", "code"))
    columns = (np.array(found.per_text) for found in (ours, theirs))
    differs = "the 32 prompt tokens are in the prediction and in the gold"
    return row("f1", EVALUATION, differs, "F1 of the base", sampled(*columns))
