"""Whether what trainings are to leave free is there: known before any work."""

from __future__ import annotations

from contextlib import suppress

from bezoar.errors import ConfigError, UnsupportedAnatomy
from bezoar.mitigate import DPO, parse_method
from bezoar.mitigate.preference.masks import Trainable
from bezoar.mitigate.preference.targets import target_of
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.audit.bench import Bench


def check_masks(bench: Bench) -> None:
    """Refuse trainings of more than the model has, or than is ranked.

    Raises:
        ConfigError: naming the training, how many there are, and the option to rank more.
    """
    if bench.run.settled("mitigate"):
        return
    for method in map(parse_method, specs_of(bench.config.mitigate.methods)):
        if isinstance(method, DPO):
            with suppress(UnsupportedAnatomy):  # this method alone will not be had
                _check(bench, method.spec, Trainable.parse(method.trainable))


def check_main(bench: Bench, spec: str) -> None:
    """Refuse a training without which a study has no subject, for any reason that is known.

    Raises:
        ConfigError: if a package is missing.
        EditError: if the model has none of what is to be trained, or it cannot be trained as it is.
        UnsupportedAnatomy: if its blocks have no value vectors.
    """
    method = parse_method(spec)
    if not isinstance(method, DPO) or bench.run.settled("mitigate"):
        return
    mask = Trainable.parse(method.trainable)
    if mask.kind in ("values", "random-values"):  # which ones is not known yet, and alike here
        mask = Trainable("random-values", 1)
    target_of(bench.lm, mask, None, 0)


def _check(bench: Bench, spec: str, mask: Trainable) -> None:
    lm, ranked, n = bench.lm, bench.config.locate.top_values, mask.size(bench.lm)
    if mask.kind == "late" and n > lm.n_layers:
        raise ConfigError(
            f"{spec} is to train the last {n:,} blocks, and {lm.name} has {lm.n_layers}.",
            hint=f"Write fewer, or late for the last third: {Trainable('late').size(lm)}.",
        )
    if mask.kind not in ("values", "random-values"):
        return
    there = lm.n_layers * lm.d_mlp
    if n > there:
        raise ConfigError(
            f"{spec} is to train {n:,} value vectors, and {lm.name} has {there:,}.",
            hint=f"Write fewer: {mask.kind}:{min(ranked, there)}.",
        )
    if mask.kind == "values" and n > ranked:
        raise ConfigError(
            f"{spec} is to train the {n:,} most toxic value vectors, and {ranked:,} are ranked.",
            hint=f"Rank as many: --set locate.top_values={n}. Or train fewer: values:{ranked}.",
        )
