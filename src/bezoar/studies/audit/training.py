"""What methods that learn from preferences made, before a budget scaled it."""

from __future__ import annotations

from bezoar.errors import ConfigError
from bezoar.mitigate import DPO, FitInputs, parse_method
from bezoar.mitigate.preference import Trained
from bezoar.studies.audit.asked import learns_from_pairs
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.fitting import inputs_for, slug


def trained(bench: Bench, spec: str = "dpo") -> Trained:
    """A training of the run: its edit at t = 1 and its log.

    Read from ``mitigate/training/NAME/``; begun, or taken up where it was interrupted, if it has
    not ended there. The method fits the same training to the budget.

    Args:
        bench: an audit whose pairs stage is done.
        spec: a method such as ``dpo`` or ``dpo:trainable=biases``.

    Raises:
        ConfigError: if the method is not trained on pairs, or the audit has none.
        TrainingDiverged: if it left the finite numbers.
    """
    method = parse_method(spec)
    if not isinstance(method, DPO):
        raise ConfigError(f"{spec!r} is not trained on pairs.", hint="Name a method like dpo.")
    if not learns_from_pairs(bench.config):
        raise ConfigError(
            "No method of this run learns from preference pairs, so that it has none.",
            hint="Add dpo to --methods.",
        )
    found = FitInputs(
        pairs=bench.pairs("train"), held_out=bench.pairs("select"), values=bench.values
    )
    return method.trained(bench.lm, inputs_for(bench, found, slug(method.spec)))
