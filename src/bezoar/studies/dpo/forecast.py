"""What a study of DPO will take: an audit, the comparison, and every point of every attack."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import torch

from bezoar.attack import Attack, AttackInputs, attack_names, make_attacks
from bezoar.errors import UnsupportedAnatomy
from bezoar.locate import Direction, ValueRanking, rank_values
from bezoar.mitigate import parse_method
from bezoar.studies.attacking import OWN_WORK
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.audit.forecast import AuditForecast, forecast_audit, prompt_tokens
from bezoar.studies.audit.room import PAGE
from bezoar.studies.dpo.attack import TABLE_4
from bezoar.studies.dpo.bench import DPOBench

_WRITTEN = 3  # by the base and by the trained model, and what each makes of the other's


def forecast_dpo(bench: DPOBench) -> AuditForecast:
    """An audit's, and what follows, as if every edit were attacked at every point.

    Edits that turn out to lower nothing are not attacked: an upper estimate, like the audit's.
    """
    audit, config = forecast_audit(bench), bench.config
    asked, compared, texts = config.attack, config.compare, bench.texts
    one = prompt_tokens(bench) * bench.protocol.decoding.samples
    edits = len(asked.edits)
    if "all" in asked.edits:  # and dpo as trained
        methods = [parse_method(spec) for spec in specs_of(config.mitigate.methods)]
        edits = 1 + sum(not method.control for method in methods)
    every = stand_ins(bench, (*attack_names(asked.attacks), "steering"))  # also asked what is left
    settings = {a.name: len(a.settings(bench.lm)) for a in (*every, *stand_ins(bench, TABLE_4))}
    points = 1 + edits + (edits - 1) * sum(settings[a.name] for a in every) + sum(settings.values())
    point = one * min(asked.prompts, texts.prompts_report) + asked.neutral_tokens
    shown = one * min(compared.prompts, texts.prompts_report)
    more = OWN_WORK * points * point + (_WRITTEN + len(compared.t_values)) * shown
    rate = audit.tokens / max(audit.seconds, 1e-9)
    return replace(
        audit,
        variants=audit.variants + points,
        tokens=audit.tokens + int(more),
        seconds=audit.seconds + more / rate,
        bytes=audit.bytes + PAGE,  # figures/
    )


def stand_ins(bench: DPOBench, names: tuple[str, ...]) -> list[Attack]:
    """The attacks as they will be, but for the direction, which is yet to be found."""
    lm, config = bench.lm, bench.config
    direction = Direction.of(torch.ones(lm.d_model), lm.site("-1.resid_post"), pooling="mean")
    values: ValueRanking | None = None
    with suppress(UnsupportedAnatomy):
        values = rank_values(lm, direction, config.locate.top_values)
    inputs = AttackInputs(bench.corpus("report"), values, direction, seed=config.seed)
    return make_attacks(names, inputs, lm, config.attack.grid)[0]
