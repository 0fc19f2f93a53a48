"""What a study of experts will take: an audit, and what follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from bezoar.mitigate import parse_method
from bezoar.runs import ExpertsStudyConfig
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.forecast import AuditForecast, forecast_audit, prompt_tokens
from bezoar.studies.audit.room import PAGE
from bezoar.studies.experts.evaluate import PUBLISHED

_WAYS = 9  # of choosing directions that are held against each other, random ones aside
_CLASSES, _PARTS = 2, 2  # labels, and texts to learn from and to report on


def forecast_experts(bench: Bench) -> AuditForecast:
    """An audit's, and the edits of the grid, the methods as published, layers and detection.

    What the grid measures perplexity by takes the unembedding alone, and counts here as a whole
    pass: it is an upper estimate, like the audit's.
    """
    audit, config = forecast_audit(bench), cast(ExpertsStudyConfig, bench.config)
    methods = [parse_method(spec).name for spec in specs_of(config.mitigate.methods)]
    published = sum(name in PUBLISHED for name in methods)
    edits = _of_grid(config) if bench.lm.has_unembedding else 0
    prompt, samples = prompt_tokens(bench), bench.protocol.decoding.samples
    grid, texts = config.grid, bench.texts
    sampled = grid.samples if bench.protocol.decoding.sample else samples
    shown = min(grid.prompts, texts.prompts_report)
    more = published * (prompt * samples * texts.prompts_report + texts.neutral_tokens)
    more += edits * (prompt * sampled * shown + min(grid.neutral_tokens, texts.neutral_tokens))
    read = config.harvest.max_tokens * _CLASSES * _PARTS
    more += (1 + len(methods) + published) * read * config.detect.texts
    contests = (1 + len(config.layers.others)) * (1 + len(config.layers.corpora))
    more += contests * read * config.layers.texts / _CLASSES
    rate = audit.tokens / max(audit.seconds, 1e-9)
    return replace(
        audit,
        variants=audit.variants + published + edits,
        tokens=audit.tokens + int(more),
        seconds=audit.seconds + more / rate,
        bytes=audit.bytes + PAGE,  # figures/
    )


def _of_grid(config: ExpertsStudyConfig) -> int:
    """Edits that the grid measures: the base, the control, every α by k, and every choice twice."""
    asked = config.grid
    points = sum(alpha != 1 for alpha in asked.alphas) * len(asked.shares)
    return 2 + points + 2 * (_WAYS + asked.draws + 1)
