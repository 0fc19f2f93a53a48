"""Stage 10, evaluate: every method at the common budget, and those of the papers as published."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from bezoar.errors import ConfigError, DataError, EditError, UnsupportedAnatomy
from bezoar.mitigate import parse_method
from bezoar.studies.audit.asked import specs_of
from bezoar.studies.audit.bench import Bench
from bezoar.studies.audit.evaluate import Given
from bezoar.studies.audit.evaluate import evaluate_stage as audit_evaluate_stage
from bezoar.studies.audit.fitting import fit_inputs, label_of, slug

PUBLISHED = ("eigenshift", "aura", "det-0", "damp")
"""Methods whose own strength is that of their paper."""
AS_PUBLISHED = "as published"


def evaluate_stage(bench: Bench) -> None:
    """An audit's scorecard with a row for each method of the papers at the strength printed."""
    audit_evaluate_stage(bench, lambda: tuple(given(bench)), [AS_PUBLISHED, *PUBLISHED])


def given(bench: Bench) -> Iterator[Given]:
    """The methods asked for that have a printed strength, at that: no budget is kept.

    One that cannot be fitted is left out, as it is of the fits to the budget, which say why.
    """
    inputs = fit_inputs(bench)
    for spec in specs_of(bench.config.mitigate.methods):
        method = parse_method(spec)
        if method.name not in PUBLISHED:
            continue
        printed = method.with_strength(type(method)().strength)
        with suppress(ConfigError, DataError, EditError, UnsupportedAnatomy):
            edit = printed.fit(bench.lm, inputs)
            name = f"{slug(method.spec)}-as-published"
            yield Given(name, method.spec, f"{label_of(method.spec)} {AS_PUBLISHED}", edit)
